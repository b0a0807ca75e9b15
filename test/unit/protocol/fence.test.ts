import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decideActivate,
  decideAdvance,
  decideFence,
  decidePush,
  decideRebuild,
  type FenceState,
  type FenceVerdict,
  isComparableAt,
  isReadableAt,
  isRebuildingAt,
  isRecoveringAt,
  mayDropRows,
  type PushClaim,
  reopenFence,
} from '../../../src/protocol/fence.js';
import { EPOCH_NONE, type Tag, toEpoch } from '../../../src/protocol/tag.js';
import { tagOf } from './protocol-builders.js';

function move(verdict: FenceVerdict): FenceState {
  if (verdict.kind === 'refuse') throw new Error(`refused: ${verdict.code}`);
  return verdict.state;
}

function codeOf(verdict: FenceVerdict): string {
  return verdict.kind === 'refuse' ? verdict.code : verdict.kind;
}

const epoch = toEpoch;
const fresh = reopenFence(EPOCH_NONE);
const fencedAt3 = move(decideFence(fresh, epoch(3)));
const activeAt3 = move(decideActivate(fencedAt3, epoch(3)));

describe('the fence of a store (DESIGN.md sections 4 and 5.2)', () => {
  it('I6: a fenced store is not active, until it is activated at that very epoch', () => {
    expect(fencedAt3).toMatchObject({ fencedEpoch: 3, activeEpoch: EPOCH_NONE });
    expect(codeOf(decideActivate(fencedAt3, epoch(2)))).toBe('stale-epoch');
    expect(codeOf(decideActivate(fencedAt3, epoch(4)))).toBe('not-fenced');
    expect(activeAt3).toMatchObject({ fencedEpoch: 3, activeEpoch: 3 });
  });

  it('F28: a lower fence is refused; the same one twice changes nothing; a higher one takes over', () => {
    expect(codeOf(decideFence(fencedAt3, epoch(2)))).toBe('stale-epoch');
    expect(move(decideFence(fencedAt3, epoch(3)))).toEqual(fencedAt3);
    expect(move(decideFence(activeAt3, epoch(4)))).toMatchObject({ fencedEpoch: 4, activeEpoch: EPOCH_NONE });
  });

  it('F14: a fence that arrives after the activation it led to does not stop the store', () => {
    expect(codeOf(decideFence(activeAt3, epoch(3)))).toBe('stale-epoch');
  });

  it('an activation that arrives twice changes nothing', () => {
    expect(move(decideActivate(activeAt3, epoch(3)))).toEqual(activeAt3);
  });
});

describe('a store that was restarted (F29)', () => {
  const reopened = reopenFence(epoch(3));

  it('is not active', () => {
    expect(reopened).toMatchObject({ fencedEpoch: 3, activeEpoch: EPOCH_NONE });
  });

  it('is not put back to work by what was sent before the restart', () => {
    expect(codeOf(decideActivate(reopened, epoch(3)))).toBe('not-fenced');
    expect(codeOf(decideFence(reopened, epoch(3)))).toBe('stale-epoch');
    expect(codeOf(decideAdvance(reopened, epoch(3), epoch(4)))).toBe('not-active');
  });

  it('F36: is no participant of the recovery that it was in', () => {
    expect(isRecoveringAt(fencedAt3, epoch(3))).toBe(true);
    expect(isRecoveringAt(reopened, epoch(3))).toBe(false);
  });

  it('comes back with a new epoch', () => {
    const again = move(decideActivate(move(decideFence(reopened, epoch(4))), epoch(4)));
    expect(again).toMatchObject({ fencedEpoch: 4, activeEpoch: 4 });
    expect(codeOf(decideFence(again, epoch(3)))).toBe('stale-epoch');
  });
});

describe('an exclusion elsewhere', () => {
  it('raises the epoch of a store that stays active, once and again', () => {
    const advanced = move(decideAdvance(activeAt3, epoch(3), epoch(5)));
    expect(advanced).toMatchObject({ fencedEpoch: 5, activeEpoch: 5 });
    expect(move(decideAdvance(advanced, epoch(3), epoch(5)))).toEqual(advanced);
  });

  it('does not lower it, or leave it where it is, whatever the store is at', () => {
    expect(codeOf(decideAdvance(activeAt3, epoch(4), epoch(4)))).toBe('stale-epoch');
    expect(codeOf(decideAdvance(activeAt3, epoch(4), epoch(2)))).toBe('stale-epoch');
  });

  it('is no step of a store that is active at another epoch than it is fenced at', () => {
    const broken: FenceState = { fencedEpoch: epoch(3), activeEpoch: epoch(4) };
    expect(() => decideAdvance(broken, epoch(4), epoch(5))).toThrow('fenced at its active epoch');
  });

  it('does not raise that of a store that is fenced, or active at another epoch', () => {
    expect(codeOf(decideAdvance(fencedAt3, epoch(3), epoch(5)))).toBe('not-active');
    expect(codeOf(decideAdvance(activeAt3, epoch(2), epoch(5)))).toBe('stale-epoch');
    expect(codeOf(decideAdvance(activeAt3, epoch(4), epoch(5)))).toBe('not-active');
    expect(codeOf(decideAdvance(activeAt3, epoch(3), epoch(2)))).toBe('stale-epoch');
  });
});

describe('rows', () => {
  it('F14, F27: are dropped by the recovery or the writer of that very epoch, and by no other', () => {
    const at = (state: FenceState): number[] =>
      [0, 2, 3, 4].filter((candidate) => mayDropRows(state, epoch(candidate)));
    expect(at(fresh)).toEqual([]);
    expect(at(fencedAt3)).toEqual([3]);
    expect(at(activeAt3)).toEqual([3]);
    expect(at(reopenFence(epoch(3)))).toEqual([]);
  });
});

describe('any order of fences, activations, advances and restarts', () => {
  it('I6, F29: the fenced epoch never falls, and a store is active only at it, in the run that was fenced for it', () => {
    const small = fc.integer({ min: 1, max: 5 });
    const step = fc.oneof(
      fc.record({ kind: fc.constant('fence' as const), at: small }),
      fc.record({ kind: fc.constant('activate' as const), at: small }),
      fc.record({ kind: fc.constant('advance' as const), at: small, to: small }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let state = fresh;
        let fencedThisRun = false;
        for (const next of steps) {
          const before = state;
          if (next.kind === 'restart') {
            state = reopenFence(state.fencedEpoch);
            fencedThisRun = false;
            continue;
          }
          const verdict =
            next.kind === 'fence'
              ? decideFence(state, epoch(next.at))
              : next.kind === 'activate'
                ? decideActivate(state, epoch(next.at))
                : decideAdvance(state, epoch(next.at), epoch(next.to));
          if (verdict.kind === 'move') {
            ({ state } = verdict);
            if (next.kind === 'fence') fencedThisRun = true;
          }
          expect(state.fencedEpoch).toBeGreaterThanOrEqual(before.fencedEpoch);
          if (state.activeEpoch === EPOCH_NONE) continue;
          expect([state.activeEpoch, fencedThisRun]).toEqual([state.fencedEpoch, true]);
        }
      }),
    );
  });
});

describe('a read', () => {
  it('F26: is answered in the epoch in which the store is active, and in no other', () => {
    expect(isReadableAt(activeAt3, epoch(3))).toBe(true);
    expect(isReadableAt(activeAt3, epoch(2))).toBe(false);
    expect(isReadableAt(fencedAt3, epoch(3))).toBe(false);
    expect(isReadableAt(reopenFence(epoch(3)), epoch(3))).toBe(false);
    expect(isReadableAt(fencedAt3, EPOCH_NONE)).toBe(false);
  });
});

describe('a push (DESIGN.md section 5)', () => {
  const verdictOf = (
    change: Partial<PushClaim>,
    targetLastTag: Tag | null = tagOf(1, 1),
    fence: FenceState = fencedAt3,
  ): string => {
    const push = { epoch: epoch(3), expectedLastTag: tagOf(1, 1), lastTag: tagOf(2, 1), ...change };
    const verdict = decidePush({ fence, targetLastTag }, push);
    return verdict.kind === 'refuse' ? verdict.code : verdict.kind;
  };

  it('lands under the fence of its own recovery only (F15, F28)', () => {
    expect(verdictOf({})).toBe('land');
    expect(verdictOf({ epoch: epoch(2) })).toBe('stale-epoch');
    expect(verdictOf({ epoch: epoch(4) })).toBe('not-fenced');
    expect(verdictOf({}, tagOf(1, 1), activeAt3)).toBe('not-fenced');
    expect(verdictOf({}, tagOf(1, 1), reopenFence(epoch(3)))).toBe('not-fenced');
  });

  it('F36: lands by compare-and-set on the target’s last tag', () => {
    expect(verdictOf({}, tagOf(1, 2))).toBe('changed');
    expect(verdictOf({}, null)).toBe('changed');
    expect(verdictOf({ expectedLastTag: null }, null)).toBe('land');
    expect(verdictOf({ expectedLastTag: null })).toBe('changed');
  });

  it('takes a target back over an earlier epoch, to nothing at all too (F2)', () => {
    expect(verdictOf({ lastTag: tagOf(1, 0) })).toBe('land');
    expect(verdictOf({ lastTag: null })).toBe('land');
  });

  it('F34: never takes it back within the epoch', () => {
    const inEpoch = tagOf(3, 5);
    for (const lastTag of [null, tagOf(2, 9), tagOf(3, 4), inEpoch]) {
      expect(verdictOf({ expectedLastTag: inEpoch, lastTag }, inEpoch)).toBe('would-go-back');
    }
    expect(verdictOf({ expectedLastTag: inEpoch, lastTag: tagOf(3, 6) }, inEpoch)).toBe('land');
  });
});

describe('a store that is being rebuilt (DESIGN.md section 5)', () => {
  const rebuilding = move(decideRebuild(fencedAt3, epoch(3)));
  const push: PushClaim = { epoch: epoch(3), expectedLastTag: null, lastTag: tagOf(2, 1) };

  it('takes writes and pushes of its epoch, is compared, and serves no reads', () => {
    expect(rebuilding).toMatchObject({ fencedEpoch: 3, activeEpoch: 3, isRebuilding: true });
    expect(isRebuildingAt(rebuilding, epoch(3))).toBe(true);
    expect(isComparableAt(rebuilding, epoch(3))).toBe(true);
    expect(isReadableAt(rebuilding, epoch(3))).toBe(false);
    expect(decidePush({ fence: rebuilding, targetLastTag: null }, push)).toEqual({ kind: 'land' });
    expect(move(decideRebuild(rebuilding, epoch(3)))).toEqual(rebuilding);
  });

  it('is so at that very epoch', () => {
    const rebuilding = move(decideRebuild(fencedAt3, epoch(3)));
    const at = [0, 2, 3, 4].filter((candidate) => isRebuildingAt(rebuilding, epoch(candidate)));
    expect(at).toEqual([3]);
    expect(isRebuildingAt(activeAt3, epoch(3))).toBe(false);
    expect(isRebuildingAt({ ...fresh, isRebuilding: true }, EPOCH_NONE)).toBe(false);
    expect(isComparableAt(fresh, EPOCH_NONE)).toBe(false);
  });

  it('is fenced for it first, in this run', () => {
    expect(codeOf(decideRebuild(activeAt3, epoch(3)))).toBe('not-fenced');
    expect(codeOf(decideRebuild(reopenFence(epoch(3)), epoch(3)))).toBe('not-fenced');
    expect(codeOf(decideRebuild(fencedAt3, epoch(2)))).toBe('stale-epoch');
    expect(codeOf(decideRebuild(fencedAt3, epoch(4)))).toBe('not-fenced');
  });

  it('I3: comes in by a fence of its own alone', () => {
    expect(codeOf(decideActivate(rebuilding, epoch(3)))).toBe('not-fenced');
    expect(codeOf(decideAdvance(rebuilding, epoch(3), epoch(4)))).toBe('not-active');
    expect(move(decideFence(rebuilding, epoch(4)))).toEqual({ ...fencedAt3, fencedEpoch: 4 });
  });

  it('F34, F36: a push lands on what was matched, and is newer, or its target is of an earlier epoch', () => {
    const verdictOf = (targetLastTag: Tag | null, claim: Partial<PushClaim>): string => {
      const verdict = decidePush({ fence: rebuilding, targetLastTag }, { ...push, ...claim });
      return verdict.kind === 'refuse' ? verdict.code : verdict.kind;
    };
    const [old, present, newer] = [tagOf(2, 9), tagOf(3, 1), tagOf(3, 2)];
    expect(verdictOf(present, { expectedLastTag: old, lastTag: newer })).toBe('changed');
    expect(verdictOf(present, { expectedLastTag: present, lastTag: old })).toBe('would-go-back');
    expect(verdictOf(present, { expectedLastTag: present, lastTag: null })).toBe('would-go-back');
    expect(verdictOf(present, { expectedLastTag: present, lastTag: newer })).toBe('land');
    expect(verdictOf(old, { expectedLastTag: old, lastTag: tagOf(1, 1) })).toBe('land');
  });
});
