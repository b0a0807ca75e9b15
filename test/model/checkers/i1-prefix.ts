/**
 * I1: on each mirror and object, what was applied in an epoch is a prefix of what the writer issued, up to writes wholly
 * covered by a later replace or remove.
 *
 * A write names the state it builds on, so the content of a mirror is such a prefix exactly when it is the content that
 * the object's last tag stands for. That holds on every mirror, stale ones included: otherwise the object is torn.
 */
import { isRotten } from '../simulated-disk.js';
import type { World } from '../world.js';

export function checkOrder(world: World): void {
  for (const { mirror, transaction, previousTag } of world.events.applied) {
    if (previousTag === null || previousTag < transaction.tag) continue;
    world.violate('I1', `${mirror} applies ${transaction.tag} after ${previousTag}`);
  }
}

export function checkContents(world: World): void {
  for (const [id, mirror] of world.mirrors) {
    for (const stored of mirror.disk.image.objects.values()) {
      const { state, bytes } = stored;
      if (isRotten(stored)) continue;
      if (world.history.find(stored) !== null) continue;
      world.violate(
        'torn',
        `${id} has a content that ${state.lastTag} never made: ${new TextDecoder().decode(bytes)}`,
      );
    }
  }
}
