/** Does work on all items, at most `inFlightMax` at once. After a failure nothing new begins; rejects with the first one. */
export async function workOn<Item>(
  items: readonly Item[],
  inFlightMax: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
      if (failures.length > 0) return;
    }
  };
  const workerCount = Math.min(inFlightMax, items.length);
  await Promise.all(Array.from({ length: workerCount }, worker));
  if (failures.length > 0) throw failures[0];
}

/** Lets at most `countMax` holders in at once. */
export class Slots {
  #freeCount: number;
  readonly #waiting: (() => void)[] = [];

  constructor(countMax: number) {
    this.#freeCount = countMax;
  }

  async hold<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#freeCount > 0) this.#freeCount -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#freeCount += 1;
      else next();
    }
  }
}
