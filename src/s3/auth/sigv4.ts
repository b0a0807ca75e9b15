/**
 * SigV4 for S3, the verifying side: canonical request, string to sign, signature (S3 API reference "Signature
 * Calculations for the Authorization Header"). Raw text is one character a byte, so all of it is hashed as latin1.
 *
 * Two readings of a request are accepted. `canonical` is what AWS says. `as-sent` takes path, query and header values
 * as they stand on the wire: curl before 8.3 signs those. Both determine the same request, so neither lets a
 * signature be used for another one.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { S3Request } from '../request.js';
import { canonicalPath, canonicalQuery } from '../uri.js';
import { ALGORITHM } from './authorization-header.js';
import type { HmacKey } from './hmac.js';
import type { SigningScope } from './signing-key.js';

export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export type Reading = 'canonical' | 'as-sent';

/** The parts of a request that are signed. */
type SignedParts = Pick<S3Request, 'method' | 'rawPath' | 'rawQuery' | 'headers'>;

interface SignedRequest {
  readonly parts: SignedParts;
  readonly signedHeaders: readonly string[];
  readonly payloadHash: string;
}

function canonicalHeaderValue(value: string): string {
  const trimmed = value.trim();
  return trimmed.includes('  ') ? trimmed.replace(/ {2,}/g, ' ') : trimmed;
}

function headerLines(request: SignedRequest, reading: Reading): string {
  let lines = '';
  for (const name of request.signedHeaders) {
    const value = request.parts.headers.get(name) ?? '';
    lines += `${name}:${reading === 'canonical' ? canonicalHeaderValue(value) : value}\n`;
  }
  return lines;
}

export function canonicalRequest(request: SignedRequest, reading: Reading): string {
  const { method, rawPath, rawQuery } = request.parts;
  return [
    method,
    reading === 'canonical' ? canonicalPath(rawPath) : rawPath,
    reading === 'canonical' ? canonicalQuery(rawQuery) : rawQuery,
    headerLines(request, reading),
    request.signedHeaders.join(';'),
    request.payloadHash,
  ].join('\n');
}

function sha256Hex(text: string): string {
  return hash('sha256', Buffer.from(text, 'latin1'), 'hex');
}

export function scopeText(scope: SigningScope): string {
  return `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
}

/** `timestamp` is basic ISO 8601, as in x-amz-date. */
export function stringToSign(canonical: string, timestamp: string, scope: SigningScope): string {
  return `${ALGORITHM}\n${timestamp}\n${scopeText(scope)}\n${sha256Hex(canonical)}`;
}

/** 64 lower-case hex digits. */
export function sign(signingKey: HmacKey, text: string): string {
  return signingKey.signHex(text);
}

/** Compares two signatures of the same length without telling by time where they differ. */
export function signaturesEqual(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  return timingSafeEqual(Buffer.from(left, 'latin1'), Buffer.from(right, 'latin1'));
}
