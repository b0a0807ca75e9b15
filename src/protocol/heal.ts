/**
 * When rotten bytes may be replaced while clients write (DESIGN.md section 9, F30).
 *
 * A heal changes no state: it puts the bytes of one write in the place of the same bytes of the same write. So it needs no fence and no row,
 * and it can't go the wrong way: source and target are both active in the same epoch, which only mirrors with every
 * acknowledged write are, and both have the object at the same last tag, which means the same content. Where the tags differ
 * nothing is healed; that difference is a reconciliation's to decide.
 */
import type { FenceState } from './fence.js';
import { EPOCH_NONE, type Epoch, type Tag } from './tag.js';

export interface HealClaim {
  readonly epoch: Epoch;
  /** The object's last tag where the bytes were read; the target's must be the same when they land. */
  readonly lastTag: Tag;
}

export type HealRefusalCode = 'stale-epoch' | 'not-active' | 'changed';

export type HealVerdict =
  { readonly kind: 'land' } | { readonly kind: 'refuse'; readonly code: HealRefusalCode };

export interface HealContext {
  readonly fence: FenceState;
  /** The target's last tag of the object; null: it has no such object, or a tombstone. */
  readonly targetLastTag: Tag | null;
}

export function decideHeal({ fence, targetLastTag }: HealContext, heal: HealClaim): HealVerdict {
  if (heal.epoch < fence.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  if (heal.epoch === EPOCH_NONE || heal.epoch !== fence.activeEpoch)
    return { kind: 'refuse', code: 'not-active' };
  if (targetLastTag !== heal.lastTag) return { kind: 'refuse', code: 'changed' };
  return { kind: 'land' };
}
