/**
 * The port of one OSD's disk on byte arrays: `protocol/` and nothing else. It commits at once, so its restart is `reopen`.
 * Simulations run on it; it passes the same conformance suite as the disk.
 */
import { type ComposeSource, composeText, isSourceAsExpected } from '../../src/protocol/compose.js';
import { crc32c } from '@node-rs/crc32';
import { type Extent, extentBytes, extentEnd } from '../../src/protocol/extent.js';
import * as fences from '../../src/protocol/fence.js';
import { decideHeal } from '../../src/protocol/heal.js';
import { compareUtf8, type ObjectId, parseObjectId } from '../../src/protocol/object-id.js';
import type { FullCopyCursor, ObjectSummary } from '../../src/protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT } from '../../src/protocol/recovery-plan.js';
import { type Epoch, EPOCH_NONE, type GeneratorId, type Tag, tagGenerator } from '../../src/protocol/tag.js';
import * as tokens from '../../src/protocol/token.js';
import {
  applyWrite,
  decideWrite,
  type ObjectState,
  rowOfWrite,
  type TagRow,
} from '../../src/protocol/write.js';
import type * as port from '../../src/store/object-store.js';
import { StoreError } from '../../src/store/object-store.js';
import { LostBytes } from './lost-bytes.js';
import { outcomesOf } from './write-outcomes.js';

const NO_BYTES = Buffer.alloc(0);
const SMALL_BYTES_MAX = 16 * 1024;

interface StoredBytes {
  readonly state: ObjectState;
  readonly bytes: Buffer;
}

function compareCursors(left: port.RowCursor, right: port.RowCursor): number {
  if (left.objectId !== right.objectId) return compareUtf8(left.objectId, right.objectId);
  return left.tag < right.tag ? -1 : left.tag > right.tag ? 1 : 0;
}

/** Puts content into bytes, growing them when it passes their end. */
function splice(before: Buffer, offset: number, content: Buffer): Buffer {
  const after = Buffer.alloc(Math.max(before.length, offset + content.length));
  before.copy(after);
  content.copy(after, offset);
  return after;
}

function resolveRange(range: port.StoreRange, sizeBytes: number): Extent | null {
  if (range.kind === 'none') return { offset: 0, length: 0 };
  if (range.kind === 'whole') return { offset: 0, length: sizeBytes };
  if (range.kind === 'suffix') {
    const length = Math.min(range.lengthBytes, sizeBytes);
    return length === 0 ? null : { offset: sizeBytes - length, length };
  }
  const last = Math.min(range.last ?? sizeBytes - 1, sizeBytes - 1);
  if (range.first >= sizeBytes || last < range.first) return null;
  return { offset: range.first, length: last - range.first + 1 };
}

function readOf(state: port.PresentObject, all: Buffer, extent: Extent | null): port.StoreRead {
  const bytes = extent === null ? NO_BYTES : all.subarray(extent.offset, extentEnd(extent));
  const body = (async function* () {
    if (bytes.length > 0) yield bytes;
  })();
  return { state, extent, body, bytes: bytes.length <= SMALL_BYTES_MAX ? bytes : null };
}

export interface MemoryStoreOptions {
  readonly setId: string;
  readonly storeId: tokens.StoreId;
  readonly clock?: () => number;
}

export class MemoryObjectStore implements port.ObjectStore {
  readonly #setId: string;
  #storeId: tokens.StoreId;
  readonly #clock: () => number;
  readonly #objects = new Map<ObjectId, StoredBytes>();
  readonly #rows = new Map<string, TagRow>();
  readonly #witnesses = new Map<tokens.StoreId, number>();
  readonly #floors = new Map<GeneratorId, Tag>();
  readonly #stages = new Map<string, Buffer>();
  readonly #lost = new LostBytes();
  #fence: fences.FenceState = { fencedEpoch: EPOCH_NONE, activeEpoch: EPOCH_NONE };
  #commitSequence = 0;
  #hasContent = false;
  #selfDoubt: string | null = null;
  #scrubRecord: string | null = null;
  #authorityRecord: string | null = null;
  #fullCopyCursor: FullCopyCursor | null = null;
  #stageCount = 0;
  #isClosed = false;

  constructor({ setId, storeId, clock = () => 0 }: MemoryStoreOptions) {
    this.#setId = setId;
    this.#storeId = storeId;
    this.#clock = clock;
  }

  /** What a restart of the process leaves: all that was committed. */
  reopen(): this {
    this.#stages.clear();
    this.#fence = fences.reopenFence(this.#fence.fencedEpoch);
    this.#isClosed = false;
    return this;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
  }

  segments(): port.SegmentSummary {
    return { segmentCount: 0, writtenBytes: 0, deadBytes: 0 };
  }

  report(): port.StoreReport {
    const states = [...this.#objects.values()];
    const rows = [...this.#rows.values()];
    return {
      storeId: this.#storeId,
      setId: this.#setId,
      formatVersion: 3,
      commitSequence: this.#commitSequence,
      fence: this.#fence,
      fault: null,
      selfDoubt: this.#selfDoubt,
      blank: !this.#hasContent,
      witnesses: [...this.#witnesses].map(([storeId, commitSequence]) => ({ storeId, commitSequence })),
      tagTable: { rowCount: rows.length, rowBytes: rows.reduce((sum, { length }) => sum + length, 0) },
      objectCount: states.filter(({ state }) => state.kind === 'present').length,
      tombstoneCount: states.filter(({ state }) => state.kind === 'tombstone').length,
      blobBytes: 0,
    };
  }

  async fence(epoch: Epoch): Promise<fences.FenceVerdict> {
    return this.#move(fences.decideFence(this.#fence, epoch));
  }

  async activate(epoch: Epoch): Promise<fences.FenceVerdict> {
    return this.#move(fences.decideActivate(this.#fence, epoch));
  }

  async rebuild(epoch: Epoch): Promise<fences.FenceVerdict> {
    return this.#move(fences.decideRebuild(this.#fence, epoch));
  }

  async advance(from: Epoch, to: Epoch): Promise<fences.FenceVerdict> {
    return this.#move(fences.decideAdvance(this.#fence, from, to));
  }

  #move(verdict: fences.FenceVerdict): fences.FenceVerdict {
    this.#assertOpen();
    if (verdict.kind === 'move') this.#fence = verdict.state;
    this.#dropTombstones();
    return verdict;
  }

  async setSelfDoubt(reason: string | null): Promise<void> {
    this.#selfDoubt = reason === null ? null : (this.#selfDoubt ?? reason);
  }

  openStage(): port.StageWriter {
    this.#assertOpen();
    const pieces: Buffer[] = [];
    this.#stageCount += 1;
    const stageId = `stage-${this.#stageCount}`;
    return {
      write: async (piece) => void pieces.push(Buffer.from(piece)),
      finish: async () => {
        const bytes = Buffer.concat(pieces);
        this.#stages.set(stageId, bytes);
        return { stageId, lengthBytes: bytes.length, contentChecksum: crc32c(bytes) };
      },
      abort: async () => void this.#stages.delete(stageId),
    };
  }

  async discardStage(stageId: string): Promise<void> {
    this.#stages.delete(stageId);
  }

  #contentOf(content: port.WriteContent): Buffer | null {
    if (content.kind === 'compose') return this.#compose(content.sources);
    if (content.kind === 'stage') return this.#stages.get(content.stageId) ?? null;
    return content.kind === 'bytes' ? content.bytes : NO_BYTES;
  }

  #compose(sources: readonly ComposeSource[]): Buffer | null {
    const pieces: Buffer[] = [];
    for (const source of sources) {
      const object = this.#objects.get(source.objectId) ?? null;
      if (object === null || !isSourceAsExpected(source, object.state)) return null;
      pieces.push(object.bytes.subarray(source.extent.offset, extentEnd(source.extent)));
    }
    return Buffer.concat(pieces);
  }

  async write(request: port.WriteRequest): Promise<port.WriteReply> {
    this.#assertOpen();
    const reply = this.#decideAndApply(request);
    this.#dropTombstones();
    return reply;
  }

  writeMany(requests: readonly port.WriteRequest[]): Promise<readonly port.WriteOutcome[]> {
    return outcomesOf(requests.map((request) => this.write(request)));
  }

  #decideAndApply(request: port.WriteRequest): port.WriteReply {
    const { transaction: write, content, contentChecksum } = request;
    this.#hearFloor(write.setId, write.epoch, request.floor);
    const object = this.#objects.get(write.objectId) ?? null;
    const row = this.#rows.get(write.objectId + write.tag) ?? null;
    const { fencedEpoch, activeEpoch } = this.#fence;
    const floor = this.#floors.get(tagGenerator(write.tag)) ?? null;
    const context = {
      setId: this.#setId,
      fencedEpoch,
      activeEpoch,
      floor,
      row,
      object: object?.state ?? null,
    };
    const verdict = decideWrite(context, write);
    const refuse = (code: (port.WriteReply & { kind: 'refused' })['code']): port.WriteReply => {
      return { kind: 'refused', code, lastTag: object?.state.lastTag ?? null };
    };
    if (verdict.kind === 'refuse') return refuse(verdict.code);
    if (this.#selfDoubt !== null) return refuse('self-doubt');
    if (verdict.kind === 'apply') {
      const bytes = this.#contentOf(content);
      if (content.kind === 'compose' && write.kind !== 'replace') return refuse('bad-transaction');
      if (bytes === null) return refuse(content.kind === 'compose' ? 'source-changed' : 'unknown-stage');
      const checksum = crc32c(content.kind === 'compose' ? composeText(content.sources) : bytes);
      if (bytes.length !== write.length || checksum !== contentChecksum) return refuse('checksum-mismatch');
      const effect = applyWrite(object?.state ?? null, write);
      const before = object?.bytes ?? NO_BYTES;
      const edited = effect.edit.kind === 'splice' ? splice(before, write.offset, bytes) : before;
      const after = { 'replace-all': Buffer.from(bytes), splice: edited, keep: before, drop: NO_BYTES }[
        effect.edit.kind
      ];
      this.#commit();
      this.#objects.set(write.objectId, { state: effect.object, bytes: after });
      if (content.kind === 'compose') this.#lost.afterCompose(write.objectId, content.sources);
      else this.#lost.afterWrite(write.objectId, effect.edit);
      this.#putRow(rowOfWrite(write, this.#commitSequence, this.#clock()));
    }
    if (content.kind === 'stage') this.#stages.delete(content.stageId);
    const commitSequence = row?.commitSequence ?? this.#commitSequence;
    const { tag, objectId } = write;
    const token = tokens.makeToken({ storeId: this.#storeId, commitSequence, tag, objectId });
    return { kind: 'committed', token, commitSequence, isDuplicate: verdict.kind === 'duplicate' };
  }

  #commit(): void {
    this.#commitSequence += 1;
    this.#hasContent = true;
  }

  #putRow(row: TagRow): void {
    this.#rows.set(row.objectId + row.tag, row);
  }

  #hearFloor(setId: string, epoch: Epoch, floor: Tag): void {
    const { activeEpoch } = this.#fence;
    if (setId !== this.#setId || activeEpoch === EPOCH_NONE || epoch !== activeEpoch) return;
    this.#floors.set(tagGenerator(floor), tokens.raiseFloor(this.#floors, floor));
  }

  #hearWitnesses(witnesses: readonly tokens.Witness[]): void {
    for (const { storeId, commitSequence } of witnesses) {
      if (storeId === this.#storeId) continue;
      this.#witnesses.set(storeId, Math.max(commitSequence, this.#witnesses.get(storeId) ?? 0));
    }
  }

  #dropTombstones(): void {
    for (const [id, { state }] of this.#objects) {
      if (state.kind !== 'tombstone') continue;
      const hasRow = [...this.#rows.values()].some((row) => row.objectId === id);
      const floor = this.#floors.get(tagGenerator(state.lastTag)) ?? null;
      const { fencedEpoch, activeEpoch, isRebuilding } = this.#fence;
      const rebuilding = activeEpoch === EPOCH_NONE || isRebuilding === true || this.#selfDoubt !== null;
      const context = { lastTag: state.lastTag, hasRow, floor, fencedEpoch, rebuilding };
      if (tokens.mayDropTombstone(context)) this.#objects.delete(id);
    }
  }

  async clear(batch: port.ClearBatch): Promise<port.ClearReply> {
    const claims = batch.clears.map(({ token, witnesses }) => ({ parts: this.#parse(token), witnesses }));
    for (const { parts, witnesses } of [{ parts: this.#ownToken(), witnesses: [] }, ...claims]) {
      if (parts === null) return { kind: 'refused', code: 'foreign-token' };
      const refused = await this.#judge(batch, parts, witnesses, this.#fence.activeEpoch);
      if (refused !== null) return refused;
    }
    this.#hearFloor(batch.setId, batch.epoch, batch.floor);
    let rowCount = 0;
    for (const { parts, witnesses } of claims) {
      if (parts !== null && this.#rows.delete(parts.objectId + parts.tag)) rowCount += 1;
      this.#hearWitnesses(witnesses);
    }
    this.#dropTombstones();
    return { kind: 'cleared', rowCount };
  }

  #parse(token: tokens.Token): tokens.TokenParts | null {
    try {
      return tokens.parseToken(token);
    } catch {
      return null;
    }
  }

  /** A token that no rule refuses: it stands for a batch that has none. */
  #ownToken(): tokens.TokenParts {
    return { storeId: this.#storeId, commitSequence: 0 } as tokens.TokenParts;
  }

  async #judge(
    claim: { readonly setId: string; readonly epoch: Epoch },
    token: tokens.TokenParts,
    witnesses: readonly tokens.Witness[],
    activeEpoch: Epoch,
  ): Promise<port.ClearReply | null> {
    this.#assertOpen();
    const own = { setId: this.#setId, storeId: this.#storeId, commitSequence: this.#commitSequence };
    const context = { ...own, fencedEpoch: this.#fence.fencedEpoch, activeEpoch };
    const verdict = tokens.decideClear(context, { setId: claim.setId, epoch: claim.epoch, token, witnesses });
    if (verdict.kind === 'clear') return null;
    if (verdict.code === 'state-lost')
      await this.setSelfDoubt('a peer knows of a later commit: state was lost');
    return { kind: 'refused', code: verdict.code };
  }

  async heal(heal: port.Heal): Promise<port.HealReply> {
    const object = this.#objects.get(heal.objectId);
    const targetLastTag = object?.state.kind === 'present' ? object.state.lastTag : null;
    const verdict = decideHeal({ fence: this.#fence, targetLastTag }, heal);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const bytes = this.#stages.get(heal.stageId);
    if (bytes === undefined || object === undefined) return { kind: 'refused', code: 'unknown-stage' };
    if (crc32c(bytes) !== heal.contentChecksum || bytes.length !== extentBytes(heal.extents)) {
      return { kind: 'refused', code: 'checksum-mismatch' };
    }
    this.#stages.delete(heal.stageId);
    const healed = Buffer.from(object.bytes);
    let at = 0;
    for (const { offset, length } of heal.extents) {
      bytes.copy(healed, offset, at, at + length);
      at += length;
    }
    this.#objects.set(heal.objectId, { ...object, bytes: healed });
    this.#lost.afterHeal(heal.objectId, heal.extents);
    this.#commitSequence += 1;
    return { kind: 'landed' };
  }

  async authorityRecord(): Promise<string | null> {
    return this.#authorityRecord;
  }

  async setAuthorityRecord(record: string): Promise<void> {
    this.#authorityRecord = record;
  }

  async scrubRecord(): Promise<string | null> {
    return this.#scrubRecord;
  }

  async setScrubRecord(record: string): Promise<void> {
    this.#scrubRecord = record;
  }

  async dropRows(drop: port.RowDrop): Promise<port.ClearReply> {
    const activeEpoch = fences.mayDropRows(this.#fence, drop.epoch) ? drop.epoch : EPOCH_NONE;
    const refused = await this.#judge(drop, this.#ownToken(), drop.witnesses, activeEpoch);
    if (refused !== null) return refused;
    let rowCount = 0;
    for (const { objectId, tag } of drop.rows) if (this.#rows.delete(objectId + tag)) rowCount += 1;
    this.#hearWitnesses(drop.witnesses);
    return { kind: 'cleared', rowCount };
  }

  async head(id: ObjectId): Promise<ObjectState | null> {
    this.#assertOpen();
    return this.#objects.get(id)?.state ?? null;
  }

  async read(id: ObjectId, range: port.StoreRange): Promise<port.StoreRead | null> {
    this.#assertOpen();
    const object = this.#objects.get(id);
    if (object?.state.kind !== 'present') return null;
    const extent = resolveRange(range, object.bytes.length);
    if (this.#lost.isIn(id, extent)) throw new StoreError('damaged', 'these bytes were intact nowhere');
    return readOf(object.state, object.bytes, extent);
  }

  async lostObjects(after: ObjectId | null, limit: number): Promise<port.LostObject[]> {
    return this.#lost.list(this.#objects, { after, limit });
  }

  async readKept(id: ObjectId, range: port.StoreRange): Promise<port.StoreRead | null> {
    const kept = this.#lost.kept(id);
    if (kept?.state.kind !== 'present') return null;
    return readOf(kept.state, kept.bytes, resolveRange(range, kept.bytes.length));
  }

  async list(request: port.StoreListRequest): Promise<port.StoreListPage> {
    const { container, prefix, after, afterVersion, delimiter, limit } = request;
    const entries: port.StoreListEntry[] = [];
    let lastPrefix: string | null = null;
    for (const [id, { state }] of this.#sorted()) {
      const { container: ownContainer, name, version } = parseObjectId(id);
      if (state.kind !== 'present' || ownContainer !== container || !name.startsWith(prefix)) continue;
      const at = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
      const commonPrefix = at < 0 ? null : name.slice(0, at + delimiter.length);
      const isLaterVersion =
        commonPrefix === null && name === after && afterVersion !== undefined && version > afterVersion;
      if (after !== '' && compareUtf8(commonPrefix ?? name, after) <= 0 && !isLaterVersion) continue;
      if (commonPrefix !== null && commonPrefix === lastPrefix) continue;
      if (entries.length === limit) return { entries, truncated: limit > 0 };
      lastPrefix = commonPrefix;
      if (commonPrefix === null) entries.push({ kind: 'object', id, state });
      else entries.push({ kind: 'common-prefix', prefix: commonPrefix });
    }
    return { entries, truncated: false };
  }

  #sorted(): [ObjectId, StoredBytes][] {
    return [...this.#objects].sort(([left], [right]) => compareUtf8(left, right));
  }

  async rows(after: port.RowCursor | null, limit: number): Promise<TagRow[]> {
    const rows = [...this.#rows.values()].sort(compareCursors);
    return rows.filter((row) => after === null || compareCursors(row, after) > 0).slice(0, limit);
  }

  async rowsOf(id: ObjectId, limit: number): Promise<TagRow[]> {
    const rows = [...this.#rows.values()].filter(({ objectId }) => objectId === id);
    return rows.sort(compareCursors).slice(0, limit);
  }

  async oldestRowMs(): Promise<number | null> {
    const times = [...this.#rows.values()].map(({ writtenMs }) => writtenMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  async summaries(after: ObjectId | null, limit: number): Promise<ObjectSummary[]> {
    const later = this.#sorted().filter(([id]) => after === null || compareUtf8(id, after) > 0);
    return later.slice(0, limit).map(([objectId, { state }]) => ({
      objectId,
      lastTag: state.lastTag,
      sizeBytes: state.kind === 'present' ? state.sizeBytes : null,
      lastChecksum: state.lastChecksum,
    }));
  }

  async push(push: port.Push): Promise<port.PushReply> {
    this.#assertOpen();
    const { objectId, state, content } = push;
    const stageId = push.bytes.kind === 'stage' ? push.bytes.stageId : null;
    const object = this.#objects.get(objectId);
    const targetLastTag = object?.state.lastTag ?? null;
    const verdict = fences.decidePush({ fence: this.#fence, targetLastTag }, push);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const bytes = this.#contentOf(push.bytes) ?? undefined;
    if (bytes === undefined) return { kind: 'refused', code: 'unknown-stage' };
    const parts = this.#lost.pushedParts(push);
    if (bytes.length !== extentBytes(parts) || crc32c(bytes) !== push.contentChecksum) {
      return { kind: 'refused', code: 'checksum-mismatch' };
    }
    let after: Buffer = NO_BYTES;
    if (state?.kind === 'present') {
      if (content.kind === 'extents' && object?.state.kind !== 'present')
        return { kind: 'refused', code: 'no-base' };
      const isBased = content.kind === 'extents' || push.lost === undefined;
      const own = content.kind === 'extents' ? (object?.bytes ?? NO_BYTES) : NO_BYTES;
      const base = isBased ? own.subarray(0, state.sizeBytes) : Buffer.alloc(state.sizeBytes);
      const landed = land(base, parts, bytes);
      if (landed?.length !== state.sizeBytes) return { kind: 'refused', code: 'no-base' };
      after = landed;
    }
    this.#commit();
    this.#lost.afterPush(push, object);
    if (state === null) this.#objects.delete(objectId);
    else this.#objects.set(objectId, { state, bytes: after });
    for (const [key, row] of this.#rows) if (row.objectId === objectId) this.#rows.delete(key);
    const commitSequence = this.#commitSequence;
    for (const row of push.rows) this.#putRow({ ...row, commitSequence, writtenMs: this.#clock() });
    if (stageId !== null) this.#stages.delete(stageId);
    return { kind: 'landed' };
  }

  async beginFullCopy(storeId: tokens.StoreId): Promise<void> {
    this.#storeId = storeId;
    this.#selfDoubt = FULL_COPY_DOUBT;
    this.#fullCopyCursor = null;
    this.#authorityRecord = null;
  }

  async fullCopyCursor(): Promise<FullCopyCursor | null> {
    return this.#fullCopyCursor;
  }

  async setFullCopyCursor(cursor: FullCopyCursor): Promise<void> {
    this.#fullCopyCursor = cursor;
  }

  async endFullCopy(): Promise<void> {
    this.#selfDoubt = null;
    this.#fullCopyCursor = null;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

/** The base with the extents' bytes in their places; null when one would leave a gap. */
function land(base: Buffer, extents: readonly Extent[], bytes: Buffer): Buffer | null {
  let landed = base;
  let position = 0;
  for (const { offset, length } of extents) {
    if (offset > landed.length) return null;
    landed = splice(landed, offset, bytes.subarray(position, position + length));
    position += length;
  }
  return landed;
}
