/**
 * The layout of segments: big append-only files that many blobs share.
 *
 *   segment    page of 4096:  "TALLYSEG" | version u32 = 1 | chunk bytes u32 | segment id u64 | CRC32C u32 of these | zeros
 *              then fragments, in whatever places were reserved for them; what lies between them means nothing
 *   fragment   content: one blob's, from a multiple of 64 KiB of it on
 *              CRC32C u32 of each chunk of that content (64 KiB, the last one may be shorter)
 *              "TALLYFRG" | version u32 = 1 | blob id u64 | offset in the blob u64 | content length u64
 *              CRC32C u32 of the trailer (all after the content)
 *
 * Integers are big-endian. The blob table knows where the fragments are (small-values.ts); the trailer says whether they are that.
 * What is written at a time starts on a page of its own, so that no write touches a page that was synced before.
 */
import { crc32c } from '@node-rs/crc32';
import { CHUNK_BYTES, countChunks } from './chunk-checksums.js';
import type { BlobId, SegmentId } from './keys.js';
import { StoreError } from './object-store.js';
import { ByteReader, ByteWriter } from '../protocol/bytes.js';
import { checksumUpTo } from './short-checksum.js';

const SEGMENT_MAGIC = 'TALLYSEG';
const FRAGMENT_MAGIC = 'TALLYFRG';
const MAGIC_BYTES = 8;
const SEGMENT_VERSION = 1;
const FRAGMENT_VERSION = 1;
const CHECKSUM_BYTES = 4;
const FOOTER_BYTES = MAGIC_BYTES + 4 + 8 + 8 + 8 + CHECKSUM_BYTES;

export const PAGE_BYTES = 4096;
export const SEGMENT_HEADER_BYTES = PAGE_BYTES;

/** A piece of a blob in a segment. */
export interface Fragment {
  readonly segmentId: SegmentId;
  /** Where its content begins in the segment. */
  readonly offset: number;
  /** Bytes of content. */
  readonly length: number;
}

export function fragmentTrailerBytes(contentBytes: number): number {
  return countChunks(contentBytes) * CHECKSUM_BYTES + FOOTER_BYTES;
}

/** Bytes that a fragment takes in its segment. */
export function fragmentBytes(contentBytes: number): number {
  return contentBytes + fragmentTrailerBytes(contentBytes);
}

export function toPages(lengthBytes: number): number {
  return Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
}

/** The most content, in whole chunks, of a fragment that fits in `lengthBytes`; 0 when no chunk does. */
export function fragmentContentMax(lengthBytes: number): number {
  const chunks = Math.floor((lengthBytes - FOOTER_BYTES) / (CHUNK_BYTES + CHECKSUM_BYTES));
  return Math.max(0, chunks) * CHUNK_BYTES;
}

export function encodeSegmentHeader(segmentId: SegmentId): Buffer {
  const page = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const writer = new ByteWriter(MAGIC_BYTES + 4 + 4 + 8 + CHECKSUM_BYTES);
  writer.text(SEGMENT_MAGIC).u32(SEGMENT_VERSION).u32(CHUNK_BYTES).u64(segmentId);
  writer.u32(crc32c(writer.bytes.subarray(0, writer.at)));
  writer.bytes.copy(page);
  return page;
}

export interface FragmentIdentity {
  readonly blobId: BlobId;
  readonly blobOffset: number;
  readonly length: number;
}

/** `chunks`: the checksums of its chunks. */
export function encodeFragmentTrailer(identity: FragmentIdentity, chunks: readonly number[]): Buffer {
  const writer = new ByteWriter(fragmentTrailerBytes(identity.length));
  for (const checksum of chunks) writer.u32(checksum);
  writer.text(FRAGMENT_MAGIC).u32(FRAGMENT_VERSION);
  writer.u64(identity.blobId).u64(identity.blobOffset).u64(identity.length);
  return writer.u32(checksumUpTo(writer.bytes, writer.at)).bytes;
}

/** The checksums of a fragment's chunks, from the trailer that must be its own. Throws StoreError `damaged`. */
export function decodeFragmentTrailer(identity: FragmentIdentity, trailer: Buffer): number[] {
  const { blobId, blobOffset, length } = identity;
  const damaged = (why: string): StoreError =>
    new StoreError('damaged', `the trailer of blob ${blobId} at ${blobOffset} ${why}`);
  if (trailer.length !== fragmentTrailerBytes(length)) throw damaged('is cut short');
  const checksumAt = trailer.length - CHECKSUM_BYTES;
  if (trailer.readUInt32BE(checksumAt) !== crc32c(trailer.subarray(0, checksumAt)))
    throw damaged('fails its checksum');
  const reader = new ByteReader(trailer);
  const chunks: number[] = [];
  for (let index = 0; index < countChunks(length); index += 1) chunks.push(reader.u32());
  const isOurs =
    reader.text(MAGIC_BYTES) === FRAGMENT_MAGIC &&
    reader.u32() === FRAGMENT_VERSION &&
    reader.u64() === blobId &&
    reader.u64() === blobOffset &&
    reader.u64() === length;
  if (!isOurs) throw damaged('belongs to something else');
  return chunks;
}
