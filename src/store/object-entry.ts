/**
 * One object in memory: the only authority on it while it is here. `pending` is the newest admitted state, on which the next transaction
 * builds; `committed` is the newest one on disk, which is all that a read may see.
 */
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import type { TagRow } from '../protocol/write.js';
import { inlineBytes } from './extent-map.js';
import type { CommitBatch } from './group-commit.js';
import type { ObjectTask } from './object-turn.js';
import type { StoredObject } from './records.js';
import { RememberedRows } from './remembered-rows.js';

/** Rows of one object that are remembered after they are committed. */
const ROWS_REMEMBERED_MAX = 256;
const ENTRY_BYTES = 400;
const EXTENT_BYTES = 120;
const ROW_BYTES = 240;

/** A batch that changes the object and is not on disk, with the state that it leaves. */
export interface UnwrittenState {
  readonly batch: CommitBatch;
  stored: StoredObject | null;
}

export class ObjectEntry {
  readonly id: ObjectId;
  committed: StoredObject | null = null;
  pending: StoredObject | null = null;
  /** In order. */
  #unwritten: UnwrittenState[] = [];
  /** Rows by tag as of `pending`. Tags that are not here are unknown, unless `knowsAllRows`. */
  readonly rows = new RememberedRows();
  knowsAllRows = false;
  isLoaded = false;
  loadFailure: Error | null = null;
  /** Whose turn it is. */
  turn: ObjectTask<ObjectEntry> | null = null;
  /** That one waits for something. */
  isBusy = false;
  users = 0;
  /** Those after him, in the order in which they came. */
  #queue: ObjectTask<ObjectEntry>[] | null = null;
  /** Who looks at it once it is loaded. */
  #lookers: (() => void)[] | null = null;
  /** Somebody wanted to know of it. */
  wasLookedAt = false;
  /** What it weighed when it became idle; 0 while it is used. */
  idleBytes = 0;

  constructor(id: ObjectId) {
    this.id = id;
  }

  /** The last batch that `pending` stands on; null: it is on disk. */
  get pendingBatch(): CommitBatch | null {
    return this.#unwritten.at(-1)?.batch ?? null;
  }

  /** Takes note that a batch leaves the object in `stored`. Null: that batch was noted before. */
  noteUnwritten(batch: CommitBatch, stored: StoredObject | null): UnwrittenState | null {
    this.pending = stored;
    const last = this.#unwritten.at(-1);
    if (last?.batch === batch) {
      last.stored = stored;
      return null;
    }
    const unwritten = { batch, stored };
    if (last === undefined) this.#unwritten = [unwritten];
    else this.#unwritten.push(unwritten);
    return unwritten;
  }

  /** The batch is on disk. */
  noteWritten(unwritten: UnwrittenState): void {
    invariant(this.#unwritten.shift() === unwritten, 'batches are written in order');
    this.committed = unwritten.stored;
    if (this.#unwritten.length === 0) this.#forgetRows();
  }

  enqueue(task: ObjectTask<ObjectEntry>): void {
    if (this.turn === null) this.turn = task;
    else (this.#queue ??= []).push(task);
  }

  /** Gives the turn to the next one. */
  endTurn(): void {
    this.turn = this.#queue?.shift() ?? null;
  }

  addLooker(looker: () => void): void {
    (this.#lookers ??= []).push(looker);
  }

  wakeLookers(): void {
    const lookers = this.#lookers ?? [];
    this.#lookers = null;
    for (const wake of lookers) wake();
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
    return this.rows.present();
  }

  /** Takes in one row as the disk has it, null when it has none; what is known in memory is newer. */
  learnRow(tag: Tag, row: TagRow | null): void {
    if (this.rows.get(tag) === undefined) this.rows.set(tag, row);
  }

  /** Takes in all rows that the disk has. */
  learnRows(stored: readonly TagRow[]): void {
    for (const row of stored) this.learnRow(row.tag, row);
    this.knowsAllRows = true;
  }

  /**
   * What is on disk need not be remembered, unless somebody is reading it just now: what he finds may be older than what
   * was written meanwhile, and only these rows tell.
   */
  #forgetRows(): void {
    if (this.isBusy) return;
    if (this.rows.size <= ROWS_REMEMBERED_MAX) {
      this.rows.forgetAbsent();
      return;
    }
    this.rows.clear();
    this.knowsAllRows = false;
  }

  get weightBytes(): number {
    const { pending } = this;
    let bytes = ENTRY_BYTES + 2 * this.id.length + this.rows.size * ROW_BYTES;
    if (pending?.kind !== 'present') return bytes;
    bytes += pending.map.length * EXTENT_BYTES + inlineBytes(pending.map) + pending.state.attributes.length;
    return bytes;
  }
}
