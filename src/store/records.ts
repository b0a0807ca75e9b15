/**
 * Object records and tombstones.
 *
 *   object (20 id)                                tombstone (21 id)
 *     version u8 = 1                                version u8 = 1
 *     last tag 14                                   last tag 14
 *     last checksum u32                             last checksum u32
 *     attributes length u32                         CRC32C u32
 *     extent count u32
 *     attributes, UTF-8
 *     extents, one after another from offset 0, each
 *       inline:  00, length u64, bytes
 *       blob:    01, length u64, blob id u64, offset in the blob u64
 *     CRC32C u32
 *
 * The object's size is the sum of its extents' lengths.
 */
import { invariant } from '../protocol/invariant.js';
import type { ObjectState } from '../protocol/write.js';
import { covers, type ExtentMap, mapBytes, type StoredExtent } from './extent-map.js';
import { toBlobId } from './keys.js';
import type { PresentObject } from './object-store.js';
import { type ByteReader, type ByteWriter, openValue, sealValue, TAG_BYTES } from './sealed-value.js';

export type TombstoneState = Extract<ObjectState, { kind: 'tombstone' }>;

/** What the store has of one object. */
export type StoredObject =
  | { readonly kind: 'present'; readonly state: PresentObject; readonly map: ExtentMap }
  | { readonly kind: 'tombstone'; readonly state: TombstoneState };

/** The extents of what there is; none for a tombstone or for nothing. */
export function mapOf(stored: StoredObject | null): ExtentMap {
  return stored?.kind === 'present' ? stored.map : [];
}

const OBJECT_VERSION = 1;
const TOMBSTONE_VERSION = 1;
const FIXED_BYTES = TAG_BYTES + 4 + 4 + 4;
const TOMBSTONE_BYTES = TAG_BYTES + 4;
const INLINE = 0;
const BLOB = 1;
const INLINE_EXTENT_BYTES = 1 + 8;
const BLOB_EXTENT_BYTES = 1 + 8 + 8 + 8;

function extentBytes({ source, length }: StoredExtent): number {
  return source.kind === 'inline' ? INLINE_EXTENT_BYTES + length : BLOB_EXTENT_BYTES;
}

/**
 * The value to store, and the same map with its inline bytes as views of that value: so that what is kept in memory
 * does not hang on to the larger buffers that content arrives in, nor on its callers.
 */
export interface EncodedObject {
  readonly value: Buffer;
  readonly map: ExtentMap;
}

export function encodeObject(key: Buffer, state: PresentObject, map: ExtentMap): EncodedObject {
  invariant(covers(map, state.sizeBytes), 'the extents cover the object', { sizeBytes: state.sizeBytes });
  const attributesBytes = Buffer.byteLength(state.attributes);
  let bodyBytes = FIXED_BYTES + attributesBytes;
  for (const extent of map) bodyBytes += extentBytes(extent);
  const owned: StoredExtent[] = [];
  const value = sealValue(key, OBJECT_VERSION, bodyBytes, (writer) => {
    writer
      .tag(state.lastTag)
      .u32(state.lastChecksum)
      .u32(attributesBytes)
      .u32(map.length)
      .text(state.attributes);
    for (const extent of map) owned.push(writeExtent(writer, extent));
  });
  return { value, map: owned };
}

function writeExtent(writer: ByteWriter, extent: StoredExtent): StoredExtent {
  const { offset, length, source } = extent;
  if (source.kind === 'blob') {
    writer.u8(BLOB).u64(length).u64(source.blobId).u64(source.blobOffset);
    return extent;
  }
  const start = writer.u8(INLINE).u64(length).at;
  writer.raw(source.bytes);
  return { offset, length, source: { kind: 'inline', bytes: writer.bytes.subarray(start, start + length) } };
}

function readExtent(body: ByteReader, offset: number): StoredExtent {
  const kind = body.u8();
  const length = body.u64();
  if (kind === INLINE) return { offset, length, source: { kind: 'inline', bytes: body.raw(length) } };
  if (kind !== BLOB) throw new RangeError(`unknown kind of extent: ${kind}`);
  return { offset, length, source: { kind: 'blob', blobId: toBlobId(body.u64()), blobOffset: body.u64() } };
}

/** Inline bytes are views of `value`. Throws StoreError `damaged`. */
export function decodeObject(key: Buffer, value: Buffer): StoredObject & { kind: 'present' } {
  return openValue(key, OBJECT_VERSION, value, (body) => {
    const lastTag = body.tag();
    const lastChecksum = body.u32();
    const attributesBytes = body.u32();
    const extentCount = body.u32();
    const attributes = body.text(attributesBytes);
    const map: StoredExtent[] = [];
    let sizeBytes = 0;
    for (let index = 0; index < extentCount; index += 1) {
      map.push(readExtent(body, sizeBytes));
      sizeBytes = mapBytes(map);
    }
    return { kind: 'present', state: { kind: 'present', sizeBytes, lastTag, lastChecksum, attributes }, map };
  });
}

export function encodeTombstone(key: Buffer, state: TombstoneState): Buffer {
  return sealValue(key, TOMBSTONE_VERSION, TOMBSTONE_BYTES, (writer) => {
    writer.tag(state.lastTag).u32(state.lastChecksum);
  });
}

/** Throws StoreError `damaged`. */
export function decodeTombstone(key: Buffer, value: Buffer): StoredObject & { kind: 'tombstone' } {
  return openValue(key, TOMBSTONE_VERSION, value, (body) => ({
    kind: 'tombstone',
    state: { kind: 'tombstone', lastTag: body.tag(), lastChecksum: body.u32() },
  }));
}
