/** Counts how often a value fell into which bucket: a few additions each time, and nothing else until somebody asks. */

export interface HistogramSnapshot {
  /** Upper bounds, inclusive; the last bucket, without one, is left out. */
  readonly bounds: readonly number[];
  /** For each bound, how many values were at most that. */
  readonly cumulativeCounts: readonly number[];
  readonly count: number;
  readonly sum: number;
}

export class Histogram {
  readonly #bounds: readonly number[];
  /** One more than there are bounds. */
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` rise. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  snapshot(): HistogramSnapshot {
    let total = 0;
    const cumulativeCounts = this.#bounds.map((_, bucket) => (total += this.#counts[bucket] ?? 0));
    return {
      bounds: this.#bounds,
      cumulativeCounts,
      count: total + (this.#counts.at(-1) ?? 0),
      sum: this.#sum,
    };
  }
}

/** Of two histograms with the same bounds. */
export function sumHistograms(left: HistogramSnapshot, right: HistogramSnapshot): HistogramSnapshot {
  return {
    bounds: left.bounds,
    cumulativeCounts: left.cumulativeCounts.map((count, at) => count + (right.cumulativeCounts[at] ?? 0)),
    count: left.count + right.count,
    sum: left.sum + right.sum,
  };
}
