/**
 * Recovery, step 1 and 3: whom to trust (DESIGN.md section 5).
 *
 * Direction comes from the authority, never from who holds a row. Everything here is a pure function of the authority's
 * durable state and of what each present mirror reported of itself after it was fenced.
 */
import type { AuthorityState, MirrorId } from './authority-state.js';
import { invariant } from './invariant.js';
import { EPOCH_NONE } from './tag.js';
import type { StoreId, Witness } from './token.js';

/** What a mirror says of itself once it is fenced at the recovery's epoch. */
export interface MirrorReport {
  readonly mirror: MirrorId;
  readonly storeId: StoreId;
  /** Names one run of the OSD process. */
  readonly incarnation: string;
  /**
   * The sequence of the store's last commit that changed an object or a row. A fence must not move it: else each attempt
   * at a recovery carries a rolled-back store closer to what its peers witnessed, until nobody can tell (F17).
   */
  readonly commitSequence: number;
  /** Why the store itself knows that it is incomplete (hole in the commit ring, interrupted full copy, state lost); null: it does not. */
  readonly selfDoubt: string | null;
  /** True when nothing was ever written to this store. */
  readonly blank: boolean;
  /** What this store knows of how far its peers had come. */
  readonly witnesses: readonly Witness[];
}

/** What a store says of itself from the begin of a full copy to its end. */
export const FULL_COPY_DOUBT = 'full copy in progress';

export type CopyNeed = { readonly kind: 'rows' } | { readonly kind: 'full-copy'; readonly reason: string };

export interface StaleMirror {
  readonly mirror: MirrorId;
  readonly need: CopyNeed;
}

export type RecoveryPlan =
  | {
      readonly kind: 'proceed';
      /** Mirrors of the last in-sync set that may be the source of bytes; non-empty. */
      readonly trusted: readonly MirrorId[];
      /** Present mirrors that only receive. */
      readonly stale: readonly StaleMirror[];
      /** True when all configured mirrors take part: then rows may be cleared, otherwise they stay. */
      readonly complete: boolean;
    }
  | { readonly kind: 'wait'; readonly reason: string };

/** The highest commit sequence that any report witnesses of a store; -1: none does. */
function witnessedSequence(reports: readonly MirrorReport[], storeId: StoreId): number {
  let highest = -1;
  for (const report of reports) {
    for (const witness of report.witnesses) {
      if (witness.storeId === storeId && witness.commitSequence > highest) highest = witness.commitSequence;
    }
  }
  return highest;
}

/** True for a store that is on record as having damaged records: nobody compares it, until it is formatted anew. */
export function isBeyondCopy(
  state: AuthorityState,
  { mirror, storeId }: Pick<MirrorReport, 'mirror' | 'storeId'>,
): boolean {
  return state.members.some((member) => member.mirror === mirror && member.damagedStoreId === storeId);
}

/** Why a present mirror can't be brought up by rows alone, or null when it can (section 5.3). */
export function fullCopyReason(
  state: AuthorityState,
  report: MirrorReport,
  reports: readonly MirrorReport[],
): string | null {
  const member = state.members.find((candidate) => candidate.mirror === report.mirror);
  if (member === undefined) return 'it is no member of this mirror set';
  if (member.fullCopyReason !== null) return member.fullCopyReason;
  if (member.storeId === null) return 'it was never in sync';
  if (member.storeId !== report.storeId) return 'it is another store than the one that was in sync';
  if (report.selfDoubt !== null) return report.selfDoubt;
  const told = witnessedSequence(reports, report.storeId);
  const isForgiven = told <= (state.forgiven?.[report.mirror] ?? -1);
  const witnessed = Math.max(isForgiven ? -1 : told, state.sequences?.[report.mirror] ?? -1);
  if (report.commitSequence < witnessed) {
    return `it is at commit sequence ${report.commitSequence}, but was seen at ${witnessed}: it was rolled back`;
  }
  return null;
}

/**
 * True when a full copy that was broken off may go on where it was: the store is the one that it began for, and stands no
 * lower than it was seen since. Rolled back, it may lack what rows told of that are cleared.
 */
export function mayResumeFullCopy(
  state: AuthorityState,
  report: MirrorReport,
  reports: readonly MirrorReport[],
): boolean {
  const member = state.members.find((candidate) => candidate.mirror === report.mirror);
  if (member === undefined || member.fullCopyReason === null) return false;
  if (member.copyStoreId !== report.storeId) return false;
  if (report.selfDoubt !== FULL_COPY_DOUBT) return false;
  const seen = Math.max(witnessedSequence(reports, report.storeId), state.sequences?.[report.mirror] ?? -1);
  return report.commitSequence >= seen;
}

/** A mirror that can vouch that nothing acknowledged is missing: it ran all the time, or stands where a clean stop left it. */
function vouches(state: AuthorityState, report: MirrorReport): boolean {
  if (state.incarnations[report.mirror] === report.incarnation) return true;
  const sequenceAtStop = state.cleanStop?.[report.mirror];
  return sequenceAtStop !== undefined && report.commitSequence >= sequenceAtStop;
}

function planFirstActivation(state: AuthorityState, reports: readonly MirrorReport[]): RecoveryPlan {
  if (reports.length < state.members.length) {
    return { kind: 'wait', reason: 'the first activation needs every configured mirror' };
  }
  const used = reports.find((report) => !report.blank);
  if (used !== undefined) {
    return { kind: 'wait', reason: `${used.mirror} has data, but the authority has no record of it` };
  }
  return { kind: 'proceed', trusted: reports.map((report) => report.mirror), stale: [], complete: true };
}

/**
 * Picks the trusted mirrors, and says what each other one needs. Waits when that would be a guess: when nobody of the last in-sync
 * set is left intact (F33), or when one of it is missing and everyone present was restarted since, so that nobody can
 * vouch that it has everything (F18). A mirror that is present but fails its identity check counts as missing.
 */
export function planRecovery(state: AuthorityState, reports: readonly MirrorReport[]): RecoveryPlan {
  for (const { mirror } of reports) {
    const isMember = state.members.some((member) => member.mirror === mirror);
    invariant(isMember, 'only members of the mirror set report', { mirror });
  }
  invariant(new Set(reports.map(({ mirror }) => mirror)).size === reports.length, 'a mirror reports once');
  if (state.inSync.length === 0) return planFirstActivation(state, reports);
  const trusted: MirrorReport[] = [];
  const stale: StaleMirror[] = [];
  const fit = reports.filter((report) => !isBeyondCopy(state, report));
  for (const report of fit) {
    const reason = fullCopyReason(state, report, reports);
    if (reason !== null) stale.push({ mirror: report.mirror, need: { kind: 'full-copy', reason } });
    else if (state.inSync.includes(report.mirror)) trusted.push(report);
    else stale.push({ mirror: report.mirror, need: { kind: 'rows' } });
  }
  const missing = state.inSync.filter((mirror) => !trusted.some((report) => report.mirror === mirror));
  if (trusted.length === 0) {
    return {
      kind: 'wait',
      reason: `no intact mirror of the last in-sync set is present (${missing.join(', ')} missing)`,
    };
  }
  if (missing.length > 0 && !trusted.some((report) => vouches(state, report))) {
    const present = trusted.map((report) => report.mirror).join(', ');
    return {
      kind: 'wait',
      reason: `${missing.join(', ')} missing or damaged, and ${present} was restarted since: it can't vouch alone`,
    };
  }
  return {
    kind: 'proceed',
    trusted: trusted.map((report) => report.mirror),
    stale,
    complete: state.members.every((member) => fit.some((report) => report.mirror === member.mirror)),
  };
}

/** True before the very first activation of a set. */
export function isNewSet(state: AuthorityState): boolean {
  return state.inSync.length === 0 && state.epoch === EPOCH_NONE;
}
