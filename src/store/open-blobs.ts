/**
 * Verified reads of blobs, wherever they are. Of blobs in files of their own a bounded number stays open for the next reader;
 * those in segments are read by fragment-reads.ts.
 */
import { crc32c } from '@node-rs/crc32';
import { invariant } from '../protocol/invariant.js';
import type { BlobFiles } from './blob-files.js';
import { BLOB_HEADER_BYTES, type BlobChecksums, decodeBlobTrailer, trailerBytes } from './blob-format.js';
import { CHUNK_BYTES } from './chunk-checksums.js';
import { errorCodeOf, type ReadableFile } from './file-port.js';
import { type Allocate, allocateAnew, type FragmentReads, type PlacedFragment } from './fragment-reads.js';
import type { BlobId } from './keys.js';
import { StoreError } from './object-store.js';
import { type BlobRow, fragmentsOf } from './small-values.js';

/** Says where a blob is, and keeps it there until the end of its use. */
export interface BlobLocator {
  readonly use: (blobId: BlobId) => Promise<BlobRow>;
  readonly endUse: (row: BlobRow) => void;
}

export interface OpenBlobsSetup {
  readonly blobs: BlobFiles;
  readonly fragments: FragmentReads;
  readonly locator: BlobLocator;
  readonly idleMax: number;
}

interface FragmentPart {
  readonly fragment: PlacedFragment;
  readonly from: number;
  readonly length: number;
}

/** The parts of fragments that make up a range of their blob. */
function partsOf(
  blobId: BlobId,
  row: BlobRow,
  { offset, length }: { readonly offset: number; readonly length: number },
): FragmentPart[] {
  const parts = [];
  let blobOffset = 0;
  for (const fragment of fragmentsOf(row.location)) {
    const from = Math.max(offset, blobOffset);
    const to = Math.min(offset + length, blobOffset + fragment.length);
    if (from < to) {
      const { segmentId, offset: at, length } = fragment;
      const placed: PlacedFragment = { segmentId, offset: at, length, blobId, blobOffset };
      parts.push({ fragment: placed, from: from - blobOffset, length: to - from });
    }
    blobOffset += fragment.length;
  }
  return parts;
}

class OpenBlob {
  readonly #blobId: BlobId;
  readonly #file: ReadableFile;
  readonly #length: number;
  readonly #checksums: BlobChecksums;

  constructor(blobId: BlobId, file: ReadableFile, length: number, checksums: BlobChecksums) {
    this.#blobId = blobId;
    this.#file = file;
    this.#length = length;
    this.#checksums = checksums;
  }

  /** Reads and checks every chunk that the range touches. Throws StoreError `damaged`. */
  async read(offset: number, length: number): Promise<Buffer> {
    invariant(offset >= 0 && offset + length <= this.#length, 'a read stays inside its blob', {
      offset,
      length,
    });
    const firstChunk = Math.floor(offset / CHUNK_BYTES);
    const start = firstChunk * CHUNK_BYTES;
    const end = Math.min(this.#length, Math.ceil((offset + length) / CHUNK_BYTES) * CHUNK_BYTES);
    const bytes = Buffer.allocUnsafeSlow(end - start);
    const filled = await this.#file.read(bytes, BLOB_HEADER_BYTES + start);
    if (filled < bytes.length) throw new StoreError('damaged', `blob ${this.#blobId} is cut short`);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const chunk = firstChunk + at / CHUNK_BYTES;
      if (crc32c(bytes.subarray(at, at + CHUNK_BYTES)) === this.#checksums.chunks[chunk]) continue;
      throw new StoreError('damaged', `chunk ${chunk} of blob ${this.#blobId} fails its checksum`);
    }
    return bytes.subarray(offset - start, offset - start + length);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface Slot {
  readonly opening: Promise<OpenBlob>;
  users: number;
}

export class OpenBlobs {
  readonly #setup: OpenBlobsSetup;
  /** In order of use: the least recently used first. */
  readonly #slots = new Map<BlobId, Slot>();

  constructor(setup: OpenBlobsSetup) {
    this.#setup = setup;
  }

  /**
   * Verified bytes of a blob that the caller keeps alive, in memory from `allocate` where they are in one place. Throws StoreError
   * `damaged` or `io-error`.
   */
  async read(
    blobId: BlobId,
    offset: number,
    length: number,
    allocate: Allocate = allocateAnew,
  ): Promise<Buffer> {
    const { locator } = this.#setup;
    const row = await locator.use(blobId);
    try {
      if (row.location.kind === 'file') return await this.#readFile(blobId, row.length, { offset, length });
      invariant(offset >= 0 && offset + length <= row.length, 'a read stays inside its blob', {
        offset,
        length,
      });
      const parts = partsOf(blobId, row, { offset, length });
      const [only] = parts;
      if (only !== undefined && parts.length === 1) return await this.#readPart(only, allocate);
      return Buffer.concat(await Promise.all(parts.map((part) => this.#readPart(part, allocateAnew))));
    } finally {
      locator.endUse(row);
    }
  }

  #readPart({ fragment, from, length }: FragmentPart, allocate: Allocate): Promise<Buffer> {
    return this.#setup.fragments.read(fragment, from, length, allocate);
  }

  async #readFile(
    blobId: BlobId,
    blobBytes: number,
    { offset, length }: { readonly offset: number; readonly length: number },
  ): Promise<Buffer> {
    const slot = this.#use(blobId, blobBytes);
    try {
      const blob = await slot.opening;
      return await blob.read(offset, length);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError('io-error', `blob ${blobId} could not be read`, { cause: error });
    } finally {
      slot.users -= 1;
      await this.#closeIdle();
    }
  }

  #use(blobId: BlobId, blobBytes: number): Slot {
    const slot = this.#slots.get(blobId) ?? { opening: this.#openBlob(blobId, blobBytes), users: 0 };
    slot.users += 1;
    this.#slots.delete(blobId);
    this.#slots.set(blobId, slot);
    return slot;
  }

  async #openBlob(blobId: BlobId, blobBytes: number): Promise<OpenBlob> {
    try {
      return await this.#readTrailer(blobId, blobBytes);
    } catch (error) {
      this.#slots.delete(blobId);
      if (errorCodeOf(error) === 'ENOENT')
        throw new StoreError('damaged', `blob ${blobId} is missing`, { cause: error });
      throw error;
    }
  }

  async #readTrailer(blobId: BlobId, length: number): Promise<OpenBlob> {
    const { blobs } = this.#setup;
    const file = await blobs.files.openFile(blobs.pathOf(blobId));
    try {
      const trailer = Buffer.allocUnsafe(trailerBytes(length));
      const filled = await file.read(trailer, BLOB_HEADER_BYTES + length);
      const checksums = decodeBlobTrailer(blobId, length, trailer.subarray(0, filled));
      return new OpenBlob(blobId, file, length, checksums);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #closeIdle(): Promise<void> {
    if (this.#slots.size <= this.#setup.idleMax) return;
    for (const [blobId, slot] of this.#slots) {
      if (slot.users === 0) await this.forget(blobId);
      if (this.#slots.size <= this.#setup.idleMax) return;
    }
  }

  /** Lets go of a blob that nobody reads just now. */
  async forget(blobId: BlobId): Promise<void> {
    const slot = this.#slots.get(blobId);
    if (slot === undefined) return;
    this.#slots.delete(blobId);
    const blob = await slot.opening.catch(() => null);
    await blob?.close();
  }

  async close(): Promise<void> {
    for (const blobId of [...this.#slots.keys()]) await this.forget(blobId);
  }
}
