/**
 * I5: bytes flow from in-sync to stale, or between trusted mirrors from longer history to shorter. In sync is meant in the
 * push's own epoch: the driver of an online catch-up that was left out since does not know it yet, and what it pushes comes
 * with its rows, so that nobody takes it for more than it is.
 */
import { isLater } from '../../../src/protocol/tag.js';
import type { World } from '../world.js';

export function checkDirection(world: World): void {
  const { inSync, members } = world.authority.durableState;
  for (const { target, push, targetLastTag } of world.events.landed) {
    if (world.inSyncOfEpoch.get(push.epoch)?.includes(push.source) !== true) {
      world.violate('I5', `${push.source}, which is not in sync, was copied to ${target}`);
    }
    const needsFullCopy = members.some(
      ({ mirror, fullCopyReason }) => mirror === target && fullCopyReason !== null,
    );
    const isTrusted = inSync.includes(target) && !world.damaged.has(target) && !needsFullCopy;
    // The same state once more: the repair of rotten bytes (F30).
    if (isTrusted && push.lastTag !== targetLastTag && !isLater(push.lastTag, targetLastTag)) {
      world.violate('I5', `${target}, which is trusted, was taken back from ${String(targetLastTag)}`);
    }
  }
}
