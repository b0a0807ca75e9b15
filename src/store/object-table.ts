/**
 * The objects in memory: one entry (object-entry.ts) for each object that somebody works on, and a bounded number of others: those that were
 * looked at, and for a moment those that were only written.
 *
 * Whoever changes an object takes its turn at the entry (object-turn.ts), in the order of arrival; the turn is kept while something must
 * be fetched first.
 */
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import { PassingMap } from '../protocol/passing-map.js';
import type { CommitBatch } from './group-commit.js';
import { ObjectEntry } from './object-entry.js';
import { asError, type Attempt, type ObjectTask, PromisedTask, type Wait } from './object-turn.js';
import type { StoredObject } from './records.js';
import { TwoGenerations } from './two-generations.js';

/** Hears, once, what the disk has of an object when its entry is made. */
export interface LoadListener {
  /** `hasNoRows`: true when the tag table is known to have no row of it. */
  loaded(stored: StoredObject | null, hasNoRows: boolean): void;
  fail(failure: Error): void;
}

export type LoadObject = (id: ObjectId, listener: LoadListener) => void;

/**
 * What was written and not looked at stays as long as its clear takes to come, some milliseconds under load. Longer, and it would be old in V8's
 * eyes when it goes, which costs more than loading it again does when somebody wants it (bench/README.md).
 */
const WRITTEN_BYTES_MAX = 256 * 1024;

export class ObjectTable {
  readonly #load: LoadObject;
  /** Looked at, and not in use. */
  readonly #looked: TwoGenerations<ObjectId, ObjectEntry>;
  readonly #writtenBytesMax: number;
  /**
   * In use, or written and not looked at since. In two generations: once what is idle in the younger one weighs half of what is allowed, the older
   * one is let go and the younger takes its place; only what is in use then goes along. An entry stays where it is while it is used: a put uses it
   * twice.
   */
  #young = new PassingMap<ObjectId, ObjectEntry>();
  /** Nothing in it is in use. */
  #old = new PassingMap<ObjectId, ObjectEntry>();
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
    this.#looked = new TwoGenerations(idleBytesMax, ({ idleBytes }) => idleBytes);
    this.#writtenBytesMax = Math.min(WRITTEN_BYTES_MAX, idleBytesMax);
  }

  #acquire(id: ObjectId): ObjectEntry {
    const entry = this.#young.get(id) ?? this.#takeIdle(id) ?? this.#makeEntry(id);
    if (entry.users === 0) {
      this.#youngIdleBytes -= entry.idleBytes;
      entry.idleBytes = 0;
    }
    entry.users += 1;
    return entry;
  }

  #takeIdle(id: ObjectId): ObjectEntry | null {
    const written = this.#old.get(id);
    if (written !== undefined) this.#old.delete(id);
    const entry = written ?? this.#looked.take(id);
    if (entry === undefined) return null;
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
    if (entry.wasLookedAt) {
      this.#young.delete(entry.id);
      this.#looked.keep(entry.id, entry);
      return;
    }
    this.#youngIdleBytes += entry.idleBytes;
    if (2 * this.#youngIdleBytes > this.#writtenBytesMax) this.#turnGeneration();
  }

  #turnGeneration(): void {
    for (const entry of this.#old.values()) if (entry.wasLookedAt) this.#looked.keep(entry.id, entry);
    const all = this.#young;
    this.#young = new PassingMap();
    this.#old = new PassingMap();
    this.#youngIdleBytes = 0;
    for (const entry of all.values()) (entry.users > 0 ? this.#young : this.#old).set(entry.id, entry);
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
    const known = this.#young.get(id) ?? this.#looked.get(id);
    if (known?.isLoaded !== true || known.loadFailure !== null) return await this.#lookOnceLoaded(id, look);
    known.wasLookedAt = true;
    return await look(known);
  }

  async #lookOnceLoaded<T>(id: ObjectId, look: (entry: ObjectEntry) => T): Promise<T> {
    const entry = this.#acquire(id);
    entry.wasLookedAt = true;
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
