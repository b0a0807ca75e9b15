/**
 * Memory for what streams have read and nobody has taken. All of them share it, so the more there are, the smaller are their pieces; and it is
 * read into slabs that are used again. A buffer of its own for each piece costs the kernel new pages, and V8 a collection for every few
 * of them: that took more time than reading (bench/README.md).
 */
import { invariant } from '../protocol/invariant.js';
import { CHUNK_BYTES } from './chunk-checksums.js';
import { READ_PIECE_BYTES } from './object-store.js';

const ALL_BYTES_MAX = 16 * 1024 * 1024;
/** One that is used, and one that is read meanwhile. */
const PIECES_EACH = 2;

export class ReadRoom {
  #streamCount = 0;
  /** Every slab there is, whoever has it: who never gives one back leaves it to the collector. */
  readonly #slabs = new WeakSet<ArrayBufferLike>();
  readonly #free: Buffer[] = [];
  #freeBytes = 0;

  get streamCount(): number {
    return this.#streamCount;
  }

  /** Whole chunks, READ_PIECE_BYTES at the most. */
  get pieceBytes(): number {
    const share = ALL_BYTES_MAX / PIECES_EACH / Math.max(1, this.#streamCount);
    let bytes = READ_PIECE_BYTES;
    while (bytes > share && bytes > CHUNK_BYTES) bytes /= 2;
    return bytes;
  }

  enter(): void {
    this.#streamCount += 1;
  }

  leave(): void {
    this.#streamCount -= 1;
  }

  /** A buffer of that length, of which nobody knows what is in it. Precondition: READ_PIECE_BYTES at the most. */
  take(lengthBytes: number): Buffer {
    const slabBytes = slabBytesFor(lengthBytes);
    const index = this.#free.findLastIndex(({ length }) => length === slabBytes);
    const [found] = index === -1 ? [] : this.#free.splice(index, 1);
    if (found !== undefined) this.#freeBytes -= slabBytes;
    const slab = found ?? Buffer.allocUnsafeSlow(slabBytes);
    this.#slabs.add(slab.buffer);
    return slab.subarray(0, lengthBytes);
  }

  /** Takes back a piece that is of a slab; any other is left alone. Precondition: nobody uses it any more. */
  giveBack({ buffer }: Buffer): void {
    if (!this.#slabs.has(buffer)) return;
    invariant(!this.#free.some((slab) => slab.buffer === buffer), 'a slab is given back once');
    this.#free.push(Buffer.from(buffer));
    this.#freeBytes += buffer.byteLength;
    // The newest stay: other sizes are of a time with more streams, or with fewer.
    while (this.#freeBytes > ALL_BYTES_MAX) this.#freeBytes -= this.#free.shift()?.length ?? 0;
  }
}

function slabBytesFor(lengthBytes: number): number {
  invariant(lengthBytes <= READ_PIECE_BYTES, 'a piece fits into a slab', { lengthBytes });
  let bytes = CHUNK_BYTES;
  while (bytes < lengthBytes) bytes *= 2;
  return bytes;
}
