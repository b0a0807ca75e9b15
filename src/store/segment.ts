/**
 * One segment in memory: which places in it are taken, how much of it is alive, and who still needs its file.
 *
 * Places are handed out at the end, or where something was given back. Nothing is on disk before it is synced, and only
 * then may a batch name it, so a place that was given back was never named and may be written again.
 */
import type { WritableFile } from './file-port.js';
import { invariant } from '../protocol/invariant.js';
import type { SegmentId } from './keys.js';
import { SEGMENT_HEADER_BYTES, toPages } from './segment-format.js';
import { SharedSync } from './shared-sync.js';
import type { SegmentRow } from './small-values.js';

interface Place {
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Places between others that are remembered as free; more are dead until compaction. */
const GAPS_MAX = 256;

/** Told how long each sync of a segment took. */
export type OnSynced = (durationMs: number) => void;

export class Segment {
  readonly id: SegmentId;
  /** Open for writing until the segment is sealed and its last writer is done. */
  file: WritableFile | null = null;
  /** Everything before this is reserved, or was. */
  endBytes: number;
  /** How far the file was written. */
  writtenBytes: number;
  /** What the fragments of counted blobs take, with all that is admitted. */
  liveBytes: number;
  isSealed: boolean;
  /** Its row is to go into the batch that is open. */
  isDirty = false;
  /** Batches with its row that are not on disk. */
  unwrittenCount = 0;
  /** Who needs the file, besides the counted blobs: writers, blobs that are not counted yet, reads, dead blobs that are being read. */
  holds = 0;
  /** Of these, what was reserved or written and is not counted: it may be alive soon, though it looks dead. */
  unnamedCount = 0;
  /** Reservations that are being written. */
  writers = 0;
  #sync: SharedSync | null = null;
  /** Free places before the end, in order. */
  #gaps: Place[] = [];

  constructor(id: SegmentId, row: SegmentRow) {
    this.id = id;
    this.isSealed = row.isSealed;
    this.writtenBytes = row.writtenBytes;
    this.endBytes = Math.max(row.writtenBytes, SEGMENT_HEADER_BYTES);
    this.liveBytes = row.liveBytes;
  }

  get row(): SegmentRow {
    const { isSealed, writtenBytes, liveBytes } = this;
    return { isSealed, writtenBytes, liveBytes };
  }

  /** Nobody needs it: no blob, no reader, no writer, and that is on disk. */
  get isUnneeded(): boolean {
    return this.liveBytes === 0 && this.holds === 0 && !this.isDirty && this.unwrittenCount === 0;
  }

  /** What its file takes beyond what is alive. */
  get deadBytes(): number {
    return Math.max(0, this.#usedBytes - toPages(this.liveBytes));
  }

  /** Of what its file takes. */
  get deadShare(): number {
    return this.deadBytes / Math.max(1, this.#usedBytes);
  }

  get #usedBytes(): number {
    return this.writtenBytes - SEGMENT_HEADER_BYTES;
  }

  openFile(file: WritableFile, onSynced: OnSynced): void {
    this.file = file;
    this.#sync = new SharedSync(async () => {
      const startMs = performance.now();
      await file.datasync();
      onSynced(performance.now() - startMs);
    });
  }

  /** Goes on with a file of an earlier run, behind everything that may stand in it. */
  resume(file: WritableFile, sizeBytes: number, onSynced: OnSynced): void {
    this.openFile(file, onSynced);
    this.writtenBytes = Math.max(sizeBytes, SEGMENT_HEADER_BYTES);
    this.endBytes = toPages(this.writtenBytes);
    if (this.isUnneeded) this.rewind();
  }

  /** What was written so far is on disk when this resolves; one sync serves all who ask meanwhile. */
  sync(): Promise<void> {
    invariant(this.#sync !== null, 'a segment is synced while it is open', { segmentId: this.id });
    return this.#sync.request();
  }

  /** A place of at most `wantedBytes`; null when there is none of `leastBytes` before `endBytesMax`. */
  take(leastBytes: number, wantedBytes: number, endBytesMax: number): Place | null {
    const index = this.#gaps.findIndex(({ lengthBytes }) => lengthBytes >= leastBytes);
    const gap = this.#gaps[index];
    if (gap !== undefined) {
      const lengthBytes = Math.min(gap.lengthBytes, wantedBytes);
      const rest = { offset: gap.offset + lengthBytes, lengthBytes: gap.lengthBytes - lengthBytes };
      this.#gaps.splice(index, 1, ...(rest.lengthBytes > 0 ? [rest] : []));
      return { offset: gap.offset, lengthBytes };
    }
    // An empty one takes anything.
    if (this.endBytes >= endBytesMax && this.endBytes > SEGMENT_HEADER_BYTES) return null;
    const place = { offset: this.endBytes, lengthBytes: wantedBytes };
    this.endBytes += wantedBytes;
    return place;
  }

  /** Precondition: whole pages that no batch ever named. */
  giveBack(place: Place): void {
    if (place.lengthBytes === 0) return;
    const gaps = [...this.#gaps, place].sort((left, right) => left.offset - right.offset);
    const merged: Place[] = [];
    for (const gap of gaps) {
      const last = merged.at(-1);
      if (last === undefined || last.offset + last.lengthBytes < gap.offset) merged.push(gap);
      else merged[merged.length - 1] = { ...last, lengthBytes: last.lengthBytes + gap.lengthBytes };
    }
    const last = merged.at(-1);
    if (last !== undefined && last.offset + last.lengthBytes === this.endBytes) {
      this.endBytes = last.offset;
      merged.pop();
    }
    this.#gaps = merged.slice(0, GAPS_MAX);
  }

  /** Writes from the start again. Precondition: `isUnneeded`. */
  rewind(): void {
    invariant(this.isUnneeded, 'a segment is rewound when nobody needs it', { segmentId: this.id });
    this.endBytes = SEGMENT_HEADER_BYTES;
    this.#gaps = [];
  }
}
