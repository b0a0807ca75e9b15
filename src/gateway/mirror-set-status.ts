/** What operators are told of a mirror set. Times are Unix ms, sizes bytes. */
import type { ForcedDecision, MirrorId } from '../protocol/authority-state.js';
import type { WritesMode } from '../protocol/forwarding.js';
import type { CopyPace } from '../protocol/pace.js';
import type { OsdIdentity, ReconcileProgress } from '../wire/osd-connection.js';

/**
 * - `in-sync`: has every acknowledged write.
 * - `rebuilding`: takes new writes, and is copied to what it missed while clients go on; it serves no reads yet.
 * - `behind`: reachable, waits to be reconciled or is being reconciled.
 * - `no-space`: left out because its disk is full; reconciled by itself once there is room.
 * - `failed`: left out because its disk failed; its OSD must be started again.
 * - `incompatible`: answers, and speaks no version of the contract that this gateway speaks.
 * - `away`: can't be reached.
 */
export type MirrorCondition =
  'in-sync' | 'rebuilding' | 'behind' | 'no-space' | 'failed' | 'incompatible' | 'away';

export interface MirrorStatus {
  readonly mirror: MirrorId;
  readonly url: string;
  readonly condition: MirrorCondition;
  /** Why it needs a full copy; null: its missing writes are listed in the tag tables. */
  readonly fullCopyReason: string | null;
  /** Who has to be upgraded before it is a mirror to this gateway; null: nobody. */
  readonly incompatibility: string | null;
  /** What to do about it, in one sentence without a full stop; null: nothing. */
  readonly advice: string | null;
  readonly lastSeenMs: number | null;
  /** As of `lastSeenMs`; null: never seen by this gateway. */
  readonly identity: OsdIdentity | null;
}

/**
 * - `active`: requests are served by the mirrors in sync.
 * - `recovering`: the fence is up, requests wait.
 * - `waiting`: nobody may be trusted yet; `waitingFor` says what is missing.
 * - `stopped`
 */
export type MirrorSetPhase = 'active' | 'recovering' | 'waiting' | 'stopped';

/** An object with bytes that no mirror in sync can give. */
export interface LostObjectStatus {
  readonly bucket: string;
  readonly key: string;
  readonly version: string;
  /** Of the write whose bytes are lost. */
  readonly lastTag: string;
  readonly sizeBytes: number;
  readonly lostBytes: number;
  /** Who says so. */
  readonly mirrors: readonly MirrorId[];
  /** Who keeps what it was before that write; null: nobody. */
  readonly kept: { readonly mirror: MirrorId; readonly sizeBytes: number } | null;
}

export interface MirrorSetStatus {
  readonly setId: string;
  readonly epoch: number;
  readonly phase: MirrorSetPhase;
  readonly waitingFor: string | null;
  readonly inSync: readonly MirrorId[];
  readonly writes: WritesMode;
  /** The mirror whose OSD issues the tags, where writes are forwarded; null: the gateway does, or nobody just now. */
  readonly writer: MirrorId | null;
  readonly mirrors: readonly MirrorStatus[];
  /** Writes that some configured mirror is known to lack: the longest tag table among the mirrors in sync while one is out; 0 when all are in sync. */
  readonly unmatchedWrites: number;
  readonly unmatchedBytes: number;
  readonly oldestUnmatchedMs: number | null;
  readonly writesInFlight: number;
  readonly operation: ReconcileOperation | null;
  /** Of copying to a mirror that is being rebuilt; null: writes wait while anything is copied, so it goes as fast as it can. */
  readonly pace: CopyPace | null;
  readonly lostObjectCount: number;
  /** The first of them in order of their ids. */
  readonly lostObjects: readonly LostObjectStatus[];
  /** Every decision that an operator took against the rules, oldest first. */
  readonly forced: readonly ForcedDecision[];
}

export type ReconcileTrigger =
  | 'start'
  | 'mirror-returned'
  | 'mirror-restarted'
  | 'undecided-write'
  | 'mirror-lost'
  | 'writer-lost'
  | 'operator';

/** One run of recovery, from the decision to start it to the activation (or the stop of the gateway). */
export interface ReconcileOperation {
  readonly id: string;
  readonly trigger: ReconcileTrigger;
  readonly reason: string;
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly state: 'running' | 'done' | 'failed';
  /** The epoch of the latest attempt. */
  readonly epoch: number;
  readonly attempts: number;
  readonly progress: ReconcileProgress | null;
  /** The set that was activated in the end. */
  readonly inSync: readonly MirrorId[];
  readonly failure: string | null;
}

/** Something an operator wants to know of, in plain words. */
export interface MirrorSetEvent {
  readonly atMs: number;
  readonly kind:
    | 'excluded'
    | 'incompatible'
    | 'rows-forgone'
    | 'scrub'
    | 'verification'
    | 'forced'
    | 'lost-bytes'
    | 'authority-rebuilt'
    | 'pace'
    | 'returned'
    | 'recovery-started'
    | 'recovery-ended'
    | 'recovery-failed'
    | 'waiting'
    | 'stopped';
  readonly message: string;
}
