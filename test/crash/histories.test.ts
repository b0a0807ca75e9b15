import { describe, expect, test } from 'vitest';
import { HistoryViolation, ObjectHistory, type ObjectOperation } from './object-history.js';
import { explainRegister, type RegisterEvent, type RegisterOperation } from './register-history.js';

const PASSING = new Set(['not-sent']);
const one = Buffer.from('one');
const two = Buffer.from('two');
const put = (bytes: Buffer): ObjectOperation => ({ kind: 'put', bytes });
const acknowledged = { kind: 'acknowledged' } as const;
const unknown = { kind: 'unknown', reason: 'the connection broke' } as const;

describe('the history of an object with one writer', () => {
  test('an acknowledged write that is not read back is a finding', () => {
    const history = new ObjectHistory('key');
    history.record(put(one), acknowledged, PASSING);
    history.record(put(two), acknowledged, PASSING);
    expect(() => history.observe(one)).toThrow(HistoryViolation);
  });

  test('a refused write that is read back is a finding', () => {
    const history = new ObjectHistory('key');
    history.record(put(one), acknowledged, PASSING);
    history.record(put(two), { kind: 'refused', code: 'not-sent' }, PASSING);
    expect(() => history.observe(two)).toThrow(HistoryViolation);
  });

  test('a removed object that is back is a finding', () => {
    const history = new ObjectHistory('key');
    history.record(put(one), acknowledged, PASSING);
    history.record({ kind: 'delete' }, acknowledged, PASSING);
    expect(() => history.observe(one)).toThrow(HistoryViolation);
  });

  test('a write of unknown outcome is read either way, and what was read once stays', () => {
    const history = new ObjectHistory('key');
    history.record(put(one), acknowledged, PASSING);
    history.record(put(two), unknown, PASSING);
    expect(history.possible).toHaveLength(2);
    history.observe(one);
    expect(() => history.observe(two)).toThrow(HistoryViolation);
  });

  test('an acknowledged append decides whether the lost one before it had happened', () => {
    const history = new ObjectHistory('key');
    history.record(put(one), acknowledged, PASSING);
    history.record({ kind: 'append', offset: 3, bytes: two }, unknown, PASSING);
    history.record({ kind: 'append', offset: 6, bytes: one }, acknowledged, PASSING);
    expect(history.possible).toEqual([Buffer.from('onetwoone')]);
  });

  test('an append that is refused although its offset is the size is a finding', () => {
    const history = new ObjectHistory('key');
    history.record(put(one), acknowledged, PASSING);
    const refusal = { kind: 'refused', code: 'InvalidWriteOffset' } as const;
    expect(() => history.record({ kind: 'append', offset: 3, bytes: two }, refusal, PASSING)).toThrow(
      HistoryViolation,
    );
  });
});

function event(operation: RegisterOperation, began: number, ended: number, isCertain = true): RegisterEvent {
  return { operation, began, ended, isCertain };
}

describe('the history of a shared object', () => {
  test('two overlapping writes may have happened in either order', () => {
    for (const value of ['a', 'b']) {
      const events = [
        event({ kind: 'put', value: 'a' }, 1, 4),
        event({ kind: 'put', value: 'b' }, 2, 3),
        event({ kind: 'get', value }, 5, 6),
      ];
      expect(explainRegister(null, events).kind).toBe('explained');
    }
  });

  test('two reads one after the other that see two writes in the wrong order are impossible', () => {
    const events = [
      event({ kind: 'put', value: 'a' }, 1, 2),
      event({ kind: 'put', value: 'b' }, 3, 8),
      event({ kind: 'get', value: 'b' }, 4, 5),
      event({ kind: 'get', value: 'a' }, 6, 7),
    ];
    expect(explainRegister(null, events).kind).toBe('impossible');
  });

  test('a read of a stale mirror is impossible', () => {
    const events = [
      event({ kind: 'put', value: 'a' }, 1, 2),
      event({ kind: 'delete' }, 3, 4),
      event({ kind: 'get', value: 'a' }, 5, 6),
    ];
    expect(explainRegister(null, events).kind).toBe('impossible');
  });

  test('a write of unknown outcome may happen late, but not after it was said to be over', () => {
    const late = (ended: number) => [
      event({ kind: 'put', value: 'lost' }, 1, ended, false),
      event({ kind: 'put', value: 'b' }, 3, 4),
      event({ kind: 'get', value: 'lost' }, 5, 6),
    ];
    expect(explainRegister(null, late(Infinity)).kind).toBe('explained');
    expect(explainRegister(null, late(2)).kind).toBe('impossible');
  });

  test('of two appends at one offset only one can be acknowledged', () => {
    const events = [
      event({ kind: 'append', offset: 0, value: 'a' }, 1, 3),
      event({ kind: 'append', offset: 0, value: 'b' }, 2, 4),
    ];
    expect(explainRegister(null, events).kind).toBe('impossible');
  });
});
