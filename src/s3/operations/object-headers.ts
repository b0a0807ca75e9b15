/** The headers of an object, in both directions. */
import {
  STORED_HEADER_NAMES,
  STORED_HEADERS,
  type ObjectAttributes,
  type StoredHeader,
} from '../attributes.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { toHttpDate } from '../http-date.js';
import { SYSTEM_METADATA_BYTES_MAX, USER_METADATA_BYTES_MAX } from '../limits.js';
import { CHECKSUMS, type ChecksumValue } from '../payload/checksums.js';
import { checksumTypeOf } from '../payload/combined-checksums.js';
import type { S3Request } from '../request.js';
import type { HeaderList } from '../response.js';
import { lockHeaders } from '../versions/object-lock.js';

export const METADATA_PREFIX = 'x-amz-meta-';
const CONTENT_TYPE_DEFAULT = 'binary/octet-stream';

/** aws-chunked is a coding of the request, not of the object. */
function withoutAwsChunked(contentEncoding: string): string {
  if (!contentEncoding.includes('aws-chunked')) return contentEncoding;
  return contentEncoding
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== 'aws-chunked' && coding !== '')
    .join(',');
}

export function readStoredHeaders(request: S3Request): ObjectAttributes['headers'] {
  const headers: Partial<Record<StoredHeader, string>> = {};
  for (const name of STORED_HEADER_NAMES) {
    const given = request.headers.get(name);
    if (given === undefined) continue;
    if (given.length > SYSTEM_METADATA_BYTES_MAX) throw new S3Error('MetadataTooLarge');
    const value = name === 'content-encoding' ? withoutAwsChunked(given) : given;
    if (value !== '') headers[name] = value;
  }
  return headers;
}

const NO_METADATA: ObjectAttributes['metadata'] = {};

/** Throws S3Error MetadataTooLarge (UserGuide "User-defined object metadata": 2 KB of names and values). */
export function readMetadata(request: S3Request): ObjectAttributes['metadata'] {
  const entries: [name: string, value: string][] = [];
  let sizeBytes = 0;
  for (const header of request.headers.keys()) {
    if (!header.startsWith(METADATA_PREFIX)) continue;
    const name = header.slice(METADATA_PREFIX.length);
    const value = request.headers.get(header) ?? '';
    sizeBytes += name.length + value.length;
    entries.push([name, value]);
  }
  if (sizeBytes > USER_METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', {
      details: { Size: String(sizeBytes), MaxSizeAllowed: String(USER_METADATA_BYTES_MAX) },
    });
  }
  return entries.length === 0 ? NO_METADATA : Object.fromEntries(entries);
}

/** `whole` is the checksum of the object when the first one is that of a part. */
export function checksumHeaders(checksum: ChecksumValue | null, whole = checksum): HeaderList {
  if (checksum === null || whole === null) return [];
  const { header } = CHECKSUMS[checksum.algorithm];
  return [header, checksum.base64, 'x-amz-checksum-type', checksumTypeOf(whole)];
}

/** What tagging and object lock add to a GET or HEAD. */
export function annotationHeaders(attributes: ObjectAttributes): HeaderList {
  const { tags } = attributes;
  return [
    ...(tags.length > 0 ? ['x-amz-tagging-count', String(tags.length)] : []),
    ...lockHeaders(attributes),
  ];
}

/** What identifies a state of an object. */
export function validatorHeaders(attributes: ObjectAttributes): HeaderList {
  return ['ETag', quoteEtag(attributes.etag), 'Last-Modified', toHttpDate(attributes.modifiedMs)];
}

/** Text of a query parameter as the bytes of a header value. Throws S3Error InvalidArgument for control characters. */
function toHeaderValue(name: string, text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new S3Error('InvalidArgument', { details: { ArgumentName: name } });
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Everything about an object that a GET or HEAD tells, but for its length. `overrides` has response-* parameters. */
export function objectHeaders(
  attributes: ObjectAttributes,
  overrides: ReadonlyMap<string, string>,
): HeaderList {
  const headers = validatorHeaders(attributes);
  headers.push('Accept-Ranges', 'bytes');
  for (const name of STORED_HEADER_NAMES) {
    const override = overrides.size === 0 ? undefined : overrides.get(`response-${name}`);
    const stored = attributes.headers[name] ?? (name === 'content-type' ? CONTENT_TYPE_DEFAULT : undefined);
    const value = override === undefined ? stored : toHeaderValue(`response-${name}`, override);
    if (value !== undefined) headers.push(STORED_HEADERS[name], value);
  }
  for (const [name, value] of Object.entries(attributes.metadata))
    headers.push(METADATA_PREFIX + name, value);
  return headers;
}
