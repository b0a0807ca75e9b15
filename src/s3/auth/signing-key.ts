/** SigV4 signing keys: four HMACs over date, region and service, remembered while they are in use. */
import { createHmac } from 'node:crypto';
import { HmacKey } from './hmac.js';

const CACHED_MAX = 1_000;

export interface SigningScope {
  /** `20260102` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}

function deriveSigningKey(secretAccessKey: string, scope: SigningScope): HmacKey {
  const dateKey = hmac(`AWS4${secretAccessKey}`, scope.date);
  return new HmacKey(hmac(hmac(hmac(dateKey, scope.region), scope.service), 'aws4_request'));
}

/** Holds at most CACHED_MAX keys; only scopes that were checked get here, so strangers can't fill it. */
export class SigningKeys {
  readonly #keys = new Map<string, HmacKey>();
  /** The key that each scope was last asked for with. */
  readonly #latest = new WeakMap<SigningScope, { readonly secretAccessKey: string; readonly key: HmacKey }>();

  get(secretAccessKey: string, scope: SigningScope): HmacKey {
    const latest = this.#latest.get(scope);
    if (latest?.secretAccessKey === secretAccessKey) return latest.key;
    const key = this.#lookUp(secretAccessKey, scope);
    this.#latest.set(scope, { secretAccessKey, key });
    return key;
  }

  #lookUp(secretAccessKey: string, scope: SigningScope): HmacKey {
    const name = `${scope.date}/${scope.region}/${scope.service}/${secretAccessKey}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    if (this.#keys.size >= CACHED_MAX) this.#keys.clear();
    const key = deriveSigningKey(secretAccessKey, scope);
    this.#keys.set(name, key);
    return key;
  }
}
