/** CRC32C of content that comes in pieces. */
import { crc32c } from '@node-rs/crc32';

export class ContentChecksum {
  #value = 0;

  update(piece: Buffer): void {
    this.#value = crc32c(piece, this.#value);
  }

  /** Of all pieces so far; 0 for none. */
  get value(): number {
    return this.#value;
  }
}
