/**
 * The begin and the end of a full copy, as the authority sees them (DESIGN.md section 5.5).
 *
 * Order: the need is on the authority's record; the begin is, with the id that the store is to get; the store has that id and its
 * doubt on disk; it is copied to; the end is on the authority's record; the store lets go of its doubt. Whatever breaks
 * off between two of these leaves a store that doubts itself, which is copied in full again, from its cursor when the
 * record and the store agree on the id.
 */
import { randomBytes } from 'node:crypto';
import {
  type AuthorityState,
  beginFullCopy,
  endFullCopy,
  type MirrorId,
  requireFullCopy,
} from '../protocol/authority-state.js';
import { FULL_COPY_DOUBT, type MirrorReport, mayResumeFullCopy } from '../protocol/recovery-plan.js';
import type { Epoch } from '../protocol/tag.js';
import { type StoreId, toStoreId } from '../protocol/token.js';
import type { OsdConnection } from '../wire/osd-connection.js';
import { toReport } from './mirror-report.js';

/** What of a mirror set this is about. */
export interface CopiedSet {
  readonly state: AuthorityState;
  readonly epoch: Epoch;
  saveState(state: AuthorityState): Promise<void>;
  connectionOf(mirror: MirrorId): OsdConnection;
}

function newStoreId(): StoreId {
  return toStoreId(randomBytes(16).toString('hex'));
}

export interface FullCopyNeed {
  readonly report: MirrorReport;
  readonly reason: string;
  /** What everyone who takes part says, this mirror included. */
  readonly reports: readonly MirrorReport[];
  /** One that was broken off does not go on: this one begins anew. */
  readonly isAnew?: boolean;
}

/** A mirror that needs a full copy needs it until it is done, whatever else is found out about it on the way. */
export async function recordFullCopyNeed(set: CopiedSet, mirror: MirrorId, reason: string): Promise<void> {
  const member = set.state.members.find((candidate) => candidate.mirror === mirror);
  // One that has begun is given up only by whoever begins anew.
  if (member?.fullCopyReason === null) await set.saveState(requireFullCopy(set.state, mirror, reason));
}

/**
 * Puts on record that a full copy begins, unless one that was broken off may go on. Resolves with what the mirror is from now on:
 * its store has still to be told (`beginFullCopy`) when it has another id. Precondition: the mirror is fenced at the present
 * epoch, and nobody else changes the authority's state.
 */
export async function recordFullCopyBegin(
  set: CopiedSet,
  { report, reason, reports, isAnew = false }: FullCopyNeed,
): Promise<MirrorReport> {
  const { mirror } = report;
  if (!isAnew && mayResumeFullCopy(set.state, report, reports)) return report;
  const storeId = newStoreId();
  await set.saveState(beginFullCopy(requireFullCopy(set.state, mirror, reason), mirror, storeId));
  return { ...report, storeId, selfDoubt: FULL_COPY_DOUBT };
}

/**
 * Puts on record that a mirror is copied, but for what rows say, and then has its store know it. False: it is not what it was,
 * or the epoch is over. `copied`: as it was let in. Precondition: nobody else changes the authority's state.
 */
export async function recordFullCopyEnd(
  set: CopiedSet,
  epoch: Epoch,
  copied: MirrorReport,
): Promise<boolean> {
  const { mirror, storeId, incarnation } = copied;
  const connection = set.connectionOf(mirror);
  const report = toReport(mirror, await connection.identity());
  if (set.epoch !== epoch || set.state.phase !== 'active') return false;
  const isTheSame = report.storeId === storeId && report.incarnation === incarnation;
  if (!isTheSame || report.selfDoubt !== FULL_COPY_DOUBT) return false;
  await set.saveState(endFullCopy(set.state, report));
  await connection.endFullCopy(epoch);
  return true;
}
