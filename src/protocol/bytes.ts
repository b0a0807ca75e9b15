/** Values in bytes, field after field: integers are big-endian, u64 below 2^53. For what is stored and what travels. */
import { type Tag, TAG_LENGTH } from './tag.js';

const TWO_TO_32 = 2 ** 32;

/** A tag in 14 bytes: epoch 6, counter 6, generator 2. */
export const TAG_BYTES = TAG_LENGTH / 2;

/** Fills a buffer of known size from front to end. */
export class ByteWriter {
  readonly bytes: Buffer;
  #at = 0;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafe(sizeBytes);
  }

  get at(): number {
    return this.#at;
  }

  u8(value: number): this {
    this.#at = this.bytes.writeUInt8(value, this.#at);
    return this;
  }

  u16(value: number): this {
    this.#at = this.bytes.writeUInt16BE(value, this.#at);
    return this;
  }

  u32(value: number): this {
    this.#at = this.bytes.writeUInt32BE(value, this.#at);
    return this;
  }

  u64(value: number): this {
    return this.u32(Math.floor(value / TWO_TO_32)).u32(value % TWO_TO_32);
  }

  tag(tag: Tag): this {
    return this.hex(tag);
  }

  /** An even number of hex digits, in half as many bytes. */
  hex(digits: string): this {
    this.#at += this.bytes.write(digits, this.#at, 'hex');
    return this;
  }

  text(text: string): this {
    this.#at += this.bytes.write(text, this.#at, 'utf8');
    return this;
  }

  raw(bytes: Buffer): this {
    this.#at += bytes.copy(this.bytes, this.#at);
    return this;
  }
}

/** Reads a buffer from front to end; throws RangeError past the end, as Buffer's own readers do. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get remainingBytes(): number {
    return this.#bytes.length - this.#at;
  }

  #advance(lengthBytes: number): number {
    const start = this.#at;
    if (start + lengthBytes > this.#bytes.length) throw new RangeError('the value ends too early');
    this.#at = start + lengthBytes;
    return start;
  }

  skip(lengthBytes: number): void {
    this.#advance(lengthBytes);
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  u64(): number {
    return this.u32() * TWO_TO_32 + this.u32();
  }

  tag(): Tag {
    return this.hex(TAG_BYTES) as Tag;
  }

  /** Twice as many hex digits. */
  hex(lengthBytes: number): string {
    const start = this.#advance(lengthBytes);
    return this.#bytes.toString('hex', start, start + lengthBytes);
  }

  text(lengthBytes: number): string {
    const start = this.#advance(lengthBytes);
    return this.#bytes.toString('utf8', start, start + lengthBytes);
  }

  /** A view, not a copy. */
  raw(lengthBytes: number): Buffer {
    const start = this.#advance(lengthBytes);
    return this.#bytes.subarray(start, start + lengthBytes);
  }
}
