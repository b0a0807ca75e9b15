import { describe, expect, it } from 'vitest';
import {
  type AuthorityState,
  beginRecovery,
  newAuthorityState,
  requireFullCopy,
  stampState,
} from '../../../src/protocol/authority-state.js';
import { type AuthorityWitness, contradicts, reviewAuthority } from '../../../src/protocol/lost-authority.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { activeState, M0, M1, SET } from './protocol-builders.js';

const lost = newAuthorityState(SET, [M0, M1]);

function stateAt(epoch: number, change: Partial<AuthorityState> = {}): AuthorityState {
  return activeState(2, {
    epoch: toEpoch(epoch),
    revision: epoch * 10,
    runs: [{ run: 'first', epoch: toEpoch(1) }],
    ...change,
  });
}

function witness(
  mirror: typeof M0,
  record: AuthorityState | null,
  fenced = record?.epoch ?? 0,
): AuthorityWitness {
  return { mirror, fencedEpoch: toEpoch(fenced), blank: record === null && fenced === 0, record };
}

describe('F31: the authority’s state is lost', () => {
  it('is rebuilt when all mirrors are here, and all that are in sync by the latest copy have it', () => {
    const last = stateAt(7, { inSync: [M0] });
    const verdict = reviewAuthority(lost, [witness(M0, last, 9), witness(M1, stateAt(5))]);
    expect(verdict).toMatchObject({
      kind: 'rebuild',
      state: { epoch: 10, phase: 'recovering', inSync: [M0], cleanStop: null },
    });
  });

  it('is not rebuilt while a mirror is away', () => {
    expect(reviewAuthority(lost, [witness(M0, stateAt(7))])).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/M1 missing/) as unknown,
    });
  });

  it('is not rebuilt from a copy that a mirror in sync by it does not have: it may have seen a later one', () => {
    const witnesses = [witness(M0, stateAt(7)), witness(M1, stateAt(5))];
    expect(reviewAuthority(lost, witnesses)).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/M1 does not have it/) as unknown,
    });
    const blank = [witness(M0, stateAt(7)), witness(M1, null)];
    expect(reviewAuthority(lost, blank).kind).toBe('wait');
  });

  it('is rebuilt though a mirror does not have it that needs a full copy by it: nobody trusted that one later', () => {
    const copying = requireFullCopy(beginRecovery(stateAt(7)), M1, 'rolled back');
    const verdict = reviewAuthority(lost, [witness(M0, copying), witness(M1, null, 8)]);
    expect(verdict).toMatchObject({ kind: 'rebuild', state: { epoch: 9, members: copying.members } });
    const before = reviewAuthority(lost, [witness(M0, beginRecovery(stateAt(7))), witness(M1, null, 8)]);
    expect(before).toMatchObject({ kind: 'wait', reason: expect.stringMatching(/M1 does not/) as unknown });
  });

  it('is not made up when nobody has a copy and somebody has data; before anything was written it is made anew, above every fence', () => {
    const used = { ...witness(M0, null, 4), blank: false };
    expect(reviewAuthority(lost, [used, witness(M1, null, 4)]).kind).toBe('wait');
    const fenced = [
      { ...witness(M0, null, 4), blank: true },
      { ...witness(M1, null, 3), blank: true },
    ];
    expect(reviewAuthority(lost, fenced)).toMatchObject({
      kind: 'rebuild',
      state: { epoch: 4, inSync: [], phase: 'recovering' },
    });
  });

  it('is sound when it is new and so are the mirrors, and when it knows all that they know', () => {
    expect(reviewAuthority(lost, [witness(M0, null), witness(M1, null)])).toEqual({ kind: 'sound' });
    const state = stateAt(7);
    expect(reviewAuthority(state, [witness(M0, state), witness(M1, stateAt(5))])).toEqual({ kind: 'sound' });
  });
});

describe('F31: an old state is put back', () => {
  it('is noticed by the fence of one mirror, and the later one is taken from the mirrors', () => {
    const last = stateAt(7, { inSync: [M1] });
    const verdict = reviewAuthority(stateAt(5), [witness(M0, stateAt(5), 6), witness(M1, last)]);
    expect(verdict).toMatchObject({ kind: 'rebuild', state: { epoch: 8, inSync: [M1] } });
  });

  it('is noticed within an epoch by its revision', () => {
    const later = requireFullCopy({ ...stateAt(5, { inSync: [M0] }), revision: 51 }, M1, 'rows forgone');
    const verdict = reviewAuthority(stateAt(5, { inSync: [M0] }), [witness(M0, later), witness(M1, null, 4)]);
    expect(verdict).toMatchObject({ kind: 'rebuild', state: { members: later.members } });
  });

  it('that was acted on has a history of its own: nothing is rebuilt, an operator decides', () => {
    const first = stateAt(9, { inSync: [M1] });
    const second = stampState(stateAt(6, { inSync: [M0] }), stateAt(5), 'second');
    const witnesses = [witness(M0, second), witness(M1, first)];
    for (const state of [second, stateAt(5)]) {
      expect(reviewAuthority(state, witnesses)).toMatchObject({
        kind: 'wait',
        reason: expect.stringMatching(/acknowledged by both/) as unknown,
      });
    }
    expect(contradicts(second, witness(M1, first))).toBe(true);
    // Also when the epochs of the second history have passed those of the first one.
    const further = { ...second, epoch: toEpoch(20), revision: 999 };
    expect(contradicts(further, witness(M1, first))).toBe(true);
    expect(reviewAuthority(further, witnesses).kind).toBe('wait');
  });

  it('within one epoch is noticed also once a further epoch has begun from it', () => {
    const before = stateAt(5, { revision: 50, phase: 'recovering' });
    const last = stateAt(5, { revision: 51, inSync: [M1] });
    const goneOn = stampState(beginRecovery(before), before, 'second');
    expect(contradicts(goneOn, witness(M1, last))).toBe(true);
    expect(reviewAuthority(goneOn, [witness(M0, stateAt(4), 5), witness(M1, last)])).toMatchObject({
      kind: 'rebuild',
      state: { epoch: 7, inSync: [M1] },
    });
    expect(contradicts(stampState(beginRecovery(last), last, 'second'), witness(M1, last))).toBe(false);
  });

  it('by which nobody has written yet makes no history: the later one is taken from the mirrors, as if it had not been tried', () => {
    const first = stateAt(9, { inSync: [M1] });
    const tried = stampState(beginRecovery(stateAt(5)), stateAt(5), 'second');
    const triedAgain = stampState(beginRecovery(tried, toEpoch(11)), tried, 'third');
    const witnesses = [witness(M0, stateAt(5), 12), witness(M1, first)];
    for (const state of [tried, triedAgain]) {
      expect(contradicts(state, witness(M1, first))).toBe(true);
      expect(reviewAuthority(state, witnesses)).toMatchObject({
        kind: 'rebuild',
        state: { epoch: 13, inSync: [M1], phase: 'recovering' },
      });
    }
    const written = stampState({ ...triedAgain, phase: 'active', inSync: [M0] }, triedAgain, 'third');
    expect(reviewAuthority(written, witnesses)).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/acknowledged by both/) as unknown,
    });
  });

  it('by which a recovery has begun on a mirror is not gone on with past a later one that another mirror keeps', () => {
    const old = stateAt(5, { inSync: [M0] });
    const first = stateAt(9, { inSync: [M1] });
    const tried = stampState(beginRecovery(old, toEpoch(11)), old, 'second');
    const witnesses = [witness(M0, tried), witness(M1, first)];
    for (const state of [tried, old, lost]) {
      expect(reviewAuthority(state, witnesses)).toMatchObject({
        kind: 'wait',
        reason: expect.stringMatching(/begun by both/) as unknown,
      });
    }
    // A recovery that went on from the later one has both behind it.
    const goneOn = stampState(beginRecovery(first), first, 'second');
    expect(reviewAuthority(lost, [witness(M0, old), witness(M1, goneOn)])).toMatchObject({
      kind: 'rebuild',
      state: { inSync: [M1] },
    });
  });

  it('a mirror that was given up while it was away does not speak against what came since', () => {
    const forced = requireFullCopy(stateAt(6, { inSync: [M0] }), M1, 'an operator went on without it');
    const witnesses = [witness(M0, forced), witness(M1, stateAt(9))];
    expect(reviewAuthority(forced, witnesses)).toEqual({ kind: 'sound' });
    expect(contradicts(forced, witness(M1, stateAt(9)))).toBe(false);
  });
});
