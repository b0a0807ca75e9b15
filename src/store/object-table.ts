/**
 * The objects in memory: one entry (object-entry.ts) for each object that somebody works on, and a bounded number of others.
 *
 * Whoever changes an object takes its turn at the entry (object-turn.ts), in the order of arrival; the turn is kept while something must
 * be fetched first.
 */
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { CommitBatch } from './group-commit.js';
import { ObjectEntry } from './object-entry.js';
import { asError, type Attempt, type ObjectTask, PromisedTask, type Wait } from './object-turn.js';
import type { StoredObject } from './records.js';

/** Hears, once, what the disk has of an object when its entry is made. */
export interface LoadListener {
  /** `hasNoRows`: true when the tag table is known to have no row of it. */
  loaded(stored: StoredObject | null, hasNoRows: boolean): void;
  fail(failure: Error): void;
}

export type LoadObject = (id: ObjectId, listener: LoadListener) => void;

export class ObjectTable {
  readonly #load: LoadObject;
  readonly #idleBytesMax: number;
  /**
   * In two generations: once what is idle in the younger one weighs half of what is allowed, the older one is let go and the younger takes
   * its place; only what is in use then goes along. (A map that loses its oldest entry again and again is walked over its gaps
   * each time: a third of a put's time, measured. An entry stays where it is while it is used: a put uses it twice.)
   */
  #young = new Map<ObjectId, ObjectEntry>();
  /** Nothing in it is in use. */
  #old = new Map<ObjectId, ObjectEntry>();
  #youngIdleBytes = 0;
  readonly #onLoaded = (entry: ObjectEntry): void => {
    // Whoever comes later tries again.
    if (entry.loadFailure !== null) this.#young.delete(entry.id);
    entry.isLoaded = true;
    entry.wakeLookers();
    this.#advance(entry);
  };

  constructor(load: LoadObject, idleBytesMax: number) {
    this.#load = load;
    this.#idleBytesMax = idleBytesMax;
  }

  #acquire(id: ObjectId): ObjectEntry {
    const entry = this.#young.get(id) ?? this.#takeOld(id) ?? this.#makeEntry(id);
    if (entry.users === 0) {
      this.#youngIdleBytes -= entry.idleBytes;
      entry.idleBytes = 0;
    }
    entry.users += 1;
    return entry;
  }

  #takeOld(id: ObjectId): ObjectEntry | null {
    const entry = this.#old.get(id);
    if (entry === undefined) return null;
    this.#old.delete(id);
    entry.idleBytes = 0;
    this.#young.set(id, entry);
    return entry;
  }

  #makeEntry(id: ObjectId): ObjectEntry {
    const entry = new ObjectEntry(id);
    this.#young.set(id, entry);
    this.#load(id, new EntryLoading(entry, this.#onLoaded));
    return entry;
  }

  #release(entry: ObjectEntry): void {
    entry.users -= 1;
    if (entry.users > 0 || entry.loadFailure !== null) return;
    invariant(entry.pendingBatch === null, 'an entry with a pending state is in use');
    entry.idleBytes = entry.weightBytes;
    this.#youngIdleBytes += entry.idleBytes;
    if (2 * this.#youngIdleBytes > this.#idleBytesMax) this.#turnGeneration();
  }

  #turnGeneration(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngIdleBytes = 0;
    for (const entry of this.#old.values()) {
      if (entry.users === 0) continue;
      this.#old.delete(entry.id);
      this.#young.set(entry.id, entry);
    }
  }

  /** Takes note that a batch changes the object to `stored`, or only its rows; that becomes `committed` once it is written. */
  change(entry: ObjectEntry, batch: CommitBatch, stored: StoredObject | null): void {
    const unwritten = entry.noteUnwritten(batch, stored);
    if (unwritten === null) return;
    entry.users += 1;
    batch.afterwards(() => {
      entry.noteWritten(unwritten);
      this.#release(entry);
    });
  }

  /** Gives the newest committed state to `look`, at once or when it is loaded. */
  async look<T>(id: ObjectId, look: (entry: ObjectEntry) => T): Promise<Awaited<T>> {
    const known = this.#young.get(id);
    if (known?.isLoaded === true && known.loadFailure === null) return await look(known);
    return await this.#lookOnceLoaded(id, look);
  }

  async #lookOnceLoaded<T>(id: ObjectId, look: (entry: ObjectEntry) => T): Promise<T> {
    const entry = this.#acquire(id);
    try {
      if (!entry.isLoaded) await new Promise<void>((resolve) => entry.addLooker(resolve));
      if (entry.loadFailure !== null) throw entry.loadFailure;
      return look(entry);
    } finally {
      this.#release(entry);
    }
  }

  /** Tries `attempt` in the object's turn until it is done. What it throws ends its turn. */
  perform<T>(id: ObjectId, attempt: (entry: ObjectEntry) => Attempt<T>): Promise<T> {
    const task = new PromisedTask(attempt);
    this.run(id, task);
    return task.result;
  }

  /** Runs a task in the object's turn: now, if it has no need to wait. */
  run(id: ObjectId, task: ObjectTask<ObjectEntry>): void {
    const entry = this.#acquire(id);
    const isItsTurn = entry.turn === null;
    entry.enqueue(task);
    if (isItsTurn) this.#advance(entry);
  }

  #advance(entry: ObjectEntry): void {
    while (entry.isLoaded && !entry.isBusy && entry.turn !== null) {
      const wait = tryOnce(entry, entry.turn);
      if (wait === null) this.#endTurn(entry);
      else this.#wait(entry, wait);
    }
  }

  #endTurn(entry: ObjectEntry): void {
    entry.endTurn();
    this.#release(entry);
  }

  #wait(entry: ObjectEntry, wait: Wait): void {
    entry.isBusy = true;
    wait((failure) => {
      invariant(entry.isBusy, 'what was waited for comes once');
      entry.isBusy = false;
      if (failure !== null) {
        entry.turn?.fail(failure);
        this.#endTurn(entry);
      }
      this.#advance(entry);
    });
  }
}

class EntryLoading implements LoadListener {
  readonly #entry: ObjectEntry;
  readonly #onLoaded: (entry: ObjectEntry) => void;

  constructor(entry: ObjectEntry, onLoaded: (entry: ObjectEntry) => void) {
    this.#entry = entry;
    this.#onLoaded = onLoaded;
  }

  loaded(stored: StoredObject | null, hasNoRows: boolean): void {
    this.#entry.committed = stored;
    this.#entry.pending = stored;
    this.#entry.knowsAllRows = hasNoRows;
    this.#onLoaded(this.#entry);
  }

  fail(failure: Error): void {
    this.#entry.loadFailure = failure;
    this.#onLoaded(this.#entry);
  }
}

/** Null: its turn is over. */
function tryOnce(entry: ObjectEntry, task: ObjectTask<ObjectEntry>): Wait | null {
  try {
    if (entry.loadFailure !== null) throw entry.loadFailure;
    return task.attempt(entry);
  } catch (error) {
    task.fail(asError(error));
    return null;
  }
}
