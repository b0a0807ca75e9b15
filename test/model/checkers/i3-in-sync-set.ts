/** I3: the in-sync set only shrinks, or grows by mirrors made equal under the fence. It is never empty. */
import type { Transition, World } from '../world.js';

export function checkInSyncSet(world: World): void {
  for (const transition of world.events.transitions) {
    const fault = faultOf(transition);
    if (fault !== null) world.violate('I3', fault);
  }
}

function faultOf({ before, after, isForced }: Transition): string | null {
  if (after.epoch < before.epoch) return `the epoch fell from ${before.epoch} to ${after.epoch}`;
  if (before.inSync.length > 0 && after.inSync.length === 0) return 'the in-sync set became empty';
  const newcomers = after.inSync.filter((mirror) => !before.inSync.includes(mirror));
  const isActivation = before.phase === 'recovering' && after.phase === 'active';
  if (newcomers.length > 0 && !isActivation && !isForced) return `${newcomers.join()} came in without a fence`;
  const changed = before.inSync.length !== after.inSync.length;
  if (changed && !isActivation && !isForced && after.epoch === before.epoch) return 'it shrank within an epoch';
  return null;
}
