/**
 * The chain of signatures over an aws-chunked body: each chunk's covers the one before, the first the request's own
 * (S3 API reference "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks").
 */
import type { HmacKey } from './hmac.js';
import { EMPTY_SHA256, scopeText, sign, signaturesEqual } from './sigv4.js';
import type { SigningScope } from './signing-key.js';

export interface ChunkSignerSeed {
  readonly signingKey: HmacKey;
  readonly timestamp: string;
  readonly scope: SigningScope;
  /** The signature of the Authorization header. */
  readonly signature: string;
}

export class ChunkSigner {
  readonly #signingKey: HmacKey;
  readonly #context: string;
  #previous: string;

  constructor(seed: ChunkSignerSeed) {
    this.#signingKey = seed.signingKey;
    this.#context = `${seed.timestamp}\n${scopeText(seed.scope)}`;
    this.#previous = seed.signature;
  }

  /** True when the signature is right for the next chunk; the chain then goes on from it. */
  acceptChunk(signature: string, sha256Hex: string): boolean {
    return this.#accept(
      signature,
      `AWS4-HMAC-SHA256-PAYLOAD\n${this.#context}\n${this.#previous}\n${EMPTY_SHA256}\n${sha256Hex}`,
    );
  }

  /** The same for the trailer, whose hash is over its `name:value\n` lines. */
  acceptTrailer(signature: string, sha256Hex: string): boolean {
    return this.#accept(
      signature,
      `AWS4-HMAC-SHA256-TRAILER\n${this.#context}\n${this.#previous}\n${sha256Hex}`,
    );
  }

  #accept(signature: string, text: string): boolean {
    const isRight = signaturesEqual(signature, sign(this.#signingKey, text));
    if (isRight) this.#previous = signature;
    return isRight;
  }
}
