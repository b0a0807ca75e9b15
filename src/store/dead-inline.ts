/** How much content in LevelDB's records was dropped since LevelDB last gave such space back, and between which keys. In memory only. */
import { objectKey } from './keys.js';
import type { ObjectId } from '../protocol/object-id.js';

export interface KeyRange {
  readonly first: Buffer;
  readonly last: Buffer;
}

export class DeadInline {
  #lengthBytes = 0;
  #range: KeyRange | null = null;

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** A record with so much content in it was dropped or replaced. */
  add(id: ObjectId, lengthBytes: number): void {
    if (lengthBytes === 0) return;
    const key = objectKey(id);
    const { first, last } = this.#range ?? { first: key, last: key };
    this.#range = {
      first: Buffer.compare(key, first) < 0 ? key : first,
      last: Buffer.compare(key, last) > 0 ? key : last,
    };
    this.#lengthBytes += lengthBytes;
  }

  /** The keys between which it is; null: there is none. */
  get range(): KeyRange | null {
    return this.#range;
  }

  /** LevelDB has given back, or is about to, what was dropped so far. */
  reset(): void {
    this.#lengthBytes = 0;
    this.#range = null;
  }
}
