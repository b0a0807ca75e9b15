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

/** What copying beside clients may take of the disks and the network. */
export interface CopyPace {
  /** At most this much; null: no limit. */
  readonly bytesPerSecond: number | null;
  /** Of the time in which clients are served, the part in which it works at the most. */
  readonly sharePercent: number;
  /** Nothing new is copied. */
  readonly isPaused: boolean;
}

/** Slower than this, content that is under way would be taken for stuck. */
export const COPY_BYTES_PER_SECOND_MIN = 1024 * 1024;
export const COPY_SHARE_PERCENT_MIN = 5;
export const COPY_SHARE_PERCENT_MAX = 100;

/** How long to rest after `workedMs` of work, so that work is `sharePercent` of both together. */
export function restAfter(workedMs: number, sharePercent: number): number {
  return (workedMs * (COPY_SHARE_PERCENT_MAX - sharePercent)) / sharePercent;
}
