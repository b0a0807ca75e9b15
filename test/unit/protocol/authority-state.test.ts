import { describe, expect, it } from 'vitest';
import {
  activate,
  admitMirrors,
  beginFullCopy,
  beginRecovery,
  endFullCopy,
  excludeMirrors,
  type MirrorId,
  nameWriter,
  newAuthorityState,
  recordCleanStop,
  recordDamagedStore,
  requireFullCopy,
  stampState,
  type StoppedMirror,
  toMirrorId,
} from '../../../src/protocol/authority-state.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { EPOCH_NONE, toEpoch } from '../../../src/protocol/tag.js';
import { activeState, M0, M1, M2, SET, storeIdOf } from './protocol-builders.js';

const PARTICIPANTS = [M0, M1].map((mirror, index) => ({
  mirror,
  storeId: storeIdOf(index),
  incarnation: `${mirror} run 2`,
  commitSequence: 20 + index,
}));

describe('a new mirror set', () => {
  it('has nobody in sync, and no store in any role (F16)', () => {
    const state = newAuthorityState(SET, [M0, M1]);
    expect(state).toMatchObject({ epoch: 0, phase: 'recovering', inSync: [], cleanStop: null });
    expect(state.members).toEqual(
      [M0, M1].map((mirror) => ({ mirror, storeId: null, fullCopyReason: null })),
    );
  });

  it('has at least one mirror, and each once', () => {
    expect(() => newAuthorityState(SET, [])).toThrow(InvariantViolation);
    expect(() => newAuthorityState(SET, [M0, M0])).toThrow(InvariantViolation);
  });

  it.each(['', '-a', 'a b', 'a/b', 'a\n', 'a'.repeat(64)])('has no mirror called %j', (text) => {
    expect(() => toMirrorId(text)).toThrow(RangeError);
  });
});

describe('an attempt at a recovery (DESIGN.md section 5.1)', () => {
  it('F28: is a new epoch each time, and keeps the last in-sync set', () => {
    const first = beginRecovery(activeState(2));
    const second = beginRecovery(first);
    expect([first.epoch, second.epoch]).toEqual([2, 3]);
    expect(second).toMatchObject({ phase: 'recovering', inSync: [M0, M1] });
  });

  it('keeps what a clean stop recorded, until somebody is activated (F18)', () => {
    const stopped = { ...activeState(2), cleanStop: { [M0]: 4 } };
    expect(beginRecovery(stopped).cleanStop).toEqual({ [M0]: 4 });
  });

  it('I3, F28: only the latest attempt activates, and never an empty set', () => {
    const state = beginRecovery(activeState(2));
    expect(() => activate(state, toEpoch(1), PARTICIPANTS)).toThrow(InvariantViolation);
    expect(() => activate(state, toEpoch(2), [])).toThrow(InvariantViolation);
    expect(() => activate(activeState(2), toEpoch(1), PARTICIPANTS)).toThrow(InvariantViolation);
  });

  it('grants "in sync" to the stores and runs that took part, and to nobody else (F16, F18)', () => {
    const before = requireFullCopy(beginRecovery(activeState(3)), M1, 'rolled back');
    const newStore = storeIdOf(9);
    const [first, second] = PARTICIPANTS;
    if (first === undefined || second === undefined) throw new Error('there are two');
    const state = activate(before, toEpoch(2), [first, { ...second, storeId: newStore }]);
    expect(state).toMatchObject({ epoch: 2, phase: 'active', inSync: [M0, M1], cleanStop: null });
    expect(state.incarnations).toEqual({ [M0]: 'M0 run 2', [M1]: 'M1 run 2' });
    expect(state.members).toEqual([
      { mirror: M0, storeId: storeIdOf(0), fullCopyReason: null },
      { mirror: M1, storeId: newStore, fullCopyReason: null },
      { mirror: M2, storeId: storeIdOf(2), fullCopyReason: null },
    ]);
  });

  it('F17: records where each store stood, and keeps what it knows of those who are away', () => {
    const before = beginRecovery(activeState(3, { sequences: { [M0]: 3, [M1]: 3, [M2]: 7 } }));
    const [first, second] = PARTICIPANTS;
    if (first === undefined || second === undefined) throw new Error('there are two');
    const { commitSequence: _unknown, ...unsaid } = second;
    const state = activate(before, toEpoch(2), [first, unsaid]);
    expect(state.sequences).toEqual({ [M0]: 20, [M2]: 7 });
  });
});

describe('an exclusion (DESIGN.md section 3.5)', () => {
  it('F12: is a new epoch without those mirrors, and the runs of the others stay as they were', () => {
    const state = excludeMirrors(beginRecovery(activeState(3)), [M1]);
    expect(state).toMatchObject({ epoch: 2, phase: 'active', inSync: [M0, M2] });
    expect(state.incarnations).toEqual({ [M0]: 'M0 run 1', [M2]: 'M2 run 1' });
  });

  it('F18: what a clean stop recorded is void when the writer goes on', () => {
    const stopped = { ...activeState(2), cleanStop: { [M0]: 4, [M1]: 4 } };
    expect(excludeMirrors(beginRecovery(stopped), [M1]).cleanStop).toBeNull();
  });

  it('I3: leaves somebody in, and somebody out, in an epoch that was begun for it', () => {
    const excluding = beginRecovery(activeState(2));
    expect(() => excludeMirrors(excluding, [M0, M1])).toThrow(InvariantViolation);
    expect(() => excludeMirrors(excluding, [M2])).toThrow(InvariantViolation);
    expect(() => excludeMirrors(activeState(2), [M1])).toThrow(InvariantViolation);
    expect(() => excludeMirrors({ ...excluding, incarnations: {} }, [M1])).toThrow(InvariantViolation);
  });
});

describe('the record of a mirror that needs a full copy (F27)', () => {
  it('keeps the first reason, and stays until an activation that the mirror took part in', () => {
    const state = requireFullCopy(requireFullCopy(activeState(2), M1, 'first'), M1, 'second');
    expect(state.members.map(({ fullCopyReason }) => fullCopyReason)).toEqual([null, 'first']);
    const without = activate(beginRecovery(state), toEpoch(2), PARTICIPANTS.slice(0, 1));
    expect(without.members.map(({ fullCopyReason }) => fullCopyReason)).toEqual([null, 'first']);
    const withBoth = activate(beginRecovery(state), toEpoch(2), PARTICIPANTS);
    expect(withBoth.members.map(({ fullCopyReason }) => fullCopyReason)).toEqual([null, null]);
  });
});

it('F17: what an operator forgave a mirror is forgiven the store that it had then, not the one that it is copied to', () => {
  const forgiven = { ...activeState(2), forgiven: { [M0]: 20, [M1]: 30 } };
  const begun = beginFullCopy(requireFullCopy(forgiven, M1, 'a blank disk'), M1, storeIdOf(9));
  expect(begun.forgiven).toEqual({ [M0]: 20 });
});

describe('F19: a store with damaged records', () => {
  const damage = { storeId: storeIdOf(1), reason: 'its database is damaged' };
  const damaged = recordDamagedStore(requireFullCopy(activeState(2), M1, 'rows forgone'), M1, damage);

  it('is on record with what an operator has to know, whatever was there before, until another one begins to be copied to', () => {
    const known = { fullCopyReason: damage.reason, damagedStoreId: damage.storeId };
    expect(damaged.members[1]).toMatchObject(known);
    expect(requireFullCopy(damaged, M1, 'rows forgone').members[1]).toMatchObject(known);
    const begun = beginFullCopy(damaged, M1, storeIdOf(9)).members[1];
    expect(begun).toMatchObject({ fullCopyReason: damage.reason, copyStoreId: storeIdOf(9) });
    expect(begun).not.toHaveProperty('damagedStoreId');
  });

  it('gives up a full copy of it that had begun', () => {
    const begun = beginFullCopy(requireFullCopy(activeState(2), M1, 'rolled back'), M1, storeIdOf(9));
    const found = recordDamagedStore(begun, M1, { ...damage, storeId: storeIdOf(9) }).members[1];
    expect(found).toMatchObject({ damagedStoreId: storeIdOf(9) });
    expect(found).not.toHaveProperty('copyStoreId');
  });
});

describe('a clean stop', () => {
  const state = activeState(2, { sequences: { [M0]: 1, [M1]: 1 } });
  const stopped = (mirror: MirrorId, change: Partial<StoppedMirror> = {}): StoppedMirror => ({
    mirror,
    incarnation: state.incarnations[mirror] ?? '',
    activeEpoch: state.epoch,
    commitSequence: 5,
    ...change,
  });

  it('F17, F18: says where the mirrors in sync stood, which is also the least that they are to come back with', () => {
    expect(recordCleanStop(state, [stopped(M0, { commitSequence: 4 }), stopped(M1)])).toMatchObject({
      cleanStop: { [M0]: 4, [M1]: 5 },
      sequences: { [M0]: 4, [M1]: 5 },
    });
  });

  it.each([
    ['was restarted', { activeEpoch: EPOCH_NONE, incarnation: 'run 2' }],
    ['was restarted, and let in again by a message that came late', { incarnation: 'run 2' }],
    ['was fenced by somebody else', { activeEpoch: EPOCH_NONE }],
    ['is active for somebody else', { activeEpoch: toEpoch(state.epoch + 1) }],
  ])(
    'F18: none, when one of them %s: what it stands at may be less than what it acknowledged',
    (_, change) => {
      expect(recordCleanStop(state, [stopped(M0, change), stopped(M1)])).toBeNull();
      expect(recordCleanStop(state, [stopped(M0), stopped(M1, change)])).toBeNull();
    },
  );

  it('F18: none, when one of them does not answer; a mirror that was left out is not asked', () => {
    expect(recordCleanStop(state, [stopped(M1)])).toBeNull();
    const smaller = { ...state, inSync: [M1] };
    expect(recordCleanStop(smaller, [stopped(M1)])?.cleanStop).toEqual({ [M1]: 5 });
  });

  it('ends an active epoch', () => {
    expect(() => recordCleanStop(beginRecovery(state), [])).toThrow(InvariantViolation);
  });
});

describe('a mirror that is rebuilt beside the writer (DESIGN.md section 5)', () => {
  const smaller = excludeMirrors(beginRecovery(activeState(2)), [M1]);
  const admitted = admitMirrors(beginRecovery(smaller), [M1]);

  it('I3: is on record, in an epoch of its own, and not in sync', () => {
    expect(admitted).toMatchObject({ epoch: 3, phase: 'active', inSync: [M0], rebuilding: [M1] });
    expect(() => admitMirrors(smaller, [M1])).toThrow(InvariantViolation);
    expect(() => admitMirrors(beginRecovery(smaller), [M0])).toThrow(InvariantViolation);
    expect(() => admitMirrors(beginRecovery(smaller), [M2])).toThrow(InvariantViolation);
  });

  it('is none any more when its epoch is over', () => {
    expect(beginRecovery(admitted).rebuilding).toBeUndefined();
    expect(admitMirrors(beginRecovery(admitted), []).rebuilding).toBeUndefined();
  });

  it('F27: a full copy begins under a new id and ends for that one; required again it begins anew', () => {
    const copyId = storeIdOf(7);
    const copied = { mirror: M1, storeId: copyId, incarnation: 'M1 run 3', commitSequence: 5 };
    const begun = beginFullCopy(requireFullCopy(admitted, M1, 'blank'), M1, copyId);
    expect(begun.members[1]).toMatchObject({ fullCopyReason: 'blank', copyStoreId: copyId });
    expect(begun.sequences?.[M1]).toBeUndefined();
    const ended = endFullCopy(begun, copied);
    expect(ended.members[1]).toEqual({ mirror: M1, storeId: copyId, fullCopyReason: null });
    expect(ended.sequences?.[M1]).toBe(5);
    const again = requireFullCopy(begun, M1, 'the tag table is full');
    expect(again.members[1]).toMatchObject({ fullCopyReason: 'blank' });
    expect(again.members[1]?.copyStoreId).toBeUndefined();
    expect(() => endFullCopy(again, copied)).toThrow(InvariantViolation);
    expect(() => beginFullCopy(admitted, M1, copyId)).toThrow(InvariantViolation);
  });
});

describe('full copies on record', () => {
  const needed = requireFullCopy(activeState(2, { sequences: { [M0]: 5, [M1]: 6 } }), M1, 'first');

  it('the first reason stays, and a copy that had begun does not count any more', () => {
    const begun = beginFullCopy(needed, M1, storeIdOf(9));
    expect(begun.members[1]).toEqual({
      mirror: M1,
      storeId: storeIdOf(1),
      fullCopyReason: 'first',
      copyStoreId: storeIdOf(9),
    });
    expect(requireFullCopy(begun, M1, 'second').members[1]).toEqual({
      mirror: M1,
      storeId: storeIdOf(1),
      fullCopyReason: 'first',
    });
  });

  it('F27: rows that were forgone stay forgone until the copy begins, and are kept again from then on', () => {
    const forgone = {
      ...needed,
      members: needed.members.map((member) => ({ ...member, rowsForgone: true as const })),
    };
    expect(requireFullCopy(forgone, M1, 'again').members[1]).toHaveProperty('rowsForgone', true);
    expect(beginFullCopy(forgone, M1, storeIdOf(9)).members[1]).not.toHaveProperty('rowsForgone');
    expect(requireFullCopy(needed, M1, 'again').members[1]).not.toHaveProperty('rowsForgone');
  });

  it('F17: what was seen of the store before says nothing of the copy, until its end is on record', () => {
    const begun = beginFullCopy(needed, M1, storeIdOf(9));
    expect(begun.sequences).toEqual({ [M0]: 5 });
    const copied = { mirror: M1, storeId: storeIdOf(9), incarnation: 'x' };
    expect(endFullCopy(begun, { ...copied, commitSequence: 3 }).sequences).toEqual({ [M0]: 5, [M1]: 3 });
    expect(endFullCopy(begun, copied).sequences).toEqual({ [M0]: 5 });
    expect(endFullCopy(begun, copied).members[1]).toEqual({
      mirror: M1,
      storeId: storeIdOf(9),
      fullCopyReason: null,
    });
  });

  it('begins when the need is on record, of a member, and ends for the store it began for', () => {
    expect(() => beginFullCopy(activeState(2), M1, storeIdOf(9))).toThrow(InvariantViolation);
    expect(() => requireFullCopy(activeState(2), M2, 'stranger')).toThrow(InvariantViolation);
    const copied = { mirror: M1, storeId: storeIdOf(8), incarnation: 'x' };
    expect(() => endFullCopy(beginFullCopy(needed, M1, storeIdOf(9)), copied)).toThrow(InvariantViolation);
  });
});

describe('roles of an epoch', () => {
  it('the writer is a mirror in sync of an active epoch, and is one no more when the epoch is over', () => {
    const named = nameWriter(activeState(2, { inSync: [M0] }), M0);
    expect(named.writer).toBe(M0);
    expect(beginRecovery(named)).not.toHaveProperty('writer');
    expect(() => nameWriter(activeState(2, { inSync: [M0] }), M1)).toThrow(InvariantViolation);
    expect(() => nameWriter(beginRecovery(activeState(2)), M0)).toThrow(InvariantViolation);
  });

  it('who was being rebuilt is let in anew in each epoch', () => {
    const state = beginRecovery(activeState(3, { inSync: [M0] }));
    const admitted = admitMirrors(state, [M1]);
    expect(admitted.rebuilding).toEqual([M1]);
    expect(beginRecovery(admitted)).not.toHaveProperty('rebuilding');
    expect(admitMirrors(state, [])).not.toHaveProperty('rebuilding');
    expect(() => admitMirrors(beginRecovery(activeState(2, { inSync: [M0] })), [M2])).toThrow(
      InvariantViolation,
    );
    expect(() => admitMirrors(beginRecovery(activeState(2, { inSync: [] })), [M1])).toThrow(
      InvariantViolation,
    );
  });
});

describe('F31: the states that are put on disk', () => {
  it('are counted, over those of whoever wrote before', () => {
    const before = { ...activeState(2), revision: 7 };
    expect(stampState(activeState(2), before, 'run-a').revision).toBe(8);
    expect(stampState({ ...activeState(2), revision: 9 }, before, 'run-a').revision).toBe(10);
    expect(stampState(activeState(2), activeState(2), 'run-a').revision).toBe(1);
  });

  it('name each run once, with its first epoch, up to a hundred of them', () => {
    const first = stampState(activeState(2), activeState(2), 'run-a');
    expect(first.runs).toEqual([{ run: 'run-a', epoch: 1, after: 0 }]);
    const idle = stampState(beginRecovery(first), first, 'run-b');
    expect(idle.runs?.at(-1)).toEqual({ run: 'run-b', epoch: 2, after: 1, isIdle: true });
    expect(stampState({ ...idle, phase: 'active' }, idle, 'run-b').runs?.at(-1)).toEqual({
      run: 'run-b',
      epoch: 2,
      after: 1,
    });
    const again = stampState({ ...first, epoch: toEpoch(2) }, first, 'run-a');
    expect(again.runs).toEqual([{ run: 'run-a', epoch: 1, after: 0 }]);
    const other = stampState({ ...again, epoch: toEpoch(3) }, again, 'run-b');
    expect(other.runs).toEqual([
      { run: 'run-a', epoch: 1, after: 0 },
      { run: 'run-b', epoch: 3, after: 2 },
    ]);
    const many = Array.from({ length: 100 }, (_, index) => ({
      run: `run-${index}`,
      epoch: toEpoch(index + 1),
    }));
    const { runs } = stampState({ ...first, runs: many }, first, 'one more');
    expect(runs).toHaveLength(100);
    expect([runs?.[0]?.run, runs?.at(-1)?.run]).toEqual(['run-1', 'one more']);
  });
});
