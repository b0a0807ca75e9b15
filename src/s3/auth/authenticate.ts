/**
 * Who sent this request, and what its signature says of the body.
 *
 * A body without x-amz-content-sha256: S3 asks for that header, but curl before 8.1 (`--aws-sigv4`, Debian 12) leaves
 * it out. It signs the hash of what `--data` gives it, and the hash of nothing for an upload (`-T`). So, without it:
 *  - a signature over the hash of the body as received is right, for bodies small enough to be buffered first;
 *  - a signature over the hash of nothing is right when there is no body; with one it says nothing of the body, and
 *    counts as UNSIGNED-PAYLOAD (`isStated: false`), which only operations that store content accept.
 * So a captured upload of such a curl can be replayed with another body for 15 minutes, as one that states UNSIGNED-PAYLOAD can.
 * A client that signs x-amz-content-sha256, as all others do, is not concerned: taken off its request, the signature breaks.
 */
import { createHash } from 'node:crypto';
import { type Soon, whenKnown } from '../../protocol/soon.js';
import { readAll } from '../body.js';
import { S3Error } from '../errors.js';
import { parseBasicIsoDate, parseHttpDate, toBasicIsoDate, toIsoDate } from '../http-date.js';
import type { S3Limits } from '../limits.js';
import type { S3Request } from '../request.js';
import { type AuthorizationParser, isSigV2, type ParsedAuthorization } from './authorization-header.js';
import { ChunkSigner } from './chunk-signer.js';
import {
  ANONYMOUS,
  identityOf,
  type Credential,
  type CredentialStore,
  type Identity,
} from './credentials.js';
import type { HmacKey } from './hmac.js';
import { parsePresigned, withoutSignature } from './presigned.js';
import type { SigningKeys } from './signing-key.js';
import {
  canonicalRequest,
  EMPTY_SHA256,
  sign,
  signaturesEqual,
  stringToSign,
  type Reading,
} from './sigv4.js';

const CLOCK_SKEW_MAX_MS = 15 * 60 * 1000;
const CONTENT_SHA256 = 'x-amz-content-sha256';
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
const SHA256_HEX = /^[0-9a-fA-F]{64}$/;

/** What is known of the body before it is read. */
export type PayloadMode =
  | { readonly kind: 'sha256'; readonly hex: string }
  /** `isStated` is false when the client did not even say so. */
  | { readonly kind: 'unsigned'; readonly isStated: boolean }
  | { readonly kind: 'signed-chunks'; readonly signer: ChunkSigner; readonly hasTrailer: boolean }
  | { readonly kind: 'unsigned-chunks' }
  /** Read and verified already. */
  | { readonly kind: 'buffered'; readonly bytes: Buffer };

/** Where the signature stands; none: an anonymous caller. */
export type SignatureKind = 'none' | 'header' | 'query' | 'form';

export interface Authentication {
  readonly identity: Identity;
  readonly payload: PayloadMode;
  readonly signature: SignatureKind;
}

export interface AuthenticationOptions {
  readonly credentials: CredentialStore;
  readonly signingKeys: SigningKeys;
  readonly authorizations: AuthorizationParser;
  readonly region: string;
  readonly limits: S3Limits;
  readonly clock: () => number;
}

interface Claim extends ParsedAuthorization {
  readonly timestamp: string;
  readonly signingKey: HmacKey;
}

/** Of x-amz-date SigV4 wants one form; Date may have either. */
function statedTime(amzDate: string | undefined, date: string | undefined): number | null {
  if (amzDate !== undefined) return parseBasicIsoDate(amzDate);
  return date === undefined ? null : (parseBasicIsoDate(date) ?? parseHttpDate(date));
}

function requestTime(request: S3Request, nowMs: number): { timeMs: number; timestamp: string } {
  const amzDate = request.headers.get('x-amz-date');
  const date = request.headers.get('date');
  const isOld = isSigV2(request.headers.get('authorization') ?? '');
  const timeMs = isOld ? statedTime(undefined, amzDate ?? date) : statedTime(amzDate, date);
  if (timeMs === null || timeMs < 0) {
    throw new S3Error('AccessDenied', {
      message: 'AWS authentication requires a valid Date or x-amz-date header',
    });
  }
  if (Math.abs(nowMs - timeMs) > CLOCK_SKEW_MAX_MS) {
    throw new S3Error('RequestTimeTooSkewed', {
      details: {
        RequestTime: amzDate ?? date ?? '',
        ServerTime: toIsoDate(nowMs),
        MaxAllowedSkewMilliseconds: String(CLOCK_SKEW_MAX_MS),
      },
    });
  }
  // What is signed is the text of the header, when that is the one with the time.
  return { timeMs, timestamp: amzDate ?? toBasicIsoDate(timeMs) };
}

/**
 * Every header that S3 acts on by name must be signed, or a captured request can be replayed as another one.
 * Content-Range belongs to them: it says where a PATCH writes.
 */
function checkSignedHeaders(request: S3Request, signedHeaders: readonly string[]): void {
  const unsigned: string[] = [];
  for (const name of request.headers.keys()) {
    if (request.presignedHeaders.has(name)) continue;
    const mustBeSigned = name.startsWith('x-amz-')
      ? name !== CONTENT_SHA256
      : name === 'host' || name === 'content-range';
    if (mustBeSigned && !signedHeaders.includes(name)) unsigned.push(name);
  }
  if (!request.headers.has('host')) unsigned.push('host');
  if (unsigned.length === 0) return;
  throw new S3Error('AccessDenied', {
    message: 'There were headers present in the request which were not signed',
    details: { HeadersNotSigned: unsigned.join(', ') },
  });
}

function signedRequest(
  request: S3Request,
  claim: Claim,
  payloadHash: string,
): Parameters<typeof canonicalRequest>[0] {
  return { parts: request, signedHeaders: claim.signedHeaders, payloadHash };
}

function isSignedAs(request: S3Request, claim: Claim, payloadHash: string, reading: Reading): boolean {
  const canonical = canonicalRequest(signedRequest(request, claim, payloadHash), reading);
  return signaturesEqual(
    claim.signature,
    sign(claim.signingKey, stringToSign(canonical, claim.timestamp, claim.scope)),
  );
}

function isSigned(request: S3Request, claim: Claim, payloadHash: string): boolean {
  return (
    isSignedAs(request, claim, payloadHash, 'canonical') || isSignedAs(request, claim, payloadHash, 'as-sent')
  );
}

function hexBytes(text: string): string {
  return Buffer.from(text, 'latin1')
    .toString('hex')
    .replace(/..(?!$)/g, '$& ');
}

function mismatch(request: S3Request, claim: Claim, payloadHash: string): S3Error {
  const canonical = canonicalRequest(signedRequest(request, claim, payloadHash), 'canonical');
  const text = stringToSign(canonical, claim.timestamp, claim.scope);
  return new S3Error('SignatureDoesNotMatch', {
    details: {
      AWSAccessKeyId: claim.accessKeyId,
      StringToSign: text,
      SignatureProvided: claim.signature,
      StringToSignBytes: hexBytes(text),
      CanonicalRequest: canonical,
      CanonicalRequestBytes: hexBytes(canonical),
    },
  });
}

/** `claim` is null for an anonymous caller, who can't sign chunks. */
function statedPayload(stated: string, claim: Claim | null): PayloadMode {
  if (SHA256_HEX.test(stated)) return { kind: 'sha256', hex: stated.toLowerCase() };
  switch (stated) {
    case UNSIGNED_PAYLOAD:
      return { kind: 'unsigned', isStated: true };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      if (claim === null) throw new S3Error('AccessDenied');
      return {
        kind: 'signed-chunks',
        signer: new ChunkSigner(claim),
        hasTrailer: stated.endsWith('-TRAILER'),
      };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'unsigned-chunks' };
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER':
      throw new S3Error('NotImplemented', { details: { Header: CONTENT_SHA256 } });
    default:
      throw new S3Error('InvalidArgument', {
        message:
          'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid sha256 value.',
        details: { ArgumentName: CONTENT_SHA256, ArgumentValue: stated.slice(0, 128) },
      });
  }
}

/** The case without x-amz-content-sha256; see the top of this file. */
async function unstatedPayload(request: S3Request, claim: Claim, limits: S3Limits): Promise<PayloadMode> {
  const { body } = request;
  if (isSigned(request, claim, EMPTY_SHA256)) {
    return body.isEmpty ? { kind: 'sha256', hex: EMPTY_SHA256 } : { kind: 'unsigned', isStated: false };
  }
  if (body.isEmpty) throw mismatch(request, claim, EMPTY_SHA256);
  if (body.lengthBytes === null || body.lengthBytes > limits.unstatedPayloadBytesMax) {
    throw new S3Error('InvalidRequest', {
      message: `Missing required header for this request: ${CONTENT_SHA256}`,
    });
  }
  const bytes = await readAll(body, limits.unstatedPayloadBytesMax);
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (!isSigned(request, claim, hash)) throw mismatch(request, claim, hash);
  return { kind: 'buffered', bytes };
}

function findCredential(credentials: CredentialStore, accessKeyId: string): Credential {
  const credential = credentials.lookup(accessKeyId);
  if (credential !== null) return credential;
  throw new S3Error('InvalidAccessKeyId', { details: { AWSAccessKeyId: accessKeyId } });
}

/** Whoever sends no signature; what such a caller may do is for the bucket to say. */
function authenticateNobody(request: S3Request): Authentication {
  if (request.query.has('Signature') && request.query.has('AWSAccessKeyId')) {
    throw new S3Error('InvalidRequest', {
      message: 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    });
  }
  if (!request.headers.has('host')) throw new S3Error('AccessDenied');
  const payload = statedPayload(request.headers.get(CONTENT_SHA256) ?? UNSIGNED_PAYLOAD, null);
  return { identity: ANONYMOUS, payload, signature: 'none' };
}

/**
 * The payload of a presigned request is what x-amz-content-sha256 says, header before parameter, and unsigned when neither is there.
 * Either is under the signature, so a header that says otherwise than the signer did breaks it.
 */
function authenticatePresigned(
  request: S3Request,
  presigned: ReadonlyMap<string, string>,
  options: AuthenticationOptions,
): Authentication {
  if (request.headers.has('authorization')) {
    throw new S3Error('InvalidArgument', {
      message:
        'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
      details: { ArgumentName: 'Authorization' },
    });
  }
  const rules = { region: options.region, nowMs: options.clock(), skewMaxMs: CLOCK_SKEW_MAX_MS };
  const parsed = parsePresigned(presigned, rules);
  const credential = findCredential(options.credentials, parsed.accessKeyId);
  checkSignedHeaders(request, parsed.signedHeaders);
  const signingKey = options.signingKeys.get(credential.secretAccessKey, parsed.scope);
  const claim: Claim = { ...parsed, signingKey };
  const signed: S3Request = { ...request, rawQuery: withoutSignature(request.rawQuery) };
  const stated = request.headers.get(CONTENT_SHA256) ?? parsed.contentSha256 ?? UNSIGNED_PAYLOAD;
  if (!isSigned(signed, claim, stated)) throw mismatch(signed, claim, stated);
  return { identity: identityOf(credential), payload: statedPayload(stated, claim), signature: 'query' };
}

/**
 * Throws S3Error: AccessDenied, AuthorizationHeaderMalformed, AuthorizationQueryParametersError, InvalidAccessKeyId, InvalidRequest,
 * InvalidArgument, InvalidToken, RequestTimeTooSkewed, SignatureDoesNotMatch.
 */
export function authenticate(request: S3Request, options: AuthenticationOptions): Soon<Authentication> {
  if (request.presigned !== null) return authenticatePresigned(request, request.presigned, options);
  const header = request.headers.get('authorization');
  if (header === undefined) return authenticateNobody(request);
  // Whoever signs in the old way learns first that the clock is wrong, if it is.
  if (isSigV2(header)) requestTime(request, options.clock());
  const parsed = options.authorizations.parse(header);
  const credential = findCredential(options.credentials, parsed.accessKeyId);
  const { timestamp } = requestTime(request, options.clock());
  if (timestamp.slice(0, 8) !== parsed.scope.date) {
    throw new S3Error('AuthorizationHeaderMalformed', {
      message: `The authorization header is malformed; Invalid credential date "${parsed.scope.date}". This date is not the same as X-Amz-Date: "${timestamp.slice(0, 8)}".`,
    });
  }
  checkSignedHeaders(request, parsed.signedHeaders);
  if (request.headers.has('x-amz-security-token')) throw new S3Error('InvalidToken');
  const { accessKeyId, scope, signedHeaders, signature } = parsed;
  const signingKey = options.signingKeys.get(credential.secretAccessKey, scope);
  const claim: Claim = { accessKeyId, scope, signedHeaders, signature, timestamp, signingKey };
  const identity = identityOf(credential);
  const stated = request.headers.get(CONTENT_SHA256);
  if (stated === undefined) {
    return whenKnown(unstatedPayload(request, claim, options.limits), (payload) => ({
      identity,
      payload,
      signature: 'header',
    }));
  }
  if (!isSigned(request, claim, stated)) throw mismatch(request, claim, stated);
  return { identity, payload: statedPayload(stated, claim), signature: 'header' };
}
