/**
 * Where bytes of an object are intact nowhere (F30): they are taken for lost only when nobody who was asked has them, and what the target
 * had of the object before, which may be the last that is intact, stays aside.
 */
import { isRotten } from '../simulated-disk.js';
import type { LandedPush } from '../simulated-mirror.js';
import type { World } from '../world.js';

export function checkLostBytes(world: World): void {
  for (const landed of world.events.landed) {
    if (landed.push.isLossy !== true) continue;
    checkKept(world, landed);
    // Online, a client's read may have healed it since it was asked for.
    if (landed.push.cause === 'rows') checkNobodyHasIt(world, landed);
  }
}

function checkKept(world: World, { target, push, before }: LandedPush): void {
  const now = world.mirror(target).disk.image.objects.get(push.copy.objectId);
  if (now === undefined || !isRotten(now) || before?.state.kind !== 'present') return;
  if (before.state.lastTag === push.lastTag) return;
  const expected = isRotten(before) ? before.kept : before;
  if (now.kept !== expected)
    world.violate('lost', `${target} kept nothing of ${String(before.state.lastTag)}`);
}

/** A mirror that takes no part, or is to be copied in full, may have it: it heals the others once it is in sync again. */
function checkNobodyHasIt(world: World, { push }: LandedPush): void {
  const { objectId, object } = push.copy;
  for (const mirror of push.trusted ?? []) {
    const stored = world.mirror(mirror).disk.image.objects.get(objectId);
    if (stored === undefined || isRotten(stored) || world.damaged.has(mirror)) continue;
    if (stored.state.lastTag === object?.state.lastTag)
      world.violate('lost', `${push.lastTag ?? 'nothing'} was taken for lost, and ${mirror} has it`);
  }
}
