/**
 * `tally force`: an operator goes on with one mirror when the set waits. First it is said what is at risk, and what has to be said to
 * go on; then, and only with exactly these words, the decision goes on the authority's record, and a recovery acts on it.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { describeRisks, forceTrust, forceWords } from '../protocol/forced-trust.js';
import { highestFence, reviewAuthority } from '../protocol/lost-authority.js';
import { type MirrorReport, planRecovery } from '../protocol/recovery-plan.js';
import type { Epoch } from '../protocol/tag.js';
import { lookAtMirror } from './authority-review.js';
import { encodeAuthorityState } from './authority-storage.js';
import type { Logger } from './logger.js';
import type { MirrorSet } from './mirror-set.js';
import type { RecoveryRunner } from './recovery-runner.js';

export interface ForcePlan {
  readonly mirror: MirrorId;
  readonly epoch: number;
  /** What may be lost, one sentence each. */
  readonly risks: readonly string[];
  /** What has to be said, letter by letter. */
  readonly words: string;
}

/**
 * - `no-such-mirror`
 * - `mirror-away`: a mirror that does not answer can't be trusted.
 * - `mirror-blank`: it has nothing.
 * - `not-waiting`: the set goes on by itself; nothing is overruled without need.
 * - `wrong-words`: not what the plan for the present epoch asks for.
 * - `not-lost`: no mirror in sync says that bytes of this object are lost, or it was written since.
 * - `nothing-kept`: there is no older copy of it.
 */
export type ForceRefusalCode =
  | 'no-such-mirror'
  | 'mirror-away'
  | 'mirror-blank'
  | 'not-waiting'
  | 'wrong-words'
  | 'not-lost'
  | 'nothing-kept';

export class ForceRefusal extends Error {
  readonly code: ForceRefusalCode;

  constructor(code: ForceRefusalCode, message: string) {
    super(message);
    this.name = 'ForceRefusal';
    this.code = code;
  }
}

export interface ForceContext {
  readonly set: MirrorSet;
  readonly runner: RecoveryRunner;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
}

interface Looked {
  readonly plan: ForcePlan;
  readonly reports: readonly MirrorReport[];
  readonly fencedEpoch: Epoch;
}

async function look({ set, logger }: ForceContext, name: string): Promise<Looked> {
  const seen = await Promise.all(set.members.map((member) => lookAtMirror(member, logger)));
  const present = seen.filter((one) => one !== null);
  const reports = present.map(({ report }) => report);
  const witnesses = present.map(({ witness }) => witness);
  const verdict = reviewAuthority(set.state, witnesses);
  const mirror = set.members.find((member) => member.mirror === name)?.mirror;
  if (mirror === undefined) {
    const names = set.members.map((member) => member.mirror).join(', ');
    throw new ForceRefusal('no-such-mirror', `there is no mirror ${name}, but ${names}`);
  }
  const trusted = reports.find((report) => report.mirror === mirror);
  const isWaiting = verdict.kind === 'wait' || planRecovery(set.state, reports).kind === 'wait';
  if (set.gate.isOpen || verdict.kind === 'rebuild' || !isWaiting) {
    throw new ForceRefusal('not-waiting', 'the mirror set waits for no decision');
  }
  if (trusted === undefined) throw new ForceRefusal('mirror-away', `${mirror} does not answer`);
  if (trusted.blank) throw new ForceRefusal('mirror-blank', `${mirror} is an empty store`);
  const { state } = set;
  const doubts = verdict.kind === 'wait' ? [`${verdict.reason}: nobody knows what has happened since`] : [];
  const risks = [...doubts, ...describeRisks(state, trusted, reports)];
  const fencedEpoch = highestFence(witnesses);
  const plan = { mirror, epoch: state.epoch, risks, words: forceWords(state, mirror) };
  return { plan, reports, fencedEpoch };
}

/** Throws ForceRefusal. */
export async function planForce(context: ForceContext, mirror: string): Promise<ForcePlan> {
  return (await look(context, mirror)).plan;
}

/** Resolves when the decision is on disk; the recovery that waits then goes on. Throws ForceRefusal. */
export async function force(context: ForceContext, name: string, words: string): Promise<ForcePlan> {
  const { set, runner, logger, clock } = context;
  return runner.decide(async () => {
    const { plan, reports, fencedEpoch } = await look(context, name);
    const { mirror, risks } = plan;
    if (words !== plan.words) throw new ForceRefusal('wrong-words', `say: ${plan.words}`);
    const decision = { mirror, epoch: set.epoch, atMs: clock(), risks, words };
    logger.warn({ decision, audit: true }, 'an operator goes on with one mirror against the rules');
    await set.saveState(forceTrust(set.state, reports, decision, fencedEpoch));
    // What it doubted of itself the operator has taken upon himself.
    const connection = set.connectionOf(mirror);
    await connection.fence(set.epoch, reports.find((report) => report.mirror === mirror)?.incarnation);
    await connection.setSelfDoubt(set.epoch, null);
    // Nor does it speak for another state of the authority any more (F31).
    await connection.keepAuthorityRecord(set.epoch, encodeAuthorityState(set.state));
    return plan;
  });
}
