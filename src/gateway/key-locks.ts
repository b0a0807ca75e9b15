/**
 * One mutation of an object at a time; mutations of different objects never wait for each other. First come, first served.
 * Memory: one entry for each object that is being changed or waited for.
 */
import type { ObjectId } from '../protocol/object-id.js';

export class KeyLocks {
  readonly #tails = new Map<ObjectId, Promise<void>>();

  /** Runs `work` when all that came before it for this object is over. */
  async run<Result>(id: ObjectId, work: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(id);
    let release!: () => void;
    const tail = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#tails.set(id, tail);
    try {
      if (before !== undefined) await before;
      return await work();
    } finally {
      if (this.#tails.get(id) === tail) this.#tails.delete(id);
      release();
    }
  }

  /** Runs `work` under the locks of several objects, taken in one order by everybody, so that nobody waits in a circle. */
  async runAll<Result>(ids: readonly ObjectId[], work: () => Promise<Result>): Promise<Result> {
    const [first, ...others] = [...new Set(ids)].sort();
    if (first === undefined) return work();
    return this.run(first, () => this.runAll(others, work));
  }

  get size(): number {
    return this.#tails.size;
  }
}
