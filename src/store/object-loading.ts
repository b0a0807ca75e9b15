/** Reading what the disk has of one object: its record, else its tombstone, and whether it may have rows. A new name needs no read. */
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
  /** True when it is certain that there is neither a record nor a tombstone. */
  isUnknown(id: ObjectId): boolean;
  /** True when the tag table is known to have no row of the object, which is `stored` on disk. */
  knowsNoRowsOf(id: ObjectId, stored: StoredObject | null): boolean;
}

const NO_KEY = Buffer.alloc(0);

export class ObjectLoading implements ReadListener {
  readonly #context: LoadContext;
  readonly #id: ObjectId;
  readonly #listener: LoadListener;
  #key: Buffer = NO_KEY;
  #place: 'object' | 'tombstone' = 'object';

  constructor(context: LoadContext, id: ObjectId, listener: LoadListener) {
    this.#context = context;
    this.#id = id;
    this.#listener = listener;
  }

  start(): void {
    if (this.#context.isUnknown(this.#id)) this.#tell(null);
    else this.#ask(keys.objectKey(this.#id));
  }

  #ask(key: Buffer): void {
    this.#key = key;
    this.#context.reads.ask(key, this);
  }

  found(value: Buffer | undefined): void {
    if (value === undefined && this.#place === 'object' && this.#context.tombstoneCount > 0) {
      this.#place = 'tombstone';
      this.#ask(keys.tombstoneKey(this.#id));
      return;
    }
    let stored: StoredObject | null;
    try {
      stored = value === undefined ? null : this.#decode(value);
    } catch (error) {
      this.fail(asError(error));
      return;
    }
    this.#tell(stored);
  }

  #tell(stored: StoredObject | null): void {
    this.#listener.loaded(stored, this.#context.knowsNoRowsOf(this.#id, stored));
  }

  #decode(value: Buffer): StoredObject {
    return this.#place === 'object' ? decodeObject(this.#key, value) : decodeTombstone(this.#key, value);
  }

  fail(failure: Error): void {
    this.#listener.fail(failure);
  }
}
