/**
 * The tag table rows of single objects. Those that are asked for in the same turn of the event loop, or while others are under way,
 * are read by one iterator that goes through the table in order: one of its own for each object costs several times as much as
 * the rows (a reconciliation asks for hundreds at once, and of most of those that lie next to each other).
 */
import type { ObjectId } from '../protocol/object-id.js';
import type { TagRow } from '../protocol/write.js';
import { asReadError, type Database, type DatabaseIterator, nextPage } from './database.js';
import { KEY_SPACE, rowBounds, spaceBounds } from './keys.js';
import type { StoreError } from './object-store.js';
import { decodeRow } from './small-values.js';

interface Wish {
  readonly bounds: { readonly gte: Buffer; readonly lt: Buffer };
  readonly limit: number;
  readonly resolve: (rows: TagRow[]) => void;
  readonly reject: (error: StoreError) => void;
}

const OBJECTS_AT_ONCE_MAX = 128;
const SCANS_UNDER_WAY_MAX = 2;
/** Rows that are fetched together. */
const PAGE_ROWS = 32;
/** Pages between two objects that are read in vain before the way is cut short. */
const PAGES_IN_VAIN_MAX = 1;

export class RowReads {
  readonly #database: Database;
  readonly #wishes: Wish[] = [];
  #isScheduled = false;
  #underWayCount = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The first `limit` rows of an object, in order of tags, as they are on disk at some time after the call. Throws StoreError. */
  of(id: ObjectId, limit: number): Promise<TagRow[]> {
    return new Promise((resolve, reject) => {
      this.#wishes.push({ bounds: rowBounds(id), limit, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#underWayCount >= SCANS_UNDER_WAY_MAX) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#read(this.#wishes.splice(0, OBJECTS_AT_ONCE_MAX));
      if (this.#wishes.length > 0) this.#schedule();
    });
  }

  async #read(wishes: readonly Wish[]): Promise<void> {
    this.#underWayCount += 1;
    const ordered = [...wishes].sort((left, right) => Buffer.compare(left.bounds.gte, right.bounds.gte));
    let readCount = 0;
    const scan = new RowScan(this.#database);
    try {
      for (const { bounds, limit, resolve } of ordered) {
        const rows = await scan.take(bounds, limit);
        readCount += 1;
        resolve(rows);
      }
      await scan.close();
    } catch (error) {
      for (const { reject } of ordered.slice(readCount)) reject(asReadError(error));
      await scan.close().catch(() => undefined);
    }
    this.#underWayCount -= 1;
    if (this.#wishes.length > 0) this.#schedule();
  }
}

/** One way through the table. */
class RowScan {
  readonly #database: Database;
  #iterator: DatabaseIterator | null = null;
  #page: readonly [Buffer, Buffer][] = [];
  #index = 0;
  /** The last row that was taken. */
  #lastKey: Buffer | null = null;
  /** True once there is nothing behind the page. */
  #isAtEnd = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The rows within some bounds; those of the same or later bounds may be taken after them. */
  async take({ gte, lt }: Wish['bounds'], limit: number): Promise<TagRow[]> {
    const rows: TagRow[] = [];
    await this.#approach(gte);
    while (rows.length < limit) {
      if (this.#index === this.#page.length) await this.#fetch();
      const entry = this.#page[this.#index];
      if (entry === undefined || Buffer.compare(entry[0], lt) >= 0) break;
      rows.push(decodeRow(...entry));
      [this.#lastKey] = entry;
      this.#index += 1;
    }
    return rows;
  }

  /** To the first row that is not before this key. */
  async #approach(key: Buffer): Promise<void> {
    const isBehind = this.#lastKey !== null && Buffer.compare(this.#lastKey, key) >= 0; // two may ask for the same object
    if (this.#iterator === null || isBehind) return this.#beginAt(key);
    for (let pageCount = 0; ; pageCount += 1) {
      for (; this.#index < this.#page.length; this.#index += 1) {
        const entry = this.#page[this.#index];
        if (entry !== undefined && Buffer.compare(entry[0], key) >= 0) return;
      }
      if (this.#isAtEnd) return;
      if (pageCount === PAGES_IN_VAIN_MAX) return this.#beginAt(key);
      await this.#fetch();
    }
  }

  /** By a new iterator: the `seek` of one that is there would hold up everyone while it looks. */
  async #beginAt(key: Buffer): Promise<void> {
    await this.close();
    this.#iterator = this.#database.iterator({ gte: key, lt: spaceBounds(KEY_SPACE.row).lt });
    this.#isAtEnd = false;
    await this.#fetch();
  }

  async #fetch(): Promise<void> {
    if (this.#iterator === null || this.#isAtEnd) return;
    this.#page = await nextPage(this.#iterator, PAGE_ROWS);
    this.#index = 0;
    this.#isAtEnd = this.#page.length === 0;
  }

  async close(): Promise<void> {
    await this.#iterator?.close();
  }
}
