/**
 * The segment table: how much of each segment is alive. A segment that nobody needs any more goes at once.
 *
 * Commit order: a segment's row goes into every batch that changes what is alive in it. When that is nothing, it is on disk, and the last reader is
 * gone, the file is removed and the folder synced, and only then does some later batch drop the row. So there may be a row
 * of a dead segment without its file, which the next run removes once more; never a live blob without a file.
 */
import { invariant } from '../protocol/invariant.js';
import type { BlobReaper } from './blob-reaper.js';
import { asReadError, type Database } from './database.js';
import type { CommitBatch } from './group-commit.js';
import { OPEN_SEGMENTS_KEY, type SegmentId, segmentKey } from './keys.js';
import { StoreError } from './object-store.js';
import { Segment } from './segment.js';
import type { SegmentFiles } from './segment-files.js';
import { type Fragment, fragmentBytes, PAGE_BYTES, toPages } from './segment-format.js';
import { decodeSegmentRow, encodeOpenSegments, encodeSegmentRow, type OpenSegments } from './small-values.js';
import type { StoreLogger } from './store-logger.js';

export interface SegmentTableParts {
  readonly database: Database;
  readonly files: SegmentFiles;
  readonly reaper: BlobReaper;
  readonly logger: StoreLogger;
}

export class SegmentTable {
  readonly #parts: SegmentTableParts;
  /** Those that were touched in this run; few (one for each 256 MiB), so they stay. */
  readonly #segments = new Map<SegmentId, Segment>();
  /** Those that went in this run, of which a row may still be on disk. */
  readonly #gone = new Set<SegmentId>();
  readonly #dirty = new Set<Segment>();
  readonly #open = new Set<SegmentId>();
  #nextSegmentId: SegmentId;
  #isOpenListDirty = false;
  #removals: Promise<void> = Promise.resolve();
  /** Called when a segment that is still written to has become empty. */
  onEmptied: (segment: Segment) => void = () => undefined;
  /** Called when a sealed segment may have become worth compacting. */
  onSealedChanged: (segment: Segment) => void = () => undefined;

  constructor(parts: SegmentTableParts, start: OpenSegments) {
    this.#parts = parts;
    this.#nextSegmentId = start.nextSegmentId;
  }

  /** Those that are known so far; all of them once compaction has looked for them. */
  all(): Iterable<Segment> {
    return this.#segments.values();
  }

  get nextSegmentId(): SegmentId {
    return this.#nextSegmentId;
  }

  has(segmentId: SegmentId): boolean {
    return this.#segments.has(segmentId);
  }

  get(segmentId: SegmentId): Segment {
    const segment = this.#segments.get(segmentId);
    invariant(segment !== undefined, 'the row of a segment is in memory when it is used', { segmentId });
    return segment;
  }

  /** Loads the rows of segments that are not known yet. Throws StoreError `damaged` when one has none. */
  async load(segmentIds: Iterable<SegmentId>): Promise<void> {
    const missing = [...new Set(segmentIds)].filter((segmentId) => !this.#segments.has(segmentId));
    if (missing.length === 0) return;
    let values: (Buffer | undefined)[];
    try {
      values = await this.#parts.database.getMany(missing.map(segmentKey));
    } catch (error) {
      throw asReadError(error);
    }
    missing.forEach((segmentId, index) => {
      const value = values[index];
      if (value === undefined)
        throw new StoreError('damaged', `segment ${segmentId} is not in the segment table`);
      this.learn(segmentId, value);
    });
  }

  /** Takes in a row as it is on disk, unless a newer one is in memory. Null: the segment went in this run. */
  learn(segmentId: SegmentId, value: Buffer): Segment | null {
    if (this.#gone.has(segmentId)) return null;
    const known = this.#segments.get(segmentId);
    if (known !== undefined) return known;
    const segment = new Segment(segmentId, decodeSegmentRow(segmentKey(segmentId), value));
    this.#segments.set(segmentId, segment);
    return segment;
  }

  /** Takes in a segment whose file was just made: its row goes into the open batch. */
  add(segment: Segment): void {
    this.#segments.set(segment.id, segment);
    this.#nextSegmentId = Math.max(this.#nextSegmentId, segment.id + 1) as SegmentId;
    this.markOpen(segment);
    this.#markDirty(segment);
  }

  markOpen(segment: Segment): void {
    this.#open.add(segment.id);
    this.#isOpenListDirty = true;
  }

  seal(segment: Segment): void {
    segment.isSealed = true;
    this.#open.delete(segment.id);
    this.#isOpenListDirty = true;
    this.#markDirty(segment);
  }

  /** True when there is something for the next batch to take along. */
  get hasChanges(): boolean {
    return this.#dirty.size > 0 || this.#isOpenListDirty;
  }

  #markDirty(segment: Segment): void {
    segment.isDirty = true;
    this.#dirty.add(segment);
  }

  /** A blob is counted: its fragments, held so far by whoever wrote them, are alive. */
  count(fragments: readonly Fragment[]): void {
    for (const fragment of fragments) {
      const segment = this.get(fragment.segmentId);
      segment.liveBytes += fragmentBytes(fragment.length);
      segment.holds -= 1;
      segment.unnamedCount -= 1;
      invariant(segment.unnamedCount >= 0, 'a fragment is counted once', { segmentId: segment.id });
      this.#markDirty(segment);
    }
  }

  /** A blob is dead: its fragments are held until `release`. */
  discount(fragments: readonly Fragment[]): void {
    for (const fragment of fragments) {
      const segment = this.get(fragment.segmentId);
      segment.liveBytes -= fragmentBytes(fragment.length);
      invariant(segment.liveBytes >= 0, 'no less than nothing is alive', { segmentId: segment.id });
      segment.holds += 1;
      this.#markDirty(segment);
    }
  }

  hold(fragments: readonly Fragment[]): void {
    for (const { segmentId } of fragments) this.get(segmentId).holds += 1;
  }

  release(fragments: readonly Fragment[]): void {
    for (const { segmentId } of fragments) {
      const segment = this.get(segmentId);
      segment.holds -= 1;
      this.consider(segment);
    }
  }

  /** Gives up fragments that were never counted; what they took may be written again when they have their pages for themselves. */
  giveUp(fragments: readonly Fragment[]): void {
    for (const { segmentId, offset, length } of fragments) {
      const segment = this.get(segmentId);
      const place = { offset, lengthBytes: toPages(fragmentBytes(length)) };
      const isLast = offset + place.lengthBytes === segment.endBytes;
      if (!segment.isSealed && isLast && offset % PAGE_BYTES === 0) segment.giveBack(place);
      segment.unnamedCount -= 1;
    }
    this.release(fragments);
  }

  /** Adds what has changed to a batch that is about to be closed. */
  complete(batch: CommitBatch): void {
    for (const segment of this.#dirty) {
      const key = segmentKey(segment.id);
      batch.put(key, encodeSegmentRow(key, segment.row));
      segment.isDirty = false;
      segment.unwrittenCount += 1;
      batch.afterwards(() => {
        segment.unwrittenCount -= 1;
        this.consider(segment);
      });
    }
    this.#dirty.clear();
    if (!this.#isOpenListDirty) return;
    this.#isOpenListDirty = false;
    const value = { nextSegmentId: this.#nextSegmentId, segmentIds: [...this.#open] };
    batch.put(OPEN_SEGMENTS_KEY, encodeOpenSegments(OPEN_SEGMENTS_KEY, value));
  }

  /** Something about the segment has changed: it may be needed no more. */
  consider(segment: Segment): void {
    if (!segment.isSealed) {
      if (segment.isUnneeded) this.onEmptied(segment);
      return;
    }
    if (segment.isUnneeded) this.#retire(segment);
    else this.onSealedChanged(segment);
  }

  #retire(segment: Segment): void {
    if (!this.#segments.delete(segment.id)) return;
    this.#gone.add(segment.id);
    this.#removals = this.#removals.then(() => this.#remove(segment));
  }

  async #remove(segment: Segment): Promise<void> {
    try {
      await this.#parts.files.remove(segment.id);
      this.#parts.reaper.forgetKey(segmentKey(segment.id));
    } catch (error) {
      // Its row says that nothing in it is alive: the next run removes it.
      this.#parts.logger.warn({ error, segmentId: segment.id }, 'a dead segment could not be removed');
    }
  }

  /** Resolves when the removals under way are done. */
  async settle(): Promise<void> {
    let removals: Promise<void>;
    do {
      removals = this.#removals;
      await removals;
    } while (removals !== this.#removals);
  }
}
