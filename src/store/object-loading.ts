/** Reading what the disk has of one object: its record, else its tombstone, and whether it may have rows. */
import type { ObjectId } from '../protocol/object-id.js';
import * as keys from './keys.js';
import type { LoadListener } from './object-table.js';
import { asError } from './object-turn.js';
import type { PointReads, ReadListener } from './point-reads.js';
import { decodeObject, decodeTombstone, type StoredObject } from './records.js';

/** What the store knows as of now. */
export interface LoadContext {
  readonly reads: PointReads;
  readonly tombstoneCount: number;
  /** True when the tag table is known to have no row of the object, which is `stored` on disk. */
  knowsNoRowsOf(id: ObjectId, stored: StoredObject | null): boolean;
}

export class ObjectLoading implements ReadListener {
  readonly #context: LoadContext;
  readonly #id: ObjectId;
  readonly #listener: LoadListener;
  #key: Buffer;
  #place: 'object' | 'tombstone' = 'object';

  constructor(context: LoadContext, id: ObjectId, listener: LoadListener) {
    this.#context = context;
    this.#id = id;
    this.#listener = listener;
    this.#key = keys.objectKey(id);
  }

  start(): void {
    this.#context.reads.ask(this.#key, this);
  }

  found(value: Buffer | undefined): void {
    if (value === undefined && this.#place === 'object' && this.#context.tombstoneCount > 0) {
      this.#place = 'tombstone';
      this.#key = keys.tombstoneKey(this.#id);
      this.start();
      return;
    }
    let stored: StoredObject | null;
    try {
      stored = value === undefined ? null : this.#decode(value);
    } catch (error) {
      this.fail(asError(error));
      return;
    }
    this.#listener.loaded(stored, this.#context.knowsNoRowsOf(this.#id, stored));
  }

  #decode(value: Buffer): StoredObject {
    return this.#place === 'object' ? decodeObject(this.#key, value) : decodeTombstone(this.#key, value);
  }

  fail(failure: Error): void {
    this.#listener.fail(failure);
  }
}
