/** Keeps a number of requests in flight for a time, and measures what they took. */

export interface PhaseFigures {
  readonly operation: string;
  readonly requestCount: number;
  readonly failureCount: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the first request that failed; null: none has. */
  readonly firstFailure: string | null;
}

export interface Phase {
  readonly operation: string;
  readonly concurrency: number;
  /** One request, by its number; the bytes of content that it moved. Null: there are no more. Rejects when it failed. */
  readonly step: (index: number) => Promise<number> | null;
  /** Null: until there are no more. */
  readonly forMs: number | null;
  readonly signal: AbortSignal;
}

/** `rising`, so that the share of 1 is the largest. */
function quantile(rising: readonly number[], share: number): number {
  return rising[Math.min(rising.length - 1, Math.floor(rising.length * share))] ?? 0;
}

export async function runPhase({
  operation,
  concurrency,
  step,
  forMs,
  signal,
}: Phase): Promise<PhaseFigures> {
  const durationsMs: number[] = [];
  let bytes = 0;
  let failureCount = 0;
  let firstFailure: string | null = null;
  let nextIndex = 0;
  const startMs = performance.now();
  const isOver = (): boolean => signal.aborted || (forMs !== null && performance.now() - startMs >= forMs);
  const work = async (): Promise<void> => {
    while (!isOver()) {
      const beganMs = performance.now();
      const request = step(nextIndex);
      nextIndex += 1;
      if (request === null) return;
      try {
        const moved = await request;
        bytes += moved;
        durationsMs.push(performance.now() - beganMs);
      } catch (error) {
        failureCount += 1;
        firstFailure ??= error instanceof Error ? error.message : String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const seconds = (performance.now() - startMs) / 1000;
  durationsMs.sort((a, b) => a - b);
  return {
    ...{ operation, requestCount: durationsMs.length, failureCount, seconds, bytes, firstFailure },
    medianMs: quantile(durationsMs, 0.5),
    p99Ms: quantile(durationsMs, 0.99),
    maxMs: durationsMs.at(-1) ?? 0,
  };
}
