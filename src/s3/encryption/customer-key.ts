/** The customer's own key (SSE-C), as a request brings it. It lives as long as the request does, and is never stored or logged. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { S3Error } from '../errors.js';
import { isBase64Of } from '../payload/checksums.js';
import type { S3Request } from '../request.js';
import { KEY_BYTES } from './data-key.js';

const HEADER_PREFIX = 'x-amz-server-side-encryption-customer-';
const SOURCE_PREFIX = 'x-amz-copy-source-server-side-encryption-customer-';
const NAMES = ['algorithm', 'key', 'key-md5'] as const;
export const CUSTOMER_KEY_HEADERS = NAMES.map((name) => HEADER_PREFIX + name);
export const SOURCE_CUSTOMER_KEY_HEADERS = NAMES.map((name) => SOURCE_PREFIX + name);
export const ALGORITHM = 'AES256';
const MD5_BYTES = 16;

/**
 * Where keys may come over a connection that is not encrypted: never; from this machine (loopback), where somebody may also end TLS; from anywhere.
 */
export const PLAIN_HTTP_RULES = ['never', 'loopback', 'always'] as const;
export type PlainHttpRule = (typeof PLAIN_HTTP_RULES)[number];

export interface CustomerKey {
  readonly key: Buffer;
  /** As answers repeat it. */
  readonly md5Base64: string;
}

const LOOPBACK = /^127\.|^::1$/;

function checkConnection({ isSecure, remoteAddress }: S3Request, rule: PlainHttpRule): void {
  if (isSecure || rule === 'always') return;
  if (rule === 'loopback' && remoteAddress !== null && LOOPBACK.test(remoteAddress)) return;
  throw new S3Error('InvalidRequest', {
    message:
      'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
  });
}

function invalid(header: string, message: string): S3Error {
  return new S3Error('InvalidArgument', { message, details: { ArgumentName: header } });
}

function readKey(request: S3Request, prefix: string, headers: readonly string[]): CustomerKey | null {
  if (!headers.some((name) => request.headers.has(name))) return null;
  const [algorithm, key, md5] = headers.map((name) => request.headers.get(name)?.trim());
  const of = 'Requests specifying Server Side Encryption with Customer provided keys must provide';
  if (algorithm === undefined) throw invalid(`${prefix}algorithm`, `${of} a valid encryption algorithm.`);
  if (algorithm !== ALGORITHM) throw new S3Error('InvalidEncryptionAlgorithmError');
  if (key === undefined) throw invalid(`${prefix}key`, `${of} an appropriate secret key.`);
  if (!isBase64Of(key, KEY_BYTES)) {
    throw invalid(`${prefix}key`, 'The secret key was invalid for the specified algorithm.');
  }
  if (md5 === undefined)
    throw invalid(`${prefix}key-MD5`, `${of} the client calculated MD5 of the secret key.`);
  const bytes = Buffer.from(key, 'base64');
  const isRight =
    isBase64Of(md5, MD5_BYTES) &&
    timingSafeEqual(Buffer.from(md5, 'base64'), createHash('md5').update(bytes).digest());
  if (isRight) return { key: bytes, md5Base64: md5 };
  throw invalid(
    `${prefix}key-MD5`,
    'The calculated MD5 hash of the key did not match the hash that was provided.',
  );
}

/** Null: the request brings none. Throws S3Error InvalidArgument, InvalidEncryptionAlgorithmError, InvalidRequest. */
export function readCustomerKey(request: S3Request, rule: PlainHttpRule): CustomerKey | null {
  const key = readKey(request, HEADER_PREFIX, CUSTOMER_KEY_HEADERS);
  if (key !== null) checkConnection(request, rule);
  return key;
}

/** The key of the source of a copy. */
export function readSourceCustomerKey(request: S3Request, rule: PlainHttpRule): CustomerKey | null {
  const key = readKey(request, SOURCE_PREFIX, SOURCE_CUSTOMER_KEY_HEADERS);
  if (key !== null) checkConnection(request, rule);
  return key;
}
