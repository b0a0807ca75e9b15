/**
 * The age of the oldest row, for operators. To find it the store may walk its whole tag table, and a reconciliation, which
 * drops rows page by page, asks who everybody is after every page: so a large table is not walked all the time.
 */
import type { ObjectStore } from '../store/object-store.js';

/** A table of this size is walked soon, but for what was deleted from it and is passed over. */
const SMALL_TABLE_ROWS_MAX = 1000;
/** What was found is shown for so long. */
const SMALL_TABLE_REFRESH_MS = 500;
const LARGE_TABLE_REFRESH_MS = 5_000;

export class OldestRow {
  readonly #store: ObjectStore;
  readonly #clock: () => number;
  #found: { readonly writtenMs: number | null; readonly atMs: number } | null = null;

  /** `clock`: Unix time in ms. */
  constructor(store: ObjectStore, clock: () => number) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Unix time in ms at which the oldest row was made, null when there is none. */
  async writtenMs(): Promise<number | null> {
    const { rowCount } = this.#store.report().tagTable;
    if (rowCount === 0) return null;
    const nowMs = this.#clock();
    const refreshMs = rowCount > SMALL_TABLE_ROWS_MAX ? LARGE_TABLE_REFRESH_MS : SMALL_TABLE_REFRESH_MS;
    const isFresh = this.#found !== null && Math.abs(nowMs - this.#found.atMs) < refreshMs;
    if (this.#found !== null && isFresh && this.#found.writtenMs !== null) return this.#found.writtenMs;
    const writtenMs = await this.#store.oldestRowMs();
    this.#found = { writtenMs, atMs: nowMs };
    return writtenMs;
  }
}
