/**
 * The least store that an OSD can run on: everything in maps, every commit at once, so the rules of `protocol/` and nothing
 * else. Faults for tests of what stands above it: damaged objects, a failed disk.
 */
import { type ComposeSource, composeText, isSourceAsExpected } from '../../src/protocol/compose.js';
import { crc32c } from '@node-rs/crc32';
import { complementExtents, type Extent, extentBytes, extentEnd } from '../../src/protocol/extent.js';
import {
  decideActivate,
  decideAdvance,
  decideFence,
  decidePush,
  decideRebuild,
  type FenceState,
  type FenceVerdict,
  mayDropRows,
  reopenFence,
} from '../../src/protocol/fence.js';
import { decideHeal } from '../../src/protocol/heal.js';
import { compareUtf8, type ObjectId, parseObjectId } from '../../src/protocol/object-id.js';
import type { FullCopyCursor, ObjectSummary } from '../../src/protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT } from '../../src/protocol/recovery-plan.js';
import type { StoreFault } from '../../src/protocol/store-fault.js';
import { type Epoch, EPOCH_NONE, type GeneratorId, type Tag, tagGenerator } from '../../src/protocol/tag.js';
import {
  decideClear,
  makeToken,
  mayDropTombstone,
  parseToken,
  raiseFloor,
  type StoreId,
  toStoreId,
} from '../../src/protocol/token.js';
import {
  applyWrite,
  decideWrite,
  type ObjectState,
  rowOfWrite,
  type TagRow,
} from '../../src/protocol/write.js';
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
  StoreError,
  type StoreListPage,
  type StoreListRequest,
  type StoreRange,
  type StoreRead,
  type SegmentSummary,
  type StoreReport,
  type WriteOutcome,
  type WriteReply,
  type WriteRequest,
} from '../../src/store/object-store.js';
import { LostBytes } from './lost-bytes.js';
import { outcomesOf } from './write-outcomes.js';

interface Held {
  readonly state: ObjectState;
  readonly bytes: Buffer;
}

function compareRows(left: RowCursor, right: RowCursor): number {
  return (
    compareUtf8(left.objectId, right.objectId) || (left.tag < right.tag ? -1 : left.tag > right.tag ? 1 : 0)
  );
}

export interface MemorySnapshot {
  readonly objects: ReadonlyMap<ObjectId, Held>;
  readonly rows: ReadonlyMap<string, TagRow>;
  readonly witnesses: ReadonlyMap<StoreId, number>;
  readonly sequence: number;
  readonly fencedEpoch: Epoch;
  readonly storeId: StoreId;
  readonly selfDoubt: string | null;
  readonly cursor: FullCopyCursor | null;
  readonly authorityRecord: string | null;
}

function replaceAll<Key, Value>(map: Map<Key, Value>, by: ReadonlyMap<Key, Value>): void {
  map.clear();
  for (const [key, value] of by) map.set(key, value);
}

export class MemoryOsdStore implements ObjectStore {
  storeId: StoreId;
  readonly setId: string;
  readonly objects = new Map<ObjectId, Held>();
  readonly rowsByKey = new Map<string, TagRow>();
  readonly stages = new Map<string, Buffer>();
  readonly witnesses = new Map<StoreId, number>();
  readonly lost = new LostBytes();
  /** Objects whose bytes fail their checksum. */
  readonly damaged = new Set<ObjectId>();
  hasDiskFailed = false;
  /** What it says of itself; with `no-space` it takes no content. */
  fault: StoreFault | null = null;
  /** Called with every push before it is decided. */
  onPush: ((push: Push) => void) | null = null;
  readonly #floors = new Map<GeneratorId, Tag>();
  #fence: FenceState = { fencedEpoch: EPOCH_NONE, activeEpoch: EPOCH_NONE };
  #sequence = 0;
  #stageCounter = 0;
  #selfDoubt: string | null = null;
  #cursor: FullCopyCursor | null = null;
  #scrubRecord: string | null = null;
  #authorityRecord: string | null = null;

  constructor(setId: string, storeNumber: number) {
    this.setId = setId;
    this.storeId = toStoreId(storeNumber.toString(16).padStart(32, '0'));
  }

  /** The process that had it open is gone, and another one opens it. */
  reopen(): void {
    this.#fence = reopenFence(this.#fence.fencedEpoch);
    this.stages.clear();
  }

  /** What is on the disk now. */
  snapshot(): MemorySnapshot {
    return {
      objects: new Map(this.objects),
      rows: new Map(this.rowsByKey),
      witnesses: new Map(this.witnesses),
      sequence: this.#sequence,
      fencedEpoch: this.#fence.fencedEpoch,
      storeId: this.storeId,
      selfDoubt: this.#selfDoubt,
      cursor: this.#cursor,
      authorityRecord: this.#authorityRecord,
    };
  }

  /** The disk is put back to what it was. The process must be started anew. */
  restore(snapshot: MemorySnapshot): void {
    replaceAll(this.objects, snapshot.objects);
    replaceAll(this.rowsByKey, snapshot.rows);
    replaceAll(this.witnesses, snapshot.witnesses);
    this.#sequence = snapshot.sequence;
    this.storeId = snapshot.storeId;
    this.#selfDoubt = snapshot.selfDoubt;
    this.#cursor = snapshot.cursor;
    this.#authorityRecord = snapshot.authorityRecord;
    this.#fence = reopenFence(snapshot.fencedEpoch);
  }

  #dropTombstones(): void {
    for (const [id, { state }] of this.objects) {
      if (state.kind !== 'tombstone') continue;
      const hasRow = [...this.rowsByKey.values()].some((row) => row.objectId === id);
      const floor = this.#floors.get(tagGenerator(state.lastTag)) ?? null;
      const { fencedEpoch, activeEpoch } = this.#fence;
      const rebuilding = this.#fence.isRebuilding === true;
      if (activeEpoch === EPOCH_NONE) return;
      if (mayDropTombstone({ lastTag: state.lastTag, hasRow, floor, fencedEpoch, rebuilding })) {
        this.objects.delete(id);
      }
    }
  }

  segments(): SegmentSummary {
    return { segmentCount: 0, writtenBytes: 0, deadBytes: 0 };
  }

  report(): StoreReport {
    const rows = [...this.rowsByKey.values()];
    return {
      storeId: this.storeId,
      setId: this.setId,
      formatVersion: 1,
      commitSequence: this.#sequence,
      fence: this.#fence,
      fault: this.fault ?? (this.hasDiskFailed ? { kind: 'disk-failed', detail: 'the disk failed' } : null),
      selfDoubt: this.#selfDoubt,
      blank: this.#sequence === 0,
      witnesses: [...this.witnesses].map(([storeId, commitSequence]) => ({ storeId, commitSequence })),
      tagTable: { rowCount: rows.length, rowBytes: rows.reduce((sum, row) => sum + row.length, 0) },
      objectCount: [...this.objects.values()].filter(({ state }) => state.kind === 'present').length,
      tombstoneCount: [...this.objects.values()].filter(({ state }) => state.kind === 'tombstone').length,
      blobBytes: [...this.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0),
    };
  }

  #move(verdict: FenceVerdict): FenceVerdict {
    if (verdict.kind === 'move') this.#fence = verdict.state;
    return verdict;
  }

  async fence(epoch: Epoch): Promise<FenceVerdict> {
    this.#failWithDisk();
    return this.#move(decideFence(this.#fence, epoch));
  }

  async activate(epoch: Epoch): Promise<FenceVerdict> {
    return this.#move(decideActivate(this.#fence, epoch));
  }

  async advance(from: Epoch, to: Epoch): Promise<FenceVerdict> {
    return this.#move(decideAdvance(this.#fence, from, to));
  }

  async rebuild(epoch: Epoch): Promise<FenceVerdict> {
    return this.#move(decideRebuild(this.#fence, epoch));
  }

  async setSelfDoubt(reason: string | null): Promise<void> {
    this.#selfDoubt = reason;
  }

  openStage(): StageWriter {
    const pieces: Buffer[] = [];
    return {
      write: async (piece) => {
        this.#failWithDisk();
        if (this.fault?.kind === 'no-space') throw new StoreError('no-space', 'the disk is full');
        pieces.push(Buffer.from(piece));
      },
      finish: async () => {
        const bytes = Buffer.concat(pieces);
        this.#stageCounter += 1;
        const stageId = `stage-${this.#stageCounter}`;
        this.stages.set(stageId, bytes);
        return { stageId, lengthBytes: bytes.length, contentChecksum: crc32c(bytes) };
      },
      abort: async () => {
        pieces.length = 0;
      },
    };
  }

  async discardStage(stageId: string): Promise<void> {
    this.stages.delete(stageId);
  }

  #failWithDisk(): void {
    if (this.hasDiskFailed) throw new StoreError('io-error', 'the disk failed');
  }

  #compose(sources: readonly ComposeSource[]): Buffer | undefined {
    const pieces: Buffer[] = [];
    for (const source of sources) {
      const held = this.objects.get(source.objectId);
      if (held === undefined || !isSourceAsExpected(source, held.state)) return undefined;
      pieces.push(held.bytes.subarray(source.extent.offset, extentEnd(source.extent)));
    }
    return Buffer.concat(pieces);
  }

  writeMany(requests: readonly WriteRequest[]): Promise<readonly WriteOutcome[]> {
    return outcomesOf(requests.map((request) => this.write(request)));
  }

  async write(request: WriteRequest): Promise<WriteReply> {
    this.#failWithDisk();
    if (this.#selfDoubt !== null) return { kind: 'refused', code: 'self-doubt', lastTag: null };
    const { transaction: write, content } = request;
    if (this.fault?.kind === 'no-space' && write.kind !== 'remove') {
      return { kind: 'refused', code: 'no-space', lastTag: null };
    }
    const object = this.objects.get(write.objectId) ?? null;
    const lastTag = object?.state.lastTag ?? null;
    const rowKey = `${write.objectId}\u0000${write.tag}`;
    const row = this.rowsByKey.get(rowKey) ?? null;
    const generator = tagGenerator(write.tag);
    const verdict = decideWrite(
      {
        setId: this.setId,
        ...this.#fence,
        floor: this.#floors.get(generator) ?? null,
        row,
        object: object?.state ?? null,
      },
      write,
    );
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code, lastTag: verdict.lastTag };
    if (verdict.kind === 'apply') {
      const bytes =
        content.kind === 'compose'
          ? this.#compose(content.sources)
          : content.kind === 'stage'
            ? this.stages.get(content.stageId)
            : content.kind === 'bytes'
              ? Buffer.from(content.bytes)
              : Buffer.alloc(0);
      if (bytes === undefined) {
        return {
          kind: 'refused',
          code: content.kind === 'compose' ? 'source-changed' : 'unknown-stage',
          lastTag,
        };
      }
      if (
        crc32c(content.kind === 'compose' ? composeText(content.sources) : bytes) !== request.contentChecksum
      )
        return { kind: 'refused', code: 'checksum-mismatch', lastTag };
      if (bytes.length !== write.length) return { kind: 'refused', code: 'bad-transaction', lastTag };
      if (content.kind === 'stage') this.stages.delete(content.stageId);
      const effect = applyWrite(object?.state ?? null, write);
      const before = object?.bytes ?? Buffer.alloc(0);
      const after = { 'replace-all': bytes, keep: before, drop: Buffer.alloc(0), splice: null }[
        effect.edit.kind
      ];
      this.#sequence += 1;
      this.objects.set(write.objectId, {
        state: effect.object,
        bytes: after ?? splice(before, [{ offset: write.offset, length: write.length }], bytes),
      });
      if (content.kind === 'compose') this.lost.afterCompose(write.objectId, content.sources);
      else this.lost.afterWrite(write.objectId, effect.edit);
      this.rowsByKey.set(rowKey, rowOfWrite(write, this.#sequence, 0));
    }
    this.#floors.set(generator, raiseFloor(this.#floors, request.floor));
    const { storeId } = this;
    const commitSequence = this.#sequence;
    const token = makeToken({ storeId, commitSequence, tag: write.tag, objectId: write.objectId });
    return { kind: 'committed', token, commitSequence, isDuplicate: verdict.kind === 'duplicate' };
  }

  async clear(batch: ClearBatch): Promise<ClearReply> {
    let rowCount = 0;
    for (const { token, witnesses } of batch.clears) {
      const parts = parseToken(token);
      const verdict = decideClear(
        { setId: this.setId, storeId: this.storeId, commitSequence: this.#sequence, ...this.#fence },
        { setId: batch.setId, epoch: batch.epoch, token: parts, witnesses },
      );
      if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
      if (this.rowsByKey.delete(`${parts.objectId}\u0000${parts.tag}`)) rowCount += 1;
      for (const { storeId, commitSequence } of witnesses) this.witnesses.set(storeId, commitSequence);
    }
    const generator = tagGenerator(batch.floor);
    this.#floors.set(generator, raiseFloor(this.#floors, batch.floor));
    this.#dropTombstones();
    return { kind: 'cleared', rowCount };
  }

  async head(id: ObjectId): Promise<ObjectState | null> {
    return this.objects.get(id)?.state ?? null;
  }

  async read(id: ObjectId, range: StoreRange): Promise<StoreRead | null> {
    const held = this.objects.get(id);
    if (held?.state.kind !== 'present') return null;
    const extent = resolveRange(range, held.bytes.length);
    const bytes = extent === null ? Buffer.alloc(0) : held.bytes.subarray(extent.offset, extentEnd(extent));
    const isDamaged = this.damaged.has(id) || this.lost.isIn(id, extent);
    const isSmall = bytes.length <= 4096 && !isDamaged;
    return { state: held.state, extent, body: pieces(bytes, isDamaged), bytes: isSmall ? bytes : null };
  }

  async lostObjects(after: ObjectId | null, limit: number): Promise<LostObject[]> {
    return this.lost.list(this.objects, { after, limit });
  }

  async readKept(id: ObjectId, range: StoreRange): Promise<StoreRead | null> {
    const kept = this.lost.kept(id);
    if (kept?.state.kind !== 'present') return null;
    const extent = resolveRange(range, kept.bytes.length);
    const bytes = extent === null ? Buffer.alloc(0) : kept.bytes.subarray(extent.offset, extentEnd(extent));
    return { state: kept.state, extent, body: pieces(bytes, false), bytes };
  }

  async list(request: StoreListRequest): Promise<StoreListPage> {
    const { container, prefix, after, afterVersion, delimiter, limit } = request;
    const entries: StoreListPage['entries'][number][] = [];
    let lastPrefix = '';
    for (const id of [...this.objects.keys()].sort(compareUtf8)) {
      const { container: own, name, version } = parseObjectId(id);
      const held = this.objects.get(id);
      if (held?.state.kind !== 'present' || own !== container || !name.startsWith(prefix)) continue;
      const cut = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
      const common = cut === -1 ? null : name.slice(0, cut + delimiter.length);
      if (common !== null && (common === lastPrefix || common === after)) continue;
      const isLaterVersion =
        common === null && name === after && afterVersion !== undefined && version > afterVersion;
      if (compareUtf8(common ?? name, after) <= 0 && !isLaterVersion) continue;
      if (entries.length === limit) return { entries, truncated: true };
      if (common !== null) lastPrefix = common;
      entries.push(
        common === null
          ? { kind: 'object', id, state: held.state }
          : { kind: 'common-prefix', prefix: common },
      );
    }
    return { entries, truncated: false };
  }

  #sortedRows(): TagRow[] {
    return [...this.rowsByKey.values()].sort(compareRows);
  }

  async rows(after: RowCursor | null, limit: number): Promise<TagRow[]> {
    return this.#sortedRows()
      .filter((row) => after === null || compareRows(row, after) > 0)
      .slice(0, limit);
  }

  async rowsOf(id: ObjectId, limit: number): Promise<TagRow[]> {
    return this.#sortedRows()
      .filter(({ objectId }) => objectId === id)
      .slice(0, limit);
  }

  async oldestRowMs(): Promise<number | null> {
    return this.rowsByKey.size === 0 ? null : 0;
  }

  async summaries(after: ObjectId | null, limit: number): Promise<ObjectSummary[]> {
    return [...this.objects]
      .filter(([id]) => after === null || compareUtf8(id, after) > 0)
      .sort(([left], [right]) => compareUtf8(left, right))
      .slice(0, limit)
      .map(([objectId, { state }]) => ({
        objectId,
        lastTag: state.lastTag,
        lastChecksum: state.lastChecksum,
        sizeBytes: state.kind === 'present' ? state.sizeBytes : null,
      }));
  }

  async push(push: Push): Promise<PushReply> {
    this.onPush?.(push);
    const { objectId, state, content } = push;
    const stageId = push.bytes.kind === 'stage' ? push.bytes.stageId : null;
    const held = this.objects.get(objectId);
    const verdict = decidePush({ fence: this.#fence, targetLastTag: held?.state.lastTag ?? null }, push);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const sent = push.bytes.kind === 'bytes' ? push.bytes.bytes : Buffer.alloc(0);
    const bytes = stageId === null ? sent : this.stages.get(stageId);
    if (bytes === undefined) return { kind: 'refused', code: 'unknown-stage' };
    if (crc32c(bytes) !== push.contentChecksum) return { kind: 'refused', code: 'checksum-mismatch' };
    // What was staged has its room already.
    const needsRoom = state?.kind === 'present' && stageId === null;
    if (needsRoom && this.fault?.kind === 'no-space') return { kind: 'refused', code: 'no-space' };
    let after = bytes;
    const parts = this.lost.pushedParts(push);
    if (content.kind === 'extents' && state?.kind === 'present') {
      if (held?.state.kind !== 'present') return { kind: 'refused', code: 'no-base' };
      after = splice(held.bytes.subarray(0, state.sizeBytes), parts, bytes, state.sizeBytes);
    } else if (push.lost !== undefined && state?.kind === 'present') {
      after = splice(Buffer.alloc(0), parts, bytes, state.sizeBytes);
    }
    this.lost.afterPush(push, held);
    if (stageId !== null) this.stages.delete(stageId);
    this.#sequence += 1;
    if (state === null) this.objects.delete(objectId);
    else this.objects.set(objectId, { state, bytes: state.kind === 'present' ? after : Buffer.alloc(0) });
    this.damaged.delete(objectId);
    for (const [key, row] of this.rowsByKey) if (row.objectId === objectId) this.rowsByKey.delete(key);
    for (const row of push.rows) {
      this.rowsByKey.set(`${objectId}\u0000${row.tag}`, { ...row, commitSequence: this.#sequence });
    }
    return { kind: 'landed' };
  }

  async dropRows(drop: RowDrop): Promise<ClearReply> {
    if (drop.setId !== this.setId) return { kind: 'refused', code: 'wrong-set' };
    if (!mayDropRows(this.#fence, drop.epoch)) return { kind: 'refused', code: 'stale-epoch' };
    let rowCount = 0;
    for (const { objectId, tag } of drop.rows) {
      if (this.rowsByKey.delete(`${objectId}\u0000${tag}`)) rowCount += 1;
    }
    for (const { storeId, commitSequence } of drop.witnesses) this.witnesses.set(storeId, commitSequence);
    return { kind: 'cleared', rowCount };
  }

  async heal(heal: Heal): Promise<HealReply> {
    this.#failWithDisk();
    const held = this.objects.get(heal.objectId);
    const targetLastTag = held?.state.kind === 'present' ? held.state.lastTag : null;
    const verdict = decideHeal({ fence: this.#fence, targetLastTag }, heal);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const bytes = this.stages.get(heal.stageId);
    if (bytes === undefined || held === undefined) return { kind: 'refused', code: 'unknown-stage' };
    if (crc32c(bytes) !== heal.contentChecksum || bytes.length !== extentBytes(heal.extents)) {
      return { kind: 'refused', code: 'checksum-mismatch' };
    }
    this.stages.delete(heal.stageId);
    this.#sequence += 1;
    this.objects.set(heal.objectId, { ...held, bytes: splice(held.bytes, heal.extents, bytes) });
    this.lost.afterHeal(heal.objectId, heal.extents);
    this.damaged.delete(heal.objectId);
    return { kind: 'landed' };
  }

  async authorityRecord(): Promise<string | null> {
    return this.#authorityRecord;
  }

  async setAuthorityRecord(record: string): Promise<void> {
    this.#failWithDisk();
    this.#authorityRecord = record;
  }

  async scrubRecord(): Promise<string | null> {
    return this.#scrubRecord;
  }

  async setScrubRecord(record: string): Promise<void> {
    this.#failWithDisk();
    this.#scrubRecord = record;
  }

  async beginFullCopy(storeId: StoreId): Promise<void> {
    this.storeId = storeId;
    this.#selfDoubt = FULL_COPY_DOUBT;
    this.#cursor = null;
    this.#authorityRecord = null;
  }

  async fullCopyCursor(): Promise<FullCopyCursor | null> {
    return this.#cursor;
  }

  async setFullCopyCursor(cursor: FullCopyCursor): Promise<void> {
    this.#cursor = cursor;
  }

  async endFullCopy(): Promise<void> {
    this.#selfDoubt = null;
    this.#cursor = null;
  }

  async close(): Promise<void> {}
}

/** Puts the concatenated bytes of some extents into their places. */
function splice(before: Buffer, extents: readonly Extent[], bytes: Buffer, sizeBytes?: number): Buffer {
  const end = extents.reduce((last, extent) => Math.max(last, extentEnd(extent)), before.length);
  const after = Buffer.alloc(sizeBytes ?? end);
  for (const kept of complementExtents(extents, { offset: 0, length: before.length })) {
    before.copy(after, kept.offset, kept.offset, extentEnd(kept));
  }
  let position = 0;
  for (const { offset, length } of extents) {
    bytes.copy(after, offset, position, position + length);
    position += length;
  }
  return after;
}

function resolveRange(range: StoreRange, sizeBytes: number): Extent | null {
  switch (range.kind) {
    case 'whole':
      return { offset: 0, length: sizeBytes };
    case 'none':
      return null;
    case 'suffix': {
      const length = Math.min(range.lengthBytes, sizeBytes);
      return length === 0 ? null : { offset: sizeBytes - length, length };
    }
    case 'between': {
      if (range.first >= sizeBytes) return null;
      const last = Math.min(range.last ?? sizeBytes - 1, sizeBytes - 1);
      return last < range.first ? null : { offset: range.first, length: last - range.first + 1 };
    }
  }
}

async function* pieces(bytes: Buffer, isDamaged: boolean): AsyncGenerator<Buffer> {
  const pieceBytes = 64 * 1024;
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    const isLast = start + pieceBytes >= bytes.length;
    if (isDamaged && isLast) throw new StoreError('damaged', 'a chunk fails its checksum');
    yield bytes.subarray(start, start + pieceBytes);
  }
}
