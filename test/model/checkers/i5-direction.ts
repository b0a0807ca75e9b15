/**
 * I5: bytes flow from in-sync to stale, or between trusted mirrors from longer history to shorter.
 *
 * The driver of an online catch-up that was left out since does not know it yet. What it pushes may still land, at a mirror
 * that is fenced at the push's epoch: so at one that did not move on to the epoch of the exclusion, which only mirrors in
 * sync do. That mirror is stale before and after, and whatever it is given comes with its rows (F37), which its return will
 * find unmatched. So the source was in sync in the push's epoch; and where it is no more, neither is the target.
 */
import { isLater } from '../../../src/protocol/tag.js';
import type { World } from '../world.js';

export function checkDirection(world: World): void {
  const { inSync, members } = world.authority.durableState;
  for (const { target, push, targetLastTag } of world.events.landed) {
    if (world.inSyncOfEpoch.get(push.epoch)?.includes(push.source) !== true) {
      world.violate('I5', `${push.source}, which is not in sync, was copied to ${target}`);
    } else if (!inSync.includes(push.source) && inSync.includes(target)) {
      world.violate('I5', `${push.source}, which is not in sync any more, was copied to ${target}, which is`);
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
