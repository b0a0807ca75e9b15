/**
 * How the tag tables were, for the plots of the console: a sample every few seconds, in memory, of this run of the gateway. Monitoring over
 * days is Prometheus' work.
 */
import type { MirrorSetControl } from '../gateway/gateway.js';

const HISTORY_SAMPLE_MS = 2_000;
/** An hour. */
export const HISTORY_SAMPLES_MAX = 1_800;

export interface HistorySample {
  readonly atMs: number;
  readonly unmatchedWrites: number;
  readonly unmatchedBytes: number;
  /** 0 when nothing is unmatched. */
  readonly oldestAgeMs: number;
  readonly mirrors: readonly { readonly mirror: string; readonly rowCount: number }[];
}

export class History {
  readonly #control: MirrorSetControl;
  readonly #clock: () => number;
  readonly #samples: HistorySample[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(control: MirrorSetControl, clock: () => number) {
    this.#control = control;
    this.#clock = clock;
  }

  start(): void {
    this.sample();
    this.#timer = setInterval(() => {
      this.sample();
    }, HISTORY_SAMPLE_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  sample(): void {
    const { unmatchedWrites, unmatchedBytes, oldestUnmatchedMs, mirrors } = this.#control.status();
    const atMs = this.#clock();
    this.#samples.push({
      atMs,
      unmatchedWrites,
      unmatchedBytes,
      oldestAgeMs: oldestUnmatchedMs === null ? 0 : Math.max(0, atMs - oldestUnmatchedMs),
      mirrors: mirrors.map(({ mirror, identity }) => ({ mirror, rowCount: identity?.rowCount ?? 0 })),
    });
    if (this.#samples.length > HISTORY_SAMPLES_MAX) this.#samples.shift();
  }

  /** Oldest first, later than `afterMs`. */
  since(afterMs: number): readonly HistorySample[] {
    return this.#samples.filter(({ atMs }) => atMs > afterMs);
  }
}
