/** Content of any size that is made on the way and never held whole, with the checksum that tells whether it came back. */
import { createHash, type Hash } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { SeededRandom } from './seeded-random.js';

const PIECE_BYTES = 1024 * 1024;
/** A multiple of nothing, so that pieces, chunks and segments never line up. */
const PERIOD_BYTES = PIECE_BYTES + 4099;

export interface GeneratedContent {
  readonly stream: Readable;
  /** SHA-256 of what has been read from the stream so far. */
  readonly digest: () => string;
}

/** Cheap to make: a window that moves over random bytes. */
function* pieces(lengthBytes: number, seed: number, hash: Hash): Generator<Buffer> {
  const once = new SeededRandom(seed).bytes(PERIOD_BYTES);
  const twice = Buffer.concat([once, once]);
  for (let offset = 0; offset < lengthBytes; offset += PIECE_BYTES) {
    const start = offset % PERIOD_BYTES;
    const piece = twice.subarray(start, start + Math.min(PIECE_BYTES, lengthBytes - offset));
    hash.update(piece);
    yield piece;
  }
}

export function generateContent(lengthBytes: number, seed: number): GeneratedContent {
  const hash = createHash('sha256');
  const stream = Readable.from(pieces(lengthBytes, seed, hash), { objectMode: false });
  return { stream, digest: () => hash.copy().digest('hex') };
}

/** Takes content without keeping it. */
export class DigestingSink extends Writable {
  readonly #hash = createHash('sha256');
  lengthBytes = 0;

  override _write(piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#hash.update(piece);
    this.lengthBytes += piece.length;
    done();
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}
