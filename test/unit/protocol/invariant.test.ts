import { describe, expect, it } from 'vitest';
import { invariant, InvariantViolation, unreachable } from '../../../src/protocol/invariant.js';

describe('an invariant', () => {
  it('that holds says nothing', () => {
    expect(() => {
      invariant(true, 'one is one');
    }).not.toThrow();
  });

  it('that is broken says what should hold, and with which values', () => {
    const error = (() => {
      try {
        invariant([1].includes(2), 'one is two', { one: 1 });
      } catch (caught) {
        return caught;
      }
      return null;
    })();
    expect(error).toBeInstanceOf(InvariantViolation);
    expect(error).toMatchObject({ code: 'InvariantViolation', details: { one: 1 } });
    expect(String(error)).toContain('one is two');
  });

  it('a case that nobody handles is one', () => {
    expect(() => unreachable('new kind' as never)).toThrow(/every case/);
  });
});
