/**
 * The objects in memory: one entry for each object that somebody works on, and a bounded number of others.
 *
 * An entry is the only authority on its object while it is here. `pending` is the newest admitted state, on which the
 * next transaction builds; `committed` is the newest one on disk, which is all that a read may see. Whoever changes an object takes its
 * turn at the entry, in the order of arrival; the turn is kept while something must be fetched first.
 */
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import type { TagRow } from '../protocol/write.js';
import { inlineBytes } from './extent-map.js';
import type { CommitBatch } from './group-commit.js';
import type { StoredObject } from './records.js';

/** What one try of a turn comes to: its result, or what to wait for before the next try. */
export type Attempt<T> =
  | { readonly kind: 'done'; readonly result: T | Promise<T> }
  | { readonly kind: 'wait'; readonly until: () => Promise<void> };

interface Turn {
  /** Null: it is over. */
  readonly attempt: () => (() => Promise<void>) | null;
  readonly fail: (error: unknown) => void;
}

/** What the disk has of an object when its entry is made. */
export interface LoadedObject {
  readonly stored: StoredObject | null;
  /** True when the tag table is known to have no row of it. */
  readonly hasNoRows: boolean;
}

/** Rows of one object that are remembered after they are committed. */
const ROWS_REMEMBERED_MAX = 256;
const ENTRY_BYTES = 400;
const EXTENT_BYTES = 120;
const ROW_BYTES = 240;

export class ObjectEntry {
  readonly id: ObjectId;
  committed: StoredObject | null = null;
  pending: StoredObject | null = null;
  /** The batches that change this object and are not on disk, in order, with the state that each one leaves. */
  readonly unwritten: { readonly batch: CommitBatch; stored: StoredObject | null }[] = [];
  /** Rows by tag as of `pending`; null: known to be absent. Tags that are not here are unknown, unless `knowsAllRows`. */
  readonly rows = new Map<Tag, TagRow | null>();
  knowsAllRows = false;
  isLoaded = false;
  isBusy = false;
  users = 0;
  readonly turns: Turn[] = [];
  readonly waiting: (() => void)[] = [];
  loadError: unknown = null;
  /** What it weighed when it became idle; 0 while it is used. */
  idleBytes = 0;

  constructor(id: ObjectId) {
    this.id = id;
  }

  /** The last batch that `pending` stands on; null: it is on disk. */
  get pendingBatch(): CommitBatch | null {
    return this.unwritten.at(-1)?.batch ?? null;
  }

  /** A row, null when there is none, 'unknown' when only the disk can tell. */
  row(tag: Tag): TagRow | null | 'unknown' {
    const known = this.rows.get(tag);
    if (known !== undefined) return known;
    if (this.knowsAllRows) return null;
    // No row is newer than the object's last write.
    return this.pending !== null && tag > this.pending.state.lastTag ? null : 'unknown';
  }

  /** The rows there are. Precondition: `knowsAllRows`. */
  presentRows(): TagRow[] {
    invariant(this.knowsAllRows, 'the rows of the object are in memory');
    return [...this.rows.values()].filter((row) => row !== null);
  }

  /** Takes in all rows that the disk has; what is known in memory is newer. */
  learnRows(stored: readonly TagRow[]): void {
    for (const row of stored) if (!this.rows.has(row.tag)) this.rows.set(row.tag, row);
    this.knowsAllRows = true;
  }

  /**
   * What is on disk need not be remembered, unless somebody is reading it just now: what he finds may be older than what
   * was written meanwhile, and only these rows tell.
   */
  forgetRows(): void {
    if (this.isBusy) return;
    if (this.rows.size > ROWS_REMEMBERED_MAX) {
      this.rows.clear();
      this.knowsAllRows = false;
      return;
    }
    for (const [tag, row] of this.rows) if (row === null) this.rows.delete(tag);
  }

  get weightBytes(): number {
    const { pending } = this;
    let bytes = ENTRY_BYTES + 2 * this.id.length + this.rows.size * ROW_BYTES;
    if (pending?.kind !== 'present') return bytes;
    bytes += pending.map.length * EXTENT_BYTES + inlineBytes(pending.map) + pending.state.attributes.length;
    return bytes;
  }
}

export class ObjectTable {
  readonly #load: (id: ObjectId) => Promise<LoadedObject>;
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

  constructor(load: (id: ObjectId) => Promise<LoadedObject>, idleBytesMax: number) {
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
    void this.#fill(entry);
    return entry;
  }

  async #fill(entry: ObjectEntry): Promise<void> {
    try {
      const { stored, hasNoRows } = await this.#load(entry.id);
      entry.committed = stored;
      entry.pending = stored;
      entry.knowsAllRows = hasNoRows;
    } catch (error) {
      entry.loadError = error;
      // Whoever comes later tries again.
      this.#young.delete(entry.id);
    }
    entry.isLoaded = true;
    for (const wake of entry.waiting.splice(0)) wake();
    this.#advance(entry);
  }

  #release(entry: ObjectEntry): void {
    entry.users -= 1;
    if (entry.users > 0 || entry.loadError !== null) return;
    invariant(entry.pendingBatch === null, 'an entry with a pending state is in use');
    entry.idleBytes = entry.weightBytes;
    this.#youngIdleBytes += entry.idleBytes;
    if (2 * this.#youngIdleBytes > this.#idleBytesMax) this.#turnGeneration();
  }

  #turnGeneration(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngIdleBytes = 0;
    for (const [id, entry] of this.#old) {
      if (entry.users === 0) continue;
      this.#old.delete(id);
      this.#young.set(id, entry);
    }
  }

  /** Takes note that a batch changes the object to `stored`, or only its rows; that becomes `committed` once it is written. */
  change(entry: ObjectEntry, batch: CommitBatch, stored: StoredObject | null): void {
    entry.pending = stored;
    const last = entry.unwritten.at(-1);
    if (last?.batch === batch) {
      last.stored = stored;
      return;
    }
    const unwritten = { batch, stored };
    entry.unwritten.push(unwritten);
    entry.users += 1;
    batch.afterwards(() => {
      invariant(entry.unwritten.shift() === unwritten, 'batches are written in order');
      entry.committed = unwritten.stored;
      if (entry.unwritten.length === 0) entry.forgetRows();
      this.#release(entry);
    });
  }

  /** Gives the newest committed state to `look`, at once or when it is loaded. */
  async look<T>(id: ObjectId, look: (entry: ObjectEntry) => T): Promise<Awaited<T>> {
    const known = this.#young.get(id);
    if (known?.isLoaded === true && known.loadError === null) return await look(known);
    return await this.#lookOnceLoaded(id, look);
  }

  async #lookOnceLoaded<T>(id: ObjectId, look: (entry: ObjectEntry) => T): Promise<T> {
    const entry = this.#acquire(id);
    try {
      if (!entry.isLoaded) await new Promise<void>((resolve) => entry.waiting.push(resolve));
      if (entry.loadError !== null) throw asError(entry.loadError);
      return look(entry);
    } finally {
      this.#release(entry);
    }
  }

  /** Tries `attempt` in the object's turn until it is done. What it throws ends its turn. */
  perform<T>(id: ObjectId, attempt: (entry: ObjectEntry) => Attempt<T>): Promise<T> {
    const entry = this.#acquire(id);
    const isItsTurn = entry.isLoaded && !entry.isBusy && entry.turns.length === 0 && entry.loadError === null;
    return isItsTurn ? this.#performNow(entry, attempt) : this.#queue(entry, attempt);
  }

  /** Nobody is before it: as a turn, but without one where nothing must be waited for. */
  #performNow<T>(entry: ObjectEntry, attempt: (entry: ObjectEntry) => Attempt<T>): Promise<T> {
    let outcome: Attempt<T>;
    try {
      outcome = attempt(entry);
    } catch (error) {
      this.#release(entry);
      return Promise.reject(asError(error));
    }
    if (outcome.kind === 'wait') return this.#queue(entry, attempt, outcome.until);
    this.#release(entry);
    const { result } = outcome;
    return result instanceof Promise ? result : Promise.resolve(result);
  }

  /** `until`: what its first try, which was made already, has to wait for. */
  #queue<T>(
    entry: ObjectEntry,
    attempt: (entry: ObjectEntry) => Attempt<T>,
    until: (() => Promise<void>) | null = null,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (error: unknown): void => {
        this.#release(entry);
        reject(asError(error));
      };
      const tryOnce = (): (() => Promise<void>) | null => {
        const outcome = attempt(entry);
        if (outcome.kind === 'wait') return outcome.until;
        this.#release(entry);
        resolve(outcome.result);
        return null;
      };
      entry.turns.push({ attempt: tryOnce, fail });
      if (until === null) this.#advance(entry);
      else void this.#wait(entry, until);
    });
  }

  #advance(entry: ObjectEntry): void {
    while (entry.isLoaded && !entry.isBusy) {
      const turn = entry.turns[0];
      if (turn === undefined) return;
      try {
        if (entry.loadError !== null) throw asError(entry.loadError);
        const until = turn.attempt();
        if (until !== null) {
          void this.#wait(entry, until);
          return;
        }
        entry.turns.shift();
      } catch (error) {
        entry.turns.shift();
        turn.fail(error);
      }
    }
  }

  async #wait(entry: ObjectEntry, until: () => Promise<void>): Promise<void> {
    entry.isBusy = true;
    try {
      await until();
    } catch (error) {
      entry.turns.shift()?.fail(error);
    }
    entry.isBusy = false;
    this.#advance(entry);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('not an error', { cause: error });
}
