/**
 * The keys of the one LevelDB. The first byte is the key space; LevelDB orders keys by their bytes.
 *
 *   01            identity                    20 id           object record
 *   02            commit head                 21 id           tombstone (apart, so that a listing does not meet them)
 *   03            self doubt                  22 id           an object with lost bytes
 *                                             30 id 00 tag    tag table row
 *   04            full copy cursor            40 blob u64     blob table
 *   05            segments that are open      41 blob u64     a blob without references whose file is still to be removed
 *   06            scrub record
 *   07            renewed store id
 *   08            copy of the authority's state
 *   10 slot u16   commit ring                 42 seg u64 blob u64   a blob that has fragments in a segment
 *   11 store 16   witness of a peer           43 seg u64      segment table
 *   12 gen u16    floor of a generator
 *
 * `id` is the UTF-8 of an object id (container NUL name NUL version), so ids sort by container, then name, then version.
 * `tag` is 14 bytes. In a row's key the byte after the id is 00; an id that continues another one (a version where the
 * other has none) has no 00 there, so the rows of an object are one run of keys, in order of their tags.
 */
import { describeObject, type ObjectId } from '../protocol/object-id.js';
import type { GeneratorId, Tag } from '../protocol/tag.js';
import type { StoreId } from '../protocol/token.js';
import { ByteReader, ByteWriter, TAG_BYTES } from '../protocol/bytes.js';

declare const blobIdBrand: unique symbol;
/** Names one immutable blob of one store, for ever. Integers from 1 up, given out in order. */
export type BlobId = number & { readonly [blobIdBrand]: 'BlobId' };

export function toBlobId(value: number): BlobId {
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`not a blob id: ${value}`);
  return value as BlobId;
}

declare const segmentIdBrand: unique symbol;
/** Names one segment of one store, for ever. Integers from 1 up, given out in order. */
export type SegmentId = number & { readonly [segmentIdBrand]: 'SegmentId' };

export function toSegmentId(value: number): SegmentId {
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`not a segment id: ${value}`);
  return value as SegmentId;
}

export const KEY_SPACE = {
  identity: 0x01,
  head: 0x02,
  selfDoubt: 0x03,
  fullCopyCursor: 0x04,
  openSegments: 0x05,
  scrubRecord: 0x06,
  renewedStoreId: 0x07,
  authorityRecord: 0x08,
  ring: 0x10,
  witness: 0x11,
  floor: 0x12,
  object: 0x20,
  tombstone: 0x21,
  lost: 0x22,
  row: 0x30,
  blob: 0x40,
  deadBlob: 0x41,
  resident: 0x42,
  segment: 0x43,
} as const;

export const IDENTITY_KEY = Buffer.of(KEY_SPACE.identity);
export const HEAD_KEY = Buffer.of(KEY_SPACE.head);
export const SELF_DOUBT_KEY = Buffer.of(KEY_SPACE.selfDoubt);
export const FULL_COPY_CURSOR_KEY = Buffer.of(KEY_SPACE.fullCopyCursor);
export const SCRUB_RECORD_KEY = Buffer.of(KEY_SPACE.scrubRecord);
export const AUTHORITY_RECORD_KEY = Buffer.of(KEY_SPACE.authorityRecord);
export const RENEWED_STORE_ID_KEY = Buffer.of(KEY_SPACE.renewedStoreId);

export const OPEN_SEGMENTS_KEY = Buffer.of(KEY_SPACE.openSegments);

const ROW_SEPARATOR = 0x00;

/** First key of a space, and the first one behind it. */
export function spaceBounds(space: number): { readonly gte: Buffer; readonly lt: Buffer } {
  return { gte: Buffer.of(space), lt: Buffer.of(space + 1) };
}

function textKey(space: number, text: string): Buffer {
  return new ByteWriter(1 + Buffer.byteLength(text)).u8(space).text(text).bytes;
}

export function objectKey(id: ObjectId): Buffer {
  return textKey(KEY_SPACE.object, id);
}

export function tombstoneKey(id: ObjectId): Buffer {
  return textKey(KEY_SPACE.tombstone, id);
}

/** The mark of an object with lost bytes. */
export function lostKey(id: ObjectId): Buffer {
  return textKey(KEY_SPACE.lost, id);
}

/** The id in an object's, a tombstone's or a mark's key, which this store wrote itself. */
export function idOfKey(key: Buffer): ObjectId {
  return key.toString('utf8', 1) as ObjectId;
}

export function rowKey(id: ObjectId, tag: Tag): Buffer {
  const idBytes = Buffer.byteLength(id);
  return new ByteWriter(2 + idBytes + TAG_BYTES).u8(KEY_SPACE.row).text(id).u8(ROW_SEPARATOR).tag(tag).bytes;
}

/** The bounds of all rows of one object. */
export function rowBounds(id: ObjectId): { readonly gte: Buffer; readonly lt: Buffer } {
  const idBytes = Buffer.byteLength(id);
  const bound = (separator: number): Buffer =>
    new ByteWriter(2 + idBytes).u8(KEY_SPACE.row).text(id).u8(separator).bytes;
  return { gte: bound(ROW_SEPARATOR), lt: bound(ROW_SEPARATOR + 1) };
}

export function parseRowKey(key: Buffer): { readonly objectId: ObjectId; readonly tag: Tag } {
  const idEnd = key.length - TAG_BYTES - 1;
  return {
    objectId: key.toString('utf8', 1, idEnd) as ObjectId,
    tag: key.toString('hex', idEnd + 1) as Tag,
  };
}

/** What is kept under a key, as an operator knows it. */
export function describeKey(key: Buffer): string {
  switch (key[0]) {
    case KEY_SPACE.object:
    case KEY_SPACE.tombstone:
    case KEY_SPACE.lost:
      return `the record of ${describeObject(idOfKey(key))}`;
    case KEY_SPACE.row:
      return `a row of ${describeObject(parseRowKey(key).objectId)}`;
    default:
      return `the value of key ${key.toString('hex')}`;
  }
}

export function ringKey(slot: number): Buffer {
  return new ByteWriter(3).u8(KEY_SPACE.ring).u16(slot).bytes;
}

export function witnessKey(storeId: StoreId): Buffer {
  return Buffer.concat([Buffer.of(KEY_SPACE.witness), Buffer.from(storeId, 'hex')]);
}

export function storeIdOfKey(key: Buffer): StoreId {
  return key.toString('hex', 1) as StoreId;
}

export function floorKey(generator: GeneratorId): Buffer {
  return new ByteWriter(3).u8(KEY_SPACE.floor).u16(generator).bytes;
}

export function generatorOfKey(key: Buffer): GeneratorId {
  return key.readUInt16BE(1) as GeneratorId;
}

export function blobKey(blobId: BlobId): Buffer {
  return new ByteWriter(9).u8(KEY_SPACE.blob).u64(blobId).bytes;
}

export function deadBlobKey(blobId: BlobId): Buffer {
  return new ByteWriter(9).u8(KEY_SPACE.deadBlob).u64(blobId).bytes;
}

export function blobIdOfKey(key: Buffer): BlobId {
  return toBlobId(new ByteReader(key, 1).u64());
}

/** Says that a blob has fragments in a segment. */
export function residentKey(segmentId: SegmentId, blobId: BlobId): Buffer {
  return new ByteWriter(17).u8(KEY_SPACE.resident).u64(segmentId).u64(blobId).bytes;
}

/** The bounds of all blobs that have fragments in a segment. */
export function residentBounds(segmentId: SegmentId): { readonly gte: Buffer; readonly lt: Buffer } {
  const bound = (id: number): Buffer => new ByteWriter(9).u8(KEY_SPACE.resident).u64(id).bytes;
  return { gte: bound(segmentId), lt: bound(segmentId + 1) };
}

export function residentOfKey(key: Buffer): BlobId {
  return toBlobId(new ByteReader(key, 9).u64());
}

export function segmentKey(segmentId: SegmentId): Buffer {
  return new ByteWriter(9).u8(KEY_SPACE.segment).u64(segmentId).bytes;
}

export function segmentIdOfKey(key: Buffer): SegmentId {
  return toSegmentId(new ByteReader(key, 1).u64());
}
