/** What gateway and mirrors say to each other when writes are forwarded. */
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import type { AppointedWriter } from '../../../src/protocol/forwarding.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import type { Epoch, Tag } from '../../../src/protocol/tag.js';
import type { MirrorVerdict } from '../../../src/protocol/write-outcome.js';
import type { WriteTransaction } from '../../../src/protocol/write.js';

/** A write without a tag. */
export interface NumberedWrite {
  readonly request: number;
  readonly ordinal: number;
  readonly objectId: ObjectId;
  readonly kind: 'replace' | 'extend';
  readonly previousTag: Tag | null;
  /** The object as it is to be afterwards. */
  readonly content: readonly number[];
}

export type ForwardedReply =
  | {
      readonly kind: 'written';
      readonly tag: Tag;
      readonly answers: readonly (readonly [MirrorId, MirrorVerdict])[];
    }
  | { readonly kind: 'refused'; readonly code: string };

export type Message =
  | { readonly kind: 'order'; readonly to: MirrorId; readonly order: AppointedWriter }
  | {
      readonly kind: 'forward';
      readonly to: MirrorId;
      readonly epoch: Epoch;
      readonly floor: number;
      readonly write: NumberedWrite;
    }
  | {
      readonly kind: 'transact';
      readonly to: MirrorId;
      readonly from: MirrorId;
      readonly transaction: WriteTransaction;
      readonly content: readonly number[];
      readonly floor: Tag;
    }
  | {
      readonly kind: 'answer';
      readonly to: MirrorId;
      readonly from: MirrorId;
      readonly tag: Tag;
      readonly answer: MirrorVerdict;
    }
  | {
      readonly kind: 'reply';
      readonly epoch: Epoch;
      readonly request: number;
      readonly reply: ForwardedReply;
    };
