/**
 * Compaction: moves what is alive out of segments that are mostly dead, so that these can be removed. One worker, one
 * segment at a time, at a bounded rate; owned by the store, which stops it and waits for it.
 *
 * Commit order: a fragment is read and checked, written to a segment of the `moved` lane and synced; then one synced batch
 * points its blob to the copy, unless the blob died meanwhile. The old segment goes once that batch is on disk and its last
 * reader is gone (segment-table.ts). A crash leaves the fragment where it was or where it is now, and dead space in the
 * other place. A segment with a fragment that fails its checksum stays: to copy that one would pass rot on (F30). Copies never
 * take what LevelDB needs (free-space.ts); when the disk is short of space, reclamation.ts says which segment is next.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readRange } from './database.js';
import type { PlacedFragment } from './fragment-reads.js';
import {
  type BlobId,
  KEY_SPACE,
  residentBounds,
  residentOfKey,
  type SegmentId,
  segmentIdOfKey,
  spaceBounds,
} from './keys.js';
import { READ_PIECE_BYTES, StoreError } from './object-store.js';
import { PackedLane } from './packed-lane.js';
import type { Segment } from './segment.js';
import { type Fragment, fragmentBytes } from './segment-format.js';
import { type BlobRow, fragmentsOf } from './small-values.js';
import type { StoreCore } from './store-core.js';

/** Blobs whose moves share a sync and a batch. */
const BLOBS_AT_ONCE_MAX = 64;
const MS_PER_SECOND = 1000;

interface Move {
  readonly blobId: BlobId;
  readonly from: Fragment;
  readonly to: Fragment;
}

/** What a blob has in one segment. */
function placedIn(segmentId: SegmentId, blobId: BlobId, row: BlobRow): PlacedFragment[] {
  let blobOffset = 0;
  const placed: PlacedFragment[] = [];
  for (const fragment of fragmentsOf(row.location)) {
    if (fragment.segmentId === segmentId) placed.push({ ...fragment, blobId, blobOffset });
    blobOffset += fragment.length;
  }
  return placed;
}

export class Compaction {
  readonly #core: StoreCore;
  readonly #packed: PackedLane;
  readonly #wanted = new Set<SegmentId>();
  /** Those with damage: not tried again in this run. */
  readonly #damaged = new Set<SegmentId>();
  readonly #stopping = new AbortController();
  #run: Promise<void> | null = null;
  #walk: Promise<void> = Promise.resolve();
  /** One segment at a time, whoever asked. */
  #turn: Promise<void> = Promise.resolve();

  constructor(core: StoreCore) {
    this.#core = core;
    this.#packed = new PackedLane(core.parts.space, 'moved', null);
    core.parts.segments.onSealedChanged = (segment) => this.#consider(segment);
  }

  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Looks for segments that an earlier run left dead, or worth compacting. */
  start(): void {
    this.#walk = this.#findSegments();
  }

  async #findSegments(): Promise<void> {
    const { database, segments, logger } = this.#core.parts;
    try {
      for await (const [key, value] of readRange(database, spaceBounds(KEY_SPACE.segment))) {
        if (this.#isStopped()) return;
        const segment = segments.learn(segmentIdOfKey(key), value);
        if (segment !== null) segments.consider(segment);
      }
    } catch (error) {
      logger.warn({ error }, 'segments of an earlier run could not be listed');
    }
  }

  #consider(segment: Segment): void {
    const { limits, freeSpace } = this.#core.parts;
    if (segment.deadBytes === 0 || segment.deadShare < limits.compactionDeadShare) return;
    if (freeSpace.isShort) return; // which one is next is up to reclamation.ts then
    if (this.#damaged.has(segment.id) || this.#isStopped()) return;
    this.#wanted.add(segment.id);
    this.#run ??= this.#work();
  }

  async #work(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    for (const segmentId of this.#wanted) {
      if (this.#isStopped() || this.#core.commit.failure !== null) break;
      this.#wanted.delete(segmentId);
      await this.compact(segmentId);
    }
    this.#run = null;
  }

  /** Moves out what is alive in a segment, after those that were asked for before; not when it is damaged or there is no room for the copy. */
  compact(segmentId: SegmentId): Promise<void> {
    this.#turn = this.#turn.then(() => this.#tryCompact(segmentId));
    return this.#turn;
  }

  async #tryCompact(segmentId: SegmentId): Promise<void> {
    if (this.#isStopped() || this.#damaged.has(segmentId)) return;
    try {
      if (await this.#hasRoomFor(segmentId)) await this.#moveAllOut(segmentId);
    } catch (error) {
      if (this.#isStopped()) return;
      // A full disk may have room the next time that something in the segment dies.
      if (error instanceof StoreError && error.code === 'damaged') this.#damaged.add(segmentId);
      this.#core.failOn(error);
      this.#core.parts.logger.error({ error, segmentId }, 'a segment could not be compacted');
    }
  }

  async #hasRoomFor(segmentId: SegmentId): Promise<boolean> {
    const { segments, freeSpace } = this.#core.parts;
    if (!segments.has(segmentId)) return false; // nobody needed it any more
    await freeSpace.refresh();
    return segments.has(segmentId) && segments.get(segmentId).liveBytes <= freeSpace.copyBytesMax;
  }

  async #moveAllOut(segmentId: SegmentId): Promise<void> {
    let blobIds: BlobId[] = [];
    for await (const [key] of readRange(this.#core.parts.database, residentBounds(segmentId))) {
      if (this.#isStopped()) return;
      blobIds.push(residentOfKey(key));
      if (blobIds.length < BLOBS_AT_ONCE_MAX) continue;
      await this.#moveOut(segmentId, blobIds);
      blobIds = [];
    }
    if (blobIds.length > 0) await this.#moveOut(segmentId, blobIds);
  }

  /** Moves what these blobs have in the segment. */
  async #moveOut(segmentId: SegmentId, blobIds: readonly BlobId[]): Promise<void> {
    const { ledger, reaper } = this.#core.parts;
    const held: BlobId[] = [];
    // Who dies meanwhile stays known until it is unpinned.
    for (const blobId of blobIds) reaper.pin(blobId);
    try {
      const placed: PlacedFragment[] = [];
      for (const blobId of blobIds) {
        const row = await ledger.holdAlive(blobId);
        if (row === null) continue;
        held.push(blobId);
        placed.push(...placedIn(segmentId, blobId, row));
      }
      const { packBytesMax, writeGatherBytes } = this.#core.parts.limits;
      let small: PlacedFragment[] = [];
      let smallBytes = 0;
      for (const fragment of placed) {
        if (this.#isStopped()) return;
        if (fragment.length > writeGatherBytes) {
          await this.#commit([await this.#copyLarge(fragment)]);
          continue;
        }
        small.push(fragment);
        smallBytes += fragment.length;
        if (smallBytes < packBytesMax / 2) continue;
        await this.#moveSmall(small);
        small = [];
        smallBytes = 0;
      }
      if (small.length > 0) await this.#moveSmall(small);
    } finally {
      ledger.release(held);
      for (const blobId of blobIds) reaper.unpin(blobId);
    }
  }

  /** Resolves once so many bytes may have been copied. */
  async #pace(lengthBytes: number): Promise<void> {
    const pauseMs = (lengthBytes * MS_PER_SECOND) / this.#core.parts.limits.compactionBytesPerSecondMax;
    if (pauseMs >= 1) await delay(pauseMs, undefined, { signal: this.#stopping.signal, ref: false });
  }

  async #moveSmall(placed: readonly PlacedFragment[]): Promise<void> {
    const checked = [];
    for (const fragment of placed)
      checked.push({ fragment, ...(await this.#core.parts.fragments.readWhole(fragment)) });
    await this.#pace(placed.reduce((sum, { length }) => sum + fragmentBytes(length), 0));
    const outcomes = await Promise.allSettled(
      checked.map(async ({ fragment, content, chunks }): Promise<Move> => {
        const { blobId, blobOffset, length } = fragment;
        const packed = { blobId, blobOffset, pieces: [content], lengthBytes: length, chunks };
        return { blobId, from: fragment, to: await this.#packed.append(packed) };
      }),
    );
    const moves = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    await this.#commit(moves);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #copyLarge(from: PlacedFragment): Promise<Move> {
    const { space, fragments } = this.#core.parts;
    const totalBytes = fragmentBytes(from.length);
    const place = await space.reserve('moved', totalBytes, totalBytes);
    try {
      for (let at = 0; at < from.length; at += READ_PIECE_BYTES) {
        const piece = await fragments.read(from, at, Math.min(READ_PIECE_BYTES, from.length - at));
        await space.write(place, [piece], place.offset + at);
        await this.#pace(piece.length);
      }
      await space.write(place, [await fragments.readTrailer(from)], place.offset + from.length);
      await space.sync(place.segment);
    } catch (error) {
      space.settle(place, 0);
      throw error;
    }
    space.settle(place, totalBytes);
    const { segment, offset } = place;
    return { blobId: from.blobId, from, to: { segmentId: segment.id, offset, length: from.length } };
  }

  /** Points the blobs to their copies, in one batch. */
  async #commit(moves: readonly Move[]): Promise<void> {
    const { ledger, segments } = this.#core.parts;
    const batch = this.#core.commit.open();
    batch.requireSync(); // the old segment is removed once this is on disk
    for (const { blobId, from, to } of moves)
      if (!ledger.relocate(batch, blobId, { from, to })) segments.giveUp([to]);
    await batch.written;
  }

  /** Starts nothing further, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#walk;
    while (this.#run !== null) await this.#run;
    await this.#turn;
    await this.#packed.drain();
  }
}
