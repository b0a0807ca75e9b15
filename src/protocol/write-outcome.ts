/**
 * What the answers of the mirrors to one write amount to (DESIGN.md sections 3.5, 3.6).
 *
 * A mirror's answer is one of three, never two: it committed, it certainly did not, or nobody knows.
 */
import type { MirrorId } from './authority-state.js';
import type { Token, Witness } from './token.js';

type NotCommitted =
  { readonly kind: 'refused'; readonly code: string } | { readonly kind: 'unknown'; readonly reason: string };

/** An answer as far as the outcome depends on it. */
export type MirrorVerdict = { readonly kind: 'committed' } | NotCommitted;

/** An answer as the holder of the tag generator gets it: with what it takes to clear the row. */
export type MirrorAnswer =
  { readonly kind: 'committed'; readonly token: Token; readonly witness: Witness } | NotCommitted;

/** The mirrors that a write was sent to, with their answers so far; null: none yet. A map is one. */
export interface AnswersByMirror<Answer> {
  get(mirror: MirrorId): Answer | null | undefined;
  values(): Iterable<Answer | null>;
}

export interface WriteProgress {
  readonly answers: AnswersByMirror<MirrorAnswer>;
  /** The in-sync set that the authority has on disk now. */
  readonly inSync: readonly MirrorId[];
  /** All mirrors that the set is configured to have, reachable or not. */
  readonly configured: readonly MirrorId[];
}

/** As much of it as decides the outcome. */
export interface AnswersSoFar {
  readonly answers: AnswersByMirror<MirrorVerdict>;
  readonly inSync: readonly MirrorId[];
}

export type WriteOutcome =
  | { readonly kind: 'wait' }
  /** Every mirror in sync has it: the client may be told (I2). */
  | { readonly kind: 'acknowledge' }
  /** Some have it, these do not or may not: the authority must leave them out before anyone is told (F12). */
  | { readonly kind: 'exclude'; readonly mirrors: readonly MirrorId[] }
  /** Nobody has it, for certain. */
  | { readonly kind: 'refuse'; readonly code: string }
  /** Nobody is known to have it, somebody may: only a recovery decides. */
  | { readonly kind: 'unknown' };

/** Decides what a write's answers amount to. Call it again after every answer and every change of the in-sync set. */
export function decideOutcome(progress: AnswersSoFar): WriteOutcome {
  // Nearly every write comes to nothing else, so this is done without a list of its answers.
  let isOnAll = true;
  for (const mirror of progress.inSync) {
    const answer = progress.answers.get(mirror) ?? null;
    if (answer === null) return { kind: 'wait' };
    if (answer.kind !== 'committed') isOnAll = false;
  }
  return isOnAll ? { kind: 'acknowledge' } : decideLacking(progress);
}

/** Precondition: all in sync have answered, and not all have it. */
function decideLacking(progress: AnswersSoFar): WriteOutcome {
  const answers = progress.inSync.map((mirror) => ({ mirror, answer: progress.answers.get(mirror) ?? null }));
  const lacking = answers.filter(({ answer }) => answer?.kind !== 'committed').map(({ mirror }) => mirror);
  if (lacking.length < answers.length) return { kind: 'exclude', mirrors: lacking };
  const refusal = answers.find(({ answer }) => answer?.kind === 'refused')?.answer;
  const isRefusedByAll = answers.every(({ answer }) => answer?.kind === 'refused');
  // A mirror that is being rebuilt has the write too, or has it not: the client is told when that is known.
  if (isRefusedByAll && [...progress.answers.values()].includes(null)) return { kind: 'wait' };
  const nobodyHasIt = [...progress.answers.values()].every((answer) => answer?.kind === 'refused');
  return nobodyHasIt && refusal?.kind === 'refused'
    ? { kind: 'refuse', code: refusal.code }
    : { kind: 'unknown' };
}

export interface ReadyToken {
  readonly mirror: MirrorId;
  readonly token: Token;
  /** Where the other configured mirrors stood with this write. */
  readonly witnesses: readonly Witness[];
}

/**
 * The tokens that may now be sent back. They are ready only when **all configured** mirrors committed the write, not
 * merely all that are reachable or in sync (F6, F11): otherwise none is, and the rows stay as the to-do list.
 */
export function readyTokens(progress: WriteProgress): ReadyToken[] {
  const committed = progress.configured.map((mirror) => {
    const answer = progress.answers.get(mirror);
    return answer?.kind === 'committed' ? { mirror, answer } : null;
  });
  if (!committed.every((one) => one !== null)) return [];
  return committed.map(({ mirror, answer }, index) => ({
    mirror,
    token: answer.token,
    witnesses: committed.toSpliced(index, 1).map((other) => other.answer.witness),
  }));
}
