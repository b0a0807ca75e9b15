/** A bounded rate: how long to wait before the next piece of background work. */
export interface Pace {
  /** When the work that was let in so far is paid for, on the clock that `nowMs` is read from. */
  readonly freeAtMs: number;
  readonly waitMs: number;
}

/** Lets in `bytes` more at `bytesPerSecond`. Time that went unused is not saved up. */
export function takePace(freeAtMs: number, nowMs: number, bytes: number, bytesPerSecond: number): Pace {
  const startMs = Math.max(freeAtMs, nowMs);
  return { freeAtMs: startMs + (bytes / bytesPerSecond) * 1000, waitMs: startMs - nowMs };
}
