import { describe, expect, it } from 'vitest';
import {
  type AuthorityState,
  type MirrorId,
  newAuthorityState,
  toMirrorId,
} from '../../../src/protocol/authority-state.js';
import {
  CLOCK_RATE_ALLOWANCE,
  leaseToWaitOutMs,
  readableUntilMs,
  unfencedMirrors,
} from '../../../src/protocol/read-lease.js';

const [M0, M1, M2] = ['M0', 'M1', 'M2'].map(toMirrorId) as [MirrorId, MirrorId, MirrorId];
const leaseMs = 1000;

function inSync(...mirrors: MirrorId[]): AuthorityState {
  return { ...newAuthorityState('set', [M0, M1, M2]), inSync: mirrors };
}

describe('F14: how long reads are answered', () => {
  it('as long as the mirror allows it that has not said for the longest time that the epoch goes on', () => {
    const confirmedMs = new Map([
      [M0, 500],
      [M1, 200],
      [M2, 0],
    ]);
    expect(readableUntilMs([M0, M1], confirmedMs, leaseMs)).toBe(1200);
  });

  it('not at all before all of them have said it', () => {
    expect(readableUntilMs([M0, M1], new Map([[M0, 500]]), leaseMs)).toBe(-Infinity);
  });

  it('without an end when the one that is read from is the only one that could know better', () => {
    expect(readableUntilMs([M1], new Map(), leaseMs)).toBe(Infinity);
  });
});

describe('F14: how long a recovery waits for the reads of whoever was there before', () => {
  const at = (nowMs: number): { readonly nowMs: number; readonly leaseMs: number } => ({ nowMs, leaseMs });

  it('not at all once every mirror that was in sync is fenced, in whichever attempt', () => {
    const fencedMs = new Map([
      [M0, 10],
      [M1, 20],
    ]);
    expect(leaseToWaitOutMs(inSync(M0, M1), fencedMs, at(20))).toBe(0);
    expect(unfencedMirrors(inSync(M0, M1), fencedMs)).toEqual([]);
  });

  it('from the first fence of one of them on, longer than the lease', () => {
    const fencedMs = new Map([[M1, 100]]);
    const endMs = 100 + leaseMs * CLOCK_RATE_ALLOWANCE;
    expect(CLOCK_RATE_ALLOWANCE).toBeGreaterThan(1);
    expect(leaseToWaitOutMs(inSync(M0, M1), fencedMs, at(100))).toBe(endMs - 100);
    expect(leaseToWaitOutMs(inSync(M0, M1), fencedMs, at(endMs))).toBe(0);
    expect(unfencedMirrors(inSync(M0, M1), fencedMs)).toEqual([M0]);
  });

  it('for ever while only others are fenced: who was in sync may still confirm', () => {
    expect(leaseToWaitOutMs(inSync(M0, M1), new Map([[M2, 100]]), at(200))).toBe(Infinity);
  });

  it('not at all after a clean stop, which let no read in any more', () => {
    const stopped = { ...inSync(M0, M1), cleanStop: { [M0]: 3, [M1]: 4 } };
    expect(leaseToWaitOutMs(stopped, new Map(), at(0))).toBe(0);
  });
});
