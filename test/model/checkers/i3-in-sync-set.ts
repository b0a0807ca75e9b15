/** I3: the in-sync set only shrinks, or grows by mirrors made equal under the fence. It is never empty. */
import type { Transition } from '../authority.js';
import type { World } from '../world.js';

export function checkInSyncSet(world: World): void {
  for (const transition of world.events.transitions) {
    const fault = faultOf(transition);
    if (fault !== null) world.violate('I3', fault);
  }
}

function faultOf({ before, after, cause }: Transition): string | null {
  // What was put on record and kept by nobody may be forgotten: see `World.#judgeRebuilt`.
  if (cause === 'operator' || cause === 'rebuilt') return null;
  if (after.epoch < before.epoch) return `the epoch fell from ${before.epoch} to ${after.epoch}`;
  if (before.inSync.length > 0 && after.inSync.length === 0) return 'the in-sync set became empty';
  const newcomers = after.inSync.filter((mirror) => !before.inSync.includes(mirror));
  const endsAttempt = before.phase === 'recovering' && after.phase === 'active';
  const isActivation = endsAttempt && cause === 'recovery';
  if (newcomers.length > 0 && !isActivation) return `${newcomers.join()} came in without a fence`;
  if (before.inSync.length !== after.inSync.length && !endsAttempt)
    return 'it changed before its epoch was begun';
  return null;
}
