/**
 * When a read may be answered (F26).
 *
 * A mirror shows a write as soon as it has it; the other mirrors may not have it yet, and may never get it. Until the
 * write's outcome is known, what it wrote must not be shown: the next read, from another mirror or after a recovery,
 * might not see it.
 */
import type { AuthorityState, MirrorId } from './authority-state.js';
import type { Tag } from './tag.js';

export type ReadVerdict =
  | { readonly kind: 'answer' }
  /** Ask again once this write is acknowledged, refused, or decided by a recovery. */
  | { readonly kind: 'wait'; readonly tag: Tag };

/**
 * Decides before a mirror is asked: a write of the object that has no outcome yet is waited for. `undecided` are the
 * object's writes that are in flight or of unknown outcome, in the order of their tags.
 */
export function decideReadStart(undecided: readonly Tag[]): ReadVerdict {
  const latest = undecided.at(-1);
  return latest === undefined ? { kind: 'answer' } : { kind: 'wait', tag: latest };
}

/**
 * Decides once more when the mirror has answered: a write may have begun since. An answer without it is older than the
 * write, and good; an answer that carries its tag waits, whatever else is undecided.
 */
export function decideRead(undecided: readonly Tag[], answeredTag: Tag | null): ReadVerdict {
  if (answeredTag === null || !undecided.includes(answeredTag)) return { kind: 'answer' };
  return { kind: 'wait', tag: answeredTag };
}

/**
 * The mirror that clients may read from before a recovery has activated anything, or null: only one that is the whole of
 * the in-sync set. While others belong to it, this attempt may fail and the next may start from them, without what
 * nobody but the first one had.
 */
export function readableInRecovery(state: AuthorityState, trusted: readonly MirrorId[]): MirrorId | null {
  const [only, ...others] = state.inSync;
  return only !== undefined && others.length === 0 && trusted.includes(only) ? only : null;
}
