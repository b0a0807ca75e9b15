/**
 * I6: no client write is accepted between fence and activation. A mirror may take a write of exactly the epoch that it
 * is fenced at, and only in the run of its process that the authority had on record when that epoch began (F29).
 */
import { tagEpoch } from '../../../src/protocol/tag.js';
import type { World } from '../world.js';

export function checkAdmission(world: World): void {
  for (const { mirror, incarnation, fencedEpoch, transaction } of world.events.applied) {
    const { epoch, tag } = transaction;
    if (fencedEpoch !== epoch || tagEpoch(tag) !== epoch) {
      world.violate('I6', `${mirror}, fenced at ${fencedEpoch}, took ${tag} of epoch ${epoch}`);
    }
    const granted = world.grants.get(epoch);
    if (granted?.[mirror] !== incarnation) {
      world.violate('I6', `${mirror} took ${tag} as ${incarnation}, which epoch ${epoch} knows nothing of`);
    }
  }
}
