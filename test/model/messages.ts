/** What the parts of the simulation say to a mirror, and what it answers. A response of null stands for a timeout. */
import type { AuthorityState, MirrorId } from '../../src/protocol/authority-state.js';
import type { FenceVerdict, PushClaim } from '../../src/protocol/fence.js';
import type { HealClaim } from '../../src/protocol/heal.js';
import type { AuthorityWitness } from '../../src/protocol/lost-authority.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { ObjectRepair } from '../../src/protocol/reconcile-plan.js';
import type { MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Epoch, Tag } from '../../src/protocol/tag.js';
import type { StoreId, Token, Witness } from '../../src/protocol/token.js';
import type { TagRow, WriteTransaction } from '../../src/protocol/write.js';
import type { StoredObject } from './simulated-disk.js';

export interface ClearItem {
  readonly token: Token;
  readonly witnesses: readonly Witness[];
}

export interface ClearBatch {
  readonly epoch: Epoch;
  readonly clears: readonly ClearItem[];
  readonly floor: Tag;
}

/** One object as its source has it, rows included. */
export interface ObjectCopy {
  readonly objectId: ObjectId;
  readonly object: StoredObject | null;
  readonly rows: readonly TagRow[];
  /** For the checkers only: the newest tombstone that the source has let go of. */
  readonly forgotten: Tag | null;
}

export interface PushRequest extends PushClaim {
  readonly source: MirrorId;
  readonly copy: ObjectCopy;
  /** For the checkers only: what it repairs. */
  readonly cause: 'rows' | 'full-copy' | 'rot';
  /** Some of its bytes are intact nowhere, and land as lost. */
  readonly isLossy?: boolean;
  /** For the checkers only: who might have been a source. */
  readonly trusted?: readonly MirrorId[];
  readonly content: ObjectRepair['content'];
}

export type MirrorRequest =
  | {
      readonly kind: 'write';
      readonly transaction: WriteTransaction;
      readonly bytes: Uint8Array;
      readonly floor: Tag;
      readonly clears: readonly ClearItem[];
    }
  | { readonly kind: 'clear'; readonly batch: ClearBatch }
  /** `run`: the one that it is meant for. */
  | { readonly kind: 'fence'; readonly epoch: Epoch; readonly run: string }
  | { readonly kind: 'activate'; readonly epoch: Epoch }
  | { readonly kind: 'advance'; readonly from: Epoch; readonly to: Epoch }
  | { readonly kind: 'rebuild'; readonly epoch: Epoch }
  | { readonly kind: 'report' }
  | { readonly kind: 'keep-record'; readonly epoch: Epoch; readonly record: AuthorityState }
  | { readonly kind: 'survey'; readonly epoch: Epoch }
  | {
      readonly kind: 'copy-out';
      readonly epoch: Epoch;
      readonly objectId: ObjectId;
      /** What of it is wanted. */
      readonly content: ObjectRepair['content'];
      /** Also where some of it is rotten: nobody has it intact. */
      readonly isLossy?: boolean;
    }
  | { readonly kind: 'read'; readonly epoch: Epoch; readonly objectId: ObjectId }
  | {
      readonly kind: 'heal';
      readonly heal: HealClaim;
      readonly object: { readonly objectId: ObjectId; readonly bytes: Uint8Array };
    }
  | { readonly kind: 'push'; readonly push: PushRequest }
  | {
      readonly kind: 'begin-full-copy';
      readonly epoch: Epoch;
      readonly storeId: StoreId;
      readonly reason: string;
    }
  | { readonly kind: 'copy-cursor'; readonly epoch: Epoch; readonly cursor: ObjectId }
  | {
      readonly kind: 'end-full-copy';
      readonly epoch: Epoch;
      /** For the checkers only: the tombstones that the source let go of. */
      readonly forgotten: ReadonlyMap<ObjectId, Tag>;
    }
  | {
      readonly kind: 'drop-rows';
      readonly epoch: Epoch;
      readonly rows: readonly { readonly objectId: ObjectId; readonly tag: Tag }[];
      readonly witnesses: readonly Witness[];
    };

/** What a mirror has under the fence: its rows, and every object without its bytes. */
export interface Survey {
  readonly rows: readonly TagRow[];
  readonly objects: ReadonlyMap<ObjectId, StoredObject>;
  /** How far the full copy has come that this mirror receives. */
  readonly copyCursor: ObjectId | null;
  /** For the checkers only, like the one of a copy. */
  readonly forgotten: ReadonlyMap<ObjectId, Tag>;
}

export type MirrorResponse =
  | { readonly kind: 'committed'; readonly token: Token; readonly witness: Witness }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'done' }
  | { readonly kind: 'fence'; readonly verdict: FenceVerdict }
  | { readonly kind: 'report'; readonly report: MirrorReport; readonly witness: AuthorityWitness }
  | { readonly kind: 'survey'; readonly survey: Survey }
  | { readonly kind: 'copy'; readonly copy: ObjectCopy }
  | {
      readonly kind: 'content';
      readonly object: StoredObject | null;
      /** For the checkers only. */
      readonly forgotten: Tag | null;
    }
  | { readonly kind: 'damaged' };
