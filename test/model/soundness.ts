/** Which mirrors may be relied upon, as somebody knows who sees everything: what faults may still be made, and when nothing is promised any more. */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Tag } from '../../src/protocol/tag.js';
import { isRotten, type StoredObject } from './simulated-disk.js';
import type { World } from './world.js';

/** True when nothing is wrong with a mirror's disk that could cost state. */
export function isSound(world: World, id: MirrorId): boolean {
  const { disk } = world.mirror(id);
  if (world.damaged.has(id) || disk.isDoubtful) return false;
  if (!disk.hasDecayed) return true;
  return ![...disk.image.objects].some(
    ([objectId, { state, rottenAt }]) => rottenAt !== null && isIntactInSync(world, objectId, state.lastTag),
  );
}

/** True when a mirror in sync has this write of an object, or a later one, to show. */
function isIntactInSync(world: World, objectId: ObjectId, lastTag: Tag): boolean {
  const { inSync } = world.authority.durableState;
  const whole = inSync.filter((mirror) => !world.damaged.has(mirror));
  return whole.some((mirror) => {
    const stored = world.mirror(mirror).disk.image.objects.get(objectId);
    return stored !== undefined && !isRotten(stored) && stored.state.lastTag >= lastTag;
  });
}

export interface LostObject {
  readonly objectId: ObjectId;
  /** What some mirror in sync keeps of it, the newest; null: nothing. */
  readonly kept: StoredObject | null;
}

/** Objects whose last write is intact on no mirror in sync: they are there, and nobody can show them. */
export function lostObjects(world: World): LostObject[] {
  const lost = new Map<ObjectId, StoredObject | null>();
  for (const mirror of world.authority.durableState.inSync) {
    for (const [objectId, stored] of world.mirror(mirror).disk.image.objects) {
      if (!isRotten(stored) || isIntactInSync(world, objectId, stored.state.lastTag)) continue;
      const known = lost.get(objectId) ?? null;
      const { kept = null } = stored;
      const isNewer = kept !== null && (known === null || kept.state.lastTag > known.state.lastTag);
      lost.set(objectId, isNewer ? kept : known);
    }
  }
  return [...lost].map(([objectId, kept]) => ({ objectId, kept }));
}

/** A fence or a record of before the state was rebuilt, of which nobody knew whether it had come to a disk that failed, and it had. */
function hasOutlivedRebuild({ authority, mirrors }: World): boolean {
  return authority.wasMadeGood && [...mirrors.values()].some(({ disk }) => disk.hasKeptWhatFailed);
}

/** It was copied to in full when the state was lost: by the one that was rebuilt it needs that still. */
function isCopiedAnew({ authority }: World, mirror: MirrorId): boolean {
  const { members } = authority.durableState;
  const member = members.find((candidate) => candidate.mirror === mirror);
  return authority.wasMadeGood && (member?.fullCopyReason ?? null) !== null;
}

/** A recovery may wait only while some mirror of the last in-sync set is missing or damaged, or the authority's state is an old one (F31). */
export function isWaitJustified(
  world: World,
  {
    reports,
    doubtsAuthority,
  }: { readonly reports: readonly MirrorReport[]; readonly doubtsAuthority?: true },
): boolean {
  const { isOld, isDecisionOpen } = world.authority;
  const { inSync, members, forced = [] } = world.authority.durableState;
  // A disk of before an operator's decision speaks for the history that was given up: which of the two was put back nobody can tell.
  const mayBeOfBefore = forced.length > 0 && world.damaged.size + world.rolledBack.size > 0;
  if (isOld || doubtsAuthority === true)
    return isOld || isDecisionOpen || mayBeOfBefore || hasOutlivedRebuild(world);
  const wanted = inSync.length === 0 ? members.map(({ mirror }) => mirror) : inSync;
  return wanted.some(
    (mirror) =>
      isCopiedAnew(world, mirror) ||
      world.damaged.has(mirror) ||
      world.rolledBack.has(mirror) ||
      !reports.some((report) => report.mirror === mirror),
  );
}
