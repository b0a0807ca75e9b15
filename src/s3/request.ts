/** An S3 request, typed once at the edge. Bodies are not touched here. */
import { splitPresignedQuery } from './auth/presigned.js';
import type { RequestBody } from './body.js';
import { S3Error } from './errors.js';
import { checkKey } from './keys.js';
import type { S3Limits } from './limits.js';
import { decodePercent, parseQuery } from './uri.js';

type Target =
  | { readonly level: 'service' }
  | { readonly level: 'bucket'; readonly bucket: string }
  | { readonly level: 'object'; readonly bucket: string; readonly key: string };

export type TargetLevel = Target['level'];

export interface S3Request {
  readonly method: string;
  /** As on the wire, one character a byte; signatures are made over these. */
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly target: Target;
  /** Without what makes a URL a presigned one. */
  readonly query: ReadonlyMap<string, string>;
  /** By lower-case name, one character a byte; several of one name are joined with a comma. */
  readonly headers: ReadonlyMap<string, string>;
  /** The X-Amz-* parameters of a presigned URL; null for other requests. */
  readonly presigned: ReadonlyMap<string, string> | null;
  /** Those of `headers` that stand in the query of a presigned URL. */
  readonly presignedHeaders: ReadonlySet<string>;
  /** The peer's address, IPv4 in its own form; null when it is gone. */
  readonly remoteAddress: string | null;
  /** It came over TLS. */
  readonly isSecure: boolean;
  readonly body: RequestBody;
}

/** Collects headers as SigV4 sees them. Throws S3Error RequestHeaderSectionTooLarge past `headersMax`. */
export function collectHeaders(
  rawHeaders: readonly string[],
  headersMax: number,
): ReadonlyMap<string, string> {
  if (rawHeaders.length > headersMax * 2) throw new S3Error('RequestHeaderSectionTooLarge');
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return headers;
}

/** The bucket of `bucket.domain[:port]`; null when the host is no such name (then addresses are path style). */
function bucketOfHost(host: string | undefined, domains: readonly string[]): string | null {
  if (host === undefined || domains.length === 0) return null;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  const domain = domains.find((candidate) => name.endsWith(`.${candidate}`));
  return domain === undefined ? null : name.slice(0, -domain.length - 1);
}

/** Virtual-host style: the path is the key. */
function parseKeyPath(rawPath: string, bucket: string): Target {
  if (rawPath === '/') return { level: 'bucket', bucket };
  const key = decodePercent(rawPath.slice(1));
  checkKey(key);
  return { level: 'object', bucket, key };
}

/** Path style: `/bucket/key`. Only the first slash separates; the rest of the path is the key, byte for byte. */
function parseTarget(rawPath: string): Target {
  if (rawPath === '/') return { level: 'service' };
  const slash = rawPath.indexOf('/', 1);
  const bucket = decodePercent(slash < 0 ? rawPath.slice(1) : rawPath.slice(1, slash));
  if (slash < 0 || slash === rawPath.length - 1) return { level: 'bucket', bucket };
  const key = decodePercent(rawPath.slice(slash + 1));
  checkKey(key);
  return { level: 'object', bucket, key };
}

/** The message as fastify passes it on; `rawUrl` is the request target before any rewriting. */
export interface RawRequest {
  readonly method: string;
  readonly rawUrl: string;
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string | null;
  readonly isSecure: boolean;
  readonly body: RequestBody;
}

/** An IPv4 address as it reaches a socket that listens on IPv6. */
const MAPPED_ADDRESS = /^::ffff:(?=\d+\.)/i;

function ownForm(address: string | null): string | null {
  return address?.startsWith(':') === true ? address.replace(MAPPED_ADDRESS, '') : address;
}

const NO_NAMES: ReadonlySet<string> = new Set();

/**
 * `domains` are the names of this endpoint under which buckets are hosts, lower case. Throws S3Error InvalidURI, KeyTooLongError,
 * InvalidArgument or RequestHeaderSectionTooLarge.
 */
export function parseRequest(raw: RawRequest, limits: S3Limits, domains: readonly string[] = []): S3Request {
  const { rawUrl } = raw;
  if (!rawUrl.startsWith('/')) throw new S3Error('InvalidURI', { details: { URI: rawUrl.slice(0, 256) } });
  const question = rawUrl.indexOf('?');
  const rawPath = question < 0 ? rawUrl : rawUrl.slice(0, question);
  const rawQuery = question < 0 ? '' : rawUrl.slice(question + 1);
  const sent = collectHeaders(raw.rawHeaders, limits.headersMax);
  const { query, presigned, headers: fromQuery } = splitPresignedQuery(parseQuery(rawQuery));
  const virtualBucket = bucketOfHost(sent.get('host'), domains);
  return {
    method: raw.method,
    rawPath,
    rawQuery,
    target: virtualBucket === null ? parseTarget(rawPath) : parseKeyPath(rawPath, virtualBucket),
    query,
    headers: fromQuery.size === 0 ? sent : new Map([...fromQuery, ...sent]),
    presigned,
    presignedHeaders:
      fromQuery.size === 0 ? NO_NAMES : new Set([...fromQuery.keys()].filter((name) => !sent.has(name))),
    remoteAddress: ownForm(raw.remoteAddress),
    isSecure: raw.isSecure,
    body: raw.body,
  };
}

/** This endpoint, as the client has called it. */
export function originOf({ isSecure, headers }: S3Request): string {
  return `${isSecure ? 'https' : 'http'}://${headers.get('host') ?? ''}`;
}
