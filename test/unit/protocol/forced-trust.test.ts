import { describe, expect, it } from 'vitest';
import {
  type AuthorityState,
  beginRecovery,
  type ForcedDecision,
} from '../../../src/protocol/authority-state.js';
import { describeRisks, forceTrust, forceWords } from '../../../src/protocol/forced-trust.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { fullCopyReason, type MirrorReport } from '../../../src/protocol/recovery-plan.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { activeState, M0, M1, M2, reportOf, storeIdOf } from './protocol-builders.js';

const REPORTS = [reportOf(M1)];

/** M0, the only one in sync, is gone; M1 was left out before, and is here. */
function waiting(change: Partial<AuthorityState> = {}): AuthorityState {
  return beginRecovery(activeState(2, { inSync: [M0], sequences: { [M0]: 50, [M1]: 10 }, ...change }));
}

function decisionOf(state: AuthorityState, change: Partial<ForcedDecision> = {}): ForcedDecision {
  return {
    mirror: M1,
    epoch: state.epoch,
    atMs: 5,
    risks: ['a risk'],
    words: forceWords(state, M1),
    ...change,
  };
}

describe('what an operator has to say to go on with one mirror', () => {
  it('names the mirror and the epoch, so that it is worth nothing later', () => {
    const state = waiting();
    expect(forceWords(state, M1)).toBe('go on with M1 alone at epoch 2');
    expect(forceWords(beginRecovery(state), M1)).not.toBe(forceWords(state, M1));
    expect(forceWords(state, M0)).not.toBe(forceWords(state, M1));
  });
});

describe('what the operator is told first', () => {
  it('F33: a mirror that was left out lacks what the others acknowledged since then', () => {
    expect(describeRisks(waiting(), reportOf(M1), REPORTS)).toEqual([
      'M1 was left out before epoch 2: every write acknowledged since then by M0 is lost',
      'M0 is away: whatever only it has is given up, and it is copied in full',
    ]);
  });

  it('F18: one that was in sync may have been rolled back unnoticed; the others are named, here or away', () => {
    const state = beginRecovery(activeState(3));
    expect(describeRisks(state, reportOf(M0), [reportOf(M0), reportOf(M2)])).toEqual([
      'should the disk of M0 have been rolled back unnoticed, acknowledged writes are lost; so are writes that only others have',
      'M1 is away: whatever only it has is given up, and it is copied in full',
      'M2 is here: whatever only it has is given up, and it is copied in full',
    ]);
  });

  it('F31: without a record of who was in sync, that is said', () => {
    const [first, ...others] = describeRisks(waiting({ inSync: [] }), reportOf(M1), REPORTS);
    expect(first).toBe('the authority has no record of who was in sync: M1 may lack acknowledged writes');
    expect(others).toHaveLength(1);
  });

  it('F16: another store than the one in sync, a full copy on record, its own doubt: one sentence each', () => {
    const state = waiting();
    const members = state.members.map((member) => ({ ...member, fullCopyReason: 'it was away for long' }));
    const trusted = reportOf(M1, { storeId: storeIdOf(7), selfDoubt: 'a hole in its commits' });
    expect(describeRisks({ ...state, members }, trusted, [trusted])).toEqual([
      'M1 was left out before epoch 2: every write acknowledged since then by M0 is lost',
      'M1 is another store than the one that was in sync',
      'M1 is on record as needing a full copy: it was away for long',
      'M1 knows itself to be incomplete: a hole in its commits',
      'M0 is away: whatever only it has is given up, and it is copied in full',
    ]);
  });

  it('F17: what peers or the authority saw of it and it does not have any more is counted', () => {
    const lost = (count: number): string =>
      `M1 was rolled back: at least ${count} of its commits are lost, with all their writes`;
    const witness = (storeIndex: number, commitSequence: number) =>
      reportOf(M0, { witnesses: [{ storeId: storeIdOf(storeIndex), commitSequence }] });
    const state = waiting();
    expect(describeRisks(state, reportOf(M1), [reportOf(M1), witness(1, 14)])).toContain(lost(4));
    expect(describeRisks(state, reportOf(M1), [reportOf(M1), witness(0, 14)]).join()).not.toContain(
      'rolled back',
    );
    expect(describeRisks(state, reportOf(M1), [reportOf(M1), witness(1, 10)]).join()).not.toContain(
      'rolled back',
    );
    const bySelf = describeRisks(state, reportOf(M1, { commitSequence: 8 }), REPORTS);
    expect(bySelf).toContain(lost(2));
    const unseen = beginRecovery(activeState(2, { inSync: [M0] }));
    expect(describeRisks(unseen, reportOf(M1, { commitSequence: 0 }), REPORTS).join()).not.toContain(
      'rolled back',
    );
  });

  it('a mirror that the set does not know has no record to be held against it', () => {
    const stranger = reportOf(M2, { storeId: storeIdOf(9) });
    expect(describeRisks(waiting(), stranger, [stranger])).toEqual([
      'M2 was left out before epoch 2: every write acknowledged since then by M0 is lost',
      'M0 is away: whatever only it has is given up, and it is copied in full',
      'M1 is away: whatever only it has is given up, and it is copied in full',
    ]);
  });
});

describe('the decision on record', () => {
  it('is a recovery with an epoch of its own, in which nobody but that mirror is trusted', () => {
    const state = waiting({ cleanStop: { [M0]: 50 } });
    const decision = decisionOf(state);
    const forced = forceTrust(state, REPORTS, decision, toEpoch(1));
    expect(forced).toEqual({
      ...state,
      epoch: toEpoch(3),
      phase: 'recovering',
      inSync: [M1],
      incarnations: { [M1]: 'M1 run 1' },
      cleanStop: null,
      forgiven: {},
      sequences: { [M1]: 10 },
      forced: [decision],
      members: [
        { mirror: M0, storeId: storeIdOf(0), fullCopyReason: 'an operator went on without it at epoch 2' },
        { mirror: M1, storeId: storeIdOf(1), fullCopyReason: null },
      ],
    });
  });

  it('F31: its epoch is above any that a mirror was fenced at', () => {
    const state = waiting();
    expect(forceTrust(state, REPORTS, decisionOf(state), toEpoch(40)).epoch).toBe(41);
  });

  it('the store that is there takes the role, and witnesses up to what is known now are forgiven', () => {
    const state = waiting({ forgiven: { [M0]: 3 } });
    const trusted = reportOf(M1, { storeId: storeIdOf(7), commitSequence: 4, incarnation: 'another run' });
    const peer = reportOf(M0, { witnesses: [{ storeId: storeIdOf(7), commitSequence: 31 }] });
    const forced = forceTrust(state, [peer, trusted], decisionOf(state), toEpoch(1));
    expect(forced.forgiven).toEqual({ [M0]: 3, [M1]: 31 });
    expect(forced.sequences).toEqual({ [M1]: 4 });
    expect(forced.incarnations).toEqual({ [M1]: 'another run' });
    expect(forced.members[1]).toEqual({ mirror: M1, storeId: storeIdOf(7), fullCopyReason: null });
  });

  it('forgives nothing that the store has, nor what was seen of another store: its next rollback is noticed (F17)', () => {
    const state = waiting({ sequences: { [M1]: 50 }, forgiven: { [M1]: 40 } });
    const trusted = reportOf(M1, { storeId: storeIdOf(7), commitSequence: 4, incarnation: 'another run' });
    const peer = (commitSequence: number): MirrorReport =>
      reportOf(M0, { witnesses: [{ storeId: storeIdOf(7), commitSequence }] });
    const forced = forceTrust(state, [peer(4), trusted], decisionOf(state), toEpoch(1));
    expect(forced.forgiven).toEqual({});
    const later = reportOf(M1, { storeId: storeIdOf(7), commitSequence: 4 });
    expect(fullCopyReason(forced, later, [peer(5), later])).toMatch(/seen at 5: it was rolled back/);
    expect(describeRisks(state, trusted, [peer(4), trusted]).join()).not.toMatch(/was rolled back: at least/);
  });

  it('earlier decisions stay, up to a hundred', () => {
    let state = waiting();
    const earlier = Array.from({ length: 100 }, (_, index) => decisionOf(state, { atMs: index }));
    state = { ...state, forced: earlier };
    const { forced } = forceTrust(state, REPORTS, decisionOf(state, { atMs: 100 }), toEpoch(1));
    expect(forced).toHaveLength(100);
    expect([forced?.[0]?.atMs, forced?.at(-1)?.atMs]).toEqual([1, 100]);
  });

  it('is about a mirror that is here and has something, at the present epoch', () => {
    const state = waiting();
    const decision = decisionOf(state);
    expect(() => forceTrust(state, [reportOf(M0)], decision, toEpoch(1))).toThrow(InvariantViolation);
    expect(() => forceTrust(state, [reportOf(M1, { blank: true })], decision, toEpoch(1))).toThrow(
      InvariantViolation,
    );
    const late = decisionOf(state, { epoch: toEpoch(1) });
    expect(() => forceTrust(state, REPORTS, late, toEpoch(1))).toThrow(InvariantViolation);
  });
});
