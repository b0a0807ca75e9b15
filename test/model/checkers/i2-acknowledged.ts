/**
 * I2: a write answered with success in epoch e is durable on every mirror in sync in e; and what an activation or an
 * answer made final stays final: nothing older comes back, nothing that was settled as gone appears.
 */
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { tagEpoch } from '../../../src/protocol/tag.js';
import type { IssuedWrite, Settled } from '../history.js';
import type { World } from '../world.js';

export function checkAcknowledged(world: World): void {
  const { inSync, phase } = world.authority.durableState;
  for (const mirror of inSync) {
    if (world.damaged.has(mirror)) continue;
    for (const objectId of world.history.objectIds) {
      checkSettled(world, mirror, objectId);
      if (phase === 'active') checkGone(world, mirror, objectId);
    }
  }
}

/** Undefined: there is something, but no write ever made it (the checker of I1 says so). */
export function durableWrite(
  world: World,
  mirror: MirrorId,
  objectId: ObjectId,
): IssuedWrite | null | undefined {
  const image = world.mirror(mirror).disk.durableImage;
  const stored = image.objects.get(objectId);
  if (stored !== undefined) return world.history.find(stored) ?? undefined;
  const forgotten = image.forgotten.get(objectId);
  return forgotten === undefined ? null : (world.history.writesOf(forgotten).at(-1) ?? null);
}

/**
 * What a client sees of it is that the object is not there. That is as good as the last removal once everything that may be
 * on its way is of an epoch that is over, so under a fence; the other checkers ask for more (`isOldAbsence`).
 */
export function isAbsence(write: IssuedWrite | null): boolean {
  return write === null || write.state.kind === 'tombstone';
}

/**
 * Nothing, or an older tombstone, where a later removal was settled. An online full copy leaves that behind: it takes no
 * tombstone away (F35), and the source has let go of its own. It is as good as the removal when the mirror was fenced since
 * the removal was issued: whatever could land over it is as old as that removal, or older, and bounces.
 */
function isOldAbsence(world: World, mirror: MirrorId, write: IssuedWrite | null, settled: Settled): boolean {
  if (!isAbsence(write) || !settled.isAbsent) return false;
  return settled.epoch < world.mirror(mirror).disk.durableImage.fencedEpoch;
}

function checkSettled(world: World, mirror: MirrorId, objectId: ObjectId): void {
  const settled = world.history.settled(objectId);
  const write = durableWrite(world, mirror, objectId);
  if (write === undefined || (write?.ordinal ?? 0) >= settled.ordinal) return;
  if (isOldAbsence(world, mirror, write, settled)) return;
  world.violate('I2', `${mirror} has #${write?.ordinal ?? 0} where #${settled.ordinal} was acknowledged`);
}

function checkGone(world: World, mirror: MirrorId, objectId: ObjectId): void {
  const write = durableWrite(world, mirror, objectId);
  if (write === undefined || write === null) return;
  const isOfThisActivation = tagEpoch(write.transaction.tag) >= world.history.activationEpoch;
  if (isOfThisActivation || !world.history.isGone(write)) return;
  const { ordinal } = world.history.final(objectId);
  world.violate(
    'resurrected',
    `${mirror} has #${write.ordinal}, which was settled as gone (final: #${ordinal})`,
  );
}
