/**
 * Keys in envelopes. Every encrypted object has a random data key of its own; what is stored is that key, wrapped by the customer's key (SSE-C) or by a
 * master key of this server (SSE-S3).
 *
 *   wrapped key   salt 32, random | data key encrypted 32 | tag 16, in base64; AES-256-GCM, nonce of zeros, the text INFO as additional data
 *   wrapping key  HKDF-SHA-256(customer's or master key, salt, INFO): made for this one wrapping, so its nonce is never used twice
 *   content key, ETag key   HKDF-SHA-256(data key, no salt, their own INFO)
 *
 * Of a customer's key nothing else is stored: whether a key is the right one is shown by the tag, and neither the tag nor the wrapped key says anything about a
 * key that is random. Since content depends on the data key alone, another key gets hold of it by wrapping the data key anew, without a byte of
 * content being touched: so are objects copied, and master keys changed. Whoever once had an object's data key can read its copies.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { invariant } from '../../protocol/invariant.js';

export const KEY_BYTES = 32;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const WRAPPED_BYTES = SALT_BYTES + KEY_BYTES + TAG_BYTES;
const CIPHER = 'aes-256-gcm';
const NO_SALT = Buffer.alloc(0);
const ZERO_NONCE = Buffer.alloc(12);
const WRAP_INFO = 'tally wrapped key 1';
const CONTENT_INFO = 'tally content key 1';
const ETAG_INFO = 'tally etag key 1';
const ETAG_BYTES = 16;

function derive(key: Buffer, salt: Buffer, info: string): Buffer {
  invariant(key.length === KEY_BYTES, 'an encryption key has 256 bits');
  return Buffer.from(hkdfSync('sha256', key, salt, info, KEY_BYTES));
}

export class DataKey {
  readonly #key: Buffer;
  readonly #content: Buffer;

  private constructor(key: Buffer) {
    this.#key = key;
    this.#content = derive(key, NO_SALT, CONTENT_INFO);
  }

  static create(): DataKey {
    return new DataKey(randomBytes(KEY_BYTES));
  }

  /** Null: this is not the key that wrapped it. */
  static unwrap(wrapped: string, wrappingKey: Buffer): DataKey | null {
    const bytes = Buffer.from(wrapped, 'base64');
    invariant(bytes.length === WRAPPED_BYTES, 'a wrapped key has its size');
    const salt = bytes.subarray(0, SALT_BYTES);
    const decipher = createDecipheriv(CIPHER, derive(wrappingKey, salt, WRAP_INFO), ZERO_NONCE, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(WRAP_INFO));
    decipher.setAuthTag(bytes.subarray(SALT_BYTES + KEY_BYTES));
    const key = decipher.update(bytes.subarray(SALT_BYTES, SALT_BYTES + KEY_BYTES));
    try {
      decipher.final();
    } catch {
      return null;
    }
    return new DataKey(key);
  }

  /** Never twice the same text. */
  wrap(wrappingKey: Buffer): string {
    const salt = randomBytes(SALT_BYTES);
    const cipher = createCipheriv(CIPHER, derive(wrappingKey, salt, WRAP_INFO), ZERO_NONCE, {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(Buffer.from(WRAP_INFO));
    const sealed = Buffer.concat([cipher.update(this.#key), cipher.final()]);
    return Buffer.concat([salt, sealed, cipher.getAuthTag()]).toString('base64');
  }

  /** What content is sealed with (sealed-pieces.ts). */
  get contentKey(): Buffer {
    return this.#content;
  }

  /** 32 hex digits that stand for `text` and tell nothing of it to those without the key. */
  digest(text: string): string {
    const key = derive(this.#key, NO_SALT, ETAG_INFO);
    return createHmac('sha256', key).update(text, 'latin1').digest().toString('hex', 0, ETAG_BYTES);
  }
}
