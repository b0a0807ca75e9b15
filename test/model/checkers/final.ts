/** What must hold when everything is repaired and quiet, besides I1 to I7. */
import { lostObjects } from '../soundness.js';
import type { World } from '../world.js';
import { checkIdentical } from './i7-reconciled.js';
import { isRotten } from '../simulated-disk.js';
import { durableWrite, isAbsence } from './i2-acknowledged.js';

export function checkQuiet(world: World): void {
  if (!world.copied.isWithinShare)
    world.violate(
      'I7',
      `${world.copied.copiedBytes} bytes were copied, ${world.copied.unmatchedBytes} unmatched`,
    );
  const lost = lostObjects(world).map(({ objectId }) => objectId);
  for (const [id, mirror] of world.mirrors) {
    for (const [objectId, stored] of mirror.disk.image.objects)
      if (isRotten(stored) && !lost.includes(objectId))
        world.violate('diverged', `${id} still has rotten bytes of ${objectId}`);
    if (mirror.disk.image.rows.size > 0)
      world.violate('rows-left', `${id}: ${[...mirror.disk.image.rows.keys()].join()}`);
  }
  for (const objectId of world.history.objectIds) {
    checkIdentical(world, { mirrors: world.mirrorIds, objectId, code: 'diverged' });
    const settled = world.history.settled(objectId);
    for (const mirror of world.mirrorIds) {
      const write = durableWrite(world, mirror, objectId);
      if (write === undefined || (isAbsence(write) && settled.isAbsent)) continue;
      if ((write?.ordinal ?? 0) < settled.ordinal) {
        world.violate(
          'lost',
          `${mirror} ends with #${write?.ordinal ?? 0}, #${settled.ordinal} was acknowledged`,
        );
      }
    }
  }
}
