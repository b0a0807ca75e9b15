/** The client's side of aws-chunked, written from the S3 API reference, for the tests of our decoder. */
import { createHash, createHmac } from 'node:crypto';
import { ChunkSigner, type ChunkSignerSeed } from '../../../src/s3/auth/chunk-signer.js';
import { HmacKey } from '../../../src/s3/auth/hmac.js';

const EMPTY = createHash('sha256').digest('hex');
const SIGNING_KEY = Buffer.from('a signing key of some thirty byte');
/** A client has the key itself. */
type ClientSeed = Omit<ChunkSignerSeed, 'signingKey'> & { readonly signingKey: Buffer | HmacKey };

export const SEED: ClientSeed = {
  signingKey: SIGNING_KEY,
  timestamp: '20260102T030405Z',
  scope: { date: '20260102', region: 'us-east-1', service: 's3' },
  signature: 'f'.repeat(64),
};
const CONTEXT = `${SEED.timestamp}\n20260102/us-east-1/s3/aws4_request`;

export interface EncodeOptions {
  readonly seed: ClientSeed | null;
  /** Null: no trailer; else its lines, perhaps none. */
  readonly trailers: readonly (readonly [name: string, value: string])[] | null;
}

export function makeSigner(): ChunkSigner {
  return new ChunkSigner({ ...SEED, signingKey: new HmacKey(SIGNING_KEY) });
}

function hmac(key: Buffer | HmacKey, text: string): string {
  return key instanceof HmacKey ? key.signHex(text) : createHmac('sha256', key).update(text).digest('hex');
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Encodes the chunks, the final empty one included, and the trailer. */
export function encodeAwsChunked(chunks: readonly Buffer[], { seed, trailers }: EncodeOptions): Buffer {
  const parts: Buffer[] = [];
  let previous = seed?.signature ?? '';
  const context =
    seed === null ? CONTEXT : `${seed.timestamp}\n${seed.scope.date}/${seed.scope.region}/s3/aws4_request`;
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    let header = chunk.length.toString(16);
    if (seed !== null) {
      previous = hmac(
        seed.signingKey,
        `AWS4-HMAC-SHA256-PAYLOAD\n${context}\n${previous}\n${EMPTY}\n${sha256(chunk)}`,
      );
      header += `;chunk-signature=${previous}`;
    }
    parts.push(Buffer.from(`${header}\r\n`), chunk);
    if (chunk.length > 0) parts.push(Buffer.from('\r\n'));
  }
  for (const [name, value] of trailers ?? []) parts.push(Buffer.from(`${name}:${value}\r\n`));
  if (seed !== null && trailers !== null) {
    const text = trailers.map(([name, value]) => `${name}:${value}\n`).join('');
    const signature = hmac(
      seed.signingKey,
      `AWS4-HMAC-SHA256-TRAILER\n${context}\n${previous}\n${sha256(text)}`,
    );
    parts.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
  }
  parts.push(Buffer.from('\r\n'));
  return Buffer.concat(parts);
}
