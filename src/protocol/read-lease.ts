/**
 * Until when a gateway may answer reads by the word of the one mirror that it reads from (F14).
 *
 * A mirror refuses whoever reads in an epoch that is over for it. But one that another gateway has left out because it could not be
 * reached does not know that its epoch is over: a gateway that hung meanwhile, or is on the same side of a broken network, would read
 * from it what is out of date. Nobody can tell without asking somebody else; asking for each read would cost a round trip. So a read
 * counts on what the mirrors said a moment ago:
 *
 *   - a gateway answers reads for `leaseMs` after it asked all mirrors in sync and each said that it was active at its epoch;
 *   - a gateway that goes on without a mirror which was in sync, and was not fenced by it, waits longer than that after it fenced the
 *     first of the others: since then nobody who went before has heard from all of them.
 *
 * A write is acknowledged without that mirror only after the wait, so after the last read that could miss it has begun.
 *
 * This is the one place where time counts. No two clocks are compared, only how fast they run: a second of one
 * gateway is no more than `CLOCK_RATE_ALLOWANCE` seconds of another. Who is the only one in sync is the only one to ask, and no time counts.
 */
import type { AuthorityState, MirrorId } from './authority-state.js';

export const CLOCK_RATE_ALLOWANCE = 1.25;

/**
 * Until when reads of this epoch may be answered, on the clock of `confirmedMs`: for each mirror the latest time at which it was asked, and
 * then answered that it was active at this epoch.
 */
export function readableUntilMs(
  inSync: readonly MirrorId[],
  confirmedMs: ReadonlyMap<MirrorId, number>,
  leaseMs: number,
): number {
  if (inSync.length === 1) return Infinity;
  return Math.min(...inSync.map((mirror) => confirmedMs.get(mirror) ?? -Infinity)) + leaseMs;
}

/**
 * The mirrors from which somebody else may still read in an epoch before this recovery, though it goes on without them. `fencedMs`: when this
 * run of the authority first knew that a mirror was fenced by it.
 */
export function unfencedMirrors(
  state: AuthorityState,
  fencedMs: ReadonlyMap<MirrorId, number>,
): readonly MirrorId[] {
  // A gateway that stopped cleanly let no read in any more before it put that on record.
  if (state.cleanStop !== null) return [];
  return state.inSync.filter((mirror) => !fencedMs.has(mirror));
}

/** How long nothing may be activated yet, from now on; Infinity: nobody who was in sync is fenced. */
export function leaseToWaitOutMs(
  state: AuthorityState,
  fencedMs: ReadonlyMap<MirrorId, number>,
  { nowMs, leaseMs }: { readonly nowMs: number; readonly leaseMs: number },
): number {
  if (unfencedMirrors(state, fencedMs).length === 0) return 0;
  const firstMs = Math.min(...state.inSync.map((mirror) => fencedMs.get(mirror) ?? Infinity));
  return Math.max(0, firstMs + leaseMs * CLOCK_RATE_ALLOWANCE - nowMs);
}
