import { describe, expect, it } from 'vitest';
import type { FenceState } from '../../../src/protocol/fence.js';
import { decideHeal } from '../../../src/protocol/heal.js';
import { EPOCH_NONE, toEpoch } from '../../../src/protocol/tag.js';
import { tagOf } from './protocol-builders.js';

function fenceAt(fencedEpoch: number, activeEpoch: number): FenceState {
  return { fencedEpoch: toEpoch(fencedEpoch), activeEpoch: toEpoch(activeEpoch) };
}

describe('whether rotten bytes are replaced by those of another mirror (F30)', () => {
  const lastTag = tagOf(2, 9);
  const heal = { epoch: toEpoch(3), lastTag };
  const here = { fence: fenceAt(3, 3), targetLastTag: lastTag };

  it('they land where both are active in the epoch and have the same last write', () => {
    expect(decideHeal(here, heal)).toEqual({ kind: 'land' });
  });

  it('a heal of an earlier epoch, or before this mirror is active in it, is refused', () => {
    const code = (fencedEpoch: number, activeEpoch: number) =>
      decideHeal({ ...here, fence: fenceAt(fencedEpoch, activeEpoch) }, heal);
    expect(code(4, 3)).toEqual({ kind: 'refuse', code: 'stale-epoch' });
    expect(code(3, 0)).toEqual({ kind: 'refuse', code: 'not-active' });
    expect(code(2, 2)).toEqual({ kind: 'refuse', code: 'not-active' });
    const never = decideHeal({ ...here, fence: fenceAt(0, 0) }, { ...heal, epoch: EPOCH_NONE });
    expect(never).toEqual({ kind: 'refuse', code: 'not-active' });
  });

  it('another last write, or none, is for a reconciliation to decide', () => {
    expect(decideHeal({ ...here, targetLastTag: tagOf(2, 10) }, heal)).toEqual({
      kind: 'refuse',
      code: 'changed',
    });
    expect(decideHeal({ ...here, targetLastTag: null }, heal)).toEqual({ kind: 'refuse', code: 'changed' });
  });
});
