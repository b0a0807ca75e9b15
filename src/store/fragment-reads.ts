/** Verified reads of fragments in segments. The checksums of a bounded number of fragments are kept for the next read. */
import { crc32c } from '@node-rs/crc32';
import { CHUNK_BYTES } from './chunk-checksums.js';
import type { BlobId } from './keys.js';
import { StoreError } from './object-store.js';
import type { RecentPlaces } from './recent-places.js';
import type { SegmentFiles } from './segment-files.js';
import {
  decodeFragmentTrailer,
  type Fragment,
  fragmentBytes,
  type FragmentIdentity,
  fragmentTrailerBytes,
} from './segment-format.js';

/** Fragments up to this size are read whole, with their trailer, at once. */
const WHOLE_BYTES_MAX = 128 * 1024;

/** Makes a buffer for the bytes of a read. */
export type Allocate = (lengthBytes: number) => Buffer;

export const allocateAnew: Allocate = (lengthBytes) => Buffer.allocUnsafeSlow(lengthBytes);

export interface PlacedFragment extends Fragment {
  readonly blobId: BlobId;
  readonly blobOffset: number;
}

function identityOf({ blobId, blobOffset, length }: PlacedFragment): FragmentIdentity {
  return { blobId, blobOffset, length };
}

export class FragmentReads {
  readonly #files: SegmentFiles;
  readonly #recent: RecentPlaces;
  readonly #keptMax: number;
  /** In order of use: the least recently used first. */
  readonly #kept = new Map<string, readonly number[]>();

  constructor(files: SegmentFiles, recent: RecentPlaces, keptMax: number) {
    this.#files = files;
    this.#recent = recent;
    this.#keptMax = keptMax;
  }

  /** Reads and checks every chunk that the range of the fragment's content touches. Throws StoreError `damaged` or `io-error`. */
  async read(
    fragment: PlacedFragment,
    offset: number,
    length: number,
    allocate: Allocate = allocateAnew,
  ): Promise<Buffer> {
    if (fragment.length <= WHOLE_BYTES_MAX) {
      const { content } = await this.readWhole(fragment);
      return content.subarray(offset, offset + length);
    }
    const chunks = await this.#chunksOf(fragment);
    const start = Math.floor(offset / CHUNK_BYTES) * CHUNK_BYTES;
    const end = Math.min(fragment.length, Math.ceil((offset + length) / CHUNK_BYTES) * CHUNK_BYTES);
    // Whole chunks, as a rule; what is more than was asked for may be more than the caller has room for.
    const bytes = end - start === length ? allocate(length) : allocateAnew(end - start);
    await this.#files.read(fragment.segmentId, bytes, fragment.offset + start);
    checkChunks(fragment, bytes, { chunks, start });
    return bytes.subarray(offset - start, offset - start + length);
  }

  /** The whole content of a small fragment, and the checksums that it was found to have. */
  async readWhole(
    fragment: PlacedFragment,
  ): Promise<{ readonly content: Buffer; readonly chunks: readonly number[] }> {
    const image = Buffer.allocUnsafeSlow(fragmentBytes(fragment.length));
    if (!this.#readIfRecent(fragment, image)) {
      await this.#files.read(fragment.segmentId, image, fragment.offset);
      this.#recent.note(fragment);
    }
    const content = image.subarray(0, fragment.length);
    const chunks = decodeFragmentTrailer(identityOf(fragment), image.subarray(fragment.length));
    checkChunks(fragment, content, { chunks, start: 0 });
    return { content, chunks };
  }

  /** False: it was not read lately, and everyone would have to wait for the disk. */
  #readIfRecent(fragment: PlacedFragment, image: Buffer): boolean {
    if (!this.#recent.has(fragment)) return false;
    const startMs = performance.now();
    const isRead = this.#files.readNow(fragment.segmentId, image, fragment.offset);
    this.#recent.judge(performance.now() - startMs);
    return isRead;
  }

  async #chunksOf(fragment: PlacedFragment): Promise<readonly number[]> {
    // A place in a segment is used again for other blobs.
    const key = `${fragment.segmentId}/${fragment.offset}/${fragment.blobId}/${fragment.blobOffset}`;
    const chunks =
      this.#kept.get(key) ?? decodeFragmentTrailer(identityOf(fragment), await this.readTrailer(fragment));
    this.#kept.delete(key);
    this.#kept.set(key, chunks);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#keptMax) break;
      this.#kept.delete(oldest);
    }
    return chunks;
  }

  /** As it stands in its segment. */
  async readTrailer(fragment: PlacedFragment): Promise<Buffer> {
    const trailer = Buffer.allocUnsafe(fragmentTrailerBytes(fragment.length));
    await this.#files.read(fragment.segmentId, trailer, fragment.offset + fragment.length);
    return trailer;
  }
}

function checkChunks(
  { blobId, blobOffset, length }: PlacedFragment,
  bytes: Buffer,
  { chunks, start }: { readonly chunks: readonly number[]; readonly start: number },
): void {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    const chunk = (start + at) / CHUNK_BYTES;
    if (crc32c(bytes.subarray(at, at + CHUNK_BYTES)) === chunks[chunk]) continue;
    throw new StoreError(
      'damaged',
      `chunk ${blobOffset / CHUNK_BYTES + chunk} of blob ${blobId} fails its checksum (fragment of ${length} bytes)`,
    );
  }
}
