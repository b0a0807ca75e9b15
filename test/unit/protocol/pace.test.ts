import { describe, expect, it } from 'vitest';
import { restAfter, takePace } from '../../../src/protocol/pace.js';

describe('a bounded rate of background work', () => {
  it('each piece waits until those before it are paid for', () => {
    const first = takePace(0, 1000, 500, 1000);
    expect(first).toEqual({ freeAtMs: 1500, waitMs: 0 });
    const second = takePace(first.freeAtMs, 1100, 1000, 1000);
    expect(second).toEqual({ freeAtMs: 2500, waitMs: 400 });
  });

  it('time that went unused is not saved up for a burst', () => {
    expect(takePace(1500, 9000, 100, 1000)).toEqual({ freeAtMs: 9100, waitMs: 0 });
  });

  it('a share of the time is work, and the rest of it rest', () => {
    expect(restAfter(100, 50)).toBe(100);
    expect(restAfter(100, 25)).toBe(300);
    expect(restAfter(100, 100)).toBe(0);
  });
});
