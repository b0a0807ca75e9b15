/**
 * The small records of the store: who it is, how far it has come, and what it was told. Each in the frame of sealed-value.ts.
 *
 *   identity (01)          store id 16, set id UTF-8
 *   commit head (02)       commit sequence u64, fenced epoch u64, has content u8, next blob id u64, settled blob id u64,
 *                          objects u64, tombstones u64, rows u64, row bytes u64, blob bytes u64
 *   self doubt (03)        reason, UTF-8                      full copy cursor (04)   objects compared u64, object id UTF-8
 *   renewed store id (07)  store id 16                        copy of the authority's state (08)   what it gave, UTF-8
 *   ring slot (10)         commit sequence u64
 *   witness (11)           commit sequence u64                floor (12)              tag 14
 *   tag table row (30)     kind u8, mode u8, offset u64, length u64, checksum u32, commit sequence u64, written ms u64
 *   blob (40)              location kind u8, length u64, references u64
 *                          kind 00: a file of its own; kind 01: fragments in segments, for each segment u64, offset u64, length u64
 *   dead blob (41), resident (42)    nothing
 *   open segments (05)     next segment id u64, then the id u64 of each open segment
 *   segment (43)           is sealed u8, written bytes u64, live bytes u64
 */
import { toObjectId } from '../protocol/object-id.js';
import type { FullCopyCursor } from '../protocol/reconcile-plan.js';
import { type Epoch, type Tag, toEpoch } from '../protocol/tag.js';
import { type StoreId, toStoreId } from '../protocol/token.js';
import type { TagRow, WriteKind, WriteMode } from '../protocol/write.js';
import { type BlobId, parseRowKey, type SegmentId, toBlobId, toSegmentId } from './keys.js';
import { type ByteReader, TAG_BYTES } from '../protocol/bytes.js';
import { openValue, sealValue } from './sealed-value.js';
import type { Fragment } from './segment-format.js';

const VERSION = 1;

export interface StoreIdentity {
  readonly storeId: StoreId;
  readonly setId: string;
}

const STORE_ID_BYTES = 16;

export function encodeIdentity(key: Buffer, identity: StoreIdentity): Buffer {
  const bodyBytes = STORE_ID_BYTES + Buffer.byteLength(identity.setId);
  return sealValue(key, VERSION, bodyBytes, (writer) => {
    writer.raw(Buffer.from(identity.storeId, 'hex')).text(identity.setId);
  });
}

export function decodeIdentity(key: Buffer, value: Buffer): StoreIdentity {
  return openValue(key, VERSION, value, (body) => {
    const storeId = body.raw(STORE_ID_BYTES).toString('hex') as StoreId;
    return { storeId, setId: body.text(body.remainingBytes) };
  });
}

/** What every batch brings up to date, so that opening a store counts nothing. */
export interface CommitHead {
  readonly commitSequence: number;
  readonly fencedEpoch: Epoch;
  /** False until the first object lands. */
  readonly hasContent: boolean;
  readonly nextBlobId: BlobId;
  /** Every blob below this one is in the blob table, is a dead blob, or has no file. */
  readonly settledBlobId: BlobId;
  readonly objectCount: number;
  readonly tombstoneCount: number;
  readonly rowCount: number;
  readonly rowBytes: number;
  readonly blobBytes: number;
}

const HEAD_BYTES = 9 * 8 + 1;

export function encodeHead(key: Buffer, head: CommitHead): Buffer {
  return sealValue(key, VERSION, HEAD_BYTES, (writer) => {
    writer
      .u64(head.commitSequence)
      .u64(head.fencedEpoch)
      .u8(head.hasContent ? 1 : 0);
    writer.u64(head.nextBlobId).u64(head.settledBlobId).u64(head.objectCount).u64(head.tombstoneCount);
    writer.u64(head.rowCount).u64(head.rowBytes).u64(head.blobBytes);
  });
}

export function decodeHead(key: Buffer, value: Buffer): CommitHead {
  return openValue(key, VERSION, value, (body) => ({
    commitSequence: body.u64(),
    fencedEpoch: toEpoch(body.u64()),
    hasContent: body.u8() === 1,
    nextBlobId: toBlobId(body.u64()),
    settledBlobId: toBlobId(body.u64()),
    objectCount: body.u64(),
    tombstoneCount: body.u64(),
    rowCount: body.u64(),
    rowBytes: body.u64(),
    blobBytes: body.u64(),
  }));
}

export function encodeText(key: Buffer, text: string): Buffer {
  return sealValue(key, VERSION, Buffer.byteLength(text), (writer) => {
    writer.text(text);
  });
}

export function decodeText(key: Buffer, value: Buffer): string {
  return openValue(key, VERSION, value, (body) => body.text(body.remainingBytes));
}

const CURSOR_VERSION = 2;

export function encodeCursor(key: Buffer, { objectId, objectsCompared }: FullCopyCursor): Buffer {
  return sealValue(key, CURSOR_VERSION, 8 + Buffer.byteLength(objectId), (writer) => {
    writer.u64(objectsCompared).text(objectId);
  });
}

/** Null for one of version 1, which was the object id alone: that copy begins anew. */
export function decodeCursor(key: Buffer, value: Buffer): FullCopyCursor | null {
  if (value[0] === VERSION) return null;
  return openValue(key, CURSOR_VERSION, value, (body) => ({
    objectsCompared: body.u64(),
    objectId: toObjectId(body.text(body.remainingBytes)),
  }));
}

export function encodeStoreId(key: Buffer, storeId: StoreId): Buffer {
  return sealValue(key, VERSION, STORE_ID_BYTES, (writer) => {
    writer.raw(Buffer.from(storeId, 'hex'));
  });
}

export function decodeStoreId(key: Buffer, value: Buffer): StoreId {
  return openValue(key, VERSION, value, (body) => toStoreId(body.raw(STORE_ID_BYTES).toString('hex')));
}

/** A ring slot or a witness. */
export function encodeSequence(key: Buffer, commitSequence: number): Buffer {
  return sealValue(key, VERSION, 8, (writer) => {
    writer.u64(commitSequence);
  });
}

export function decodeSequence(key: Buffer, value: Buffer): number {
  return openValue(key, VERSION, value, (body) => body.u64());
}

export function encodeFloor(key: Buffer, floor: Tag): Buffer {
  return sealValue(key, VERSION, TAG_BYTES, (writer) => {
    writer.tag(floor);
  });
}

export function decodeFloor(key: Buffer, value: Buffer): Tag {
  return openValue(key, VERSION, value, (body) => body.tag());
}

const ROW_BYTES = 1 + 1 + 8 + 8 + 4 + 8 + 8;
const KIND_CODES: Readonly<Record<WriteKind, number>> = {
  replace: 1,
  'range-write': 2,
  extend: 3,
  'set-attributes': 4,
  remove: 5,
};
const MODE_CODES: Readonly<Record<WriteMode, number>> = { overwrite: 1, extend: 2 };

function nameOfCode<Name extends string>(codes: Readonly<Record<Name, number>>, code: number): Name {
  for (const name of Object.keys(codes) as Name[]) if (codes[name] === code) return name;
  throw new RangeError(`unknown code: ${code}`);
}

export function encodeRow(key: Buffer, row: TagRow): Buffer {
  return sealValue(key, VERSION, ROW_BYTES, (writer) => {
    writer.u8(KIND_CODES[row.kind]).u8(MODE_CODES[row.mode]).u64(row.offset).u64(row.length);
    writer
      .u32(row.checksum)
      .u64(row.commitSequence)
      .u64(Math.max(0, Math.trunc(row.writtenMs)));
  });
}

export function decodeRow(key: Buffer, value: Buffer): TagRow {
  return openValue(key, VERSION, value, (body) => ({
    ...parseRowKey(key),
    kind: nameOfCode(KIND_CODES, body.u8()),
    mode: nameOfCode(MODE_CODES, body.u8()),
    offset: body.u64(),
    length: body.u64(),
    checksum: body.u32(),
    commitSequence: body.u64(),
    writtenMs: body.u64(),
  }));
}

/** Where a blob is: in a file of its own (blob-format.ts; how stores began), or in pieces that follow one another in segments. */
export type BlobLocation =
  { readonly kind: 'file' } | { readonly kind: 'segments'; readonly fragments: readonly Fragment[] };

export interface BlobRow {
  readonly location: BlobLocation;
  /** Bytes of content. */
  readonly length: number;
  /** Extents of objects that point into it; never 0 in LevelDB. */
  readonly references: number;
}

const BLOB_ROW_BYTES = 1 + 8 + 8;
const FRAGMENT_BYTES = 8 + 8 + 8;
const LOCATION_CODES: Readonly<Record<BlobLocation['kind'], number>> = { file: 0, segments: 1 };

export function fragmentsOf(location: BlobLocation): readonly Fragment[] {
  return location.kind === 'segments' ? location.fragments : [];
}

export function encodeBlobRow(key: Buffer, row: BlobRow): Buffer {
  const fragments = fragmentsOf(row.location);
  return sealValue(key, VERSION, BLOB_ROW_BYTES + fragments.length * FRAGMENT_BYTES, (writer) => {
    writer.u8(LOCATION_CODES[row.location.kind]).u64(row.length).u64(row.references);
    for (const { segmentId, offset, length } of fragments) writer.u64(segmentId).u64(offset).u64(length);
  });
}

function readFragments(body: ByteReader): Fragment[] {
  const fragments: Fragment[] = [];
  while (body.remainingBytes > 0)
    fragments.push({ segmentId: toSegmentId(body.u64()), offset: body.u64(), length: body.u64() });
  return fragments;
}

export function decodeBlobRow(key: Buffer, value: Buffer): BlobRow {
  return openValue(key, VERSION, value, (body) => {
    const kind = nameOfCode(LOCATION_CODES, body.u8());
    const length = body.u64();
    const references = body.u64();
    const location: BlobLocation = kind === 'file' ? { kind } : { kind, fragments: readFragments(body) };
    return { location, length, references };
  });
}

/** For keys that say it all. */
export function encodeNothing(key: Buffer): Buffer {
  return sealValue(key, VERSION, 0, () => undefined);
}

export interface OpenSegments {
  readonly nextSegmentId: SegmentId;
  /** Those that were still being written to. */
  readonly segmentIds: readonly SegmentId[];
}

export function encodeOpenSegments(key: Buffer, { nextSegmentId, segmentIds }: OpenSegments): Buffer {
  return sealValue(key, VERSION, 8 + segmentIds.length * 8, (writer) => {
    writer.u64(nextSegmentId);
    for (const segmentId of segmentIds) writer.u64(segmentId);
  });
}

export function decodeOpenSegments(key: Buffer, value: Buffer): OpenSegments {
  return openValue(key, VERSION, value, (body) => {
    const nextSegmentId = toSegmentId(body.u64());
    const segmentIds: SegmentId[] = [];
    while (body.remainingBytes > 0) segmentIds.push(toSegmentId(body.u64()));
    return { nextSegmentId, segmentIds };
  });
}

export interface SegmentRow {
  /** Nothing will be written to it any more. */
  readonly isSealed: boolean;
  /** How far it was written; known once it is sealed. */
  readonly writtenBytes: number;
  /** What the fragments of counted blobs take. */
  readonly liveBytes: number;
}

export function encodeSegmentRow(key: Buffer, row: SegmentRow): Buffer {
  return sealValue(key, VERSION, 1 + 8 + 8, (writer) => {
    writer
      .u8(row.isSealed ? 1 : 0)
      .u64(row.writtenBytes)
      .u64(row.liveBytes);
  });
}

export function decodeSegmentRow(key: Buffer, value: Buffer): SegmentRow {
  return openValue(key, VERSION, value, (body) => ({
    isSealed: body.u8() === 1,
    writtenBytes: body.u64(),
    liveBytes: body.u64(),
  }));
}
