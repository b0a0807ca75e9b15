/**
 * Drops tombstones that have done their work (`mayDropTombstone`; F20 to F22).
 *
 * Candidates are tombstones without rows, which only wait for the floor: few, and in memory. They are found when a
 * removal's last row is cleared, and for those of an earlier run by one walk in the background after the store is opened.
 * Nothing is dropped between a fence and the activation, nor while the store is being rebuilt: reconciliation lands by compare-and-set on what it has seen.
 */
import type { ObjectId } from '../protocol/object-id.js';
import { mayDropTombstone } from '../protocol/token.js';
import { readRange } from './database.js';
import { idOfKey, KEY_SPACE, spaceBounds } from './keys.js';
import type { ObjectEntry } from './object-entry.js';
import { type Attempt, waitFor } from './object-turn.js';
import type { StoreCore } from './store-core.js';

const DROPS_AT_ONCE_MAX = 64;

/** A store that is being rebuilt is active too, and keeps its tombstones (F35). */
function isInSync({ isActive, fence }: StoreCore): boolean {
  return isActive && fence.isRebuilding !== true;
}

export class Tombstones {
  readonly #core: StoreCore;
  readonly #candidates = new Set<ObjectId>();
  #sweep: Promise<void> | null = null;
  #walk: Promise<void> = Promise.resolve();
  #isSweepWanted = false;
  #isStopped = false;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** Looks for tombstones of an earlier run. */
  start(): void {
    if (this.#core.tombstoneCount > 0) this.#walk = this.#findCandidates();
  }

  async #findCandidates(): Promise<void> {
    try {
      for await (const [key] of readRange(this.#core.parts.database, spaceBounds(KEY_SPACE.tombstone))) {
        if (this.#isStopped) return;
        this.#candidates.add(idOfKey(key));
      }
      this.sweep();
    } catch (error) {
      this.#core.parts.logger.warn({ error }, 'tombstones of an earlier run could not be listed');
    }
  }

  /** A row of this object was cleared. */
  consider(entry: ObjectEntry): void {
    if (entry.pending?.kind !== 'tombstone') return;
    this.#candidates.add(entry.id);
    this.sweep();
  }

  /** Floor, epoch or rows have moved: tries all candidates once more. */
  sweep(): void {
    if (this.#candidates.size === 0 || this.#isStopped) return;
    this.#isSweepWanted = true;
    this.#sweep ??= this.#run();
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (this.#takeWish()) await this.#tryAll();
    } catch (error) {
      this.#core.parts.logger.warn({ error }, 'tombstones could not be dropped');
    }
    this.#sweep = null;
  }

  #takeWish(): boolean {
    const isWanted = this.#isSweepWanted && !this.#isStopped;
    this.#isSweepWanted = false;
    return isWanted;
  }

  async #tryAll(): Promise<void> {
    const candidates = [...this.#candidates];
    for (let at = 0; at < candidates.length && !this.#isStopped; at += DROPS_AT_ONCE_MAX) {
      const some = candidates.slice(at, at + DROPS_AT_ONCE_MAX);
      await Promise.all(some.map((id) => this.#core.table.perform(id, (entry) => this.#tryDrop(entry))));
    }
  }

  #tryDrop(entry: ObjectEntry): Attempt<void> {
    const { pending } = entry;
    const isTombstone = pending?.kind === 'tombstone';
    if (isTombstone && !entry.knowsAllRows)
      return { kind: 'wait', until: waitFor(() => this.#core.loadRows(entry)) };
    // Any row of the object keeps the tombstone, not only the removal's own: no row without an object state.
    const hasRow = isTombstone && entry.presentRows().length > 0;
    if (!isTombstone || hasRow) {
      this.#candidates.delete(entry.id);
      return { kind: 'done', result: undefined };
    }
    const mayDrop = mayDropTombstone({
      lastTag: pending.state.lastTag,
      hasRow,
      floor: this.#core.floorOf(pending.state.lastTag),
      fencedEpoch: this.#core.fence.fencedEpoch,
      rebuilding: !isInSync(this.#core) || this.#core.selfDoubt !== null,
    });
    if (!mayDrop) return { kind: 'done', result: undefined };
    this.#candidates.delete(entry.id);
    this.#core.changeObject(this.#core.commit.open(), entry, null);
    return { kind: 'done', result: undefined };
  }

  /** Ends what runs in the background. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#walk;
    while (this.#sweep !== null) await this.#sweep;
  }
}
