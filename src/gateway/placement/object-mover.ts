/**
 * Brings every object to its home after sets were added or taken out of service, one object at a time, while clients go on.
 *
 * It walks what each set has, in the order of ids, and starts over after a crash: what is at its home already costs a look at
 * its id only. When a walk over all sets finds nothing to move and nothing failed, the storage is settled for good.
 */
import type { ObjectId } from '../../protocol/object-id.js';
import type { SetName } from '../../protocol/placement.js';
import type { Logger } from '../logger.js';
import type { PlacedObjectStorage } from './placed-object-storage.js';

/** Ids asked for at once. */
export const WALK_PAGE_MAX = 500;

/** What the mover needs of a set. */
export interface WalkedSet {
  readonly set: SetName;
  /** Ids of present objects after one, in their order; at most `limit`. Fewer only at the end. */
  readonly ids: (after: ObjectId | null, limit: number) => Promise<readonly ObjectId[]>;
}

export interface MoveProgress {
  readonly phase: 'moving' | 'settled' | 'stopped';
  readonly objectsMoved: number;
  readonly bytesMoved: number;
  /** Failures of this walk; each is tried again on the next. */
  readonly failures: number;
}

export interface MoverOptions {
  readonly storage: PlacedObjectStorage;
  readonly sets: readonly WalkedSet[];
  readonly logger: Logger;
  /** Between two walks when one had failures. */
  readonly retryDelayMs: number;
  readonly wait: (delayMs: number, signal: AbortSignal) => Promise<void>;
  /** Called once when all objects are at home: puts it on record. Before that the storage keeps looking at former homes. */
  readonly onSettled: () => Promise<void>;
}

export class ObjectMover {
  readonly #options: MoverOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #progress = { objectsMoved: 0, bytesMoved: 0, failures: 0 };
  #phase: MoveProgress['phase'] = 'moving';

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  get progress(): MoveProgress {
    return { phase: this.#phase, ...this.#progress };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the object at hand is done with. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    if (this.#phase === 'moving') this.#phase = 'stopped';
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    const { storage, logger, retryDelayMs, wait, onSettled } = this.#options;
    while (!this.#isStopping()) {
      try {
        this.#progress.failures = 0;
        if (await this.#walkAll()) {
          await onSettled();
          storage.settle();
          this.#phase = 'settled';
          return;
        }
      } catch (error) {
        this.#progress.failures += 1;
        logger.warn({ err: error }, 'objects can not be moved just now');
      }
      if (!this.#isStopping() && this.#progress.failures > 0) await wait(retryDelayMs, this.#stopping.signal);
    }
  }

  /** True when nothing was found away from its home. */
  async #walkAll(): Promise<boolean> {
    let isClean = true;
    for (const walked of this.#options.sets) isClean = (await this.#walk(walked)) && isClean;
    return isClean && !this.#isStopping();
  }

  async #walk({ set, ids }: WalkedSet): Promise<boolean> {
    const { storage, logger } = this.#options;
    let isClean = true;
    let after: ObjectId | null = null;
    for (;;) {
      const page: readonly ObjectId[] = await ids(after, WALK_PAGE_MAX);
      for (const id of page) {
        if (this.#isStopping()) return false;
        after = id;
        if (storage.homeOf(id) === set) continue;
        isClean = false;
        try {
          this.#progress.bytesMoved += await storage.settleObject(id);
          this.#progress.objectsMoved += 1;
        } catch (error) {
          this.#progress.failures += 1;
          logger.warn({ err: error, set }, 'an object stays where it is for now');
        }
      }
      if (page.length < WALK_PAGE_MAX) return isClean;
    }
  }
}
