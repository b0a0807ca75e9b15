/**
 * The image of one immutable blob in a file of its own, as version 1 of the store's format kept them; only read by now.
 *
 *   header    "TALLYBLB" | version u32 = 1 | chunk bytes u32 | blob id u64 | 00000000 | CRC32C u32 of the header
 *   content
 *   trailer   CRC32C u32 of each chunk of content (64 KiB, the last one may be shorter)
 *             "TALLYEND" | blob id u64 | content length u64 | CRC32C u32 of the content | CRC32C u32 of the trailer
 *
 * The trailer is found from the content's length, which the blob table knows. The header is for people and for scrubbing.
 */
import { crc32c } from '@node-rs/crc32';
import { countChunks } from './chunk-checksums.js';
import type { BlobId } from './keys.js';
import { StoreError } from './object-store.js';
import { ByteReader } from '../protocol/bytes.js';

const FOOTER_MAGIC = 'TALLYEND';
const MAGIC_BYTES = 8;
const CHECKSUM_BYTES = 4;
const FOOTER_BYTES = MAGIC_BYTES + 8 + 8 + CHECKSUM_BYTES + CHECKSUM_BYTES;

export const BLOB_HEADER_BYTES = MAGIC_BYTES + 4 + 4 + 8 + 4 + CHECKSUM_BYTES;

export interface BlobChecksums {
  readonly chunks: readonly number[];
  readonly content: number;
}

export function trailerBytes(contentBytes: number): number {
  return countChunks(contentBytes) * CHECKSUM_BYTES + FOOTER_BYTES;
}

/** Reads the trailer of a blob whose content has that length. Throws StoreError `damaged`. */
export function decodeBlobTrailer(blobId: BlobId, contentBytes: number, trailer: Buffer): BlobChecksums {
  const damaged = (why: string): StoreError =>
    new StoreError('damaged', `the trailer of blob ${blobId} ${why}`);
  if (trailer.length !== trailerBytes(contentBytes)) throw damaged('is cut short');
  const checksumAt = trailer.length - CHECKSUM_BYTES;
  if (trailer.readUInt32BE(checksumAt) !== crc32c(trailer.subarray(0, checksumAt)))
    throw damaged('fails its checksum');
  const reader = new ByteReader(trailer);
  const chunks: number[] = [];
  for (let index = 0; index < countChunks(contentBytes); index += 1) chunks.push(reader.u32());
  const isOurs =
    reader.text(MAGIC_BYTES) === FOOTER_MAGIC && reader.u64() === blobId && reader.u64() === contentBytes;
  if (!isOurs) throw damaged('belongs to something else');
  return { chunks, content: reader.u32() };
}
