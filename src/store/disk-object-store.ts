/**
 * One OSD's disk: the real `ObjectStore` (see the port for what it guarantees).
 *
 *   <folder>/store.json   superblock (superblock.ts)
 *   <folder>/db/          one LevelDB: objects, tombstones, tag table, commit ring, everything else (keys.ts)
 *   <folder>/segments/    immutable blobs, many to a file (segment-format.ts, segment-space.ts)
 *   <folder>/blobs/       blobs in files of their own, from version 1 of the format (blob-files.ts, blob-format.ts)
 *
 * Commit order of every change: content written to a segment and synced, one synced LevelDB batch, answer. A crash leaves
 * at most dead space in the segments that were being written to; never a record without its content.
 * Left out for now: repair of damaged records.
 */
import {
  decideActivate,
  decideAdvance,
  decideFence,
  decideRebuild,
  type FenceVerdict,
} from '../protocol/fence.js';
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { FullCopyCursor, ObjectSummary } from '../protocol/reconcile-plan.js';
import type { StoreFault } from '../protocol/store-fault.js';
import type { Epoch } from '../protocol/tag.js';
import type { StoreId } from '../protocol/token.js';
import type { ObjectState, TagRow } from '../protocol/write.js';
import { performClear, performRowDrop } from './clears.js';
import { Compaction } from './compaction.js';
import { performHeal } from './heals.js';
import { AUTHORITY_RECORD_KEY, SCRUB_RECORD_KEY } from './keys.js';
import { listObjects, readLostObjects, readSummaries } from './listing.js';
import {
  type ClearBatch,
  type ClearReply,
  type Heal,
  type HealReply,
  type LostObject,
  type ObjectStore,
  type Push,
  type PushReply,
  type RowCursor,
  type RowDrop,
  type StageWriter,
  type StoreListPage,
  type StoreListRequest,
  type StoreRange,
  type StoreRead,
  type SegmentSummary,
  type StoreReport,
  type WriteOutcome,
  type WriteReply,
  type WriteRequest,
} from './object-store.js';
import { openCore, type OpenOptions } from './open-core.js';
import { performPush } from './pushes.js';
import { performRead, performReadKept } from './reads.js';
import { Reclamation } from './reclamation.js';
import { beginFullCopy, endFullCopy, putFullCopyCursor, putSelfDoubt } from './self-doubt.js';
import { encodeText } from './small-values.js';
import { Stages } from './stages.js';
import type { StoreCore } from './store-core.js';
import { OldestRow, readRows } from './tag-table.js';
import { Tombstones } from './tombstones.js';
import { performWrites } from './writes.js';

/** Opens a store that was formatted (see open-core.ts). Throws StoreError `incomplete-store` or `in-use`. */
export async function openStore(folder: string, options: OpenOptions): Promise<DiskObjectStore> {
  return new DiskObjectStore(await openCore(folder, options));
}

export class DiskObjectStore implements ObjectStore {
  readonly #core: StoreCore;
  readonly #stages: Stages;
  readonly #tombstones: Tombstones;
  readonly #oldestRow: OldestRow;
  readonly #compaction: Compaction;
  readonly #reclamation: Reclamation;
  #closing: Promise<void> | null = null;

  /** Use `openStore`. */
  constructor(core: StoreCore) {
    this.#core = core;
    this.#stages = new Stages(core);
    this.#tombstones = new Tombstones(core);
    this.#oldestRow = new OldestRow(core.parts.database);
    core.onFloorRaised = () => this.#tombstones.sweep();
    core.onRowsCleared = (entry) => this.#tombstones.consider(entry);
    core.onRowPut = (row) => this.#oldestRow.rowPut(row);
    core.onRowDeleted = (objectId, tag) => this.#oldestRow.rowDeleted(objectId, tag);
    this.#compaction = new Compaction(core);
    this.#reclamation = new Reclamation(core, this.#compaction);
    this.#tombstones.start();
    this.#compaction.start();
    this.#reclamation.start();
    core.parts.idIndex.start(core.objectCount + core.tombstoneCount);
  }

  report(): StoreReport {
    const { identity, commit, fence, selfDoubt, committedHead } = this.#core;
    return {
      storeId: identity.storeId,
      setId: identity.setId,
      formatVersion: this.#core.parts.format.version,
      commitSequence: commit.committedSequence,
      fence,
      fault: this.#fault(),
      selfDoubt,
      blank: !committedHead.hasContent,
      witnesses: this.#core.witnesses(),
      tagTable: { rowCount: committedHead.rowCount, rowBytes: committedHead.rowBytes },
      objectCount: committedHead.objectCount,
      tombstoneCount: committedHead.tombstoneCount,
      blobBytes: committedHead.blobBytes,
    };
  }

  segments(): SegmentSummary {
    const all = [...this.#core.parts.segments.all()];
    return {
      segmentCount: all.length,
      writtenBytes: all.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0),
      deadBytes: all.reduce((sum, { deadBytes }) => sum + deadBytes, 0),
    };
  }

  #fault(): StoreFault | null {
    const { commit, parts } = this.#core;
    if (commit.failure !== null) return { kind: 'disk-failed', detail: rootMessage(commit.failure) };
    const { shortage } = parts.freeSpace;
    return shortage === null ? null : { kind: 'no-space', detail: shortage };
  }

  async fence(epoch: Epoch): Promise<FenceVerdict> {
    return this.#moveFence(decideFence(this.#core.fence, epoch));
  }

  async advance(from: Epoch, to: Epoch): Promise<FenceVerdict> {
    const verdict = await this.#moveFence(decideAdvance(this.#core.fence, from, to));
    this.#tombstones.sweep();
    return verdict;
  }

  /** Takes effect at once, for whatever is judged from now on; the answer waits for the disk. */
  async #moveFence(verdict: FenceVerdict): Promise<FenceVerdict> {
    this.#core.assertUsable();
    if (verdict.kind === 'refuse') return verdict;
    const batch = this.#core.commit.open();
    batch.requireSync(); // the commit head of every batch holds the fenced epoch
    this.#core.fence = verdict.state;
    await batch.written;
    return verdict;
  }

  async activate(epoch: Epoch): Promise<FenceVerdict> {
    this.#core.assertUsable();
    const verdict = decideActivate(this.#core.fence, epoch);
    if (verdict.kind === 'move') {
      this.#core.fence = verdict.state;
      this.#tombstones.sweep();
    }
    return verdict;
  }

  async rebuild(epoch: Epoch): Promise<FenceVerdict> {
    this.#core.assertUsable();
    const verdict = decideRebuild(this.#core.fence, epoch);
    if (verdict.kind === 'move') this.#core.fence = verdict.state;
    return verdict;
  }

  async setSelfDoubt(reason: string | null): Promise<void> {
    this.#core.assertUsable();
    await putSelfDoubt(this.#core, reason);
  }

  openStage(): StageWriter {
    this.#core.assertUsable();
    return this.#stages.open();
  }

  async discardStage(stageId: string): Promise<void> {
    this.#stages.discard(stageId);
  }

  async write(request: WriteRequest): Promise<WriteReply> {
    const [outcome] = await this.writeMany([request]);
    invariant(outcome !== undefined, 'a write has one outcome');
    if (outcome.kind === 'failed') throw outcome.failure;
    return outcome;
  }

  writeMany(requests: readonly WriteRequest[]): Promise<readonly WriteOutcome[]> {
    return performWrites(this.#core, this.#stages, requests);
  }

  clear(batch: ClearBatch): Promise<ClearReply> {
    return this.#queued(() => performClear(this.#core, batch));
  }

  push(push: Push): Promise<PushReply> {
    return this.#queued(() => performPush(this.#core, this.#stages, push));
  }

  heal(heal: Heal): Promise<HealReply> {
    return this.#queued(() => performHeal(this.#core, this.#stages, heal));
  }

  dropRows(drop: RowDrop): Promise<ClearReply> {
    return this.#queued(() => performRowDrop(this.#core, drop));
  }

  /** Runs what changes the store, unless too much of it is waiting. */
  async #queued<T>(perform: () => Promise<T>): Promise<T> {
    this.#core.enter();
    try {
      return await perform();
    } finally {
      this.#core.leave();
    }
  }

  async head(id: ObjectId): Promise<ObjectState | null> {
    this.#core.assertOpen();
    return this.#core.table.look(id, ({ committed }) => committed?.state ?? null);
  }

  read(id: ObjectId, range: StoreRange): Promise<StoreRead | null> {
    return performRead(this.#core, id, range);
  }

  async list(request: StoreListRequest): Promise<StoreListPage> {
    this.#core.assertOpen();
    return listObjects(this.#core.parts.database, request);
  }

  async lostObjects(after: ObjectId | null, limit: number): Promise<LostObject[]> {
    this.#core.assertOpen();
    return readLostObjects(this.#core.parts.database, after, limit);
  }

  readKept(id: ObjectId, range: StoreRange): Promise<StoreRead | null> {
    return performReadKept(this.#core, id, range);
  }

  async rows(after: RowCursor | null, limit: number): Promise<TagRow[]> {
    this.#core.assertOpen();
    return readRows(this.#core.parts.database, after, limit);
  }

  async rowsOf(id: ObjectId, limit: number): Promise<TagRow[]> {
    this.#core.assertOpen();
    return this.#core.rowsOf(id, limit);
  }

  async oldestRowMs(): Promise<number | null> {
    this.#core.assertOpen();
    return this.#oldestRow.writtenMs();
  }

  async summaries(after: ObjectId | null, limit: number): Promise<ObjectSummary[]> {
    this.#core.assertOpen();
    return readSummaries(this.#core.parts.database, after, limit);
  }

  async beginFullCopy(storeId: StoreId): Promise<void> {
    this.#core.assertUsable();
    await beginFullCopy(this.#core, storeId);
  }

  async fullCopyCursor(): Promise<FullCopyCursor | null> {
    this.#core.assertOpen();
    return this.#core.fullCopyCursor;
  }

  async setFullCopyCursor(cursor: FullCopyCursor): Promise<void> {
    this.#core.assertUsable();
    await putFullCopyCursor(this.#core, cursor);
  }

  async endFullCopy(): Promise<void> {
    this.#core.assertUsable();
    await endFullCopy(this.#core);
  }

  async authorityRecord(): Promise<string | null> {
    this.#core.assertOpen();
    return this.#core.readText(AUTHORITY_RECORD_KEY);
  }

  async setAuthorityRecord(record: string): Promise<void> {
    await this.#putText(AUTHORITY_RECORD_KEY, record);
  }

  async scrubRecord(): Promise<string | null> {
    this.#core.assertOpen();
    return this.#core.readText(SCRUB_RECORD_KEY);
  }

  async setScrubRecord(record: string): Promise<void> {
    await this.#putText(SCRUB_RECORD_KEY, record);
  }

  async #putText(key: Buffer, text: string): Promise<void> {
    this.#core.assertUsable();
    const batch = this.#core.commit.open();
    batch.requireSync();
    batch.put(key, encodeText(key, text));
    await batch.written;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { commit, parts } = this.#core;
    this.#core.markClosed();
    await this.#tombstones.stop();
    await Promise.all([this.#reclamation.stop(), this.#compaction.stop(), parts.idIndex.stop()]);
    this.#stages.discardAll();
    await parts.packed.drain();
    if (this.#core.hasLooseEnds && commit.failure === null) commit.open();
    await commit.drain();
    await parts.segments.settle();
    await parts.reaper.stop();
    await parts.space.close();
    await parts.segmentFiles.close();
    await parts.openBlobs.close();
    await parts.freeSpace.settle();
    await parts.database.close();
  }
}

const CAUSES_MAX = 8;

/** What the operating system said, at the bottom of it all. */
function rootMessage(error: Error): string {
  let root = error;
  for (let depth = 0; depth < CAUSES_MAX && root.cause instanceof Error; depth += 1) root = root.cause;
  return root === error ? error.message : `${error.message}: ${root.message}`;
}
