/**
 * The blob table: which blobs there are, where, how many extents point into each, and which files nobody needs any more.
 *
 * The life of a blob, and what a crash leaves at each step:
 *   1. in flight: it has an id and is being written to segments, which it holds (segment-table.ts). A crash leaves dead space there.
 *   2. counted: a batch gave it a row, together with the first record that points to it.
 *   3. dead: the batch that took the last reference away removed its row. Its segments are held until the last open read is over.
 * So there may be space without a record, but never a record without its bytes.
 *
 * A blob in a file of its own (version 1 of the format) leaves a dead-blob key in place of its row. Its file is removed after that
 * batch and after the last open read, the folder is synced, and only then does some later batch drop the key. Files from the
 * commit head's `settledBlobId` on may lack a row: they are removed when the store opens.
 */
import { invariant } from '../protocol/invariant.js';
import { PassingMap } from '../protocol/passing-map.js';
import type { BlobReaper } from './blob-reaper.js';
import { asReadError, type Database } from './database.js';
import type { ReferenceChange } from './extent-map.js';
import type { CommitBatch } from './group-commit.js';
import { type BlobId, blobKey, deadBlobKey, residentKey, type SegmentId, toBlobId } from './keys.js';
import { StoreError } from './object-store.js';
import type { Fragment } from './segment-format.js';
import type { SegmentTable } from './segment-table.js';
import type { FinishedBlob } from './segment-writer.js';
import { TwoGenerations } from './two-generations.js';
import { type BlobRow, decodeBlobRow, encodeBlobRow, encodeNothing, fragmentsOf } from './small-values.js';

interface LedgerRow {
  row: BlobRow;
  /** While above 0 the row must stay in memory: it is being used, or not yet on disk. */
  holds: number;
}

/** Few, so that what is written and not read dies young in V8's eyes (object-table.ts). */
const IDLE_ROWS_MAX = 256;
/** Kept for the next read. */
const READ_ROWS_MAX = 16_384;

export interface BlobLedgerParts {
  readonly database: Database;
  readonly reaper: BlobReaper;
  readonly segments: SegmentTable;
}

/** Each once. Nearly all blobs have one fragment. */
function segmentsOf(row: BlobRow): readonly SegmentId[] {
  const fragments = fragmentsOf(row.location);
  const [only] = fragments;
  if (only !== undefined && fragments.length === 1) return [only.segmentId];
  return [...new Set(fragments.map(({ segmentId }) => segmentId))];
}

function isSame(left: Fragment, right: Fragment): boolean {
  return left.segmentId === right.segmentId && left.offset === right.offset;
}

function decodeRowOf(blobId: BlobId, value: Buffer | undefined): BlobRow {
  if (value === undefined) throw new StoreError('damaged', `blob ${blobId} is not in the blob table`);
  return decodeBlobRow(blobKey(blobId), value);
}

export class BlobLedger {
  readonly #database: Database;
  readonly #reaper: BlobReaper;
  readonly #segments: SegmentTable;
  /** Rows that change, are held, or did so a moment ago: always the newest state. */
  readonly #rows = new PassingMap<BlobId, LedgerRow>();
  /** Rows that were loaded to read their blobs, and are as they are on disk. None of them is in `#rows`. */
  readonly #readRows = new TwoGenerations<BlobId, BlobRow>(READ_ROWS_MAX, () => 1);
  /** Files of an earlier run that have no row and are not gone yet, lowest id first. */
  readonly #unsettled = new Set<BlobId>();
  /** Rows of blobs that are dead but may still be read. */
  readonly #dying = new PassingMap<BlobId, BlobRow>();
  #loadCount = 0;
  /** Idle rows go once there are more rows than this. */
  #rowsMax = IDLE_ROWS_MAX;
  #nextBlobId: BlobId;
  #blobBytes: number;

  constructor(parts: BlobLedgerParts, start: { nextBlobId: BlobId; blobBytes: number }) {
    this.#database = parts.database;
    this.#reaper = parts.reaper;
    this.#segments = parts.segments;
    this.#nextBlobId = start.nextBlobId;
    this.#blobBytes = start.blobBytes;
  }

  get nextBlobId(): BlobId {
    return this.#nextBlobId;
  }

  get settledBlobId(): BlobId {
    for (const lowest of this.#unsettled) return lowest;
    return this.#nextBlobId;
  }

  /** Content bytes of all counted blobs. */
  get blobBytes(): number {
    return this.#blobBytes;
  }

  /** A new id. */
  allocate(): BlobId {
    const blobId = this.#nextBlobId;
    this.#nextBlobId = toBlobId(blobId + 1);
    return blobId;
  }

  /** Decides on a file of an earlier run whose blob may never have been counted: then it goes, and its id is not used again. */
  async adoptUnsettled(blobId: BlobId): Promise<void> {
    if (blobId >= this.#nextBlobId) this.#nextBlobId = toBlobId(blobId + 1);
    if ((await this.#database.get(blobKey(blobId))) !== undefined) return;
    this.#unsettled.add(blobId);
    this.#reaper.bury(blobId, () => this.#unsettled.delete(blobId));
  }

  /** Takes note of a blob that is on disk. It stays in memory until it is counted or discarded. */
  register({ blobId, fragments, lengthBytes }: FinishedBlob): void {
    const row: BlobRow = { location: { kind: 'segments', fragments }, length: lengthBytes, references: 0 };
    this.#rows.set(blobId, { row, holds: 1 });
  }

  /** Gives up a blob that no record points to, if it is not given up yet. */
  discard(blobId: BlobId): void {
    const held = this.#rows.get(blobId);
    if (held === undefined) return;
    invariant(held.row.references === 0, 'a blob that is discarded has no references', { blobId });
    this.#rows.delete(blobId);
    this.#segments.giveUp(fragmentsOf(held.row.location).toReversed());
  }

  /**
   * Resolves with a blob's row; until `endUse` of it the blob's segments keep their files. The caller has pinned the blob.
   * Throws StoreError `damaged` when there is none.
   */
  async use(blobId: BlobId): Promise<BlobRow> {
    for (;;) {
      const row = this.#known(blobId) ?? (await this.#load(blobId));
      if (row === null) throw new StoreError('damaged', `blob ${blobId} is not in the blob table`);
      const missing = segmentsOf(row).filter((segmentId) => !this.#segments.has(segmentId));
      if (missing.length === 0) {
        this.#segments.hold(fragmentsOf(row.location));
        return row;
      }
      await this.#segments.load(missing);
    }
  }

  endUse(row: BlobRow): void {
    this.#segments.release(fragmentsOf(row.location));
  }

  #known(blobId: BlobId): BlobRow | undefined {
    return this.#rows.get(blobId)?.row ?? this.#readRows.get(blobId) ?? this.#dying.get(blobId);
  }

  /** A row in memory, among those that change. */
  #changeable(blobId: BlobId): LedgerRow | undefined {
    const known = this.#rows.get(blobId);
    if (known !== undefined) return known;
    const row = this.#readRows.take(blobId);
    if (row === undefined) return undefined;
    const held = { row, holds: 0 };
    this.#rows.set(blobId, held);
    return held;
  }

  async #load(blobId: BlobId): Promise<BlobRow | null> {
    this.#loadCount += 1;
    let value: Buffer | undefined;
    try {
      value = await this.#database.get(blobKey(blobId));
    } catch (error) {
      throw asReadError(error);
    } finally {
      this.#loadCount -= 1;
    }
    // What is in memory is newer.
    const known = this.#known(blobId);
    if (known !== undefined) return known;
    if (value === undefined) return null;
    const row = decodeRowOf(blobId, value);
    this.#readRows.keep(blobId, row);
    return row;
  }

  /** Holds the row of a pinned blob for `relocate`, until `release`. Null: it is dead. */
  async holdAlive(blobId: BlobId): Promise<BlobRow | null> {
    if (this.#known(blobId) === undefined && (await this.#load(blobId)) === null) return null;
    const held = this.#changeable(blobId);
    if (held === undefined) return null;
    held.holds += 1;
    await this.#segments.load(segmentsOf(held.row));
    return held.row;
  }

  /** Points a held blob to a copy of one of its fragments, which is on disk and holds its segment. False: it is dead by now. */
  relocate(
    batch: CommitBatch,
    blobId: BlobId,
    move: { readonly from: Fragment; readonly to: Fragment },
  ): boolean {
    const held = this.#rows.get(blobId);
    const index =
      held === undefined ? -1 : fragmentsOf(held.row.location).findIndex((one) => isSame(one, move.from));
    if (held === undefined || index < 0) return false;
    const fragments = fragmentsOf(held.row.location).with(index, move.to);
    held.row = { ...held.row, location: { kind: 'segments', fragments } };
    this.#segments.discount([move.from]);
    this.#segments.count([move.to]);
    if (!segmentsOf(held.row).includes(move.from.segmentId))
      batch.delete(residentKey(move.from.segmentId, blobId));
    this.#putResident(batch, move.to.segmentId, blobId);
    this.#store(batch, blobId, held);
    batch.afterwards(() => this.#segments.release([move.from]));
    return true;
  }

  #putResident(batch: CommitBatch, segmentId: SegmentId, blobId: BlobId): void {
    const key = residentKey(segmentId, blobId);
    batch.put(key, encodeNothing(key));
  }

  /** The blobs among these whose rows have to be loaded before their references can change. */
  missing(changes: readonly ReferenceChange[]): BlobId[] {
    const missing: BlobId[] = [];
    for (const { blobId } of changes) {
      const row = this.#changeable(blobId)?.row;
      const isHere =
        row !== undefined &&
        fragmentsOf(row.location).every(({ segmentId }) => this.#segments.has(segmentId));
      if (!isHere) missing.push(blobId);
    }
    return missing;
  }

  /** Loads rows and holds them until `release`. */
  async hold(blobIds: readonly BlobId[]): Promise<void> {
    await this.#holdRows(blobIds);
    // A row in memory does not mean that its segments' rows are, and these change with it.
    const rows = blobIds.map((blobId) => this.#rows.get(blobId)?.row).filter((row) => row !== undefined);
    try {
      await this.#segments.load(rows.flatMap(segmentsOf));
    } catch (error) {
      this.release(blobIds);
      throw error;
    }
  }

  async #holdRows(blobIds: readonly BlobId[]): Promise<void> {
    this.#loadCount += 1;
    let values: (Buffer | undefined)[];
    try {
      values = await this.#database.getMany(blobIds.map(blobKey));
    } catch (error) {
      throw asReadError(error);
    } finally {
      this.#loadCount -= 1;
    }
    blobIds.forEach((blobId, index) => {
      // Somebody else may have loaded and changed it meanwhile: then what is in memory is newer.
      const held = this.#changeable(blobId) ?? { row: decodeRowOf(blobId, values[index]), holds: 0 };
      held.holds += 1;
      this.#rows.set(blobId, held);
    });
  }

  release(blobIds: readonly BlobId[]): void {
    for (const blobId of blobIds) {
      const held = this.#rows.get(blobId);
      if (held !== undefined) held.holds -= 1;
    }
    this.#evict();
  }

  #evict(): void {
    if (this.#loadCount > 0) return; // what is being loaded may be older than what would be forgotten
    if (this.#rows.size <= this.#rowsMax) return;
    for (const [blobId, { holds }] of this.#rows.entries()) if (holds === 0) this.#rows.delete(blobId);
    // All at once and seldom: what can't go now is not looked at again with each batch.
    this.#rowsMax = this.#rows.size + IDLE_ROWS_MAX;
  }

  /** Changes reference counts within a batch. Precondition: all rows are in memory. */
  change(batch: CommitBatch, changes: readonly ReferenceChange[]): void {
    for (const { blobId, change } of changes) {
      const held = this.#rows.get(blobId);
      invariant(held !== undefined, 'the row of a blob is in memory when its references change', { blobId });
      const references = held.row.references + change;
      invariant(references >= 0, 'a blob has no fewer than 0 references', { blobId, references });
      if (held.row.references === 0) this.#count(batch, blobId, held);
      const { location, length } = held.row;
      held.row = { location, length, references };
      if (references === 0) this.#kill(batch, blobId, held.row);
      else this.#store(batch, blobId, held);
    }
  }

  #count(batch: CommitBatch, blobId: BlobId, held: LedgerRow): void {
    this.#blobBytes += held.row.length;
    held.holds -= 1;
    this.#segments.count(fragmentsOf(held.row.location));
    for (const segmentId of segmentsOf(held.row)) this.#putResident(batch, segmentId, blobId);
  }

  #store(batch: CommitBatch, blobId: BlobId, held: LedgerRow): void {
    const key = blobKey(blobId);
    batch.put(key, encodeBlobRow(key, held.row));
    held.holds += 1;
    batch.afterwards(() => {
      held.holds -= 1;
      this.#evict();
    });
  }

  #kill(batch: CommitBatch, blobId: BlobId, row: BlobRow): void {
    this.#rows.delete(blobId);
    this.#dying.set(blobId, row);
    this.#blobBytes -= row.length;
    batch.delete(blobKey(blobId));
    if (row.location.kind === 'file') {
      const key = deadBlobKey(blobId);
      batch.put(key, encodeNothing(key));
      batch.afterwards(() => this.buryDead(blobId));
      return;
    }
    const { fragments } = row.location;
    for (const segmentId of segmentsOf(row)) batch.delete(residentKey(segmentId, blobId));
    this.#segments.discount(fragments);
    batch.afterwards(() =>
      this.#reaper.afterReads(blobId, () => {
        this.#dying.delete(blobId);
        this.#segments.release(fragments);
      }),
    );
  }

  /** Has the file of a dead blob removed, and then its key. */
  buryDead(blobId: BlobId): void {
    this.#reaper.bury(blobId, () => {
      this.#dying.delete(blobId);
      this.#reaper.forgetKey(deadBlobKey(blobId));
    });
  }
}
