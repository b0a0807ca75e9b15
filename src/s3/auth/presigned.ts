/**
 * Presigned URLs (S3 API reference "Authenticating Requests: Using Query Parameters"): the signature in the query.
 *
 * As at S3, x-amz-* parameters of such a URL count as the headers of that name: signers move them there. They are under the signature
 * like all of the query.
 */
import { S3Error } from '../errors.js';
import { parseBasicIsoDate, toIsoDate } from '../http-date.js';
import { ALGORITHM, parseCredential, type ParsedAuthorization } from './authorization-header.js';

const PARAMETERS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
] as const;
/** Not always there. */
const FURTHER_PARAMETERS = ['X-Amz-Content-Sha256', 'X-Amz-Security-Token'];
const EXPIRES_SECONDS_MAX = 7 * 24 * 60 * 60;
const SIGNED_HEADERS_MAX = 200;
const SIGNATURE = /^[0-9a-f]{64}$/;
const DECIMAL = /^-?\d{1,15}$/;

type Texts = ReadonlyMap<string, string>;

const NO_TEXTS: Texts = new Map();

export interface SplitQuery {
  /** What is about the operation. */
  readonly query: Texts;
  /** The X-Amz-* parameters; null: the request is not presigned. */
  readonly presigned: Texts | null;
  /** Headers that stand in the query. */
  readonly headers: Texts;
}

/** Takes a presigned query apart. Any other one stays as it is. */
export function splitPresignedQuery(query: Texts): SplitQuery {
  if (!query.has('X-Amz-Algorithm') && !query.has('X-Amz-Signature')) {
    return { query, presigned: null, headers: NO_TEXTS };
  }
  const rest = new Map<string, string>();
  const presigned = new Map<string, string>();
  const headers = new Map<string, string>();
  const names: readonly string[] = [...PARAMETERS, ...FURTHER_PARAMETERS];
  for (const [name, value] of query) {
    if (names.includes(name)) presigned.set(name, value);
    else if (name.toLowerCase().startsWith('x-amz-'))
      headers.set(name.toLowerCase(), Buffer.from(value, 'utf8').toString('latin1'));
    else rest.set(name, value);
  }
  return { query: rest, presigned, headers };
}

export interface PresignedClaim extends ParsedAuthorization {
  readonly timestamp: string;
  readonly signedAtMs: number;
  /** X-Amz-Content-Sha256 of the query; null without it. */
  readonly contentSha256: string | null;
}

function malformed(message: string): S3Error {
  return new S3Error('AuthorizationQueryParametersError', { message });
}

/** AWS answers 400 to an expiry out of range; like Ceph, whose suite asks for it, we treat such a URL as one that was never valid. */
function readExpiry(text: string): number {
  const seconds = Number(text);
  if (!DECIMAL.test(text)) throw malformed('X-Amz-Expires should be a number');
  if (seconds >= 1 && seconds <= EXPIRES_SECONDS_MAX) return seconds;
  throw new S3Error('AccessDenied', {
    message: `X-Amz-Expires must be from 1 to ${EXPIRES_SECONDS_MAX} seconds (a week)`,
    details: { 'X-Amz-Expires': text },
  });
}

function checkTime(signedAtMs: number, expirySeconds: number, nowMs: number, skewMaxMs: number): void {
  if (signedAtMs > nowMs + skewMaxMs) {
    throw new S3Error('AccessDenied', {
      message: 'Request is not valid yet',
      details: { 'X-Amz-Date': toIsoDate(signedAtMs), ServerTime: toIsoDate(nowMs) },
    });
  }
  const expiresMs = signedAtMs + expirySeconds * 1000;
  if (nowMs >= expiresMs) {
    throw new S3Error('AccessDenied', {
      message: 'Request has expired',
      details: {
        'X-Amz-Expires': String(expirySeconds),
        Expires: toIsoDate(expiresMs),
        ServerTime: toIsoDate(nowMs),
      },
    });
  }
}

interface PresignedRules {
  readonly region: string;
  readonly nowMs: number;
  readonly skewMaxMs: number;
}

/** Throws S3Error AuthorizationQueryParametersError, AccessDenied, InvalidToken. */
export function parsePresigned(presigned: Texts, rules: PresignedRules): PresignedClaim {
  const [algorithm, credential, timestamp, expires, signedHeaders, signature] = PARAMETERS.map((name) =>
    presigned.get(name),
  );
  if (
    algorithm === undefined ||
    credential === undefined ||
    timestamp === undefined ||
    expires === undefined ||
    signedHeaders === undefined ||
    signature === undefined
  ) {
    throw malformed(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  if (algorithm !== ALGORITHM) throw malformed(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const parsed = parseCredential(credential, rules.region, (problem) =>
    malformed(`Error parsing the X-Amz-Credential parameter; ${problem}`),
  );
  const signedAtMs = parseBasicIsoDate(timestamp);
  if (signedAtMs === null) {
    throw malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  }
  if (timestamp.slice(0, 8) !== parsed.scope.date) {
    throw malformed(
      `Invalid credential date "${parsed.scope.date}". This date is not the same as X-Amz-Date: "${timestamp.slice(0, 8)}".`,
    );
  }
  const names = signedHeaders.toLowerCase().split(';');
  if (names.length > SIGNED_HEADERS_MAX) throw malformed('X-Amz-SignedHeaders names too many headers');
  if (!SIGNATURE.test(signature)) throw malformed('X-Amz-Signature must be 64 hex digits');
  checkTime(signedAtMs, readExpiry(expires), rules.nowMs, rules.skewMaxMs);
  if (presigned.has('X-Amz-Security-Token')) throw new S3Error('InvalidToken');
  const contentSha256 = presigned.get('X-Amz-Content-Sha256') ?? null;
  return { ...parsed, signedHeaders: names, signature, timestamp, signedAtMs, contentSha256 };
}

/** The query that the signature is over: all but the signature. */
export function withoutSignature(rawQuery: string): string {
  return rawQuery
    .split('&')
    .filter((field) => !/^X-Amz-Signature(=|$)/.test(field))
    .join('&');
}
