/** Which mirrors may be relied upon, as somebody knows who sees everything: what faults may still be made, and when nothing is promised any more. */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Tag } from '../../src/protocol/tag.js';
import { isRotten } from './simulated-disk.js';
import type { World } from './world.js';

/** True when nothing is wrong with a mirror's disk that could cost state. */
export function isSound(world: World, id: MirrorId): boolean {
  const { disk } = world.mirror(id);
  if (world.damaged.has(id) || disk.isDoubtful) return false;
  return !disk.hasDecayed || ![...disk.image.objects.values()].some(isRotten);
}

/**
 * Some object has its last write nowhere in sync but in rotten bytes: it is there, and nobody can show it. A recovery waits for
 * an operator then.
 */
export function isLastWriteRotten(world: World): boolean {
  const whole = world.authority.durableState.inSync.filter((mirror) => !world.damaged.has(mirror));
  const decayed = whole.map((mirror) => world.mirror(mirror).disk).filter(({ hasDecayed }) => hasDecayed);
  return decayed.some(({ image }) =>
    [...image.objects].some(
      ([objectId, stored]) =>
        isRotten(stored) && !isSoundOnAny(world, whole, { objectId, lastTag: stored.state.lastTag }),
    ),
  );
}

function isSoundOnAny(
  world: World,
  mirrors: readonly MirrorId[],
  { objectId, lastTag }: { readonly objectId: ObjectId; readonly lastTag: Tag },
): boolean {
  return mirrors.some((mirror) => {
    const stored = world.mirror(mirror).disk.image.objects.get(objectId);
    return stored !== undefined && !isRotten(stored) && stored.state.lastTag >= lastTag;
  });
}

/** A recovery may wait only while some mirror of the last in-sync set is missing or damaged. */
export function isWaitJustified(world: World, reports: readonly MirrorReport[]): boolean {
  const { inSync, members } = world.authority.durableState;
  const wanted = inSync.length === 0 ? members.map(({ mirror }) => mirror) : inSync;
  return wanted.some(
    (mirror) =>
      world.damaged.has(mirror) ||
      world.rolledBack.has(mirror) ||
      !reports.some((report) => report.mirror === mirror),
  );
}
