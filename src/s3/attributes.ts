/**
 * What S3 keeps about an object and a bucket: JSON text in the `attributes` of the mirrored store.
 *
 *   object  {"v":1,"etag":"<text without quotes>","modifiedMs":0,"writes":1,"headers":{...},"metadata":{...},"checksum":{...}}
 *   bucket  {"v":1,"createdMs":0,"ownerId":"...","ownerName":"...","region":"..."}
 *
 * `v` is the format. It is decoded and checked here and nowhere else; text that does not fit is a broken invariant, for
 * only this file writes it. Header and metadata values are one character a byte, as they came, and go out the same.
 */
import { invariant } from '../protocol/invariant.js';
import { toChecksumAlgorithm, type ChecksumValue } from './payload/checksums.js';

const FORMAT = 1;

/** The response headers that are stored with an object, by their lower-case name. */
export const STORED_HEADERS = {
  'cache-control': 'Cache-Control',
  'content-disposition': 'Content-Disposition',
  'content-encoding': 'Content-Encoding',
  'content-language': 'Content-Language',
  'content-type': 'Content-Type',
  expires: 'Expires',
} as const;
export type StoredHeader = keyof typeof STORED_HEADERS;
export const STORED_HEADER_NAMES = Object.keys(STORED_HEADERS) as readonly StoredHeader[];

export interface ObjectAttributes {
  /** Without quotes. */
  readonly etag: string;
  /** Set by whoever wrote, once; all mirrors hold the same. */
  readonly modifiedMs: number;
  /** How many writes made this content: 1 for a PutObject, one more for each append and PATCH. */
  readonly writes: number;
  readonly headers: Readonly<Partial<Record<StoredHeader, string>>>;
  /** By lower-case name without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Over the whole content; null when none is known. */
  readonly checksum: ChecksumValue | null;
}

export interface BucketAttributes {
  readonly createdMs: number;
  readonly ownerId: string;
  readonly ownerName: string;
  readonly region: string;
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseFields(text: string): Fields {
  const value: unknown = JSON.parse(text);
  invariant(isFields(value), 'stored attributes are a JSON object');
  invariant(value['v'] === FORMAT, 'stored attributes have a format that this version knows', {
    v: value['v'],
  });
  return value;
}

function textField(fields: Fields, name: string): string {
  const value = fields[name];
  invariant(typeof value === 'string', 'a text attribute is text', { name });
  return value;
}

function countField(fields: Fields, name: string): number {
  const value = fields[name];
  invariant(typeof value === 'number' && Number.isSafeInteger(value), 'a number attribute is an integer', {
    name,
  });
  return value;
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  invariant(isFields(value), 'a map attribute is an object');
  const entries = Object.entries(value).map(([name, text]): [string, string] => {
    invariant(typeof text === 'string', 'a map attribute holds text', { name });
    return [name, text];
  });
  return Object.fromEntries(entries);
}

function decodeChecksum(value: unknown): ChecksumValue | null {
  if (value === undefined) return null;
  invariant(isFields(value), 'a stored checksum is an object');
  const algorithm = toChecksumAlgorithm(textField(value, 'algorithm'));
  invariant(algorithm !== null, 'the algorithm of a stored checksum is known');
  return { algorithm, base64: textField(value, 'base64') };
}

export function encodeObjectAttributes(attributes: ObjectAttributes): string {
  const { etag, modifiedMs, writes, headers, metadata, checksum } = attributes;
  return JSON.stringify({
    v: FORMAT,
    etag,
    modifiedMs,
    writes,
    headers,
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(checksum !== null && { checksum }),
  });
}

export function decodeObjectAttributes(text: string): ObjectAttributes {
  const fields = parseFields(text);
  return {
    etag: textField(fields, 'etag'),
    modifiedMs: countField(fields, 'modifiedMs'),
    writes: countField(fields, 'writes'),
    headers: textMap(fields['headers']),
    metadata: textMap(fields['metadata']),
    checksum: decodeChecksum(fields['checksum']),
  };
}

export function encodeBucketAttributes(attributes: BucketAttributes): string {
  return JSON.stringify({ v: FORMAT, ...attributes });
}

export function decodeBucketAttributes(text: string): BucketAttributes {
  const fields = parseFields(text);
  return {
    createdMs: countField(fields, 'createdMs'),
    ownerId: textField(fields, 'ownerId'),
    ownerName: textField(fields, 'ownerName'),
    region: textField(fields, 'region'),
  };
}
