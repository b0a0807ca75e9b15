/**
 * Which objects have rows in the tag table, kept in memory while the rows are few: nearly always, and always soon after they
 * have gone. An object that has none is known to have none without a look at the disk, where LevelDB walks over all that was deleted nearby
 * and not compacted yet, which are thousands of rows on a busy day (measured: most of the time of a reconciliation).
 *
 * It follows what is admitted, as an object's entry does (object-table.ts): a row that is put is here before it is on disk.
 */
import type { ObjectId } from '../protocol/object-id.js';
import { type Database, readRange } from './database.js';
import { KEY_SPACE, parseRowKey, spaceBounds } from './keys.js';

export class RowIndex {
  readonly #rowsMax: number;
  /** Rows of each object that has any; null: they are too many, and only the disk knows. */
  #counts: Map<ObjectId, number> | null;
  #rowCount = 0;

  private constructor(rowsMax: number, isKnown: boolean) {
    this.#rowsMax = rowsMax;
    this.#counts = isKnown ? new Map() : null;
  }

  /** Reads the table of a store that nobody uses yet, which is said to have so many rows. */
  static async read(database: Database, rowCount: number, rowsMax: number): Promise<RowIndex> {
    if (rowCount > rowsMax) return new RowIndex(rowsMax, false);
    const index = new RowIndex(rowsMax, true);
    try {
      for await (const [key] of readRange(database, spaceBounds(KEY_SPACE.row))) {
        index.put(parseRowKey(key).objectId);
        if (index.#counts === null) break;
      }
    } catch {
      // What can't be read is met again, and reported, by whoever needs it.
      return new RowIndex(rowsMax, false);
    }
    return index;
  }

  put(id: ObjectId): void {
    if (this.#counts === null) return;
    this.#rowCount += 1;
    if (this.#rowCount > this.#rowsMax) this.#counts = null;
    else this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  delete(id: ObjectId): void {
    const count = this.#counts?.get(id);
    if (count === undefined) return;
    this.#rowCount -= 1;
    if (count === 1) this.#counts?.delete(id);
    else this.#counts?.set(id, count - 1);
  }

  /** There are none left. */
  reset(): void {
    if (this.#counts !== null) return;
    this.#counts = new Map();
    this.#rowCount = 0;
  }

  /** True when it is certain. */
  hasNone(id: ObjectId): boolean {
    return this.#counts !== null && !this.#counts.has(id);
  }
}
