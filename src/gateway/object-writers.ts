/**
 * The writers of a mirror set as those see them who change objects: each object has one (protocol/shard.ts), in this process
 * or in another one. `OnlyWriter` has all of them; `workers/sharded-writers.ts` knows more.
 */
import type { ObjectId } from '../protocol/object-id.js';
import type { Soon } from '../protocol/soon.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { SettledWrite } from '../writer/in-flight-writes.js';
import type { WriteDraft } from '../writer/write-draft.js';
import { KeyLocks } from './key-locks.js';
import type { SetWriter } from './set-writer.js';

export type HeldWrite =
  /** Nothing was written: it is another epoch. */
  | { readonly kind: 'stale' }
  /** Nothing was written: the objects are held no more. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'written'; readonly settled: Promise<SettledWrite> };

/** Objects that nobody else changes meanwhile. */
export interface Hold {
  /** True when that is so no more: a writer that kept one of them for us has ended. */
  readonly isLost: boolean;
  /**
   * Writes to the object that was named first. Precondition: the gate of this process is open, in this epoch, and nothing was awaited
   * since that was seen. Rejects with `outcome-unknown` when its writer ended meanwhile.
   */
  write(draft: WriteDraft, epoch: Epoch): Soon<HeldWrite>;
}

/** A writer in another process. */
export interface FarWriter {
  /** Makes a write that depends on nothing, under its own lock. Rejects with ObjectStorageError. */
  commit(draft: WriteDraft): Promise<Tag>;
}

export interface ObjectWriters {
  /** Null: the writer of this object is in this process. */
  far(id: ObjectId): FarWriter | null;
  /** Runs `work` while nobody else changes these objects. Rejects with `unavailable` when a writer of one is not there. */
  hold<Result>(ids: readonly ObjectId[], work: (hold: Hold) => Promise<Result>): Promise<Result>;
}

export class OnlyWriter implements ObjectWriters {
  readonly #locks = new KeyLocks();
  readonly #hold: Hold;

  constructor(set: SetWriter) {
    this.#hold = {
      isLost: false,
      write: (draft) => ({ kind: 'written', settled: set.write(draft) }),
    };
  }

  far(_id: ObjectId): null {
    return null;
  }

  hold<Result>(ids: readonly ObjectId[], work: (hold: Hold) => Promise<Result>): Promise<Result> {
    return this.#locks.runAll(ids, () => work(this.#hold));
  }
}
