/** What is asked of a verification, and what it tells. Times are Unix ms, sizes bytes. */
import type { MirrorId } from '../../protocol/authority-state.js';
import type { ObjectId } from '../../protocol/object-id.js';
import type { Tag } from '../../protocol/tag.js';

/** What each mirror reads at the most, when nobody says otherwise. */
export const VERIFY_BYTES_PER_SECOND_DEFAULT = 32 * 1024 * 1024;
/** Differences that are told one by one; the others are counted. */
export const DIFFERENCES_TOLD_MAX = 100;

export interface VerificationOrder {
  /** Heal what is rotten, and write anew what has a direction. Otherwise nothing is changed. */
  readonly repairs: boolean;
  /** Compare what the mirrors have on record of each object, without reading the content. */
  readonly isQuick: boolean;
  readonly bytesPerSecond: number;
}

/**
 * - `last-tag`: the mirrors do not have the same last write of the object, or not all have the object.
 * - `state`: the same last write, with another size, other attributes, or another checksum on record.
 * - `content`: the same last write and other bytes, intact on each.
 * - `damaged`: some mirror can't read its bytes, or they fail their checksum.
 */
export type DifferenceKind = 'last-tag' | 'state' | 'content' | 'damaged';

/** The object as one mirror has it. */
export interface MirrorView {
  readonly mirror: MirrorId;
  /** Of a tombstone too; null: it knows nothing of the object, or can't read what it knows. */
  readonly lastTag: Tag | null;
  /** Null: there is no object. */
  readonly sizeBytes: number | null;
  readonly isDamaged: boolean;
}

/**
 * - `found`: nothing was done, because nobody asked for it.
 * - `repaired`: it was looked at again afterwards, and there is no difference any more.
 * - `needs-operator`: what is right is not decidable, or the repair did not work; `detail` says why.
 */
export type DifferenceOutcome = 'found' | 'repaired' | 'needs-operator';

export interface Difference {
  readonly objectId: ObjectId;
  readonly kind: DifferenceKind;
  readonly mirrors: readonly MirrorView[];
  readonly outcome: DifferenceOutcome;
  readonly detail: string;
}

export interface Verification extends VerificationOrder {
  readonly id: string;
  /**
   * `waiting`: until there are two mirrors in sync that can be compared. It goes on by itself, after a restart of the gateway too.
   * `stopped`: by an operator, for good.
   */
  readonly state: 'running' | 'waiting' | 'done' | 'failed' | 'stopped';
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly objectsCompared: number;
  /** Written again and again while they were looked at, so their content was not compared. */
  readonly objectsChanging: number;
  /** How many objects a mirror had when it began. */
  readonly objectsExpected: number;
  /** Content that was read on each mirror. */
  readonly bytesCompared: number;
  readonly differenceCount: number;
  readonly repairedCount: number;
  /** The first DIFFERENCES_TOLD_MAX. */
  readonly differences: readonly Difference[];
  readonly failure: string | null;
}
