/**
 * One mutation of an object at a time; mutations of different objects never wait for each other. First come, first served.
 * Memory: one entry for each object that is being changed or waited for.
 */
import type { ObjectId } from '../protocol/object-id.js';
import { PassingMap } from '../protocol/passing-map.js';
import { endingWith } from '../protocol/soon.js';

export class KeyLocks {
  /** Objects that are being changed, with those who wait for their turn. */
  readonly #queues = new PassingMap<ObjectId, (() => void)[]>();

  /** Runs `work` when all that came before it for this object is over. */
  run<Result>(id: ObjectId, work: () => Promise<Result>): Promise<Result> {
    const letGo = (): void => {
      this.#release(id);
    };
    const turn = this.#take(id);
    return turn === null ? endingWith(work, letGo) : turn.then(() => endingWith(work, letGo));
  }

  /** Runs `work` under the locks of several objects, taken in one order by everybody, so that nobody waits in a circle. */
  runAll<Result>(ids: readonly ObjectId[], work: () => Promise<Result>): Promise<Result> {
    const [only] = ids;
    return only !== undefined && ids.length === 1 ? this.run(only, work) : this.#runSeveral(ids, work);
  }

  async #runSeveral<Result>(ids: readonly ObjectId[], work: () => Promise<Result>): Promise<Result> {
    const taken: ObjectId[] = [];
    try {
      // One after another and not nested: there may be COMPOSE_SOURCES_MAX of them.
      for (const id of [...new Set(ids)].sort()) {
        await this.#take(id);
        taken.push(id);
      }
      return await work();
    } finally {
      for (const id of taken) this.#release(id);
    }
  }

  get size(): number {
    return this.#queues.size;
  }

  /** Queues up at once. Null: it is the caller's already; else it is when the promise resolves. */
  #take(id: ObjectId): Promise<void> | null {
    const queue = this.#queues.get(id);
    if (queue !== undefined) return new Promise((resolve) => queue.push(resolve));
    this.#queues.set(id, []);
    return null;
  }

  /** Hands it to the next one. */
  #release(id: ObjectId): void {
    const next = this.#queues.get(id)?.shift();
    if (next === undefined) this.#queues.delete(id);
    else next();
  }
}
