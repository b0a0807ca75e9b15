/**
 * An operator's decision, in so many words, to go on with one mirror when nobody may be trusted by rule (F18, F31, F33).
 *
 * It overrules what the authority knows, so it may lose acknowledged writes; that is the operator's to say, and it stays on
 * record. What it does not overrule: the mirror becomes the only one that is trusted, every other one is copied in full, and all
 * of it goes through a recovery with an epoch of its own.
 */
import {
  type AuthorityState,
  beginRecovery,
  type ForcedDecision,
  type MirrorId,
  requireFullCopy,
} from './authority-state.js';
import { invariant } from './invariant.js';
import type { MirrorReport } from './recovery-plan.js';
import { type Epoch, toEpoch } from './tag.js';

const DECISIONS_KEPT_MAX = 100;

/** What an operator has to say, letter by letter. It names the epoch, so that it is worth nothing once the set has moved on. */
export function forceWords(state: AuthorityState, mirror: MirrorId): string {
  return `go on with ${mirror} alone at epoch ${state.epoch}`;
}

function decidedIn(
  { forced = [] }: AuthorityState,
  decision: ForcedDecision,
): Pick<AuthorityState, 'forced'> {
  return { forced: [...forced, decision].slice(-DECISIONS_KEPT_MAX) };
}

/** Puts a decision on record that changes nothing of the set itself. */
export function recordDecision(state: AuthorityState, decision: ForcedDecision): AuthorityState {
  invariant(decision.epoch === state.epoch, 'a decision is about the present epoch', { ...decision });
  return { ...state, ...decidedIn(state, decision) };
}

/** The highest commit sequence that anybody who is there, or the authority itself, has seen of this store; -1: nobody has. */
function highestSeen(state: AuthorityState, trusted: MirrorReport, reports: readonly MirrorReport[]): number {
  const own = isOnRecord(state, trusted) ? state.sequences?.[trusted.mirror] : undefined;
  return Math.max(own ?? -1, highestWitness(trusted, reports));
}

/** True when what the authority has seen of this mirror was this store. */
function isOnRecord({ members }: AuthorityState, { mirror, storeId }: MirrorReport): boolean {
  return members.some((member) => member.mirror === mirror && member.storeId === storeId);
}

/** The highest commit sequence that any mirror witnesses of the store that is to be trusted; -1: none does. */
function highestWitness(trusted: MirrorReport, reports: readonly MirrorReport[]): number {
  const told = reports
    .flatMap(({ witnesses }) => witnesses)
    .filter(({ storeId }) => storeId === trusted.storeId)
    .map(({ commitSequence }) => commitSequence);
  return Math.max(-1, ...told);
}

/**
 * Forgives the witnesses that tell more of the trusted store than it has, and nothing else: whoever rolls it back once more, to less than it
 * had then and than it was given since, is to be noticed.
 */
function forgive(
  state: AuthorityState,
  trusted: MirrorReport,
  reports: readonly MirrorReport[],
): NonNullable<AuthorityState['forgiven']> {
  const { mirror, commitSequence } = trusted;
  const before = isOnRecord(state, trusted) ? state.forgiven?.[mirror] : undefined;
  const told = Math.max(before ?? -1, highestWitness(trusted, reports));
  const forgiven: Record<MirrorId, number> = { ...state.forgiven };
  Reflect.deleteProperty(forgiven, mirror);
  return told > commitSequence ? { ...forgiven, [mirror]: told } : forgiven;
}

/**
 * What may be lost, one sentence each: what is known of the mirror that is to be trusted, and of each other one.
 */
export function describeRisks(
  state: AuthorityState,
  trusted: MirrorReport,
  reports: readonly MirrorReport[],
): string[] {
  const { mirror } = trusted;
  const others = state.members.filter((member) => member.mirror !== mirror);
  const risks: string[] = [];
  const member = state.members.find((candidate) => candidate.mirror === mirror);
  if (state.inSync.length === 0) {
    risks.push(`the authority has no record of who was in sync: ${mirror} may lack acknowledged writes`);
  } else if (!state.inSync.includes(mirror)) {
    risks.push(
      `${mirror} was left out before epoch ${state.epoch}: every write acknowledged since then by ${state.inSync.join(', ')} is lost`,
    );
  }
  if (member !== undefined && member.storeId !== null && member.storeId !== trusted.storeId) {
    risks.push(`${mirror} is another store than the one that was in sync`);
  }
  if (member !== undefined && member.fullCopyReason !== null) {
    risks.push(`${mirror} is on record as needing a full copy: ${member.fullCopyReason}`);
  }
  if (trusted.selfDoubt !== null) risks.push(`${mirror} knows itself to be incomplete: ${trusted.selfDoubt}`);
  const seen = highestSeen(state, trusted, reports);
  if (seen > trusted.commitSequence) {
    const lost = seen - trusted.commitSequence;
    risks.push(`${mirror} was rolled back: at least ${lost} of its commits are lost, with all their writes`);
  } else if (state.inSync.includes(mirror)) {
    risks.push(
      `should the disk of ${mirror} have been rolled back unnoticed, acknowledged writes are lost; so are writes that only others have`,
    );
  }
  for (const { mirror: other } of others) {
    const isHere = reports.some((report) => report.mirror === other);
    const where = isHere ? 'is here' : 'is away';
    risks.push(`${other} ${where}: whatever only it has is given up, and it is copied in full`);
  }
  return risks;
}

/**
 * Puts the decision on record: a new epoch, in which the recovery has no one but this mirror to trust. To be on disk before
 * anyone acts on it. `reports`: of all mirrors that are there.
 */
export function forceTrust(
  state: AuthorityState,
  reports: readonly MirrorReport[],
  decision: ForcedDecision,
  /** The highest epoch that any of them was fenced at: more than the authority knows of, when its state was lost (F31). */
  fencedEpoch: Epoch,
): AuthorityState {
  const { mirror } = decision;
  const trusted = reports.find((report) => report.mirror === mirror);
  invariant(trusted !== undefined, 'a mirror that is trusted is there', { mirror });
  invariant(!trusted.blank, 'nobody trusts an empty store', { mirror });
  invariant(decision.epoch === state.epoch, 'a decision is about the present epoch', { ...decision });
  let forced: AuthorityState = {
    ...beginRecovery({ ...state, epoch: toEpoch(Math.max(state.epoch, fencedEpoch)) }),
    inSync: [mirror],
    incarnations: { [mirror]: trusted.incarnation },
    cleanStop: null,
    forgiven: forgive(state, trusted, reports),
    sequences: { [mirror]: trusted.commitSequence },
    ...decidedIn(state, decision),
    members: state.members.map((member) =>
      member.mirror === mirror ? { mirror, storeId: trusted.storeId, fullCopyReason: null } : member,
    ),
  };
  for (const member of state.members) {
    if (member.mirror === mirror) continue;
    forced = requireFullCopy(forced, member.mirror, `an operator went on without it at epoch ${state.epoch}`);
  }
  return forced;
}
