/**
 * What becomes of the tag table when a mirror stays away for too long (F27).
 *
 * A row is kept for every write that some configured mirror may lack, so a mirror that is away costs one row for each write. When
 * that is too many, the authority puts on record that this mirror needs a full copy; from then on nobody keeps rows for it, and those that
 * are there may go. The order is everything: the record is on disk before the first row is dropped.
 */
import { type AuthorityState, type MirrorId, requireFullCopy } from './authority-state.js';
import { invariant } from './invariant.js';
import { type Epoch, type Tag, tagEpoch, tagGenerator } from './tag.js';

/** Puts on record that these mirrors are copied in full when they come back. To be on disk before a row is dropped. */
export function forgoRows(
  state: AuthorityState,
  mirrors: readonly MirrorId[],
  reason: string,
): AuthorityState {
  invariant(state.phase === 'active', 'rows are forgone by the writer of an active epoch', {
    phase: state.phase,
  });
  let forgone = state;
  for (const mirror of mirrors) {
    const isServed = state.inSync.includes(mirror) || state.rebuilding?.includes(mirror) === true;
    invariant(!isServed, 'I4: rows are kept for every mirror that is in sync or being rebuilt', { mirror });
    forgone = requireFullCopy(forgone, mirror, reason);
  }
  const members = forgone.members.map((member) =>
    mirrors.includes(member.mirror) ? { ...member, rowsForgone: true as const } : member,
  );
  return { ...forgone, members };
}

/** The mirrors that a write must be on before its rows are cleared: all that are configured, but for those whose rows were forgone. */
export function rowsKeptFor(state: AuthorityState): MirrorId[] {
  return state.members.filter(({ rowsForgone }) => rowsForgone !== true).map(({ mirror }) => mirror);
}

/**
 * True when every mirror that is out of sync has its full copy on record, so that no row says anything to anyone. One that is
 * being rebuilt needs rows, whatever is on record of it.
 */
export function areAllRowsForgone(state: AuthorityState): boolean {
  if (state.rebuilding !== undefined) return false;
  const out = state.members.filter(({ mirror }) => !state.inSync.includes(mirror));
  return state.phase === 'active' && out.length > 0 && out.every(({ rowsForgone }) => rowsForgone === true);
}

/** True while a mirror that is let in is copied to in full: every write since the copy began leaves a row for it. */
export function isCopiedInFull(state: AuthorityState): boolean {
  const copied = state.members.filter(
    ({ fullCopyReason, copyStoreId }) => fullCopyReason !== null && copyStoreId !== undefined,
  );
  return state.phase === 'active' && copied.some(({ mirror }) => state.rebuilding?.includes(mirror) === true);
}

/**
 * True when a row of this tag says nothing to anyone, provided that every mirror in sync has the write: whoever is out of sync is copied to in
 * full from the beginning, by a copy that began in this epoch and so has yet to look at every object (`begun`), or is
 * on record as needing that when it comes back. The end of such a copy is on record after it has looked at all of them.
 */
export function saysNothingToCopies(state: AuthorityState, begun: readonly MirrorId[], tag: Tag): boolean {
  const out = state.members.filter(({ mirror }) => !state.inSync.includes(mirror));
  const isCopied = ({ mirror, fullCopyReason, rowsForgone }: (typeof out)[number]): boolean =>
    rowsForgone === true || (fullCopyReason !== null && begun.includes(mirror));
  return state.phase === 'active' && tagEpoch(tag) < state.epoch && out.every(isCopied);
}

/**
 * True for the tag of a write that every mirror in sync has: the floor of its generator has passed it, or that generator is
 * none of those that write now (whose floors these are), and its epoch is over for all of them. A row of a write in flight
 * stays, whoever is away: it says what a mirror in sync may lack.
 */
export function isSettled(tag: Tag, floors: readonly Tag[]): boolean {
  const own = floors.find((floor) => tagGenerator(floor) === tagGenerator(tag));
  if (own !== undefined) return tag < own;
  return floors.length > 0 && floors.every((floor) => tagEpoch(tag) < tagEpoch(floor));
}

/**
 * F17: true when the commit sequence that a mirror tells now bears witness to what it answered in this epoch: it has been up since it was
 * activated. One that was restarted may have been rolled back meanwhile, and its sequence would hide that.
 */
export function bearsWitness(activeEpoch: Epoch, epoch: Epoch): boolean {
  return activeEpoch === epoch;
}
