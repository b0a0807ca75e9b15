/**
 * What all operations of a store share: its database and blobs, the objects in memory, and the small state that every
 * batch brings up to date. Only `changeObject`, `putRow` and `deleteRow` touch objects and rows, so the counters hold.
 */
import type { FenceState } from '../protocol/fence.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { FullCopyCursor } from '../protocol/reconcile-plan.js';
import { EPOCH_NONE, type Epoch, type GeneratorId, type Tag, tagGenerator } from '../protocol/tag.js';
import { raiseFloor, type StoreId, type Witness } from '../protocol/token.js';
import type { TagRow } from '../protocol/write.js';
import type { BlobFiles } from './blob-files.js';
import type { BlobLedger } from './blob-ledger.js';
import type { BlobReaper } from './blob-reaper.js';
import { ringOperation } from './commit-ring.js';
import type { Database } from './database.js';
import type { DeadInline } from './dead-inline.js';
import { inlineBytes, referenceChanges } from './extent-map.js';
import type { FragmentReads } from './fragment-reads.js';
import type { FreeSpace } from './free-space.js';
import { type CommitBatch, GroupCommit } from './group-commit.js';
import type { IdIndex } from './id-index.js';
import * as keys from './keys.js';
import type { StoreLimits } from './limits.js';
import type { ObjectEntry } from './object-entry.js';
import { ObjectLoading } from './object-loading.js';
import { ObjectTable } from './object-table.js';
import { StoreError } from './object-store.js';
import type { OpenBlobs } from './open-blobs.js';
import type { PackedLane } from './packed-lane.js';
import { PointReads } from './point-reads.js';
import type { RowIndex } from './row-index.js';
import { RowReads } from './row-reads.js';
import {
  encodeObject,
  encodeTombstone,
  extentsOf,
  hasLostBytes,
  keepingCopy,
  type StoredObject,
} from './records.js';
import { ReadRoom } from './read-room.js';
import type { SegmentFiles } from './segment-files.js';
import type { SegmentSpace } from './segment-space.js';
import type { SegmentTable } from './segment-table.js';
import { SegmentWriter } from './segment-writer.js';
import * as values from './small-values.js';
import type { StoreFormat } from './store-format.js';
import type { StoreLogger } from './store-logger.js';
import type { StoreObserver } from './store-observer.js';

/** What the store read when it was opened. */
export interface StoreStart {
  readonly identity: values.StoreIdentity;
  readonly head: values.CommitHead;
  readonly fence: FenceState;
  readonly selfDoubt: string | null;
  readonly openSegments: values.OpenSegments;
  readonly fullCopyCursor: FullCopyCursor | null;
  readonly witnesses: ReadonlyMap<StoreId, number>;
  readonly floors: ReadonlyMap<GeneratorId, Tag>;
}

export interface StoreParts {
  readonly database: Database;
  readonly blobFiles: BlobFiles;
  readonly openBlobs: OpenBlobs;
  readonly fragments: FragmentReads;
  readonly reaper: BlobReaper;
  readonly ledger: BlobLedger;
  readonly segmentFiles: SegmentFiles;
  readonly segments: SegmentTable;
  readonly space: SegmentSpace;
  readonly packed: PackedLane;
  readonly freeSpace: FreeSpace;
  readonly deadInline: DeadInline;
  readonly rowIndex: RowIndex;
  readonly idIndex: IdIndex;
  readonly format: StoreFormat;
  readonly limits: StoreLimits;
  readonly clock: () => number;
  readonly logger: StoreLogger;
  readonly observer: StoreObserver | null;
}

export class StoreCore {
  readonly parts: StoreParts;
  identity: values.StoreIdentity;
  readonly commit: GroupCommit;
  readonly table: ObjectTable;
  fence: FenceState;
  selfDoubt: string | null;
  fullCopyCursor: FullCopyCursor | null;
  readonly reading = new ReadRoom();
  #waitingCount = 0;
  /** The newest head that is on disk. */
  committedHead: values.CommitHead;
  /** Called when a generator's floor has risen. */
  onFloorRaised: () => void = () => undefined;
  /** Called when a row was put or deleted. */
  onRowPut: (row: TagRow) => void = () => undefined;
  onRowDeleted: (objectId: ObjectId, tag: Tag) => void = () => undefined;
  /** Called in an object's turn when a row of it was cleared. */
  onRowsCleared: (entry: ObjectEntry) => void = () => undefined;
  readonly reads: PointReads;
  readonly #rowReads: RowReads;
  readonly #witnesses: Map<StoreId, number>;
  readonly #floors: Map<GeneratorId, Tag>;
  #heardFloor: Tag | null = null;
  readonly #dirtyWitnesses = new Set<StoreId>();
  readonly #dirtyFloors = new Set<GeneratorId>();
  #hasContent: boolean;
  #objectCount: number;
  #tombstoneCount: number;
  #rowCount: number;
  #rowBytes: number;
  #isClosed = false;

  constructor(parts: StoreParts, start: StoreStart) {
    this.parts = parts;
    this.identity = start.identity;
    this.reads = new PointReads(parts.database);
    this.#rowReads = new RowReads(parts.database);
    this.fence = start.fence;
    this.selfDoubt = start.selfDoubt;
    this.fullCopyCursor = start.fullCopyCursor;
    this.committedHead = start.head;
    this.#witnesses = new Map(start.witnesses);
    this.#floors = new Map(start.floors);
    this.#hasContent = start.head.hasContent;
    this.#objectCount = start.head.objectCount;
    this.#tombstoneCount = start.head.tombstoneCount;
    this.#rowCount = start.head.rowCount;
    this.#rowBytes = start.head.rowBytes;
    this.commit = new GroupCommit({
      database: parts.database,
      limits: parts.limits,
      lastSequence: start.head.commitSequence,
      observer: parts.observer,
      isMoreComing: () => parts.packed.isBusy,
      complete: (batch) => this.#complete(batch),
    });
    parts.packed.onSettled = () => this.commit.goOn();
    parts.space.connect(this.commit);
    this.table = new ObjectTable(
      (id, listener) => new ObjectLoading(this, id, listener).start(),
      parts.limits.objectCacheBytesMax,
    );
  }

  get isUsable(): boolean {
    return !this.#isClosed && this.commit.failure === null;
  }

  /** Throws StoreError `closed`, or what stopped the store. */
  assertUsable(): void {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
    if (this.commit.failure !== null) throw this.commit.failure;
  }

  /** Lets in a request that changes the store, until `leave`. Throws what stopped the store, or StoreError `overloaded`. */
  enter(): void {
    this.assertUsable();
    if (this.#waitingCount >= this.parts.limits.queueDepthMax)
      throw new StoreError('overloaded', `${this.#waitingCount} requests are waiting`);
    this.#waitingCount += 1;
  }

  /** The request is answered. */
  leave(): void {
    this.#waitingCount -= 1;
  }

  /** For what does not write: a store that can't write may still read. Throws StoreError `closed`. */
  assertOpen(): void {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
  }

  markClosed(): void {
    this.#isClosed = true;
  }

  /** A disk that failed once takes no more writes in this run: nobody knows what a failed fsync left behind. */
  failOn(error: unknown): void {
    if (!(error instanceof StoreError) || error.code !== 'io-error') return;
    this.parts.logger.error(
      { error },
      'the disk failed: the store takes no more writes until it is opened anew',
    );
    this.commit.fail(error);
  }

  /** Starts a new blob. Nothing is written before the first piece. */
  openBlob(): SegmentWriter {
    return new SegmentWriter(this.parts.space, this.parts.packed, this.parts.ledger.allocate());
  }

  /**
   * Content up to this size goes into its record. When many write at once they share the sync of a segment, and LevelDB
   * is spared the content, which it would write several times over; whoever is alone is better off with one sync.
   */
  get inlineBytesMax(): number {
    const { inlineBytesMax, busyInlineBytesMax, busyWritesMin } = this.parts.limits;
    return this.#waitingCount < busyWritesMin ? inlineBytesMax : Math.min(inlineBytesMax, busyInlineBytesMax);
  }

  get isActive(): boolean {
    return this.fence.activeEpoch !== EPOCH_NONE;
  }

  floorOf(tag: Tag): Tag | null {
    return this.#floors.get(tagGenerator(tag)) ?? null;
  }

  /** Takes in what a generator says of its floor, if it speaks for the active epoch; put on disk with the next batch. */
  hearFloor(setId: string, epoch: Epoch, floor: Tag): void {
    if (setId !== this.identity.setId || !this.isActive || epoch !== this.fence.activeEpoch) return;
    if (floor === this.#heardFloor) return; // the same for all writes of a batch
    this.#heardFloor = floor;
    const generator = tagGenerator(floor);
    const raised = raiseFloor(this.#floors, floor);
    if (raised === this.#floors.get(generator)) return;
    this.#floors.set(generator, raised);
    this.#dirtyFloors.add(generator);
    this.onFloorRaised();
  }

  /** Takes in how far peers have come; put on disk with the batch that is open, so with the rows that it deletes (F17). */
  hearWitnesses(witnesses: readonly Witness[]): void {
    for (const { storeId, commitSequence } of witnesses) {
      if (storeId === this.identity.storeId || commitSequence <= (this.#witnesses.get(storeId) ?? -1))
        continue;
      this.#witnesses.set(storeId, commitSequence);
      this.#dirtyWitnesses.add(storeId);
    }
  }

  /** True when something was heard, or has changed, that no batch has taken along yet. */
  get hasLooseEnds(): boolean {
    return this.#dirtyWitnesses.size > 0 || this.#dirtyFloors.size > 0 || this.parts.segments.hasChanges;
  }

  witnesses(): Witness[] {
    return [...this.#witnesses].map(([storeId, commitSequence]) => ({ storeId, commitSequence }));
  }

  /** Puts an object into the state that a batch gives it; null: nothing is known of it any more. */
  changeObject(batch: CommitBatch, entry: ObjectEntry, wanted: StoredObject | null): void {
    const before = entry.pending;
    const next = keepingCopy(before, wanted);
    this.parts.ledger.change(batch, referenceChanges(extentsOf(before), extentsOf(next)));
    this.parts.deadInline.add(entry.id, inlineBytes(extentsOf(before)));
    this.#markLost(batch, entry.id, hasLostBytes(before), hasLostBytes(next));
    if (before?.kind === 'present' && next?.kind !== 'present') {
      batch.delete(keys.objectKey(entry.id));
      this.#objectCount -= 1;
    }
    if (before?.kind === 'tombstone' && next?.kind !== 'tombstone') {
      batch.delete(keys.tombstoneKey(entry.id));
      this.#tombstoneCount -= 1;
    }
    if (before === null && next !== null) this.parts.idIndex.put(entry.id);
    const owned = next === null ? null : this.#putObject(batch, entry.id, next);
    if (before?.kind !== 'present' && next?.kind === 'present') this.#objectCount += 1;
    if (before?.kind !== 'tombstone' && next?.kind === 'tombstone') this.#tombstoneCount += 1;
    this.table.change(entry, batch, owned);
  }

  #putObject(batch: CommitBatch, id: ObjectId, next: StoredObject): StoredObject {
    this.#hasContent = true;
    if (next.kind === 'tombstone') {
      const key = keys.tombstoneKey(id);
      batch.put(key, encodeTombstone(key, next.state));
      return next;
    }
    const key = keys.objectKey(id);
    const { value, stored } = encodeObject(key, next);
    batch.put(key, value);
    return stored;
  }

  /** The mark by which objects with lost bytes are found. */
  #markLost(batch: CommitBatch, id: ObjectId, wasLost: boolean, isLost: boolean): void {
    if (wasLost === isLost) return;
    const key = keys.lostKey(id);
    if (isLost) batch.put(key, values.encodeNothing(key));
    else batch.delete(key);
  }

  putRow(batch: CommitBatch, entry: ObjectEntry, row: TagRow): void {
    const key = keys.rowKey(row.objectId, row.tag);
    batch.put(key, values.encodeRow(key, row));
    entry.rows.set(row.tag, row);
    this.table.change(entry, batch, entry.pending);
    this.#rowCount += 1;
    this.#rowBytes += row.length;
    this.parts.rowIndex.put(row.objectId);
    this.onRowPut(row);
  }

  deleteRow(batch: CommitBatch, entry: ObjectEntry, row: TagRow): void {
    batch.delete(keys.rowKey(row.objectId, row.tag));
    entry.rows.set(row.tag, null);
    this.table.change(entry, batch, entry.pending);
    this.#rowCount -= 1;
    this.#rowBytes -= row.length;
    this.parts.rowIndex.delete(row.objectId);
    if (this.#rowCount === 0 && this.selfDoubt === null) this.parts.rowIndex.reset();
    this.onRowDeleted(row.objectId, row.tag);
  }

  get objectCount(): number {
    return this.#objectCount;
  }

  get tombstoneCount(): number {
    return this.#tombstoneCount;
  }

  /** Loads one row into an entry that does not know it. */
  async loadRow(entry: ObjectEntry, tag: Tag): Promise<void> {
    const key = keys.rowKey(entry.id, tag);
    const value = this.parts.rowIndex.hasNone(entry.id) ? undefined : await this.reads.get(key);
    entry.learnRow(tag, value === undefined ? null : values.decodeRow(key, value));
  }

  /** Loads all rows of an object into its entry. */
  async loadRows(entry: ObjectEntry): Promise<void> {
    entry.learnRows(await this.rowsOf(entry.id, Number.POSITIVE_INFINITY));
  }

  /** The first rows of an object on disk, without those whose deletion is admitted. */
  async rowsOf(id: ObjectId, limit: number): Promise<TagRow[]> {
    return this.parts.rowIndex.hasNone(id) ? [] : this.#rowReads.of(id, limit);
  }

  /** One small text of the store's own; null when it is not there. */
  async readText(key: Buffer): Promise<string | null> {
    const value = await this.reads.get(key);
    return value === undefined ? null : values.decodeText(key, value);
  }

  /** True when it is certain that there is neither a record nor a tombstone. */
  isUnknown(id: ObjectId): boolean {
    return this.parts.idIndex.hasNone(id);
  }

  /** True when it is certain. A store that lost something may have rows of objects that it does not know. */
  knowsNoRowsOf(id: ObjectId, stored: StoredObject | null): boolean {
    const isSound = this.selfDoubt === null;
    return (isSound && (this.#rowCount === 0 || stored === null)) || this.parts.rowIndex.hasNone(id);
  }

  #head(commitSequence: number): values.CommitHead {
    return {
      commitSequence,
      fencedEpoch: this.fence.fencedEpoch,
      hasContent: this.#hasContent,
      nextBlobId: this.parts.ledger.nextBlobId,
      settledBlobId: this.parts.ledger.settledBlobId,
      objectCount: Math.max(0, this.#objectCount),
      tombstoneCount: Math.max(0, this.#tombstoneCount),
      rowCount: Math.max(0, this.#rowCount),
      rowBytes: Math.max(0, this.#rowBytes),
      blobBytes: Math.max(0, this.parts.ledger.blobBytes),
    };
  }

  #complete(batch: CommitBatch): void {
    const head = this.#head(batch.isCounted ? batch.sequence : batch.sequence - 1);
    batch.put(keys.HEAD_KEY, values.encodeHead(keys.HEAD_KEY, head));
    if (batch.isCounted) ringOperation(batch, batch.sequence);
    for (const generator of this.#dirtyFloors) {
      const floor = this.#floors.get(generator);
      const key = keys.floorKey(generator);
      if (floor !== undefined) batch.put(key, values.encodeFloor(key, floor));
    }
    for (const storeId of this.#dirtyWitnesses) {
      const key = keys.witnessKey(storeId);
      batch.put(key, values.encodeSequence(key, this.#witnesses.get(storeId) ?? 0));
    }
    this.#dirtyFloors.clear();
    this.#dirtyWitnesses.clear();
    this.parts.segments.complete(batch);
    for (const key of this.parts.reaper.takeForgottenKeys()) batch.delete(key);
    batch.afterwards(() => {
      this.committedHead = head;
    });
  }
}
