/** Requests as bytes, signed over exactly these bytes, however odd they are. */
import { createHash } from 'node:crypto';
import { SigningKeys } from '../../src/s3/auth/signing-key.js';
import { canonicalRequest, sign, stringToSign } from '../../src/s3/auth/sigv4.js';
import type { ChunkSignerSeed } from '../../src/s3/auth/chunk-signer.js';
import type { S3Access } from '../support/s3-client.js';

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** Text of one character a byte. */
export interface PlainRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderPairs;
  readonly body: Buffer;
  /** The value of x-amz-content-sha256; null: the hash of the body. */
  readonly payload: string | null;
}

const keys = new SigningKeys();

function sha256Hex(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The request's headers with Authorization, and the seed of its chunk signatures. */
export function signRequest(
  request: PlainRequest,
  access: S3Access,
): { headers: HeaderPairs; seed: ChunkSignerSeed } {
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = { date: timestamp.slice(0, 8), region: access.region, service: 's3' };
  const payloadHash = request.payload ?? sha256Hex(request.body);
  const headers: HeaderPairs = [
    ['host', new URL(access.endpoint).host],
    ['x-amz-date', timestamp],
    ['x-amz-content-sha256', payloadHash],
    ...request.headers,
  ];
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const earlier = joined.get(name.toLowerCase());
    joined.set(name.toLowerCase(), earlier === undefined ? value : `${earlier},${value}`);
  }
  const signedHeaders = [...joined.keys()].sort();
  const [rawPath = '', ...rest] = request.target.split('?');
  const parts = { method: request.method, rawPath, rawQuery: rest.join('?'), headers: joined };
  const canonical = canonicalRequest({ parts, signedHeaders, payloadHash }, 'canonical');
  const signingKey = keys.get(access.secretAccessKey, scope);
  const signature = sign(signingKey, stringToSign(canonical, timestamp, scope));
  const credential = `${access.accessKeyId}/${scope.date}/${scope.region}/s3/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${signedHeaders.join(';')},Signature=${signature}`;
  return {
    headers: [...headers, ['authorization', authorization]],
    seed: { signingKey, timestamp, scope, signature },
  };
}

export function encodeRequest(method: string, target: string, headers: HeaderPairs, body: Buffer): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, 'latin1'), body]);
}

/** The whole of a valid request. */
export function encodeSigned(request: PlainRequest, access: S3Access): Buffer {
  const length: HeaderPairs = [['content-length', String(request.body.length)]];
  const { headers } = signRequest(request, access);
  return encodeRequest(request.method, request.target, [...headers, ...length], request.body);
}
