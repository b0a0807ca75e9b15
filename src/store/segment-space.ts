/**
 * Places for new content: three lanes, each with the one segment that it fills just now, so that whoever writes at the
 * same time shares a file and its syncs. What is small is packed together (packed-lane.ts), what is long comes in streams
 * (segment-writer.ts), and what compaction moves keeps apart from both, because it is likely to live on.
 *
 * Commit order: reserve a place, write it, sync the segment, and only then may a batch name it (writes.ts, pushes.ts).
 * A segment has its row before anything but its header is written to it, so that a crash leaves no file that nobody knows.
 */
import { isNoSpace, type WritableFile } from './file-port.js';
import { GatherRoom } from './gather-room.js';
import type { GroupCommit } from './group-commit.js';
import type { StoreLimits } from './limits.js';
import { StoreError } from './object-store.js';
import { type OnSynced, Segment } from './segment.js';
import type { SegmentFiles } from './segment-files.js';
import { SEGMENT_HEADER_BYTES, toPages } from './segment-format.js';
import type { SegmentTable } from './segment-table.js';
import type { StoreLogger } from './store-logger.js';
import type { StoreObserver } from './store-observer.js';

export type LaneName = 'packed' | 'stream' | 'moved';

interface Lane {
  segment: Segment | null;
  opening: Promise<Segment> | null;
}

export interface SegmentSpaceOptions {
  readonly limits: StoreLimits;
  readonly logger: StoreLogger;
  readonly observer: StoreObserver | null;
}

/** A place that only its holder writes to. */
export interface Reservation {
  readonly segment: Segment;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Segments that are emptied before this share of them was written are written again from the start; others go. */
const REWIND_SHARE = 4;

export class SegmentSpace {
  readonly table: SegmentTable;
  readonly limits: StoreLimits;
  readonly gathering: GatherRoom;
  readonly #files: SegmentFiles;
  readonly #lanes: Readonly<Record<LaneName, Lane>> = {
    packed: { segment: null, opening: null },
    stream: { segment: null, opening: null },
    moved: { segment: null, opening: null },
  };
  readonly #logger: StoreLogger;
  readonly onSynced: OnSynced;
  readonly #closings = new Set<Promise<void>>();
  #commit: GroupCommit | null = null;
  #creation: Promise<unknown> = Promise.resolve();

  constructor(table: SegmentTable, files: SegmentFiles, { limits, logger, observer }: SegmentSpaceOptions) {
    this.table = table;
    this.#files = files;
    this.limits = limits;
    this.gathering = new GatherRoom(limits);
    this.#logger = logger;
    this.onSynced = (durationMs) => observer?.segmentSynced(durationMs);
    table.onEmptied = (segment) => this.#reuse(segment);
  }

  /** The way to the disk for rows of new segments. */
  connect(commit: GroupCommit): void {
    this.#commit = commit;
  }

  /** Goes on filling a segment of an earlier run; false when it is full, or no lane is without one. */
  adopt(segment: Segment): boolean {
    const lane = Object.values(this.#lanes).find((candidate) => candidate.segment === null);
    if (lane === undefined || segment.endBytes >= this.limits.segmentBytesMax) return false;
    lane.segment = segment;
    return true;
  }

  /** Whole pages, `leastBytes` to `wantedBytes`. Throws StoreError `no-space` or `io-error`. */
  async reserve(laneName: LaneName, leastBytes: number, wantedBytes: number): Promise<Reservation> {
    const lane = this.#lanes[laneName];
    for (;;) {
      const segment = lane.segment ?? (await this.#openFor(lane));
      const place = segment.isSealed
        ? null
        : segment.take(toPages(leastBytes), toPages(wantedBytes), this.limits.segmentBytesMax);
      if (place !== null) {
        segment.holds += 1;
        segment.unnamedCount += 1;
        segment.writers += 1;
        return { segment, offset: place.offset, lengthBytes: place.lengthBytes };
      }
      if (lane.segment === segment) this.seal(segment);
    }
  }

  #openFor(lane: Lane): Promise<Segment> {
    lane.opening ??= this.#create(lane).finally(() => {
      lane.opening = null;
    });
    return lane.opening;
  }

  /** One at a time, so that a crash leaves at most one file without a row. */
  async #create(lane: Lane): Promise<Segment> {
    const creation = this.#creation.then(() => this.#createNext());
    this.#creation = creation.catch(() => undefined);
    const segment = await creation;
    lane.segment = segment;
    return segment;
  }

  async #createNext(): Promise<Segment> {
    const segmentId = this.table.nextSegmentId;
    let segment: Segment;
    try {
      const file = await this.#files.create(segmentId);
      segment = new Segment(segmentId, { isSealed: false, writtenBytes: SEGMENT_HEADER_BYTES, liveBytes: 0 });
      segment.openFile(file, this.onSynced);
    } catch (error) {
      throw asWriteFailure(error);
    }
    this.table.add(segment);
    try {
      await this.#commitRow();
    } catch (error) {
      this.seal(segment);
      throw error;
    }
    return segment;
  }

  async #commitRow(): Promise<void> {
    if (this.#commit === null) throw new StoreError('closed', 'the store is not open yet');
    const batch = this.#commit.open();
    batch.requireSync();
    await batch.written;
  }

  /** Throws StoreError `no-space` or `io-error`. */
  async write({ segment }: Reservation, pieces: readonly Buffer[], position: number): Promise<void> {
    try {
      await noteWriting(segment, pieces, position).write(pieces, position);
    } catch (error) {
      throw asWriteFailure(error);
    }
  }

  /** Fills a place, and that is on disk when it resolves. Throws StoreError `no-space` or `io-error`. */
  async writeSynced({ segment, offset }: Reservation, pieces: readonly Buffer[]): Promise<void> {
    const startMs = performance.now();
    try {
      await noteWriting(segment, pieces, offset).writeSynced(pieces, offset);
    } catch (error) {
      throw asWriteFailure(error);
    }
    this.onSynced(performance.now() - startMs);
  }

  /** Everything that was written to the segment before is on disk when it resolves. Throws StoreError `io-error`. */
  async sync(segment: Segment): Promise<void> {
    try {
      await segment.sync();
    } catch (cause) {
      // After a failed fsync nobody knows what is on disk, and a second one may lie. Even "no space" comes too late here.
      throw new StoreError('io-error', `segment ${segment.id} could not be synced`, { cause });
    }
  }

  /** Ends a reservation, of which the first bytes are used; the holder keeps its hold when there are any. */
  settle({ segment, offset, lengthBytes }: Reservation, usedBytes: number): void {
    const usedPagesBytes = toPages(usedBytes);
    if (!segment.isSealed)
      segment.giveBack({ offset: offset + usedPagesBytes, lengthBytes: lengthBytes - usedPagesBytes });
    segment.writers -= 1;
    this.#closeUnused(segment);
    if (usedBytes > 0) return;
    segment.holds -= 1;
    segment.unnamedCount -= 1;
    this.table.consider(segment);
  }

  seal(segment: Segment): void {
    for (const lane of Object.values(this.#lanes)) if (lane.segment === segment) lane.segment = null;
    if (segment.isSealed) return;
    this.table.seal(segment);
    this.#closeUnused(segment);
  }

  #closeUnused(segment: Segment): void {
    if (!segment.isSealed || segment.writers > 0) return;
    const { file } = segment;
    segment.file = null;
    if (file !== null) this.#close(segment, file);
  }

  #close(segment: Segment, file: WritableFile): void {
    const closing = file
      .close()
      .catch((error: unknown) => {
        // All that was written to it is synced.
        this.#logger.warn({ error, segmentId: segment.id }, 'a segment could not be closed');
      })
      .finally(() => this.#closings.delete(closing));
    this.#closings.add(closing);
  }

  /** Closes all files. Precondition: nothing is being written. */
  async close(): Promise<void> {
    for (const segment of this.openSegments) {
      const { file } = segment;
      segment.file = null;
      if (file !== null) this.#close(segment, file);
    }
    await Promise.all(this.#closings);
  }

  /** Nothing that was written to an open segment is needed any more: aborted uploads must not keep their space. */
  #reuse(segment: Segment): void {
    if (segment.writtenBytes === SEGMENT_HEADER_BYTES) return;
    segment.rewind();
    if (segment.writtenBytes * REWIND_SHARE < this.limits.segmentBytesMax) return;
    this.seal(segment);
    if (this.#commit?.failure === null) this.#commit.open();
  }

  get openSegments(): Segment[] {
    return Object.values(this.#lanes).flatMap(({ segment }) => (segment === null ? [] : [segment]));
  }
}

/** The file to write to. */
function noteWriting(segment: Segment, pieces: readonly Buffer[], position: number): WritableFile {
  const lengthBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  segment.writtenBytes = Math.max(segment.writtenBytes, position + lengthBytes);
  if (segment.file === null) throw new StoreError('closed', 'the segment is closed');
  return segment.file;
}

function asWriteFailure(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (isNoSpace(error)) return new StoreError('no-space', 'the disk is full', { cause: error });
  return new StoreError('io-error', 'a segment could not be written', { cause: error });
}
