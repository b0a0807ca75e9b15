/**
 * Makes room when the disk is short of space (free-space.ts): what was removed must give back what it took, and nothing
 * else is needed for that. One worker, in rounds until the disk is at ease; owned by the store, which stops it and waits for it.
 *
 * A round, which ends as soon as there is room:
 *   1. Segments that are written to are sealed when enough in them is dead; one without anything alive goes at once.
 *   2. The deadest segments are compacted first, from a lower share on than at other times. One at a time, and only when the copy
 *      of what is alive in it leaves LevelDB its part of the reserve; the old file is gone before the next one is begun.
 *   3. LevelDB compacts the keys between which content was removed from its records.
 *
 * Commit order: that of compaction.ts. Sealing is a synced batch ahead of it, so a crash leaves segments that are open or sealed.
 *
 * Not here: holes punched into segments, which would need no copies, but Node has no call for it. Content that was removed from
 * LevelDB's records in an earlier run is given back when LevelDB gets to it by itself.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Compaction } from './compaction.js';
import type { KeyRange } from './dead-inline.js';
import { HEAD_KEY } from './keys.js';
import type { Segment } from './segment.js';
import type { StoreCore } from './store-core.js';

/** A segment that is written to is sealed when so much in it is dead, or this share of the longest one. */
const SEAL_GAIN_BYTES = 1024 * 1024;
const SEAL_GAIN_SHARE = 1 / 8;

/** Each takes what nobody was reading just then, and costs LevelDB a short log. */
const REST_ATTEMPTS_MAX = 16;

export class Reclamation {
  readonly #core: StoreCore;
  readonly #compaction: Compaction;
  readonly #stopping = new AbortController();
  #run: Promise<void> | null = null;
  /** What LevelDB was made to compact, of which it may have left something. */
  #rest: KeyRange | null = null;
  #restAttempts = 0;

  constructor(core: StoreCore, compaction: Compaction) {
    this.#core = core;
    this.#compaction = compaction;
    core.parts.freeSpace.onShort = () => this.#begin();
  }

  /** The disk may have been short of space before the store was opened. */
  start(): void {
    if (this.#core.parts.freeSpace.isShort) this.#begin();
  }

  #mayGoOn(): boolean {
    return !this.#stopping.signal.aborted && this.#core.commit.failure === null;
  }

  #begin(): void {
    if (this.#run === null && this.#mayGoOn()) this.#run = this.#work();
  }

  async #work(): Promise<void> {
    const { freeSpace, segments, limits, logger } = this.#core.parts;
    const { signal } = this.#stopping;
    logger.warn({ freeBytes: freeSpace.freeBytes }, 'the disk is short of space: what is dead is given back');
    while (this.#mayGoOn()) {
      try {
        await this.#round();
      } catch (error) {
        this.#core.failOn(error);
        logger.warn({ error }, 'no room could be made');
      }
      if (!this.#isNeeded()) break;
      await delay(limits.reclaimIntervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    this.#run = null;
    if (!this.#mayGoOn()) return;
    logger.info({ freeBytes: freeSpace.freeBytes }, 'the disk has room again');
    for (const segment of segments.all()) segments.consider(segment);
  }

  #isNeeded(): boolean {
    return this.#mayGoOn() && this.#core.parts.freeSpace.isShort;
  }

  async #round(): Promise<void> {
    const { freeSpace, segments } = this.#core.parts;
    await freeSpace.refresh();
    if (!this.#isNeeded()) return;
    await this.#seal();
    for (const { id } of this.#deadestFirst()) {
      await segments.settle();
      await freeSpace.refresh();
      if (!this.#isNeeded()) return;
      await this.#compaction.compact(id);
    }
    await segments.settle();
    await freeSpace.refresh();
    if (this.#isNeeded()) await this.#compactDatabase();
    await freeSpace.refresh();
  }

  async #seal(): Promise<void> {
    const { space, limits } = this.#core.parts;
    const leastBytes = Math.min(SEAL_GAIN_BYTES, limits.segmentBytesMax * SEAL_GAIN_SHARE);
    const some = space.openSegments.filter(
      (segment) => segment.unnamedCount === 0 && segment.deadBytes >= leastBytes,
    );
    if (some.length === 0) return;
    const batch = this.#core.commit.open();
    batch.requireSync();
    for (const segment of some) space.seal(segment);
    await batch.written;
  }

  #deadestFirst(): Segment[] {
    const { segments, limits } = this.#core.parts;
    return [...segments.all()]
      .filter(({ isSealed, liveBytes, unnamedCount }) => isSealed && liveBytes > 0 && unnamedCount === 0)
      .filter(({ deadShare }) => deadShare >= limits.shortageDeadShare)
      .sort((left, right) => right.deadShare - left.deadShare);
  }

  async #compactDatabase(): Promise<void> {
    const { database, deadInline, freeSpace, limits, logger } = this.#core.parts;
    const { range, lengthBytes } = deadInline;
    if (range !== null && lengthBytes >= limits.deadInlineBytesMin) {
      const storedBytes = await database.approximateSize(range.first, range.last);
      // LevelDB merges a few tables at a time: no more than what is there, nor than it may need at any time.
      const hasRoom = freeSpace.copyBytesMax >= Math.min(storedBytes, limits.freeReserveBytes / 2);
      if (hasRoom && lengthBytes >= limits.shortageDeadShare * storedBytes) {
        deadInline.reset();
        this.#rest = range;
        this.#restAttempts = 0;
        await database.compactRange(range.first, range.last);
        logger.info({ lengthBytes }, 'LevelDB was made to give back content that was removed');
        return;
      }
    }
    if (this.#rest === null || this.#restAttempts >= REST_ATTEMPTS_MAX) return;
    this.#restAttempts += 1;
    // LevelDB leaves tables that were being read meanwhile until it merges again, and a table that is alone until another
    // one overlaps it: the commit head does, which comes first in every table.
    const batch = this.#core.commit.open();
    batch.requireSync();
    await batch.written;
    await database.compactRange(HEAD_KEY, this.#rest.last);
  }

  /** Starts nothing further, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    while (this.#run !== null) await this.#run;
  }
}
