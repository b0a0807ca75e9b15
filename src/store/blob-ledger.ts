/**
 * The blob table: which blobs there are, how many extents point into each, and which files nobody needs any more.
 *
 * The life of a blob, and what a crash leaves at each step:
 *   1. in flight: it has an id and perhaps a file. The commit head holds `settledBlobId`, below which nothing is in flight: files from there
 *      on without a row in the blob table are removed when the store opens.
 *   2. counted: a batch gave it a row, together with the first record that points to it.
 *   3. dead: the batch that took the last reference away replaced its row by a dead-blob key. Its file is removed after that batch and
 *      after the last open read, the folder is synced, and only then does some later batch drop the key. Until then
 *      opening the store does it again.
 * So there may be a file without a record, but never a record without a file.
 */
import { invariant } from '../protocol/invariant.js';
import type { FinishedBlob } from './blob-files.js';
import type { BlobReaper } from './blob-reaper.js';
import { asReadError, type Database } from './database.js';
import type { CommitBatch } from './group-commit.js';
import { type BlobId, blobKey, deadBlobKey, toBlobId } from './keys.js';
import { StoreError } from './object-store.js';
import { type BlobRow, decodeBlobRow, encodeBlobRow, encodeDeadBlob } from './small-values.js';

interface LedgerRow {
  row: BlobRow;
  /** While above 0 the row must stay in memory: it is being used, or not yet on disk. */
  holds: number;
}

const IDLE_ROWS_MAX = 16_384;

function decodeRowOf(blobId: BlobId, value: Buffer | undefined): BlobRow {
  if (value === undefined) throw new StoreError('damaged', `blob ${blobId} is not in the blob table`);
  return decodeBlobRow(blobKey(blobId), value);
}

export class BlobLedger {
  readonly #database: Database;
  readonly #reaper: BlobReaper;
  /** Rows in memory, least recently loaded first; always the newest state. */
  readonly #rows = new Map<BlobId, LedgerRow>();
  /** Ids that were given out and are neither counted nor gone, lowest first. */
  readonly #inFlight = new Set<BlobId>();
  /** Rows of blobs that are dead but may still be read. */
  readonly #dying = new Map<BlobId, BlobRow>();
  #loadCount = 0;
  #nextBlobId: BlobId;
  #blobBytes: number;

  constructor(database: Database, reaper: BlobReaper, start: { nextBlobId: BlobId; blobBytes: number }) {
    this.#database = database;
    this.#reaper = reaper;
    this.#nextBlobId = start.nextBlobId;
    this.#blobBytes = start.blobBytes;
  }

  get nextBlobId(): BlobId {
    return this.#nextBlobId;
  }

  get settledBlobId(): BlobId {
    for (const lowest of this.#inFlight) return lowest;
    return this.#nextBlobId;
  }

  /** Content bytes of all counted blobs. */
  get blobBytes(): number {
    return this.#blobBytes;
  }

  /** A new id, in flight until it is counted or discarded. */
  allocate(): BlobId {
    const blobId = this.#nextBlobId;
    this.#nextBlobId = toBlobId(blobId + 1);
    this.#inFlight.add(blobId);
    return blobId;
  }

  /** Decides on a file of an earlier run whose blob may never have been counted: then it goes, and its id is not used again. */
  async adoptUnsettled(blobId: BlobId): Promise<void> {
    if (blobId >= this.#nextBlobId) this.#nextBlobId = toBlobId(blobId + 1);
    if ((await this.#database.get(blobKey(blobId))) !== undefined) return;
    this.#inFlight.add(blobId);
    this.discard(blobId);
  }

  /** Takes note of a blob that is on disk. It stays in memory until it is counted or discarded. */
  register(blob: FinishedBlob): void {
    const row: BlobRow = { location: { kind: 'file' }, length: blob.lengthBytes, references: 0 };
    this.#rows.set(blob.blobId, { row, holds: 1 });
  }

  /** Gives up a blob that no record points to; its file goes. */
  discard(blobId: BlobId): void {
    this.#rows.delete(blobId);
    this.#reaper.bury(blobId, () => this.#inFlight.delete(blobId));
  }

  /** Resolves with a blob's row. The caller has pinned it. Throws StoreError `damaged` when there is none. */
  async locate(blobId: BlobId): Promise<BlobRow> {
    const known = this.#rows.get(blobId)?.row ?? this.#dying.get(blobId);
    if (known !== undefined) return known;
    let value: Buffer | undefined;
    try {
      value = await this.#database.get(blobKey(blobId));
    } catch (error) {
      throw asReadError(error);
    }
    return this.#dying.get(blobId) ?? decodeRowOf(blobId, value);
  }

  /** The blobs among these whose rows have to be loaded before their references can change. */
  missing(blobIds: Iterable<BlobId>): BlobId[] {
    return [...blobIds].filter((blobId) => !this.#rows.has(blobId));
  }

  /** Loads rows and holds them until `release`. */
  async hold(blobIds: readonly BlobId[]): Promise<void> {
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
      const held = this.#rows.get(blobId) ?? { row: decodeRowOf(blobId, values[index]), holds: 0 };
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
    for (const [blobId, { holds }] of this.#rows) {
      if (this.#rows.size <= IDLE_ROWS_MAX) return;
      if (holds === 0) this.#rows.delete(blobId);
    }
  }

  /** Changes reference counts within a batch. Precondition: all rows are in memory. */
  change(batch: CommitBatch, changes: ReadonlyMap<BlobId, number>): void {
    for (const [blobId, change] of changes) {
      const held = this.#rows.get(blobId);
      invariant(held !== undefined, 'the row of a blob is in memory when its references change', { blobId });
      const references = held.row.references + change;
      invariant(references >= 0, 'a blob has no fewer than 0 references', { blobId, references });
      if (held.row.references === 0) this.#count(blobId, held);
      held.row = { ...held.row, references };
      if (references === 0) this.#kill(batch, blobId, held.row);
      else this.#store(batch, blobId, held);
    }
  }

  #count(blobId: BlobId, held: LedgerRow): void {
    this.#inFlight.delete(blobId);
    this.#blobBytes += held.row.length;
    held.holds -= 1;
  }

  #store(batch: CommitBatch, blobId: BlobId, held: LedgerRow): void {
    const key = blobKey(blobId);
    batch.put(key, encodeBlobRow(key, held.row));
    held.holds += 1;
    batch.afterwards(() => {
      held.holds -= 1;
      if (this.#rows.size > IDLE_ROWS_MAX) this.#evict();
    });
  }

  #kill(batch: CommitBatch, blobId: BlobId, row: BlobRow): void {
    this.#rows.delete(blobId);
    this.#dying.set(blobId, row);
    this.#blobBytes -= row.length;
    const key = deadBlobKey(blobId);
    batch.delete(blobKey(blobId));
    batch.put(key, encodeDeadBlob(key));
    batch.afterwards(() => this.buryDead(blobId));
  }

  /** Has the file of a dead blob removed, and then its key. */
  buryDead(blobId: BlobId): void {
    this.#reaper.bury(blobId, () => {
      this.#dying.delete(blobId);
      this.#reaper.forgetKey(deadBlobKey(blobId));
    });
  }
}
