/**
 * F31: the authority's state is lost, or an old one was put back in its place. Neither is trusted.
 *
 * Every mirror in sync keeps a copy of the authority's state, put on its disk after the authority has it and before anybody acts
 * on it; so does everyone who takes part in a recovery, before anything is copied or a row goes. From these the state is rebuilt,
 * when it is certain that none is later than the latest one that is seen: every mirror that is in sync by it holds that very one. For whatever came
 * after it would have been given to some mirror that was in sync by it: an exclusion to those that stayed, a recovery to those that were trusted, and
 * these are among them. One that it has on record as needing a full copy is trusted by nobody, and has not to hold it.
 *
 * A disk that was put back to an older state has forgotten what it kept, and where its content is whole again by rows nobody notices. Had it to wait
 * for the activation to be given that anew, then until there another mirror would be alone in keeping what was acted on.
 *
 * An old state that was acted on makes another history beside the first one, with acknowledged writes of its own, or with a recovery that mirrors
 * took part in. Then nothing is rebuilt: an operator has to say which of the two is given up.
 */
import { type AuthorityState, beginRecovery, type MirrorId, newAuthorityState } from './authority-state.js';
import { type Epoch, EPOCH_NONE, toEpoch } from './tag.js';

/** What a mirror that answers tells of the authority. */
export interface AuthorityWitness {
  readonly mirror: MirrorId;
  readonly fencedEpoch: Epoch;
  /** True when nothing was ever written to its store. */
  readonly blank: boolean;
  /** The copy that it keeps; null: none. */
  readonly record: AuthorityState | null;
}

export type AuthorityVerdict =
  | { readonly kind: 'sound' }
  /** Go on with this one, in a recovery. */
  | { readonly kind: 'rebuild'; readonly state: AuthorityState }
  /** It is not to be trusted, and there is no other one to go by. */
  | { readonly kind: 'wait'; readonly reason: string };

function isLaterState(left: AuthorityState, right: AuthorityState): boolean {
  if (left.epoch !== right.epoch) return left.epoch > right.epoch;
  return (left.revision ?? 0) > (right.revision ?? 0);
}

/** True when both may be of one history: the later one knows of no other run at the epoch of the earlier one, nor of one that left off before it. */
function isOneHistory(left: AuthorityState, right: AuthorityState): boolean {
  const [earlier, later] = isLaterState(left, right) ? [right, left] : [left, right];
  const run = earlier.runs?.at(-1)?.run;
  const runs = later.runs ?? [];
  const at = runs.findLastIndex(({ epoch }) => epoch <= earlier.epoch);
  const known = runs[at]?.run;
  if (run === undefined || known === undefined) return true;
  const nextAfter = runs[at + 1]?.after ?? Infinity;
  return known === run && (earlier.revision ?? 0) <= nextAfter;
}

/** The state without what runs made of it that let nobody write. */
function asLastWrittenBy(state: AuthorityState): AuthorityState {
  const { runs = [] } = state;
  const written = runs.slice(0, runs.findLastIndex(({ isIdle }) => isIdle === undefined) + 1);
  const next = runs[written.length];
  if (next === undefined) return state;
  const epoch = toEpoch(next.epoch - 1);
  return { ...state, epoch, revision: next.after ?? state.revision ?? 0, runs: written };
}

/** True when no write can have been acknowledged by both but one after the other. */
function areWrittenInOneHistory(left: AuthorityState, right: AuthorityState): boolean {
  return isOneHistory(asLastWrittenBy(left), asLastWrittenBy(right));
}

/**
 * The mirrors whose word counts against this state. One that is on record as needing a full copy was given up, perhaps while it
 * was away at a higher epoch; had it come in again since, then together with one whose word counts.
 */
function heard(state: AuthorityState, witnesses: readonly AuthorityWitness[]): AuthorityWitness[] {
  return witnesses.filter(({ mirror }) =>
    state.members.some((member) => member.mirror === mirror && member.fullCopyReason === null),
  );
}

/** Who has seen a later state than this, in words; null: nobody who is heard. */
function contradiction(state: AuthorityState, witnesses: readonly AuthorityWitness[]): string | null {
  for (const { mirror, fencedEpoch, record } of heard(state, witnesses)) {
    if (fencedEpoch > state.epoch) {
      return `the authority's state is lost or was put back: it is of epoch ${state.epoch}, and ${mirror} was fenced at ${fencedEpoch}`;
    }
    if (record !== null && isLaterState(record, state)) {
      return `the authority's state is lost or was put back: it is of epoch ${state.epoch}, and ${mirror} keeps a later one of epoch ${record.epoch}`;
    }
    if (record !== null && !isOneHistory(record, state)) {
      return `the authority's state was put back: ${mirror} keeps one of epoch ${record.epoch} that it does not come from`;
    }
  }
  return null;
}

/** True when this mirror has seen what this state does not know of: it is not to be taken back by it. */
export function contradicts(state: AuthorityState, witness: AuthorityWitness): boolean {
  return contradiction(state, [witness]) !== null;
}

/** The highest epoch that any of them was fenced at. */
export function highestFence(witnesses: readonly AuthorityWitness[]): Epoch {
  return toEpoch(Math.max(EPOCH_NONE, ...witnesses.map(({ fencedEpoch }) => fencedEpoch)));
}

/** Decides whether the authority's state may be acted on. `witnesses`: of all mirrors that answer. */
export function reviewAuthority(
  state: AuthorityState,
  witnesses: readonly AuthorityWitness[],
): AuthorityVerdict {
  const found = contradiction(state, witnesses);
  if (found === null) return { kind: 'sound' };
  const mirrors = state.members.map(({ mirror }) => mirror);
  const absent = mirrors.filter((mirror) => !witnesses.some((witness) => witness.mirror === mirror));
  if (absent.length > 0) return { kind: 'wait', reason: `${found}; ${absent.join(', ')} missing` };
  const epoch = toEpoch(Math.max(state.epoch, highestFence(witnesses)));
  const records = witnesses.map(({ record }) => record).filter((record) => record !== null);
  if (records.length === 0 && witnesses.every(({ blank }) => blank)) {
    // It was lost before anything was ever written.
    return { kind: 'rebuild', state: { ...newAuthorityState(state.setId, mirrors), epoch } };
  }
  const latest = records.reduce<AuthorityState | null>(
    (last, record) => (last === null || isLaterState(record, last) ? record : last),
    null,
  );
  if (latest === null) return { kind: 'wait', reason: `${found}; and no mirror keeps one` };
  const known = latest.members.map(({ mirror }) => mirror);
  if (latest.setId !== state.setId || known.join() !== mirrors.join())
    return { kind: 'wait', reason: `${found}; what they keep is of other mirrors` };
  if ([state, ...records].some((other) => !areWrittenInOneHistory(latest, other)))
    return { kind: 'wait', reason: `${found}; and writes may have been acknowledged by both` };
  if (records.some((other) => !isOneHistory(latest, other)))
    return { kind: 'wait', reason: `${found}; and recoveries have begun by both` };
  const holders = witnesses.filter(({ record }) => record?.epoch === latest.epoch);
  const unsure = latest.members
    .filter(({ mirror, fullCopyReason }) => latest.inSync.includes(mirror) && fullCopyReason === null)
    .map(({ mirror }) => mirror)
    .filter((mirror) => !holders.some((holder) => holder.mirror === mirror));
  if (unsure.length > 0) {
    return {
      kind: 'wait',
      reason: `${found}; the latest that is kept is of epoch ${latest.epoch}, but ${unsure.join(', ')} does not have it`,
    };
  }
  return { kind: 'rebuild', state: { ...beginRecovery(latest, epoch), cleanStop: null } };
}
