/**
 * One mutation of an object at a time; mutations of different objects never wait for each other. First come, first served.
 * Memory: one entry for each object that is being changed or waited for.
 */
import type { ObjectId } from '../protocol/object-id.js';

export class KeyLocks {
  readonly #tails = new Map<ObjectId, Promise<void>>();

  /** Runs `work` when all that came before it for this object is over. */
  async run<Result>(id: ObjectId, work: () => Promise<Result>): Promise<Result> {
    const release = await this.#take(id);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Runs `work` under the locks of several objects, taken in one order by everybody, so that nobody waits in a circle. */
  async runAll<Result>(ids: readonly ObjectId[], work: () => Promise<Result>): Promise<Result> {
    const [only, ...others] = ids;
    if (only !== undefined && others.length === 0) return this.run(only, work);
    const releases: (() => void)[] = [];
    try {
      // One after another and not nested: there may be COMPOSE_SOURCES_MAX of them.
      for (const id of [...new Set(ids)].sort()) releases.push(await this.#take(id));
      return await work();
    } finally {
      for (const release of releases) release();
    }
  }

  get size(): number {
    return this.#tails.size;
  }

  /** Queues up at once; resolves with what lets go of the object. */
  async #take(id: ObjectId): Promise<() => void> {
    const before = this.#tails.get(id);
    let open!: () => void;
    const tail = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#tails.set(id, tail);
    if (before !== undefined) await before;
    return () => {
      if (this.#tails.get(id) === tail) this.#tails.delete(id);
      open();
    };
  }
}
