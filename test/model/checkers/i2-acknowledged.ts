/**
 * I2: a write answered with success in epoch e is durable on every mirror in sync in e; and what an activation or an
 * answer made final stays final: nothing older comes back, nothing that was settled as gone appears.
 */
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { tagEpoch } from '../../../src/protocol/tag.js';
import type { IssuedWrite } from '../history.js';
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
  if (stored !== undefined) return world.history.find(stored.state, stored.bytes) ?? undefined;
  const forgotten = image.forgotten.get(objectId);
  return forgotten === undefined ? null : (world.history.writesOf(forgotten).at(-1) ?? null);
}

/** An older tombstone shows nobody more than none: a mirror that was rebuilt may have one where the others have let go. */
export function isAbsence(write: IssuedWrite | null): boolean {
  return write === null || write.state.kind === 'tombstone';
}

function checkSettled(world: World, mirror: MirrorId, objectId: ObjectId): void {
  const settled = world.history.settled(objectId);
  const write = durableWrite(world, mirror, objectId);
  if (write === undefined || (isAbsence(write) && settled.isAbsent)) return;
  if ((write?.ordinal ?? 0) >= settled.ordinal) return;
  world.violate('I2', `${mirror} has #${write?.ordinal ?? 0} where #${settled.ordinal} was acknowledged`);
}

function checkGone(world: World, mirror: MirrorId, objectId: ObjectId): void {
  const write = durableWrite(world, mirror, objectId);
  if (write === undefined || write === null) return;
  const final = world.history.finalAtActivation.get(objectId) ?? 0;
  const isOfThisActivation = tagEpoch(write.transaction.tag) >= world.activationEpoch;
  if (isOfThisActivation || write.ordinal <= final) return;
  world.violate(
    'resurrected',
    `${mirror} has #${write.ordinal}, which was settled as gone (final: #${final})`,
  );
}
