import { describe, expect, it } from 'vitest';
import {
  type AuthorityState,
  admitMirrors,
  beginFullCopy,
  beginRecovery,
  endFullCopy,
  excludeMirrors,
  activate,
  newAuthorityState,
  requireFullCopy,
  toMirrorId,
} from '../../../src/protocol/authority-state.js';
import {
  areAllRowsForgone,
  bearsWitness,
  forgoRows,
  isCopiedInFull,
  isSettled,
  rowsKeptFor,
  saysNothingToCopies,
} from '../../../src/protocol/forgone-rows.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { toStoreId } from '../../../src/protocol/token.js';
import { EPOCH_NONE, makeTag, type Tag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { activeState, M0, M1, M2, storeIdOf } from './protocol-builders.js';

function tag(epoch: number, counter: number, generator: number): Tag {
  return makeTag({ epoch: toEpoch(epoch), counter, generator: toGeneratorId(generator) });
}

describe('isSettled: rows that may go, by the floors of those who write', () => {
  const floors = [tag(4, 10, 0), tag(4, 3, 1)];

  it('each generator has its own floor, whatever another one has settled', () => {
    expect(isSettled(tag(4, 9, 0), floors)).toBe(true);
    expect(isSettled(tag(4, 10, 0), floors)).toBe(false);
    expect(isSettled(tag(4, 2, 1), floors)).toBe(true);
    expect(isSettled(tag(4, 5, 1), floors)).toBe(false);
  });

  it('a write of an earlier epoch is open while its generator says so', () => {
    expect(isSettled(tag(3, 7, 1), [tag(4, 10, 0), tag(3, 7, 1)])).toBe(false);
    expect(isSettled(tag(3, 6, 1), [tag(4, 10, 0), tag(3, 7, 1)])).toBe(true);
  });

  it('of a generator that is gone everything is settled when its epoch is over for all', () => {
    expect(isSettled(tag(3, 7, 2), floors)).toBe(true);
    expect(isSettled(tag(4, 1, 2), floors)).toBe(false);
    expect(isSettled(tag(3, 7, 2), [tag(4, 10, 0), tag(3, 7, 1)])).toBe(false);
  });

  it('without anybody who writes nothing is', () => {
    expect(isSettled(tag(3, 7, 2), [])).toBe(false);
  });
});

describe('who bears witness to the writes of an epoch', () => {
  it('F17: only who has been active in it all the time; a restart, or another epoch, ends that', () => {
    expect(bearsWitness(toEpoch(3), toEpoch(3))).toBe(true);
    expect(bearsWitness(EPOCH_NONE, toEpoch(3))).toBe(false);
    expect(bearsWitness(toEpoch(2), toEpoch(3))).toBe(false);
  });
});

describe('a mirror that is away for too long (F27)', () => {
  const away = activeState(3, { inSync: [M0] });

  it('its full copy is on record before a row is dropped, and nobody keeps rows for it', () => {
    const forgone = forgoRows(away, [M1], 'too many rows');
    expect(forgone.members).toEqual([
      { mirror: M0, storeId: storeIdOf(0), fullCopyReason: null },
      { mirror: M1, storeId: storeIdOf(1), fullCopyReason: 'too many rows', rowsForgone: true },
      { mirror: M2, storeId: storeIdOf(2), fullCopyReason: null },
    ]);
    expect(rowsKeptFor(away)).toEqual([M0, M1, M2]);
    expect(rowsKeptFor(forgone)).toEqual([M0, M2]);
  });

  it('all rows may go once nobody who is out of sync needs one', () => {
    expect(areAllRowsForgone(away)).toBe(false);
    const forgone = forgoRows(away, [M1], 'too many rows');
    expect(areAllRowsForgone(forgone)).toBe(false);
    const both = forgoRows(forgone, [M2], 'too many rows');
    expect(areAllRowsForgone(both)).toBe(true);
    expect(areAllRowsForgone({ ...both, phase: 'recovering' })).toBe(false);
    expect(areAllRowsForgone({ ...both, rebuilding: [M1] })).toBe(false);
    expect(areAllRowsForgone(activeState(3))).toBe(false);
  });

  it('I4: rows are kept for who is in sync or being rebuilt, and forgone by the writer of an active epoch', () => {
    expect(() => forgoRows(away, [M0], 'no')).toThrow(InvariantViolation);
    expect(() => forgoRows({ ...away, rebuilding: [M1] }, [M1], 'no')).toThrow(InvariantViolation);
    expect(() => forgoRows({ ...away, rebuilding: [M1] }, [M2], 'yes')).not.toThrow();
    expect(() => forgoRows({ ...away, phase: 'recovering' }, [M1], 'no')).toThrow(InvariantViolation);
  });
});

describe('F27: rows during a full copy', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => toMirrorId(name)) as [
    ReturnType<typeof toMirrorId>,
    ReturnType<typeof toMirrorId>,
    ReturnType<typeof toMirrorId>,
  ];
  const COPY = toStoreId('c'.repeat(32));
  const participants = [a, b, c].map((mirror, index) => ({
    mirror,
    storeId: toStoreId(String(index).repeat(32)),
    incarnation: `run of ${mirror}`,
  }));

  /** In epoch 1 all three were in sync, in epoch 2 these were left out. */
  function without(...out: readonly (typeof a)[]): AuthorityState {
    const first = activate(beginRecovery(newAuthorityState('set', [a, b, c])), toEpoch(1), participants);
    return excludeMirrors(beginRecovery(first), out);
  }

  /** In epoch 3 it is let in, and copied to from the beginning. */
  function copying(state: AuthorityState): AuthorityState {
    const admitted = admitMirrors(beginRecovery(state), [c]);
    return beginFullCopy(requireFullCopy(admitted, c, 'a blank disk'), c, COPY);
  }

  it('those of earlier epochs say nothing to a copy that has yet to look at everything', () => {
    const state = copying(without(c));
    expect(isCopiedInFull(state)).toBe(true);
    expect(saysNothingToCopies(state, [c], tag(2, 9, 0))).toBe(true);
    expect(saysNothingToCopies(state, [c], tag(3, 1, 0))).toBe(false);
  });

  it('they say something to a copy that goes on where it was, and to one that is through', () => {
    const state = copying(without(c));
    expect(saysNothingToCopies(state, [], tag(2, 9, 0))).toBe(false);
    const copied = endFullCopy(state, { mirror: c, storeId: COPY, incarnation: 'run of c' });
    expect(isCopiedInFull(copied)).toBe(false);
    expect(saysNothingToCopies(copied, [c], tag(2, 9, 0))).toBe(false);
  });

  it('they say something to a third mirror that is away, unless its rows were forgone', () => {
    expect(saysNothingToCopies(copying(without(b, c)), [c], tag(2, 9, 0))).toBe(false);
    const forgone = forgoRows(without(b, c), [b], 'it was away for long');
    expect(saysNothingToCopies(copying(forgone), [c], tag(2, 9, 0))).toBe(true);
  });

  it('nothing is said of them while nobody may write', () => {
    expect(saysNothingToCopies(beginRecovery(copying(without(c))), [c], tag(2, 9, 0))).toBe(false);
  });
});
