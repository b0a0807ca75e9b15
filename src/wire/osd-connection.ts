/**
 * The port of one OSD as others see it: the gateway, and a peer that reconciles. The real implementation speaks HTTP
 * (`HttpOsdConnection` in this folder); the in-memory one under test/ passes the same conformance suite.
 *
 * Errors are of two kinds, never mixed (STYLE.md 12, 14):
 * - `OsdRefusal`: the OSD answered, with a stable code, and did nothing.
 * - `OsdUnreachable`: no answer came. With `sent: false` the request certainly did nothing; with `sent: true` nobody knows.
 * No method retries by itself; every method takes the time it may last from `OsdTimeouts`.
 */
import type { ComposeSource } from '../protocol/compose.js';
import type { Extent } from '../protocol/extent.js';
import type { MirrorId } from '../protocol/authority-state.js';
import type { AppointedWriter, RequestNumber, RequestRefusalCode } from '../protocol/forwarding.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { CopyPace } from '../protocol/pace.js';
import type { FullCopyCursor, ObjectSummary } from '../protocol/reconcile-plan.js';
import type { CopyNeed } from '../protocol/recovery-plan.js';
import type { StoreFault } from '../protocol/store-fault.js';
import type { Epoch, GeneratorId, Tag } from '../protocol/tag.js';
import type { ClearRefusalCode, StoreId, Token, Witness } from '../protocol/token.js';
import type { PushRefusalCode } from '../protocol/fence.js';
import type { MirrorAnswer, MirrorVerdict } from '../protocol/write-outcome.js';
import type { ObjectState, TagRow, WriteRefusalCode, WriteTransaction } from '../protocol/write.js';
import { type ContractRange, LOST_BYTES_SINCE } from './contract-version.js';

/** What an OSD says of itself (GET /v1/identity). Sizes are bytes. */
export interface OsdIdentity {
  readonly setId: string;
  readonly storeId: StoreId;
  /** Names one run of the OSD process. */
  readonly incarnation: string;
  readonly softwareVersion: string;
  readonly formatVersion: number;
  readonly processId: number;
  readonly commitSequence: number;
  readonly fencedEpoch: Epoch;
  /** EPOCH_NONE (0) when no writes are let in. */
  readonly activeEpoch: Epoch;
  /** What keeps it from taking writes just now, or null. */
  readonly fault: StoreFault | null;
  readonly selfDoubt: string | null;
  readonly blank: boolean;
  readonly witnesses: readonly Witness[];
  readonly rowCount: number;
  readonly rowBytes: number;
  readonly oldestRowMs: number | null;
  readonly objectCount: number;
  readonly tombstoneCount: number;
  readonly blobBytes: number;
  /** How it looks after its bytes. */
  readonly care: OsdCare;
}

/** Counts since the OSD was started. Sizes are bytes. */
export interface OsdCare {
  /** Times that stored bytes were found damaged, and that a peer's took their place. */
  readonly objectsDamaged: number;
  readonly objectsHealed: number;
  readonly bytesHealed: number;
  /** The scrub that runs, or the latest one; null: there never was one. */
  readonly scrub: ScrubProgress | null;
}

/** One reading of everything. Times are Unix ms, sizes bytes. */
export interface ScrubProgress {
  /** `stopped`: it goes on where it is with the next order. */
  readonly state: 'running' | 'stopped' | 'done' | 'failed';
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly objectsExamined: number;
  readonly bytesExamined: number;
  readonly objectsDamaged: number;
  readonly objectsHealed: number;
  readonly failure: string | null;
}

export interface HealSource {
  readonly mirror: MirrorId;
  readonly url: string;
}

/** An order to replace damaged bytes of one object by those of a peer (POST /v1/heals). */
export interface HealOrder {
  readonly epoch: Epoch;
  readonly objectId: ObjectId;
  /** What to replace; null: whatever is damaged. */
  readonly extents: readonly Extent[] | null;
  /** Other mirrors in sync, tried in this order. */
  readonly sources: readonly HealSource[];
}

/** An order to read everything (POST /v1/scrub). */
export interface ScrubOrder {
  readonly bytesPerSecond: number;
  readonly sources: readonly HealSource[];
}

export const EXAMINED_WINDOW_BYTES = 1024 * 1024;
/** Windows in one request. */
export const EXAMINATIONS_MAX = 64;

/** A part of an object, at most EXAMINED_WINDOW_BYTES long. */
export interface ExaminationRequest {
  readonly objectId: ObjectId;
  readonly extent: Extent;
}

export interface ExaminationReply {
  /** Null: there is no such object. */
  readonly state: PresentObject | null;
  /** CRC32C of the bytes, null when they are damaged. */
  readonly contentChecksum: number | null;
}

/** Objects on one page of those with lost bytes: each may come with attributes of full length, twice. */
export const LOST_OBJECTS_PAGE_MAX = 100;

/** True when this OSD is not known to speak a contract that knows of lost bytes. In the same process everyone speaks the latest. */
export function ignoresLostBytes({ contract }: Pick<OsdConnection, 'contract'>): boolean {
  return contract !== undefined && (contract?.agreed ?? 0) < LOST_BYTES_SINCE;
}

/** An object of which some bytes can't be had: what is wrong with it, and what is left. */
export interface LostObject {
  readonly objectId: ObjectId;
  readonly state: PresentObject;
  readonly lostBytes: number;
  /** What it was before its last write, and is kept aside here; null: nothing is. */
  readonly kept: PresentObject | null;
}

export type TransactionContent =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'stage'; readonly stageId: string }
  /** For `replace` only: made of what the OSD has. `contentChecksum` is that of `composeText`. */
  | { readonly kind: 'compose'; readonly sources: readonly ComposeSource[] };

/** Content as a reconciliation sends it: always the bytes themselves. */
export type PushContent = Exclude<TransactionContent, { readonly kind: 'compose' }>;

export interface TransactionItem {
  readonly transaction: WriteTransaction;
  readonly content: TransactionContent;
  /** CRC32C of the content; 0 for none. */
  readonly contentChecksum: number;
  /** Of whoever follows the write; absent: nobody does. It has no part in any decision. */
  readonly traceparent?: string;
  /** How it travels in bytes, kept by whoever encodes it when it is null here: it is the same for every mirror that is given the same item. */
  encoded?: Buffer | null;
}

/** One write on its way to this OSD, for whoever follows it. */
export interface WriteFollower {
  /** W3C Trace Context; travels with the write. */
  readonly traceparent: string;
  /** The answer has come, or none will. */
  readonly ended: (answer: MirrorAnswer) => void;
}

/** One of the other requests that are followed. */
export interface RequestFollower {
  readonly traceparent: string;
  /** Called once, with why there is no answer, or null. */
  readonly ended: (failure: string | null) => void;
}

export type FollowedRequest = 'read' | 'head' | 'list' | 'forwarded write';

/** Follows requests through processes (tracing). Each method is called in the context of who wants the work done. */
export interface ConnectionTrace {
  followWrite(transaction: WriteTransaction): WriteFollower | null;
  /** Null: nobody follows it. */
  followRequest(what: FollowedRequest): RequestFollower | null;
  /** For what has a request of its own; null: nobody follows it. */
  traceparent(): string | null;
}

export interface Clear {
  readonly token: Token;
  readonly witnesses: readonly Witness[];
}

/** Some small transactions and ready tokens in one request (POST /v2/transactions, or /v1 to a peer of before). */
export interface TransactionBatch {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly floor: Tag;
  readonly writes: readonly TransactionItem[];
  readonly clears: readonly Clear[];
}

export const BATCH_WRITES_MAX = 256;
export const BATCH_CLEARS_MAX = 1024;
export const BATCH_CONTENT_BYTES_MAX = 4 * 1024 * 1024;
/** Content up to this travels inside its transaction; more is staged first. */
export const INLINE_CONTENT_BYTES_MAX = 256 * 1024;

export type TransactionReply =
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
        | 'self-doubt'
        | 'overloaded'
        /** The disk failed under this write: whether it is stored, nobody knows until the store is opened anew. */
        | 'io-error';
      readonly lastTag: Tag | null;
    };

export type ClearsReply =
  | { readonly kind: 'cleared'; readonly rowCount: number }
  | { readonly kind: 'refused'; readonly code: ClearRefusalCode };

export interface TransactionBatchReply {
  /** In the order of the batch. */
  readonly writes: readonly TransactionReply[];
  /** Null when the batch had no clears. */
  readonly clears: ClearsReply | null;
  readonly storeId: StoreId;
}

/** A mirror that a writer sends transactions to. */
export interface WriterMember {
  readonly mirror: MirrorId;
  /** Base URL of its OSD, for the writer. */
  readonly url: string;
}

/** An order to issue the tags of an epoch, and to write to these mirrors (PUT /v1/writer). */
export interface WriterOrder extends AppointedWriter {
  readonly setId: string;
  /** Where everyone that is written to is found, the writer itself and mirrors that are being rebuilt included. */
  readonly members: readonly WriterMember[];
  /** A write's tokens are ready once all of these have it. */
  readonly rowsKeptFor: readonly MirrorId[];
  /** What is in sync and not waited for any more: the authority is about to leave it out. */
  readonly givenUp: readonly MirrorId[];
}

/** Writers of different generators that one OSD has at once. */
export const WRITERS_MAX = 64;

/** Content of a write that is forwarded: the same for every mirror, or staged at each. */
export type ForwardedContent =
  | Exclude<TransactionContent, { readonly kind: 'stage' }>
  | {
      readonly kind: 'stages';
      readonly stages: readonly { readonly mirror: MirrorId; readonly stageId: string }[];
      /** Mirrors that were never given it, and the code of what kept it from them. */
      readonly missing: readonly { readonly mirror: MirrorId; readonly code: string }[];
    };

/** A write transaction without its tag, named by its requester. Offsets and lengths are bytes. */
export interface ForwardedWrite extends Pick<
  WriteTransaction,
  'objectId' | 'kind' | 'previousTag' | 'offset' | 'length' | 'mode' | 'attributes'
> {
  readonly request: RequestNumber;
  readonly content: ForwardedContent;
  /** CRC32C of the content; 0 for none. */
  readonly contentChecksum: number;
  /** CRC32C of the content and of everything else that the write states; see `transaction-checksum.ts`. */
  readonly checksum: number;
  /** As that of a `TransactionItem`; it is in no checksum. */
  readonly traceparent?: string;
}

/** Writes for the writer of a generator (POST /v1/forwarded-writes), with the same limits as a `TransactionBatch`. */
export interface ForwardedBatch {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly generator: GeneratorId;
  /** No request below it is made again. */
  readonly requestFloor: RequestNumber;
  readonly writes: readonly ForwardedWrite[];
}

/** Requests from the floor on that a writer remembers; whoever forwards makes no more at once. */
export const FORWARDED_REQUESTS_MAX = 4096;

export type ForwardedReply =
  | {
      readonly kind: 'written';
      readonly tag: Tag;
      /** Of everyone in sync, and of the mirrors that are being rebuilt as far as they have answered. */
      readonly answers: readonly { readonly mirror: MirrorId; readonly answer: MirrorVerdict }[];
    }
  /** Nothing was done, for this time that it was asked. */
  | { readonly kind: 'refused'; readonly code: RequestRefusalCode | 'checksum-mismatch' };

export interface ForwardedBatchReply {
  /** In the order of the batch. */
  readonly writes: readonly ForwardedReply[];
}

/** Content on its way into an OSD (POST /v1/stages), with backpressure from that OSD. */
export interface RemoteStage {
  /**
   * Resolves when the next piece may come; rejects with OsdRefusal or OsdUnreachable when the stage is lost. `onTaken` is called once, sooner or later:
   * from then on nobody looks at the piece, whatever became of it.
   */
  write(piece: Buffer, onTaken?: () => void): Promise<void>;
  finish(): Promise<{
    readonly stageId: string;
    readonly lengthBytes: number;
    readonly contentChecksum: number;
  }>;
  /** The OSD keeps nothing of it. Never throws. */
  abort(): void;
}

export type RemoteRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'between'; readonly first: number; readonly last: number | null }
  | { readonly kind: 'suffix'; readonly lengthBytes: number };

export type PresentObject = Extract<ObjectState, { kind: 'present' }>;

export interface ReadBody extends AsyncIterable<Buffer> {
  /** Takes back the memory of a piece that nobody uses any more. Who does not call it leaves it to the collector. */
  readonly giveBack?: (piece: Buffer) => void;
}

export interface RemoteRead {
  readonly state: PresentObject;
  readonly extent: Extent | null;
  /** All of it when it is small and at hand: then `body` need not be touched, and there is nothing to let go of. */
  readonly bytes: Buffer | null;
  /** Throws OsdUnreachable or OsdRefusal (code `damaged`) when the rest can't be had. Let go of it with `return()`. */
  readonly body: ReadBody;
}

export interface RemoteListRequest {
  readonly container: string;
  readonly prefix: string;
  readonly after: string;
  readonly afterVersion?: string;
  readonly delimiter: string;
  readonly limit: number;
}

export type RemoteListEntry =
  | { readonly kind: 'object'; readonly id: ObjectId; readonly state: PresentObject }
  | { readonly kind: 'common-prefix'; readonly prefix: string };

export interface RemoteListPage {
  readonly entries: readonly RemoteListEntry[];
  readonly truncated: boolean;
}

/** A place in a tag table, which is ordered by object id (UTF-8 bytes), then tag. */
export interface RowCursor {
  readonly objectId: ObjectId;
  readonly tag: Tag;
}

export const ROWS_PAGE_MAX = 1000;
export const SUMMARIES_PAGE_MAX = 1000;

export interface RemotePush {
  readonly epoch: Epoch;
  readonly objectId: ObjectId;
  readonly expectedLastTag: Tag | null;
  readonly lastTag: Tag | null;
  /** Null: the source knows nothing of the object, and the target forgets it. */
  readonly state: ObjectState | null;
  readonly content:
    { readonly kind: 'whole' } | { readonly kind: 'extents'; readonly extents: readonly Extent[] };
  /**
   * Parts of that which are intact on no mirror that has this state: the bytes come without them. Absent: none. What the target had of
   * the object is kept aside there.
   */
  readonly lost?: readonly Extent[];
  /** The bytes: sent along when small, staged before when large, none when there are none. */
  readonly bytes: PushContent;
  readonly contentChecksum: number;
  readonly rows: readonly TagRow[];
}

export type RemotePushReply =
  | { readonly kind: 'landed' }
  | {
      readonly kind: 'refused';
      readonly code:
        PushRefusalCode | 'unknown-stage' | 'checksum-mismatch' | 'no-base' | 'no-space' | 'io-error';
    };

export interface ReconcileParticipant {
  readonly mirror: MirrorId;
  /** Base URL of its OSD, for the peer that drives. */
  readonly url: string;
  readonly storeId: StoreId;
  readonly role: { readonly kind: 'trusted' } | { readonly kind: 'stale'; readonly need: CopyNeed };
}

/** What the authority asks one trusted OSD to drive (POST /v1/reconciliations). */
export interface ReconcileOrder {
  readonly setId: string;
  /** Names the reconciliation; everyone is fenced at it. */
  readonly epoch: Epoch;
  /** The driver's own role among the participants. */
  readonly driver: MirrorId;
  readonly participants: readonly ReconcileParticipant[];
  /** True when all configured mirrors take part: then rows are dropped once matched or repaired. */
  readonly complete: boolean;
  /**
   * `fenced`: nobody writes meanwhile. `online`: the trusted mirrors are active, the stale ones are being rebuilt, and
   * clients write; it ends when there is next to nothing left to copy.
   */
  readonly mode: 'fenced' | 'online';
  /** The stores of the mirrors that do not take part: what was witnessed of them is passed on (F17). */
  readonly absentStoreIds: readonly StoreId[];
  /** Null: as fast as it goes. Under the fence it is: clients wait for it. */
  readonly pace: CopyPace | null;
}

/** Live figures of a reconciliation. `toDo` figures grow while tables are still being read, `isScanned` says when they are final. */
export interface ReconcileProgress {
  readonly epoch: Epoch;
  readonly phase: 'matching' | 'copying' | 'full-copy' | 'clearing' | 'done' | 'failed';
  readonly isScanned: boolean;
  readonly rowsMatched: number;
  readonly rowsUnmatched: number;
  readonly rowsDropped: number;
  readonly objectsToDo: number;
  readonly objectsDone: number;
  readonly rangesDone: number;
  readonly bytesUnmatched: number;
  readonly bytesCopied: number;
  /** Objects compared by a full copy since it began, of about so many, and objects that it deleted because only the target had them. */
  readonly objectsCompared: number;
  readonly objectsToCompare: number;
  readonly objectsDeleted: number;
  /** How long a full copy takes yet when it goes on as it did so far, in ms; null: nobody knows, or there is none. */
  readonly leftMs: number | null;
  /** Why it failed; null otherwise. */
  readonly failure: string | null;
}

/** Objects in one question for evidence: each may come with attributes of full length and EVIDENCE_ROWS_MAX rows. */
export const EVIDENCE_PAGE_MAX = 100;
/** Rows of one object that are told one by one; an object with more of them is copied whole. */
export const EVIDENCE_ROWS_MAX = 256;

/** One object as a mirror has it. The rows are read after the state, so no write up to its last tag is without its row. */
export interface ObjectWitness {
  readonly state: ObjectState | null;
  /** In order of tags; the first ones when there are more. */
  readonly rows: readonly TagRow[];
  readonly hasMoreRows: boolean;
}

/** Which versions of the contract an OSD speaks, and which one is in use with it: the greatest that both speak. */
export interface ContractStanding {
  readonly theirs: ContractRange;
  readonly ours: ContractRange;
  /** Null: there is none, and whatever is asked of it is refused as `wrong-contract`. */
  readonly agreed: number | null;
}

export interface OsdConnection {
  readonly url: string;
  /** As it last said who it is; null: it did not yet, or it does not answer. Absent: it is of this very build. */
  readonly contract?: ContractStanding | null;
  /** Null or absent: nobody follows anything. */
  readonly trace?: ConnectionTrace | null;

  identity(): Promise<OsdIdentity>;
  /** `incarnation`: the run that it is meant for; another one refuses it as `stale-order`, however late it comes or how often (F29). */
  fence(epoch: Epoch, incarnation?: string): Promise<OsdIdentity>;
  activate(epoch: Epoch): Promise<OsdIdentity>;
  advance(from: Epoch, to: Epoch): Promise<OsdIdentity>;
  /** Lets writes in at a mirror that is not in sync, and is fenced at this epoch, while it is copied to. */
  rebuild(epoch: Epoch): Promise<OsdIdentity>;

  transact(batch: TransactionBatch): Promise<TransactionBatchReply>;
  /** Makes it a writer, or tells the one that it is what has changed. Refused by a store that is not active at that epoch. */
  appointWriter(order: WriterOrder): Promise<void>;
  /** Resolves when every mirror in sync has answered each write, or was given up. Repeating a request gets the same answer. */
  forward(batch: ForwardedBatch): Promise<ForwardedBatchReply>;
  /** Ends the writer of an epoch, if it is still there, once its ready tokens are sent. Nothing must be in flight. */
  dismissWriter(epoch: Epoch, generator: GeneratorId): Promise<void>;
  /** `lengthBytes`: of all that will be written, null when nobody knows yet. Any other length fails. */
  openStage(lengthBytes?: number | null): RemoteStage;
  discardStage(stageId: string): Promise<void>;

  /** `epoch`: refused as `stale-epoch` by an OSD that was fenced higher. Null: no such object. */
  head(epoch: Epoch, id: ObjectId): Promise<PresentObject | null>;
  read(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<RemoteRead | null>;
  list(epoch: Epoch, request: RemoteListRequest): Promise<RemoteListPage>;

  /** Objects with bytes that can't be had, behind `after` in order of ids; at most LOST_OBJECTS_PAGE_MAX. */
  lostObjects(after: ObjectId | null, limit: number): Promise<readonly LostObject[]>;
  /** A read of what an object with lost bytes was before, where that is kept. Null: it is not. */
  readKept(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<RemoteRead | null>;

  /**
   * `epoch`, here and in the three after it: a reconciliation of that epoch asks. The OSD refuses unless it takes part in it, in the
   * very run that was looked at when it began: a store that was restarted since may be another one (F29).
   */
  rows(after: RowCursor | null, limit: number, epoch?: Epoch): Promise<readonly TagRow[]>;
  summaries(after: ObjectId | null, limit: number, epoch?: Epoch): Promise<readonly ObjectSummary[]>;
  /** States (tombstones included) of some objects, in the order asked; at most ROWS_PAGE_MAX. */
  states(ids: readonly ObjectId[], epoch?: Epoch): Promise<readonly (ObjectState | null)[]>;
  /** The same with their rows; at most EVIDENCE_PAGE_MAX objects. */
  evidence(epoch: Epoch, ids: readonly ObjectId[]): Promise<readonly ObjectWitness[]>;
  push(push: RemotePush): Promise<RemotePushReply>;
  dropRows(
    setId: string,
    epoch: Epoch,
    rows: readonly RowCursor[],
    witnesses: readonly Witness[],
  ): Promise<ClearsReply>;
  /** The copy of the authority's state that this mirror keeps (F31); null: none. */
  authorityRecord(): Promise<string | null>;
  /** Keeps another one, durably, in place of it. Only in the recovery, or at the active epoch, of the authority that gives it. */
  keepAuthorityRecord(epoch: Epoch, record: string): Promise<void>;
  setSelfDoubt(epoch: Epoch, reason: string | null): Promise<void>;
  /** The store gets this id and doubts itself until the copy ends. Only at the epoch that it is fenced at, before it takes anything. */
  beginFullCopy(epoch: Epoch, storeId: StoreId): Promise<void>;
  fullCopyCursor(): Promise<FullCopyCursor | null>;
  /** Here and in the next one: of a copy that has begun, in its recovery or while the store is being rebuilt; else `not-fenced`. */
  setFullCopyCursor(epoch: Epoch, cursor: FullCopyCursor): Promise<void>;
  endFullCopy(epoch: Epoch): Promise<void>;

  /** Reads parts of objects and says what their checksums are. Answers are in the order asked. */
  examine(requests: readonly ExaminationRequest[]): Promise<readonly ExaminationReply[]>;
  /** Resolves when the order is in the queue; `identity().care` and the log say what became of it. */
  orderHeal(order: HealOrder): Promise<void>;
  /** Begins a scrub, or goes on with one that was left. */
  startScrub(order: ScrubOrder): Promise<void>;
  stopScrub(): Promise<void>;

  startReconcile(order: ReconcileOrder): Promise<ReconcileProgress>;
  reconcileProgress(epoch: Epoch): Promise<ReconcileProgress>;
  /** Of one that was ordered with a pace; it takes effect at once. */
  setReconcilePace(epoch: Epoch, pace: CopyPace): Promise<ReconcileProgress>;

  close(): Promise<void>;
}

/** All in milliseconds. */
export interface OsdTimeouts {
  readonly connectMs: number;
  /** From the last byte of a small request to the head of its answer. */
  readonly answerMs: number;
  /** Longest pause within a body, either way. */
  readonly bodyIdleMs: number;
}

/** The OSD answered that it did nothing; `code` is one of the stable codes of openapi/osd.yaml. */
export class OsdRefusal extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OsdRefusal';
    this.code = code;
    this.status = status;
  }
}

/** No answer. `sent` says whether the request may have been carried out. */
export class OsdUnreachable extends Error {
  readonly code = 'osd-unreachable';
  readonly sent: boolean;

  constructor(message: string, sent: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OsdUnreachable';
    this.sent = sent;
  }
}
