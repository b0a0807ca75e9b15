/** Speaks to a store the way a writer does: makes tags, transactions and checksums, and keeps the last tag of each object. */
import { crc32c } from '@node-rs/crc32';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import { type Epoch, makeTag, type Tag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { makeToken, type Token, toStoreId, type Witness } from '../../../src/protocol/token.js';
import type { TagRow, WriteKind, WriteTransaction } from '../../../src/protocol/write.js';
import type {
  ClearReply,
  ObjectStore,
  Push,
  PushReply,
  StagedBlob,
  StoreRange,
  WriteContent,
  WriteReply,
  WriteRequest,
} from '../../../src/store/object-store.js';

export const SET_ID = 'set-0';
export const PEER = toStoreId('f'.repeat(32));
const NO_BYTES: Buffer = Buffer.alloc(0);

export function idOf(name: string, container = 'bucket', version = ''): ObjectId {
  return makeObjectId(container, name, version);
}

export function tagOf(epoch: number, counter: number, generator = 1): Tag {
  return makeTag({ epoch: toEpoch(epoch), counter, generator: toGeneratorId(generator) });
}

/** Bytes that depend on every input, so that no piece of content passes for another. */
export function patternBytes(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let at = 0; at < lengthBytes; at += 1) {
    state = (state * 1664525 + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export interface DriverWrite {
  readonly id: ObjectId;
  readonly kind: WriteKind;
  readonly bytes?: Buffer;
  readonly offset?: number;
  readonly attributes?: string | null;
  readonly previousTag?: Tag | null;
  readonly tag?: Tag;
  readonly checksum?: number;
  readonly floor?: Tag;
  readonly content?: WriteContent;
}

export class StoreDriver {
  store: ObjectStore;
  epoch: Epoch = toEpoch(1);
  counter = 0;
  /** The floor that requests carry unless they say otherwise. */
  floor: Tag = tagOf(1, 1);
  readonly lastTags = new Map<ObjectId, Tag>();
  readonly sizes = new Map<ObjectId, number>();

  constructor(store: ObjectStore) {
    this.store = store;
  }

  /** Fences and activates the next epoch. */
  async activate(epoch: number = this.epoch): Promise<this> {
    await this.recover(epoch);
    await this.store.activate(this.epoch);
    return this;
  }

  async recover(epoch: number): Promise<void> {
    this.epoch = toEpoch(epoch);
    this.counter = 0;
    this.floor = tagOf(epoch, 1);
    const verdict = await this.store.fence(this.epoch);
    if (verdict.kind === 'refuse') throw new Error(`fence refused: ${verdict.code}`);
  }

  nextTag(): Tag {
    this.counter += 1;
    return tagOf(this.epoch, this.counter);
  }

  request(write: DriverWrite): WriteRequest {
    const bytes = write.bytes ?? NO_BYTES;
    const { id, kind } = write;
    const builds = kind === 'range-write' || kind === 'extend' || kind === 'set-attributes';
    const sizeBytes = this.sizes.get(id) ?? 0;
    const offset = write.offset ?? (kind === 'extend' ? sizeBytes : 0);
    const isAttributed = kind === 'replace' || kind === 'set-attributes';
    const previousTag = write.previousTag ?? (builds ? (this.lastTags.get(id) ?? tagOf(1, 0)) : null);
    const transaction: WriteTransaction = {
      setId: SET_ID,
      epoch: this.epoch,
      tag: write.tag ?? this.nextTag(),
      objectId: id,
      kind,
      previousTag,
      offset,
      length: bytes.length,
      mode: offset + bytes.length > sizeBytes ? 'extend' : 'overwrite',
      attributes: write.attributes === undefined ? (isAttributed ? '{}' : null) : write.attributes,
      checksum: write.checksum ?? crc32c(bytes, offset + kind.length),
    };
    const content = write.content ?? (bytes.length === 0 ? { kind: 'none' } : { kind: 'bytes', bytes });
    return { transaction, content, contentChecksum: crc32c(bytes), floor: write.floor ?? this.floor };
  }

  async send(request: WriteRequest): Promise<WriteReply> {
    const { transaction } = request;
    const { objectId, kind, offset, length, tag } = transaction;
    const before = this.sizes.get(objectId) ?? 0;
    // What is sent next builds on this one, whether or not its answer is there.
    this.lastTags.set(objectId, tag);
    if (kind === 'replace' || kind === 'remove') this.sizes.set(objectId, length);
    else this.sizes.set(objectId, Math.max(before, offset + length));
    return this.store.write(request);
  }

  write(write: DriverWrite): Promise<WriteReply> {
    return this.send(this.request(write));
  }

  put(id: ObjectId, bytes: Buffer, attributes = '{}'): Promise<WriteReply> {
    return this.write({ id, kind: 'replace', bytes, attributes });
  }

  append(id: ObjectId, bytes: Buffer): Promise<WriteReply> {
    return this.write({ id, kind: 'extend', bytes });
  }

  overwrite(id: ObjectId, offset: number, bytes: Buffer): Promise<WriteReply> {
    return this.write({ id, kind: 'range-write', offset, bytes });
  }

  remove(id: ObjectId): Promise<WriteReply> {
    return this.write({ id, kind: 'remove' });
  }

  async stage(bytes: Buffer, pieceBytes = 64 * 1024): Promise<StagedBlob> {
    const writer = this.store.openStage();
    for (let at = 0; at < bytes.length; at += pieceBytes)
      await writer.write(bytes.subarray(at, at + pieceBytes));
    return writer.finish();
  }

  async putStaged(id: ObjectId, bytes: Buffer): Promise<WriteReply> {
    const { stageId } = await this.stage(bytes);
    return this.write({ id, kind: 'replace', bytes, content: { kind: 'stage', stageId } });
  }

  clear(
    tokens: readonly Token[],
    witnesses: readonly Witness[] = [],
    floor: Tag = this.floor,
  ): Promise<ClearReply> {
    const clears = tokens.map((token) => ({ token, witnesses }));
    return this.store.clear({ setId: SET_ID, epoch: this.epoch, clears, floor });
  }

  tokenOf(row: Pick<TagRow, 'tag' | 'objectId' | 'commitSequence'>): Token {
    const { tag, objectId, commitSequence } = row;
    return makeToken({ storeId: this.store.report().storeId, commitSequence, tag, objectId });
  }

  async push(
    push: Partial<Push> & Pick<Push, 'objectId' | 'state'>,
    bytes: Buffer = NO_BYTES,
  ): Promise<PushReply> {
    const head = await this.store.head(push.objectId);
    const staged =
      bytes.length === 0
        ? ({ kind: 'none' } as const)
        : ({ kind: 'stage', stageId: (await this.stage(bytes)).stageId } as const);
    return this.store.push({
      epoch: this.epoch,
      expectedLastTag: head?.lastTag ?? null,
      lastTag: push.state?.lastTag ?? null,
      content: { kind: 'whole' },
      bytes: staged,
      contentChecksum: crc32c(bytes),
      rows: [],
      ...push,
    });
  }

  /** The bytes of an object, or null. */
  async content(id: ObjectId, range: StoreRange = { kind: 'whole' }): Promise<Buffer | null> {
    return readContent(this.store, id, range);
  }

  async allRows(): Promise<TagRow[]> {
    return this.store.rows(null, 1_000_000);
  }
}

export async function readContent(
  store: ObjectStore,
  id: ObjectId,
  range: StoreRange = { kind: 'whole' },
): Promise<Buffer | null> {
  const read = await store.read(id, range);
  if (read === null) return null;
  const pieces: Buffer[] = [];
  for await (const piece of read.body) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  if (read.bytes !== null && !read.bytes.equals(bytes)) throw new Error('bytes and body differ');
  return bytes;
}

export function expectCommitted(reply: WriteReply): WriteReply & { kind: 'committed' } {
  if (reply.kind !== 'committed') throw new Error(`refused: ${reply.code}`);
  return reply;
}

/** Quick, and short when it fails: vitest compares and prints buffers byte by byte. */
export function expectBytes(actual: Buffer | null, expected: Buffer): void {
  if (actual === null) throw new Error(`nothing there instead of ${expected.length} bytes`);
  if (actual.equals(expected)) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  throw new Error(`${actual.length} bytes instead of ${expected.length}, the first difference at ${at}`);
}
