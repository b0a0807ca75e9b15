/** Does work on all items, at most `inFlightMax` at once. After a failure nothing new begins; rejects with the first one. */
export async function workOn<Item>(
  items: readonly Item[] | AsyncIterable<Item>,
  inFlightMax: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue: Iterator<Item> | AsyncIterator<Item> =
    Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items.values();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (failures.length === 0) {
      try {
        const step = await queue.next();
        if (step.done === true) return;
        await work(step.value);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const workerCount = 'length' in items ? Math.min(inFlightMax, items.length) : inFlightMax;
  await Promise.all(Array.from({ length: workerCount }, worker));
  if (failures.length > 0) throw failures[0];
}

/** The same items; the next one is on its way while one is worked on. */
export async function* oneAhead<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  let next = iterator.next();
  for (;;) {
    const step = await next;
    if (step.done === true) return;
    next = iterator.next();
    // Whoever works on this one may fail before anybody looks at the next.
    next.catch(() => undefined);
    yield step.value;
  }
}

interface Waiter {
  readonly weight: number;
  readonly letIn: () => void;
}

/** Lets holders in, in order, while all that they hold together is at most `weightMax`; what is more than that by itself goes alone. */
export class Slots {
  readonly #weightMax: number;
  #heldWeight = 0;
  readonly #waiting: Waiter[] = [];

  constructor(weightMax: number) {
    this.#weightMax = weightMax;
  }

  async hold<Value>(weight: number, work: () => Promise<Value>): Promise<Value> {
    if (this.#waiting.length === 0 && this.#fits(weight)) this.#heldWeight += weight;
    else await new Promise<void>((letIn) => this.#waiting.push({ weight, letIn }));
    try {
      return await work();
    } finally {
      this.#heldWeight -= weight;
      this.#letIn();
    }
  }

  #fits(weight: number): boolean {
    return this.#heldWeight === 0 || this.#heldWeight + weight <= this.#weightMax;
  }

  #letIn(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#fits(next.weight);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#heldWeight += next.weight;
      next.letIn();
    }
  }
}
