/** Memory for what streams have read and nobody has taken: all of them share it, so the more there are, the smaller are their pieces. */
import { CHUNK_BYTES } from './chunk-checksums.js';
import { READ_PIECE_BYTES } from './object-store.js';

const ALL_BYTES_MAX = 16 * 1024 * 1024;
/** One that is used, and one that is read meanwhile. */
const PIECES_EACH = 2;

export class ReadRoom {
  #streamCount = 0;

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
}
