/**
 * HMAC-SHA256 (RFC 2104) with one key, for many short texts: every request is verified with the key of its day.
 *
 *   SHA256((key ^ opad) SHA256((key ^ ipad) text))
 *
 * Two one-call hashes over a buffer that begins with what the key makes of it. An Hmac object for each request costs twice as much where
 * it is made, and as much again in the collector, to which each is a handle of its own (bench/README.md).
 */
import { createHash, hash } from 'node:crypto';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Longer texts are rare (the policies of forms), and get a buffer of their own. */
const SHORT_TEXT_BYTES_MAX = 512;

function xorEach(bytes: Buffer, mask: number): Buffer {
  return Buffer.from(bytes.map((byte) => byte ^ mask));
}

export class HmacKey {
  /** (key ^ ipad) text */
  readonly #inner = Buffer.alloc(BLOCK_BYTES + SHORT_TEXT_BYTES_MAX);
  /** (key ^ opad) digest of the other one */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  constructor(key: Buffer) {
    const block = Buffer.alloc(BLOCK_BYTES);
    (key.length > BLOCK_BYTES ? createHash('sha256').update(key).digest() : key).copy(block);
    xorEach(block, 0x36).copy(this.#inner);
    xorEach(block, 0x5c).copy(this.#outer);
  }

  /** Of text with one character a byte; 64 lower-case hex digits. */
  signHex(text: string): string {
    this.#outer.write(hash('sha256', this.#messageOf(text), 'hex'), BLOCK_BYTES, 'hex');
    return hash('sha256', this.#outer, 'hex');
  }

  #messageOf(text: string): Buffer {
    if (text.length > SHORT_TEXT_BYTES_MAX)
      return Buffer.concat([this.#inner.subarray(0, BLOCK_BYTES), Buffer.from(text, 'latin1')]);
    const end = BLOCK_BYTES + this.#inner.write(text, BLOCK_BYTES, 'latin1');
    return this.#inner.subarray(0, end);
  }
}
