/**
 * The port of one OSD's disk. The real implementation is `DiskObjectStore` in this folder (blobs and one LevelDB); the
 * in-memory one under test/ passes the same conformance suite. `osd/` sees nothing else of `store/`.
 *
 * What every implementation guarantees:
 * - One commit point. A promise that resolves says that everything it stands for is durable: content first, then one
 *   synced LevelDB batch with the object's new state, the tag table row and the commit sequence (F7, F8, F9).
 *   `clear` alone needs no sync of its own (section 3.7).
 * - Transactions on one object take effect in the order in which they were submitted.
 * - A read sees one committed state, whole, and keeps seeing it while later writes land. Every byte it yields was checked.
 * - After a failure of the disk (`StoreError` of code `io-error`) the store takes no more writes until it is opened anew.
 */
import type { ComposeSource } from '../protocol/compose.js';
import type { Extent } from '../protocol/extent.js';
import type { FenceState, FenceVerdict, PushClaim, PushRefusalCode } from '../protocol/fence.js';
import type { HealClaim, HealRefusalCode } from '../protocol/heal.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { FullCopyCursor, ObjectSummary } from '../protocol/reconcile-plan.js';
import type { StoreFault } from '../protocol/store-fault.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { ClearRefusalCode, StoreId, Token, Witness } from '../protocol/token.js';
import type { ObjectState, TagRow, WriteRefusalCode, WriteTransaction } from '../protocol/write.js';

/** What the store says of itself; cheap, synchronous. Counts are rows, sizes bytes. */
export interface StoreReport {
  /** The one that it was formatted with, or the one that it got when the latest full copy into it began. */
  readonly storeId: StoreId;
  readonly setId: string;
  readonly formatVersion: number;
  /** Rises by one with every synced batch. */
  readonly commitSequence: number;
  readonly fence: FenceState;
  /** What keeps it from taking writes just now, or null. */
  readonly fault: StoreFault | null;
  /** Durable reason why this store is incomplete, or null. See `MirrorReport.selfDoubt`. */
  readonly selfDoubt: string | null;
  readonly blank: boolean;
  readonly witnesses: readonly Witness[];
  readonly tagTable: TagTableSummary;
  readonly objectCount: number;
  readonly tombstoneCount: number;
  readonly blobBytes: number;
}

/** The files that content lives in; those that are known so far, which are all soon after the start. */
export interface SegmentSummary {
  readonly segmentCount: number;
  readonly writtenBytes: number;
  /** Of these, what compaction may give back. */
  readonly deadBytes: number;
}

export interface TagTableSummary {
  readonly rowCount: number;
  /** Sum of the rows' lengths. */
  readonly rowBytes: number;
}

/** Content that comes with a transaction, or that was staged before it. */
export type WriteContent =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'stage'; readonly stageId: string }
  /** For `replace` only: made of what this store has; no bytes are moved. `contentChecksum` is that of `composeText`. */
  | { readonly kind: 'compose'; readonly sources: readonly ComposeSource[] };

export interface WriteRequest {
  readonly transaction: WriteTransaction;
  readonly content: WriteContent;
  /** CRC32C of the content; checked against what arrived before anything is committed. */
  readonly contentChecksum: number;
  /** The generator's floor when this request was sent. */
  readonly floor: Tag;
}

export type WriteReply =
  /** Durable, by this request or an earlier one. */
  | {
      readonly kind: 'committed';
      readonly token: Token;
      readonly commitSequence: number;
      readonly isDuplicate: boolean;
    }
  | {
      readonly kind: 'refused';
      readonly code:
        | WriteRefusalCode
        | 'unknown-stage'
        | 'source-changed'
        | 'checksum-mismatch'
        | 'no-space'
        | 'self-doubt';
      readonly lastTag: Tag | null;
    };

/** What became of one of many writes: its reply, or what it failed of. */
export type WriteOutcome = WriteReply | { readonly kind: 'failed'; readonly failure: Error };

export interface Clear {
  readonly token: Token;
  readonly witnesses: readonly Witness[];
}

export interface ClearBatch {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly clears: readonly Clear[];
  /** The generator's floor when this batch was sent. */
  readonly floor: Tag;
}

export type ClearReply =
  | { readonly kind: 'cleared'; readonly rowCount: number }
  | { readonly kind: 'refused'; readonly code: ClearRefusalCode };

/** Takes content ahead of the transaction that will name it. Not durable as an object; gone after a restart or `abort`. */
export interface StageWriter {
  /** Copies the piece before it returns. Resolves when the next one may come; undefined: at once. */
  write(piece: Buffer): Promise<void> | undefined;
  /** The content is synced and checksummed. */
  finish(): Promise<StagedBlob>;
  abort(): Promise<void>;
}

export interface StagedBlob {
  readonly stageId: string;
  readonly lengthBytes: number;
  /** CRC32C of all of it. */
  readonly contentChecksum: number;
}

/** Same meaning as the gateway's: `last` is inclusive, null for "to the end". */
export type StoreRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'between'; readonly first: number; readonly last: number | null }
  | { readonly kind: 'suffix'; readonly lengthBytes: number }
  | { readonly kind: 'none' };

export type PresentObject = Extract<ObjectState, { kind: 'present' }>;

export interface StoreBody extends AsyncIterable<Buffer> {
  /** Takes back the memory of a piece that nobody uses any more. Who does not call it leaves it to the collector. */
  readonly giveBack?: (piece: Buffer) => void;
}

export interface StoreRead {
  readonly state: PresentObject;
  /** What `body` carries; null when the range is not satisfiable. */
  readonly extent: Extent | null;
  /** Checked pieces of at most READ_PIECE_BYTES in order. Finish it or call `return()`: until then it pins its blobs. */
  readonly body: StoreBody;
  /** All of it in one buffer when it is small and at hand; then `body` need not be touched. */
  readonly bytes: Buffer | null;
}

export const READ_PIECE_BYTES = 1024 * 1024;

export interface StoreListRequest {
  readonly container: string;
  readonly prefix: string;
  /** As in the gateway's port: names and common prefixes after this one, in UTF-8 order; '' from the start. */
  readonly after: string;
  /** As in the gateway's port: versions of the name `after` behind this one come too. */
  readonly afterVersion?: string;
  readonly delimiter: string;
  readonly limit: number;
}

export type StoreListEntry =
  | { readonly kind: 'object'; readonly id: ObjectId; readonly state: PresentObject }
  | { readonly kind: 'common-prefix'; readonly prefix: string };

export interface StoreListPage {
  readonly entries: readonly StoreListEntry[];
  readonly truncated: boolean;
}

/** A place in the tag table, which is ordered by object id (UTF-8 bytes), then tag. */
export interface RowCursor {
  readonly objectId: ObjectId;
  readonly tag: Tag;
}

/** Bytes that come with a push, or that were staged before it. */
export type PushBytes = Exclude<WriteContent, { readonly kind: 'compose' }>;

/** What reconciliation lands on a target for one object, in one batch. */
export interface Push extends PushClaim {
  readonly objectId: ObjectId;
  /** The source's state, or null when the source knows nothing of the object: then the target forgets it. */
  readonly state: ObjectState | null;
  /**
   * `whole`: content is all of the source's bytes. `extents`: the concatenated bytes of these extents, which lie inside
   * the source's size; the target keeps its own bytes elsewhere and is cut or grown to the source's size.
   */
  readonly content:
    { readonly kind: 'whole' } | { readonly kind: 'extents'; readonly extents: readonly Extent[] };
  /**
   * Parts of that which are intact nowhere: the bytes come without them. The object is there then and can be read but for these; what it
   * was before is kept aside (`readKept`) until they are written again.
   */
  readonly lost?: readonly Extent[];
  readonly bytes: PushBytes;
  readonly contentChecksum: number;
  /** The source's rows of that object. They take the place of all rows that the target has for it (F37). */
  readonly rows: readonly TagRow[];
}

export type PushReply =
  | { readonly kind: 'landed' }
  | {
      readonly kind: 'refused';
      readonly code: PushRefusalCode | 'unknown-stage' | 'checksum-mismatch' | 'no-base' | 'no-space';
    };

/** An object of which some bytes are lost: a push said so. */
export interface LostObject {
  readonly objectId: ObjectId;
  readonly state: PresentObject;
  readonly lostBytes: number;
  /** What it was before, and is kept; null: nothing. */
  readonly kept: PresentObject | null;
}

/** Intact bytes for an object that stays what it is. */
export interface Heal extends HealClaim {
  readonly objectId: ObjectId;
  /** What the staged bytes take the place of, inside the object; together as long as they are. */
  readonly extents: readonly Extent[];
  readonly stageId: string;
  readonly contentChecksum: number;
}

export type HealReply =
  | { readonly kind: 'landed' }
  | {
      readonly kind: 'refused';
      readonly code: HealRefusalCode | 'unknown-stage' | 'checksum-mismatch' | 'no-space';
    };

export interface RowDrop {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly rows: readonly RowCursor[];
  readonly witnesses: readonly Witness[];
}

export interface ObjectStore {
  report(): StoreReport;
  /** For operators; takes time in proportion to the segments. */
  segments(): SegmentSummary;

  /** Section 5.2; durable before it resolves. */
  fence(epoch: Epoch): Promise<FenceVerdict>;
  activate(epoch: Epoch): Promise<FenceVerdict>;
  /** Active as a mirror that is being rebuilt: takes writes and pushes, keeps its tombstones. Not durable. */
  rebuild(epoch: Epoch): Promise<FenceVerdict>;
  advance(from: Epoch, to: Epoch): Promise<FenceVerdict>;
  /** Puts on disk that this store is incomplete (a reason; an earlier one stays), or complete again (null). */
  setSelfDoubt(reason: string | null): Promise<void>;

  openStage(): StageWriter;
  /** Lets go of staged content that no transaction will name. */
  discardStage(stageId: string): Promise<void>;
  write(request: WriteRequest): Promise<WriteReply>;
  /** Several at once, as if they came one after the other: one outcome for each. Never rejects. */
  writeMany(requests: readonly WriteRequest[]): Promise<readonly WriteOutcome[]>;
  clear(batch: ClearBatch): Promise<ClearReply>;

  head(id: ObjectId): Promise<ObjectState | null>;
  /** Null: there is no such object (or a tombstone). */
  read(id: ObjectId, range: StoreRange): Promise<StoreRead | null>;
  list(request: StoreListRequest): Promise<StoreListPage>;
  /** Objects with lost bytes after `after` in id order (UTF-8 bytes), at most `limit`. */
  lostObjects(after: ObjectId | null, limit: number): Promise<LostObject[]>;
  /** The copy that is kept aside of an object with lost bytes. Null: none is. */
  readKept(id: ObjectId, range: StoreRange): Promise<StoreRead | null>;

  /** Rows after `after` in table order, at most `limit`. */
  rows(after: RowCursor | null, limit: number): Promise<TagRow[]>;
  /** The first `limit` rows of one object, in order of tags. */
  rowsOf(id: ObjectId, limit: number): Promise<TagRow[]>;
  /** The oldest row's `writtenMs`, null when there is none. May take time in proportion to the rows, at most once per change of the oldest. */
  oldestRowMs(): Promise<number | null>;
  /** Objects and tombstones after `after` in id order (UTF-8 bytes), at most `limit`: one side of a full copy. */
  summaries(after: ObjectId | null, limit: number): Promise<ObjectSummary[]>;
  /** Only at the epoch of the running recovery, or of the running rebuilding. */
  push(push: Push): Promise<PushReply>;
  /** Only at the active epoch. Durable when it has landed. */
  heal(heal: Heal): Promise<HealReply>;
  /**
   * Drops rows that reconciliation has matched or repaired on all configured mirrors, at the epoch of the running
   * recovery; or, at the active epoch, rows that nobody needs any more (F27).
   */
  dropRows(drop: RowDrop): Promise<ClearReply>;
  /**
   * From here on this store is another one, which is incomplete: a new id, the doubt (FULL_COPY_DOUBT, whatever it was
   * before) and no cursor, all in one synced batch. What peers witnessed of the old id says nothing of the copy.
   */
  beginFullCopy(storeId: StoreId): Promise<void>;
  /** The durable cursor of the full copy that this store receives; null: none has come anywhere. */
  fullCopyCursor(): Promise<FullCopyCursor | null>;
  setFullCopyCursor(cursor: FullCopyCursor): Promise<void>;
  /** Complete: no doubt, no cursor, in one synced batch. */
  endFullCopy(): Promise<void>;

  /** The copy of the authority's state that was given last (F31), null when none was. */
  authorityRecord(): Promise<string | null>;
  /** Durable when it resolves. */
  setAuthorityRecord(record: string): Promise<void>;

  /** What was noted last of a scrub, null when nothing was. */
  scrubRecord(): Promise<string | null>;
  /** Durable when it resolves. */
  setScrubRecord(record: string): Promise<void>;

  /** Waits for what is being committed, then lets go of everything. */
  close(): Promise<void>;
}

/**
 * - `io-error`: the disk failed; the store takes no more writes in this run.
 * - `damaged`: stored bytes fail their checksum.
 * - `incomplete-store`: files of the store are missing or don't belong together; it does not open.
 * - `in-use`: another process, or another part of this one, has the store open.
 * - `no-space`: the disk is full; what was asked for was not done and nothing has changed. Thrown by stages.
 * - `overloaded`: too much is waiting already; nothing was changed.
 * - `closed`: the store is closed or closing.
 */
export type StoreErrorCode =
  'io-error' | 'damaged' | 'incomplete-store' | 'in-use' | 'no-space' | 'overloaded' | 'closed';

export class StoreError extends Error {
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}

/** `damaged`: not bytes of an object, but a record of the database. */
export class DamagedRecord extends StoreError {
  /** Text: errors go to the log as they are. */
  readonly keyHex: string;
  /** What is wrong with it, as the end of a sentence. */
  readonly fault: string;

  constructor(key: Buffer, fault: string, options?: ErrorOptions) {
    const keyHex = key.toString('hex');
    super('damaged', `the value of key ${keyHex} ${fault}`, options);
    this.name = 'DamagedRecord';
    this.keyHex = keyHex;
    this.fault = fault;
  }
}
