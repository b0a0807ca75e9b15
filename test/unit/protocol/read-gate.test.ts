import { describe, expect, it } from 'vitest';
import { decideRead, decideReadStart, readableInRecovery } from '../../../src/protocol/read-gate.js';
import { activeState, M0, M1, tagOf } from './protocol-builders.js';

const FIRST = tagOf(1, 1);
const SECOND = tagOf(1, 2);

describe('a read (F26)', () => {
  it('starts when no write of the object is undecided, and otherwise waits for the latest', () => {
    expect(decideReadStart([])).toEqual({ kind: 'answer' });
    expect(decideReadStart([FIRST, SECOND])).toEqual({ kind: 'wait', tag: SECOND });
  });

  it('ends when what it shows is decided, whatever has begun since', () => {
    expect(decideRead([SECOND], FIRST)).toEqual({ kind: 'answer' });
    expect(decideRead([SECOND], null)).toEqual({ kind: 'answer' });
  });

  it('waits when it shows a write that has no outcome yet', () => {
    expect(decideRead([FIRST, SECOND], FIRST)).toEqual({ kind: 'wait', tag: FIRST });
  });
});

describe('a read during a recovery (F26, F28)', () => {
  it('comes from a mirror that is the whole of the in-sync set', () => {
    expect(readableInRecovery(activeState(2, { inSync: [M0] }), [M0])).toBe(M0);
  });

  it('waits while others belong to the set, present or not: the next attempt may start from them', () => {
    expect(readableInRecovery(activeState(2), [M0])).toBeNull();
    expect(readableInRecovery(activeState(2), [M0, M1])).toBeNull();
  });

  it('waits when that mirror is not trusted, and before the first activation', () => {
    expect(readableInRecovery(activeState(2, { inSync: [M0] }), [M1])).toBeNull();
    expect(readableInRecovery(activeState(2, { inSync: [] }), [M0])).toBeNull();
  });
});
