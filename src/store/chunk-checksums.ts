/**
 * CRC32C per chunk of a blob, and of the whole from those: each byte is read once. Combining is zlib's method
 * (`crc32_combine` of madler/zlib, crc32.c) with the Castagnoli polynomial.
 */
import { crc32c } from '@node-rs/crc32';
import { invariant } from '../protocol/invariant.js';

/** Content per checksum. Fixed by the blob format. */
export const CHUNK_BYTES = 64 * 1024;

const POLYNOMIAL = 0x82f63b78;
const ONE = 0x80000000;

/** Product of two polynomials modulo CRC32C's, bits reflected. */
function multiply(left: number, right: number): number {
  let product = 0;
  let factor = right;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ POLYNOMIAL;
  }
  return product >>> 0;
}

/** x^(8 * length): what `length` zero bytes do to a checksum. */
function shiftOperator(lengthBytes: number): number {
  let operator = ONE;
  let power = 0x00800000; // x^8
  for (let rest = lengthBytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) operator = multiply(power, operator);
    power = multiply(power, power);
  }
  return operator;
}

const CHUNK_OPERATOR = shiftOperator(CHUNK_BYTES);

/** CRC32C of two pieces one after the other, from the checksum of each and the second one's length. */
export function combineChecksums(first: number, second: number, secondBytes: number): number {
  const operator = secondBytes === CHUNK_BYTES ? CHUNK_OPERATOR : shiftOperator(secondBytes);
  return (multiply(operator, first) ^ second) >>> 0;
}

/** Takes content in pieces of any size. */
export class ChunkChecksummer {
  #chunks: number[] = [];
  #chunk = 0;
  #chunkBytes = 0;
  #content = 0;
  #lengthBytes = 0;

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Hands over the checksums of the first chunks, and forgets them. Precondition: these chunks are complete. */
  takeChunks(count: number): readonly number[] {
    invariant(count <= this.#chunks.length, 'only chunks that are complete have a checksum');
    const taken = this.#chunks.slice(0, count);
    this.#chunks = this.#chunks.slice(count);
    return taken;
  }

  update(piece: Buffer): void {
    for (let at = 0; at < piece.length;) {
      const taken = Math.min(CHUNK_BYTES - this.#chunkBytes, piece.length - at);
      this.#chunk = crc32c(piece.subarray(at, at + taken), this.#chunk);
      this.#chunkBytes += taken;
      at += taken;
      if (this.#chunkBytes === CHUNK_BYTES) this.#endChunk();
    }
    this.#lengthBytes += piece.length;
  }

  #endChunk(): void {
    this.#content = combineChecksums(this.#content, this.#chunk, this.#chunkBytes);
    this.#chunks.push(this.#chunk);
    this.#chunk = 0;
    this.#chunkBytes = 0;
  }

  /** The checksum of all content, and those of the chunks that nobody has taken. */
  finish(): { readonly chunks: readonly number[]; readonly content: number } {
    if (this.#chunkBytes > 0) this.#endChunk();
    return { chunks: this.#chunks, content: this.#content };
  }
}

export function countChunks(lengthBytes: number): number {
  return Math.ceil(lengthBytes / CHUNK_BYTES);
}
