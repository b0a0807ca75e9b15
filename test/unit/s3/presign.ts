/** Presigned URLs by a few lines of SigV4, apart from ours. */
import { createHash, createHmac } from 'node:crypto';
import { KEY, REGION } from './harness.js';

export interface PresignWish {
  readonly method?: string;
  readonly host: string;
  /** Without encoding needs. */
  readonly path: string;
  /** Signed along; also those that count as headers. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expires?: string;
  readonly timeMs?: number;
  readonly key?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly payloadHash?: string;
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function signingKey(secret: string, date: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, date), REGION), 's3'), 'aws4_request');
}

export function timestampOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The request target of a presigned request. */
export function presign(wish: PresignWish): string {
  const { method = 'GET', host, path, headers = {}, expires = '600', key = KEY } = wish;
  const timestamp = timestampOf(wish.timeMs ?? Date.now());
  const date = timestamp.slice(0, 8);
  const scope = `${date}/${REGION}/s3/aws4_request`;
  const signed: Record<string, string> = { host, ...headers };
  const names = Object.keys(signed).sort();
  const query = Object.entries({
    ...wish.query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${key.accessKeyId}/${scope}`,
    'X-Amz-Date': timestamp,
    'X-Amz-Expires': expires,
    'X-Amz-SignedHeaders': names.join(';'),
  })
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const canonical = [
    method,
    path,
    query,
    ...names.map((name) => `${name}:${signed[name] ?? ''}`),
    '',
    names.join(';'),
    wish.payloadHash ?? 'UNSIGNED-PAYLOAD',
  ].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const signature = hmac(
    signingKey(key.secretAccessKey, date),
    `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${hash}`,
  ).toString('hex');
  return `${path}?${query}&X-Amz-Signature=${signature}`;
}
