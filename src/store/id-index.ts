/**
 * Which objects the store may have a record or a tombstone of, kept in memory: a write to a new name then asks no disk whether it is
 * new (measured: a tenth of what a small PUT costs an OSD, bench/README.md).
 *
 * It errs to one side only. What was admitted is here before anybody can ask for it; what an earlier run left is added by a walk over
 * the keys in the background, and before its end nothing is certain. What was removed stays in it: that costs a look at the disk. A store that
 * has far more objects than it has room for does without.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectId } from '../protocol/object-id.js';
import { asReadError, type Database } from './database.js';
import { IdFilter } from './id-filter.js';
import { idOfKey, KEY_SPACE, spaceBounds } from './keys.js';
import type { StoreLogger } from './store-logger.js';

/** The walk takes so many keys at a time, and then a pause: some 10,000 in a second, and as many records from the disk. */
const KEYS_AT_ONCE = 256;
const PAUSE_MS = 25;
/** Bounds a page of keys, too. */
const PAGE_BYTES = 64 * 1024;
/** With more ids to a byte too many that are not there seem to be. */
const IDS_PER_BYTE_MAX = 1;

export interface IdIndexParts {
  readonly database: Database;
  readonly logger: StoreLogger;
  readonly bytesMax: number;
}

export class IdIndex {
  readonly #parts: IdIndexParts;
  readonly #filter: IdFilter;
  readonly #stopping = new AbortController();
  #isComplete = false;
  #walk: Promise<void> = Promise.resolve();

  constructor(parts: IdIndexParts) {
    this.#parts = parts;
    this.#filter = new IdFilter(parts.bytesMax);
  }

  /** The object has a record or a tombstone, or will have once a batch is written. */
  put(id: ObjectId): void {
    this.#filter.add(id);
  }

  /** True when it is certain. */
  hasNone(id: ObjectId): boolean {
    return this.#isComplete && !this.#filter.mayHave(id);
  }

  /** Begins the walk. Call it before the first `put`; `storedCount`: what the store is said to have. */
  start(storedCount: number): void {
    if (storedCount <= this.#parts.bytesMax * IDS_PER_BYTE_MAX) this.#walk = this.#addStored();
  }

  async #addStored(): Promise<void> {
    try {
      for (const space of [KEY_SPACE.object, KEY_SPACE.tombstone]) await this.#addSpace(space);
      this.#isComplete = !this.#stopping.signal.aborted;
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#parts.logger.warn({ error: asReadError(error) }, 'the names in the store could not be listed');
    }
  }

  async #addSpace(space: number): Promise<void> {
    const { signal } = this.#stopping;
    const options = { ...spaceBounds(space), fillCache: false, highWaterMarkBytes: PAGE_BYTES };
    const iterator = this.#parts.database.keys(options);
    try {
      while (!signal.aborted) {
        const found = await iterator.nextv(KEYS_AT_ONCE);
        for (const key of found) this.#filter.add(idOfKey(key));
        if (found.length === 0) return;
        await delay(PAUSE_MS, undefined, { signal, ref: false });
      }
    } finally {
      await iterator.close();
    }
  }

  /** Ends the walk. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#walk;
  }
}
