/**
 * The frame around every value that the store keeps in LevelDB. LevelDB checks its own blocks only on demand, so that a
 * flipped bit in a table would be handed out as content; and a value that lands under another key would be believed.
 *
 *   version u8 | body | CRC32C u32 of key, version and body          integers are big-endian, u64 below 2^53
 */
import { type Tag, TAG_LENGTH } from '../protocol/tag.js';
import { DamagedRecord } from './object-store.js';
import { checksumUpTo } from './short-checksum.js';

const VERSION_BYTES = 1;
const CHECKSUM_BYTES = 4;
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
    this.#at += this.bytes.write(tag, this.#at, 'hex');
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
    const start = this.#advance(TAG_BYTES);
    return this.#bytes.toString('hex', start, start + TAG_BYTES) as Tag;
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

function checksumOf(key: Buffer, sealed: Buffer): number {
  return checksumUpTo(sealed, sealed.length - CHECKSUM_BYTES, checksumUpTo(key, key.length));
}

/** Makes the value to store under `key`; `fill` writes exactly `bodyBytes` bytes. */
export function sealValue(
  key: Buffer,
  version: number,
  bodyBytes: number,
  fill: (writer: ByteWriter) => void,
): Buffer {
  const writer = new ByteWriter(VERSION_BYTES + bodyBytes + CHECKSUM_BYTES);
  writer.u8(version);
  fill(writer);
  writer.u32(checksumOf(key, writer.bytes));
  return writer.bytes;
}

/** Checks a stored value and gives its body to `read`. Throws DamagedRecord for anything that does not fit. */
export function openValue<T>(key: Buffer, version: number, sealed: Buffer, read: (body: ByteReader) => T): T {
  const fault = faultOf(key, version, sealed);
  if (fault !== null) throw new DamagedRecord(key, fault);
  try {
    return read(new ByteReader(sealed.subarray(0, sealed.length - CHECKSUM_BYTES), VERSION_BYTES));
  } catch (cause) {
    throw new DamagedRecord(key, "can't be read", { cause });
  }
}

function faultOf(key: Buffer, version: number, sealed: Buffer): string | null {
  if (sealed.length < VERSION_BYTES + CHECKSUM_BYTES) return 'is too short';
  const stated = sealed.readUInt32BE(sealed.length - CHECKSUM_BYTES);
  if (stated !== checksumOf(key, sealed)) return 'fails its checksum';
  return sealed[0] === version ? null : `has version ${sealed[0] ?? 0}, not ${version}`;
}
