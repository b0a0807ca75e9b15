/** SigV4 signing keys: four HMACs over date, region and service, remembered while they are in use. */
import { createHmac } from 'node:crypto';

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

function deriveSigningKey(secretAccessKey: string, scope: SigningScope): Buffer {
  const dateKey = hmac(`AWS4${secretAccessKey}`, scope.date);
  return hmac(hmac(hmac(dateKey, scope.region), scope.service), 'aws4_request');
}

/** Holds at most CACHED_MAX keys; only scopes that were checked get here, so strangers can't fill it. */
export class SigningKeys {
  readonly #keys = new Map<string, Buffer>();
  /** The key that each scope was last asked for with. */
  readonly #latest = new WeakMap<SigningScope, { readonly secretAccessKey: string; readonly key: Buffer }>();

  get(secretAccessKey: string, scope: SigningScope): Buffer {
    const latest = this.#latest.get(scope);
    if (latest?.secretAccessKey === secretAccessKey) return latest.key;
    const key = this.#lookUp(secretAccessKey, scope);
    this.#latest.set(scope, { secretAccessKey, key });
    return key;
  }

  #lookUp(secretAccessKey: string, scope: SigningScope): Buffer {
    const name = `${scope.date}/${scope.region}/${scope.service}/${secretAccessKey}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    if (this.#keys.size >= CACHED_MAX) this.#keys.clear();
    const key = deriveSigningKey(secretAccessKey, scope);
    this.#keys.set(name, key);
    return key;
  }
}
