/**
 * The master keys of SSE-S3: text, one key a line, the name of a key and its 256 bits in base64.
 *
 *   # comment
 *   key-2027 PbYSfTCE...=
 *   key-2026 x1kOCdBv...=
 *
 * New objects get the first one. The others serve for what was encrypted before, so a key is changed by putting another line above it. A key that
 * is lost takes all objects along that it wrapped.
 */
import { randomBytes } from 'node:crypto';
import { isBase64Of } from '../payload/checksums.js';
import { KEY_BYTES } from './data-key.js';

const LINE = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})[ \t]+(\S+)$/;
const MASTER_KEYS_MAX = 1000;

export interface MasterKey {
  readonly id: string;
  readonly key: Buffer;
}

export class MasterKeys {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly current: MasterKey;

  private constructor(keys: ReadonlyMap<string, Buffer>, current: MasterKey) {
    this.#keys = keys;
    this.current = current;
  }

  /** Throws RangeError that names the line, and never what stands in it. */
  static parse(text: string): MasterKeys {
    const keys = new Map<string, Buffer>();
    for (const [index, raw] of text.split('\n').entries()) {
      const line = raw.trim();
      if (line === '' || line.startsWith('#')) continue;
      const [, id, base64] = LINE.exec(line) ?? [];
      if (id === undefined || base64 === undefined || !isBase64Of(base64, KEY_BYTES)) {
        throw new RangeError(`line ${index + 1} is not the name of a key and ${KEY_BYTES} bytes in base64`);
      }
      if (keys.has(id)) throw new RangeError(`line ${index + 1} names a key for the second time`);
      if (keys.size === MASTER_KEYS_MAX) throw new RangeError(`there are more than ${MASTER_KEYS_MAX} keys`);
      keys.set(id, Buffer.from(base64, 'base64'));
    }
    const [first] = keys;
    if (first === undefined) throw new RangeError('there is no key');
    return new MasterKeys(keys, { id: first[0], key: first[1] });
  }

  /** Null: there is no key of that name. */
  find(id: string): Buffer | null {
    return this.#keys.get(id) ?? null;
  }
}

/** A line with a new key. */
export function makeMasterKeyLine(): string {
  return `key-${randomBytes(4).toString('hex')} ${randomBytes(KEY_BYTES).toString('base64')}`;
}
