import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AuthorityState,
  newAuthorityState,
  recordCleanStop,
  recordDamagedStore,
} from '../../../src/protocol/authority-state.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import {
  FULL_COPY_DOUBT,
  fullCopyReason,
  isNewSet,
  mayResumeFullCopy,
  type MirrorReport,
  planRecovery,
} from '../../../src/protocol/recovery-plan.js';
import { activeState, M0, M1, M2, reportOf, SET, storeIdOf } from './protocol-builders.js';

const RESTARTED = { incarnation: 'run 2' };

function whyWait(state: AuthorityState, reports: readonly MirrorReport[]): string {
  const plan = planRecovery(state, reports);
  return plan.kind === 'wait' ? plan.reason : 'it does not wait';
}

describe('the first activation of a set', () => {
  const state = newAuthorityState(SET, [M0, M1]);

  it('needs every configured mirror, and nothing written on any (F16, F31)', () => {
    expect(whyWait(state, [reportOf(M0, { blank: true })])).toMatch(/every configured mirror/);
    expect(whyWait(state, [reportOf(M0, { blank: true }), reportOf(M1)])).toMatch(/M1 has data/);
  });

  it('trusts all of them then', () => {
    const plan = planRecovery(state, [reportOf(M0, { blank: true }), reportOf(M1, { blank: true })]);
    expect(plan).toEqual({ kind: 'proceed', trusted: [M0, M1], stale: [], complete: true });
    expect([isNewSet(state), isNewSet(activeState(2))]).toEqual([true, false]);
  });
});

describe('whom a recovery trusts (DESIGN.md sections 5.1 and 5.3)', () => {
  it('I5: mirrors of the last in-sync set, restarted or not, when all of it is there', () => {
    const plan = planRecovery(activeState(2), [reportOf(M0, RESTARTED), reportOf(M1, RESTARTED)]);
    expect(plan).toEqual({ kind: 'proceed', trusted: [M0, M1], stale: [], complete: true });
  });

  it('F2: an excluded mirror receives, and is no source', () => {
    const plan = planRecovery(activeState(2, { inSync: [M1] }), [reportOf(M0), reportOf(M1)]);
    expect(plan).toMatchObject({ trusted: [M1], stale: [{ mirror: M0, need: { kind: 'rows' } }] });
  });

  it('F18: one that ran all the time goes on without the others; a restarted one does not', () => {
    expect(planRecovery(activeState(2), [reportOf(M1)])).toMatchObject({ trusted: [M1], complete: false });
    expect(whyWait(activeState(2), [reportOf(M1, RESTARTED)])).toMatch(/can't vouch alone/);
  });

  it('F18: of several, one that ran all the time vouches for all', () => {
    const plan = planRecovery(activeState(3), [reportOf(M0, RESTARTED), reportOf(M1)]);
    expect(plan).toMatchObject({ kind: 'proceed', trusted: [M0, M1], complete: false });
  });

  it('F18: a restarted one goes on alone when the others were left out before', () => {
    const plan = planRecovery(activeState(2, { inSync: [M1] }), [reportOf(M1, RESTARTED)]);
    expect(plan).toMatchObject({ kind: 'proceed', trusted: [M1], complete: false });
  });

  it('F18: a restarted one vouches where a clean stop left it, or beyond, and not before that', () => {
    const state = activeState(2, { cleanStop: { [M0]: 10, [M1]: 10 } });
    expect(planRecovery(state, [reportOf(M1, RESTARTED)]).kind).toBe('proceed');
    expect(planRecovery(state, [reportOf(M1, { ...RESTARTED, commitSequence: 11 })]).kind).toBe('proceed');
    expect(planRecovery(state, [reportOf(M1, { ...RESTARTED, commitSequence: 9 })]).kind).toBe('wait');
  });

  it('F17: one that comes back with less than at a clean stop is copied in full: what it is pushed must not hide what it lacks', () => {
    const state = activeState(2);
    const stopped = [M0, M1].map((mirror) => ({
      ...{ mirror, activeEpoch: state.epoch, commitSequence: 12 },
      incarnation: state.incarnations[mirror] ?? '',
    }));
    const after = recordCleanStop(state, stopped);
    const reports = [
      reportOf(M0, { ...RESTARTED, commitSequence: 9 }),
      reportOf(M1, { ...RESTARTED, commitSequence: 12 }),
    ];
    const needy = {
      mirror: M0,
      need: { kind: 'full-copy', reason: expect.stringMatching(/rolled back/) as string },
    };
    expect(after !== null && planRecovery(after, reports)).toMatchObject({ trusted: [M1], stale: [needy] });
  });

  it('F19: a store with damaged records takes no part, in sync or not, and no row goes without it; another store of that mirror is copied in full', () => {
    const damage = { storeId: storeIdOf(0), reason: 'its database is damaged' };
    for (const inSync of [[M1], [M0, M1]]) {
      const state = recordDamagedStore(activeState(2, { inSync }), M0, damage);
      expect(planRecovery(state, [reportOf(M0), reportOf(M1)])).toEqual({
        kind: 'proceed',
        trusted: [M1],
        stale: [],
        complete: false,
      });
      const formatted = reportOf(M0, { storeId: storeIdOf(7), blank: true });
      const need = { kind: 'full-copy', reason: 'its database is damaged' };
      expect(planRecovery(state, [formatted, reportOf(M1)])).toMatchObject({
        trusted: [M1],
        stale: [{ mirror: M0, need }],
        complete: true,
      });
    }
  });

  it('F33: nobody, when one is blank and the other was rolled back', () => {
    const reports = [
      reportOf(M0, { storeId: storeIdOf(7), blank: true }),
      reportOf(M1, { selfDoubt: 'hole in the commit ring' }),
    ];
    expect(whyWait(activeState(2), reports)).toMatch(/no intact mirror/);
  });

  it('F6: is complete when every configured mirror takes part, each once', () => {
    const state = activeState(3);
    expect(planRecovery(state, [reportOf(M0), reportOf(M1)])).toMatchObject({ complete: false });
    expect(planRecovery(state, [reportOf(M0), reportOf(M1), reportOf(M2)])).toMatchObject({ complete: true });
    expect(() => planRecovery(state, [reportOf(M0), reportOf(M0), reportOf(M1)])).toThrow(InvariantViolation);
    expect(() => planRecovery(activeState(2), [reportOf(M0), reportOf(M2)])).toThrow(InvariantViolation);
  });
});

describe('why a mirror needs a full copy (DESIGN.md section 5.3)', () => {
  const reasonOf = (
    state: AuthorityState,
    report: MirrorReport,
    others: readonly MirrorReport[] = [reportOf(M0)],
  ): string | null => fullCopyReason(state, report, [...others, report]);

  it('it does not, when it is the store that was in sync, and whole', () => {
    expect(reasonOf(activeState(2), reportOf(M1, RESTARTED))).toBeNull();
  });

  it('F16: it is another store, or was never in sync', () => {
    expect(reasonOf(activeState(2), reportOf(M1, { storeId: storeIdOf(7) }))).toMatch(/another store/);
    const members = activeState(2).members.map((member) => ({ ...member, storeId: null }));
    expect(reasonOf(activeState(2, { members }), reportOf(M1))).toMatch(/never in sync/);
  });

  it('F19: it doubts itself', () => {
    expect(reasonOf(activeState(2), reportOf(M1, { selfDoubt: 'hole in the commit ring' }))).toBe(
      'hole in the commit ring',
    );
  });

  it('F27: it is on record', () => {
    const members = activeState(2).members.map((member) => ({ ...member, fullCopyReason: 'table full' }));
    expect(reasonOf(activeState(2, { members }), reportOf(M1))).toBe('table full');
  });

  it('F17: a peer, in sync or not, saw it further than it is', () => {
    const witness = { storeId: storeIdOf(1), commitSequence: 11 };
    const peer = reportOf(M0, { witnesses: [{ storeId: storeIdOf(0), commitSequence: 99 }, witness] });
    expect(reasonOf(activeState(2), reportOf(M1), [peer])).toMatch(/rolled back/);
    expect(reasonOf(activeState(2, { inSync: [M1] }), reportOf(M1), [peer])).toMatch(/rolled back/);
    expect(reasonOf(activeState(2), reportOf(M1, { commitSequence: 11 }), [peer])).toBeNull();
  });

  it('F17: the authority saw it further than it is', () => {
    const state = activeState(2, { sequences: { [M1]: 11 } });
    expect(reasonOf(state, reportOf(M1))).toMatch(/rolled back/);
    expect(reasonOf(state, reportOf(M1, { commitSequence: 11 }))).toBeNull();
  });

  it('a mirror that needs one counts as missing', () => {
    const reports = [reportOf(M0, { storeId: storeIdOf(7), blank: true }), reportOf(M1, RESTARTED)];
    expect(whyWait(activeState(2), reports)).toMatch(/M0 missing or damaged/);
    const plan = planRecovery(activeState(2), [reportOf(M0, { storeId: storeIdOf(7) }), reportOf(M1)]);
    expect(plan).toMatchObject({
      trusted: [M1],
      stale: [{ mirror: M0, need: { kind: 'full-copy' } }],
      complete: true,
    });
  });
});

describe('any state and any reports', () => {
  it('I3, I5: a plan to proceed trusts at least one mirror, only of the last in-sync set, and names each present one once', () => {
    const all = [M0, M1, M2];
    const report = fc.record({
      isRestarted: fc.boolean(),
      isBlank: fc.boolean(),
      selfDoubt: fc.constantFrom(null, 'doubt'),
      commitSequence: fc.constantFrom(5, 10),
      seen: fc.constantFrom(0, 8),
    });
    const scene = fc.record({
      inSync: fc.subarray(all, { minLength: 1 }),
      present: fc.subarray(all),
      reports: fc.array(report, { minLength: 3, maxLength: 3 }),
    });
    fc.assert(
      fc.property(scene, ({ inSync, present, reports }) => {
        const made = present.map((mirror) => {
          const index = all.indexOf(mirror);
          const said = reports[index];
          return reportOf(mirror, {
            ...(said?.isRestarted === true ? RESTARTED : {}),
            ...(said?.isBlank === true ? { storeId: storeIdOf(9 + index) } : {}),
            selfDoubt: said?.selfDoubt ?? null,
            commitSequence: said?.commitSequence ?? 0,
            witnesses: [{ storeId: storeIdOf((index + 1) % 3), commitSequence: said?.seen ?? 0 }],
          });
        });
        const plan = planRecovery(activeState(3, { inSync }), made);
        if (plan.kind === 'wait') return;
        expect(plan.trusted.length).toBeGreaterThan(0);
        expect(inSync).toEqual(expect.arrayContaining([...plan.trusted]));
        const named = [...plan.trusted, ...plan.stale.map(({ mirror }) => mirror)].sort();
        expect(named).toEqual([...present].sort());
        expect(plan.complete).toBe(present.length === 3);
      }),
    );
  });
});

describe('a full copy that was broken off', () => {
  const begun = activeState(2, {
    inSync: [M0],
    sequences: { [M1]: 8 },
    members: [
      { mirror: M0, storeId: storeIdOf(0), fullCopyReason: null },
      { mirror: M1, storeId: storeIdOf(1), fullCopyReason: 'a test says so', copyStoreId: storeIdOf(5) },
    ],
  });
  const target = (change: Partial<MirrorReport> = {}): MirrorReport =>
    reportOf(M1, { storeId: storeIdOf(5), selfDoubt: FULL_COPY_DOUBT, commitSequence: 9, ...change });
  const mayResume = (report: MirrorReport, peer: Partial<MirrorReport> = {}): boolean =>
    mayResumeFullCopy(begun, report, [reportOf(M0, peer), report]);

  it('goes on in the store that it began for, while that says that it is copied to', () => {
    expect(mayResume(target())).toBe(true);
    expect(mayResume(target({ storeId: storeIdOf(1) }))).toBe(false);
    expect(mayResume(target({ selfDoubt: null }))).toBe(false);
    expect(mayResume(target({ selfDoubt: 'a hole in the commit ring' }))).toBe(false);
  });

  it('is that of a mirror which has it on record', () => {
    expect(mayResumeFullCopy(activeState(2), target(), [target()])).toBe(false);
    expect(mayResume(target({ mirror: M0 }))).toBe(false);
    expect(mayResume(target({ mirror: M2 }))).toBe(false);
  });

  it('F17: does not go on in one that stands lower than the authority or a peer has seen it', () => {
    expect(mayResume(target({ commitSequence: 8 }))).toBe(true);
    expect(mayResume(target({ commitSequence: 7 }))).toBe(false);
    const witnesses = [
      { storeId: storeIdOf(5), commitSequence: 12 },
      { storeId: storeIdOf(5), commitSequence: 10 },
      { storeId: storeIdOf(6), commitSequence: 99 },
    ];
    expect(mayResume(target({ commitSequence: 12 }), { witnesses })).toBe(true);
    expect(mayResume(target({ commitSequence: 11 }), { witnesses })).toBe(false);
  });
});

describe('what an operator has forgiven a mirror', () => {
  it('F33: witnesses up to there say nothing any more, later ones do', () => {
    const state = activeState(2, { forgiven: { [M1]: 20 } });
    const told = (commitSequence: number): string | null => {
      const report = reportOf(M1, { commitSequence: 10 });
      const peer = reportOf(M0, { witnesses: [{ storeId: report.storeId, commitSequence }] });
      return fullCopyReason(state, report, [peer, report]);
    };
    expect(told(20)).toBeNull();
    expect(told(21)).toMatch(/rolled back/);
  });
});
