/**
 * I4: if a mirror applied a write and has no row for it, every configured mirror has it or something newer, or is on
 * record as needing a full copy.
 */
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { type Tag, tagEpoch } from '../../../src/protocol/tag.js';
import { type DiskImage, rowKey } from '../simulated-disk.js';
import type { World } from '../world.js';

export function checkClearedRows(world: World): void {
  for (const [id, mirror] of world.mirrors) {
    if (world.damaged.has(id)) continue;
    const { image } = mirror.disk;
    for (const objectId of world.history.objectIds) {
      for (const tag of rowlessWrites(world, image, objectId))
        checkEverywhere(world, { holder: id, objectId, tag });
    }
  }
}

function lastTagOf(image: DiskImage, objectId: ObjectId): Tag | null {
  return image.objects.get(objectId)?.state.lastTag ?? image.forgotten.get(objectId) ?? null;
}

/** The writes that make up an object's content, back to the last one that replaced all of it, and have no row. */
function rowlessWrites(world: World, image: DiskImage, objectId: ObjectId): Tag[] {
  const rowless: Tag[] = [];
  let tag = lastTagOf(image, objectId);
  while (tag !== null) {
    if (!image.rows.has(rowKey({ objectId, tag }))) rowless.push(tag);
    tag = world.history.writesOf(tag).at(-1)?.transaction.previousTag ?? null;
  }
  return rowless;
}

function checkEverywhere(
  world: World,
  write: { readonly holder: MirrorId; readonly objectId: ObjectId; readonly tag: Tag },
): void {
  const { holder, objectId, tag } = write;
  for (const [id, mirror] of world.mirrors) {
    const member = world.authority.durableState.members.find((candidate) => candidate.mirror === id);
    const image = mirror.disk.durableImage;
    const isOnRecord = member?.fullCopyReason !== null || member.storeId !== image.storeId;
    if (isOnRecord || image.selfDoubt !== null || world.damaged.has(id)) continue;
    const lastTag = lastTagOf(image, objectId);
    if (lastTag !== null && lastTag >= tag) continue;
    // Having nothing of the object, or an older tombstone, is as good as a removal that is older than the mirror's fence: all
    // that could land over it is older still, and bounces (see the checker of I2).
    const isRemoval = world.history.writesOf(tag).at(-1)?.state.kind === 'tombstone';
    const isAbsent = image.objects.get(objectId)?.state.kind !== 'present';
    if (isRemoval && isAbsent && tagEpoch(tag) < image.fencedEpoch) continue;
    world.violate('I4', `${holder} has no row for ${tag}, but ${id} is at ${String(lastTag)}`);
  }
}
