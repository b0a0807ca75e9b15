/**
 * Object records and tombstones.
 *
 *   object (20 id)                                tombstone (21 id)
 *     version u8 = 1 or 2                           version u8 = 1
 *     last tag 14                                   last tag 14
 *     last checksum u32                             last checksum u32
 *     attributes length u32                         CRC32C u32
 *     extent count u32
 *     attributes, UTF-8
 *     extents, one after another from offset 0, each
 *       inline:  00, length u64, bytes
 *       blob:    01, length u64, blob id u64, offset in the blob u64
 *       lost:    02, length u64                     version 2 only
 *     version 2: 00, or 01 and from last tag to extents once more: the kept copy
 *     CRC32C u32
 *
 * The object's size is the sum of its extents' lengths. Version 2 is that of an object with lost bytes, and of no other.
 */
import { invariant, unreachable } from '../protocol/invariant.js';
import type { ObjectState } from '../protocol/write.js';
import { covers, type ExtentMap, lostBytes, mapBytes, type StoredExtent } from './extent-map.js';
import { toBlobId } from './keys.js';
import type { PresentObject } from './object-store.js';
import { type ByteReader, type ByteWriter, TAG_BYTES } from '../protocol/bytes.js';
import { openValue, sealValue } from './sealed-value.js';

export type TombstoneState = Extract<ObjectState, { kind: 'tombstone' }>;

/** What an object was before a write came over it whose bytes are lost. */
export interface KeptCopy {
  readonly state: PresentObject;
  readonly map: ExtentMap;
}

/** What the store has of one object. */
export type StoredObject =
  | {
      readonly kind: 'present';
      readonly state: PresentObject;
      readonly map: ExtentMap;
      /** Served to nobody, and no source of anything: an operator may put it back. Only while bytes of `map` are lost. */
      readonly kept?: KeptCopy;
    }
  | { readonly kind: 'tombstone'; readonly state: TombstoneState };

/** The extents of what there is; none for a tombstone or for nothing. */
export function mapOf(stored: StoredObject | null): ExtentMap {
  return stored?.kind === 'present' ? stored.map : [];
}

/** All extents that point into blobs: those of a kept copy too. */
export function extentsOf(stored: StoredObject | null): ExtentMap {
  if (stored?.kind !== 'present') return [];
  return stored.kept === undefined ? stored.map : [...stored.map, ...stored.kept.map];
}

export function hasLostBytes(stored: StoredObject | null): boolean {
  return stored?.kind === 'present' && lostBytes(stored.map) > 0;
}

/** What follows a state of an object: a copy that is kept stays as long as bytes are lost, and no longer. */
export function keepingCopy(before: StoredObject | null, next: StoredObject | null): StoredObject | null {
  const present = before?.kind === 'present' ? before.kept : undefined;
  if (next?.kind !== 'present' || (present === undefined && next.kept === undefined)) return next;
  const { kept = present, kind, state, map } = next;
  return kept === undefined || lostBytes(map) === 0 ? { kind, state, map } : { kind, state, map, kept };
}

const OBJECT_VERSION = 1;
const LOST_OBJECT_VERSION = 2;
const TOMBSTONE_VERSION = 1;
const FIXED_BYTES = TAG_BYTES + 4 + 4 + 4;
const TOMBSTONE_BYTES = TAG_BYTES + 4;
const INLINE = 0;
const BLOB = 1;
const LOST = 2;
const INLINE_EXTENT_BYTES = 1 + 8;
const BLOB_EXTENT_BYTES = 1 + 8 + 8 + 8;
const LOST_EXTENT_BYTES = 1 + 8;
const NOTHING_KEPT = 0;
const COPY_KEPT = 1;

function extentBytes({ source, length }: StoredExtent): number {
  switch (source.kind) {
    case 'inline':
      return INLINE_EXTENT_BYTES + length;
    case 'blob':
      return BLOB_EXTENT_BYTES;
    case 'lost':
      return LOST_EXTENT_BYTES;
    default:
      return unreachable(source);
  }
}

/**
 * The value to store, and the same map with its inline bytes as views of that value: so that what is kept in memory
 * does not hang on to the larger buffers that content arrives in, nor on its callers.
 */
export interface EncodedObject {
  readonly value: Buffer;
  readonly stored: PresentStored;
}

type PresentStored = StoredObject & { kind: 'present' };

export function encodeObject(key: Buffer, stored: PresentStored): EncodedObject {
  const { state, kept } = stored;
  const bodyBytes = copyBytes(stored);
  if (lostBytes(stored.map) === 0) {
    invariant(kept === undefined, 'a copy is kept only beside lost bytes', { tag: state.lastTag });
    let map: ExtentMap = [];
    const value = sealValue(key, OBJECT_VERSION, bodyBytes, (writer) => {
      map = writeCopy(writer, stored);
    });
    return { value, stored: { kind: 'present', state, map } };
  }
  const keptBytes = 1 + (kept === undefined ? 0 : copyBytes(kept));
  let owned: PresentStored = stored;
  const value = sealValue(key, LOST_OBJECT_VERSION, bodyBytes + keptBytes, (writer) => {
    owned = { kind: 'present', state, map: writeCopy(writer, stored) };
    writer.u8(kept === undefined ? NOTHING_KEPT : COPY_KEPT);
    if (kept !== undefined) owned = { ...owned, kept: { state: kept.state, map: writeCopy(writer, kept) } };
  });
  return { value, stored: owned };
}

function copyBytes({ state, map }: KeptCopy): number {
  invariant(covers(map, state.sizeBytes), 'the extents cover the object', { sizeBytes: state.sizeBytes });
  let bytes = FIXED_BYTES + Buffer.byteLength(state.attributes);
  for (const extent of map) bytes += extentBytes(extent);
  return bytes;
}

/** Returns the map with its inline bytes as views of what was written. */
function writeCopy(writer: ByteWriter, { state, map }: KeptCopy): ExtentMap {
  writer
    .tag(state.lastTag)
    .u32(state.lastChecksum)
    .u32(Buffer.byteLength(state.attributes))
    .u32(map.length)
    .text(state.attributes);
  return map.map((extent) => writeExtent(writer, extent));
}

function writeExtent(writer: ByteWriter, extent: StoredExtent): StoredExtent {
  const { offset, length, source } = extent;
  if (source.kind === 'blob') {
    writer.u8(BLOB).u64(length).u64(source.blobId).u64(source.blobOffset);
    return extent;
  }
  if (source.kind === 'lost') {
    writer.u8(LOST).u64(length);
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
  if (kind === LOST) return { offset, length, source: { kind: 'lost' } };
  if (kind !== BLOB) throw new RangeError(`unknown kind of extent: ${kind}`);
  return { offset, length, source: { kind: 'blob', blobId: toBlobId(body.u64()), blobOffset: body.u64() } };
}

/** The length of an extent, which is passed over. */
function passExtent(body: ByteReader): number {
  const kind = body.u8();
  const length = body.u64();
  if (kind !== INLINE && kind !== BLOB) throw new RangeError(`unknown kind of extent: ${kind}`);
  body.skip(kind === INLINE ? length : BLOB_EXTENT_BYTES - INLINE_EXTENT_BYTES);
  return length;
}

/** The state that `decodeObject` finds, for listings: without the extents. Throws StoreError `damaged`. */
export function decodeObjectState(key: Buffer, value: Buffer): PresentObject {
  if (value[0] === LOST_OBJECT_VERSION) return decodeObject(key, value).state;
  return openValue(key, OBJECT_VERSION, value, (body) => {
    const lastTag = body.tag();
    const lastChecksum = body.u32();
    const attributesBytes = body.u32();
    const extentCount = body.u32();
    const attributes = body.text(attributesBytes);
    let sizeBytes = 0;
    for (let index = 0; index < extentCount; index += 1) sizeBytes += passExtent(body);
    return { kind: 'present', sizeBytes, lastTag, lastChecksum, attributes };
  });
}

/** Inline bytes are views of `value`. Throws StoreError `damaged`. */
export function decodeObject(key: Buffer, value: Buffer): PresentStored {
  if (value[0] !== LOST_OBJECT_VERSION)
    return openValue(key, OBJECT_VERSION, value, (body) => ({ kind: 'present', ...readCopy(body) }));
  return openValue(key, LOST_OBJECT_VERSION, value, (body) => {
    const stored: PresentStored = { kind: 'present', ...readCopy(body) };
    return body.u8() === NOTHING_KEPT ? stored : { ...stored, kept: readCopy(body) };
  });
}

function readCopy(body: ByteReader): KeptCopy {
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
  return { state: { kind: 'present', sizeBytes, lastTag, lastChecksum, attributes }, map };
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
