/** Reading the tag table: pages of rows in order of object id and tag, and the age of the oldest. */
import type { ObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import type { TagRow } from '../protocol/write.js';
import { type Database, readRange } from './database.js';
import { KEY_SPACE, rowKey, spaceBounds } from './keys.js';
import type { RowCursor } from './object-store.js';
import { decodeRow } from './small-values.js';

/** The first key behind this one. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

export async function readRows(
  database: Database,
  after: RowCursor | null,
  limit: number,
): Promise<TagRow[]> {
  const bounds = spaceBounds(KEY_SPACE.row);
  const gte = after === null ? bounds.gte : keyAfter(rowKey(after.objectId, after.tag));
  const rows: TagRow[] = [];
  if (limit <= 0) return rows;
  for await (const [key, value] of readRange(database, { gte, lt: bounds.lt })) {
    rows.push(decodeRow(key, value));
    if (rows.length >= limit) break;
  }
  return rows;
}

interface Oldest {
  readonly objectId: ObjectId;
  readonly tag: Tag;
  readonly writtenMs: number;
}

/** Knows the oldest row until that one goes; then the next question walks the table. */
export class OldestRow {
  readonly #database: Database;
  /** 'unknown' until it was looked for, null when the table is empty. */
  #oldest: Oldest | null | 'unknown' = 'unknown';
  #changeCount = 0;
  #search: Promise<number | null> | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  rowPut(row: TagRow): void {
    this.#changeCount += 1;
    if (this.#oldest === 'unknown') return;
    if (this.#oldest === null || row.writtenMs < this.#oldest.writtenMs) this.#oldest = row;
  }

  rowDeleted(objectId: ObjectId, tag: Tag): void {
    this.#changeCount += 1;
    if (this.#oldest === 'unknown' || this.#oldest === null) return;
    if (this.#oldest.objectId === objectId && this.#oldest.tag === tag) this.#oldest = 'unknown';
  }

  async writtenMs(): Promise<number | null> {
    if (this.#oldest !== 'unknown') return this.#oldest?.writtenMs ?? null;
    this.#search ??= this.#find();
    return this.#search;
  }

  async #find(): Promise<number | null> {
    const changeCount = this.#changeCount;
    let oldest: Oldest | null = null;
    try {
      for await (const [key, value] of readRange(this.#database, spaceBounds(KEY_SPACE.row))) {
        const row = decodeRow(key, value);
        if (oldest === null || row.writtenMs < oldest.writtenMs) oldest = row;
      }
    } finally {
      this.#search = null;
    }
    // What was found while the table changed may be gone already: it is an answer, but none to keep.
    if (changeCount === this.#changeCount) this.#oldest = oldest;
    return oldest?.writtenMs ?? null;
  }
}
