import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import { makeToken } from '../../../src/protocol/token.js';
import {
  decideOutcome,
  type MirrorAnswer,
  readyTokens,
  type WriteProgress,
} from '../../../src/protocol/write-outcome.js';
import { M0, M1, M2, OBJECT, storeIdOf, tagOf } from './protocol-builders.js';

const ALL = [M0, M1, M2];

function committed(index: number): MirrorAnswer {
  const storeId = storeIdOf(index);
  const token = makeToken({ storeId, commitSequence: 5, tag: tagOf(1, 1), objectId: OBJECT });
  return { kind: 'committed', token, witness: { storeId, commitSequence: 5 } };
}

const REFUSED: MirrorAnswer = { kind: 'refused', code: 'gap' };
const UNKNOWN: MirrorAnswer = { kind: 'unknown', reason: 'timeout' };

function progressOf(
  answers: readonly (MirrorAnswer | null)[],
  inSync: readonly MirrorId[] = ALL.slice(0, answers.length),
): WriteProgress {
  const configured = ALL.slice(0, answers.length);
  return { answers: new Map(answers.map((answer, index) => [ALL[index] ?? M0, answer])), inSync, configured };
}

describe('the outcome of a write (DESIGN.md section 3.5)', () => {
  it('I2: acknowledged when every mirror in sync committed', () => {
    expect(decideOutcome(progressOf([committed(0), committed(1)]))).toEqual({ kind: 'acknowledge' });
  });

  it('waits for every mirror in sync, also when another one refused', () => {
    expect(decideOutcome(progressOf([committed(0), null]))).toEqual({ kind: 'wait' });
    expect(decideOutcome(progressOf([REFUSED, null]))).toEqual({ kind: 'wait' });
  });

  it('F12: mirrors that lack it must be left out first; then, and only then, it is acknowledged', () => {
    for (const lacking of [REFUSED, UNKNOWN]) {
      const answers = [committed(0), lacking];
      expect(decideOutcome(progressOf(answers))).toEqual({ kind: 'exclude', mirrors: [M1] });
      expect(decideOutcome(progressOf(answers, [M0]))).toEqual({ kind: 'acknowledge' });
    }
  });

  it('is refused when nobody has it for certain', () => {
    expect(decideOutcome(progressOf([REFUSED, REFUSED]))).toEqual({ kind: 'refuse', code: 'gap' });
  });

  it('is unknown when nobody is known to have it and somebody may, in sync or not', () => {
    expect(decideOutcome(progressOf([UNKNOWN, REFUSED]))).toEqual({ kind: 'unknown' });
    expect(decideOutcome(progressOf([REFUSED, UNKNOWN], [M0]))).toEqual({ kind: 'unknown' });
    expect(decideOutcome(progressOf([REFUSED, committed(1)], [M0]))).toEqual({ kind: 'unknown' });
  });

  it('is told refused only when a mirror that is being rebuilt has answered too', () => {
    expect(decideOutcome(progressOf([REFUSED, null], [M0]))).toEqual({ kind: 'wait' });
    expect(decideOutcome(progressOf([REFUSED, REFUSED], [M0]))).toEqual({ kind: 'refuse', code: 'gap' });
    expect(decideOutcome(progressOf([committed(0), null], [M0]))).toEqual({ kind: 'acknowledge' });
  });

  it('I2, I3: whatever the answers, an acknowledgement has all in sync, and an exclusion leaves somebody', () => {
    const answer = fc.constantFrom<MirrorAnswer | null>(committed(0), REFUSED, UNKNOWN, null);
    const inSync = fc.subarray(ALL, { minLength: 1 });
    fc.assert(
      fc.property(fc.array(answer, { minLength: 3, maxLength: 3 }), inSync, (answers, members) => {
        const progress = progressOf(answers, members);
        const outcome = decideOutcome(progress);
        const kinds = members.map((mirror) => progress.answers.get(mirror)?.kind ?? 'none');
        const isRefusedByAll = kinds.every((kind) => kind === 'refused');
        const waitsForOthers = isRefusedByAll && answers.includes(null);
        expect(outcome.kind === 'wait').toBe(kinds.includes('none') || waitsForOthers);
        expect(outcome.kind === 'acknowledge').toBe(kinds.every((kind) => kind === 'committed'));
        if (outcome.kind !== 'exclude') return;
        const left = members.filter((mirror) => !outcome.mirrors.includes(mirror));
        expect(left.length).toBeGreaterThan(0);
        expect(decideOutcome({ ...progress, inSync: left })).toEqual({ kind: 'acknowledge' });
      }),
    );
  });
});

describe('ready tokens (DESIGN.md section 3.6)', () => {
  it('F11, I4: none is ready while a configured mirror has not committed, in sync or not', () => {
    expect(readyTokens(progressOf([committed(0), null], [M0]))).toEqual([]);
    expect(readyTokens(progressOf([committed(0), UNKNOWN], [M0]))).toEqual([]);
    expect(readyTokens({ ...progressOf([committed(0), committed(1)]), configured: ALL })).toEqual([]);
  });

  it('F17: each goes back to its own mirror, with the others’ commit sequences as witnesses', () => {
    const ready = readyTokens(progressOf([committed(0), committed(1), committed(2)]));
    expect(ready.map(({ mirror }) => mirror)).toEqual(ALL);
    expect(ready.map(({ witnesses }) => witnesses.map(({ storeId }) => storeId))).toEqual([
      [storeIdOf(1), storeIdOf(2)],
      [storeIdOf(0), storeIdOf(2)],
      [storeIdOf(0), storeIdOf(1)],
    ]);
  });

  it('are ready too when a mirror that was left out has committed after all', () => {
    expect(readyTokens(progressOf([committed(0), committed(1)], [M0]))).toHaveLength(2);
  });
});
