/**
 * What S3 keeps about an object and a bucket: JSON text in the `attributes` of the mirrored store.
 *
 *   object  {"v":1,"etag":"<text without quotes>","modifiedMs":0,"writes":1,"headers":{...},"metadata":{...},"checksum":{...},
 *           "parts":{...},"uploadId":"...","rename":{"id":"...","source":"..."},"sealing":{...},
 *           "version":{...},"tags":[["k","v"]],"retention":{"mode":"GOVERNANCE","untilMs":0},"legalHold":"ON","deleteMarker":true}
 *   bucket  {"v":1,"createdMs":0,"ownerId":"...","ownerName":"...","region":"...","configuration":{...}}
 *
 * `v` is the format. It is decoded and checked here and nowhere else; text that does not fit is a broken invariant, for
 * only this file writes it. Header and metadata values are one character a byte, as they came, and go out the same.
 */
import { invariant } from '../protocol/invariant.js';
import {
  decodeBucketConfiguration,
  decodeTagSet,
  encodeBucketConfiguration,
  RETENTION_MODES,
  type BucketConfiguration,
  type RetentionMode,
  type TagSet,
} from './bucket-configuration.js';
import { decodeObjectAccess, encodeObjectAccess, type ObjectAccess } from './access/settings.js';
import { decodeSealing, encodeSealing, type Sealing } from './encryption/sealing.js';
import { decodeObjectParts, type ObjectParts } from './object-parts.js';
import {
  asFields,
  countField,
  optionalText,
  textField,
  textMap,
  wordField,
  type Fields,
} from './stored-fields.js';
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

/** Which version of its key a state of an object is; the rules are in versions/versioned-objects.ts. */
export interface ObjectVersion {
  /** Sorts before the ids of all earlier versions of the key. */
  readonly id: string;
  /** To clients its id is `null`, and the next null version takes its place. */
  readonly isNull: boolean;
  /** On a current version: the id of the null version among the older ones. Null: none of them is. */
  readonly olderNullId: string | null;
  /** On a current version: an older null version that it took the place of, and that may not have been removed yet. */
  readonly supersededId: string | null;
}

export interface Retention {
  readonly mode: RetentionMode;
  readonly untilMs: number;
}

/** What versioning, tagging, object lock and access control know of an object. */
export interface ObjectAnnotations {
  /** Null: written while its bucket never had versioning. */
  readonly version: ObjectVersion | null;
  readonly isDeleteMarker: boolean;
  readonly tags: TagSet;
  readonly retention: Retention | null;
  /** Null: it never had one. */
  readonly legalHold: 'ON' | 'OFF' | null;
  /** Null: private, of the bucket's owner. */
  readonly access: ObjectAccess | null;
}

export const NO_ANNOTATIONS: ObjectAnnotations = {
  version: null,
  isDeleteMarker: false,
  tags: [],
  retention: null,
  legalHold: null,
  access: null,
};

export interface ObjectAttributes extends ObjectAnnotations {
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
  /** Of a completed multipart upload, and its copies. */
  readonly parts: ObjectParts | null;
  /** The upload whose completion wrote this very object: makes a repeated completion known. */
  readonly uploadId: string | null;
  /** The rename that gave it its name, and the name before (renames.ts): makes a repeated rename known. */
  readonly rename: { readonly id: string; readonly source: string } | null;
  /** How the content is encrypted (encryption/sealing.ts); null: it is not. Its size is told by `contentBytes`. */
  readonly sealing: Sealing | null;
}

export interface BucketAttributes {
  readonly createdMs: number;
  readonly ownerId: string;
  readonly ownerName: string;
  readonly region: string;
  readonly configuration: BucketConfiguration;
}

export function parseFields(text: string): Fields {
  const fields = asFields(JSON.parse(text));
  invariant(fields['v'] === FORMAT, 'stored attributes have a format that this version knows', {
    v: fields['v'],
  });
  return fields;
}

function decodeChecksum(value: unknown): ChecksumValue | null {
  if (value === undefined) return null;
  const fields = asFields(value);
  const algorithm = toChecksumAlgorithm(textField(fields, 'algorithm'));
  invariant(algorithm !== null, 'the algorithm of a stored checksum is known');
  return { algorithm, base64: textField(fields, 'base64') };
}

function encodeVersion({ id, isNull, olderNullId, supersededId }: ObjectVersion): object {
  return {
    id,
    ...(isNull && { isNull }),
    ...(olderNullId !== null && { olderNullId }),
    ...(supersededId !== null && { supersededId }),
  };
}

function decodeVersion(value: unknown): ObjectVersion | null {
  if (value === undefined) return null;
  const fields = asFields(value);
  return {
    id: textField(fields, 'id'),
    isNull: fields['isNull'] === true,
    olderNullId: optionalText(fields, 'olderNullId'),
    supersededId: optionalText(fields, 'supersededId'),
  };
}

function decodeRetention(value: unknown): Retention | null {
  if (value === undefined) return null;
  const fields = asFields(value);
  return { mode: wordField(fields, 'mode', RETENTION_MODES), untilMs: countField(fields, 'untilMs') };
}

const LEGAL_HOLDS = ['ON', 'OFF'] as const;

function decodeRename(value: unknown): ObjectAttributes['rename'] {
  if (value === undefined) return null;
  const fields = asFields(value);
  return { id: textField(fields, 'id'), source: textField(fields, 'source') };
}

/** What is undefined is left out. */
export function encodeObjectAttributes(attributes: ObjectAttributes): string {
  const { etag, modifiedMs, writes, headers, metadata, sealing, version, tags } = attributes;
  return JSON.stringify({
    v: FORMAT,
    etag,
    modifiedMs,
    writes,
    headers,
    metadata: Object.keys(metadata).length > 0 ? metadata : undefined,
    checksum: attributes.checksum ?? undefined,
    parts: attributes.parts ?? undefined,
    uploadId: attributes.uploadId ?? undefined,
    rename: attributes.rename ?? undefined,
    sealing: sealing === null ? undefined : encodeSealing(sealing),
    version: version === null ? undefined : encodeVersion(version),
    deleteMarker: attributes.isDeleteMarker ? true : undefined,
    tags: tags.length > 0 ? tags : undefined,
    retention: attributes.retention ?? undefined,
    legalHold: attributes.legalHold ?? undefined,
    access: encodeObjectAccess(attributes.access),
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
    parts: decodeObjectParts(fields['parts']),
    uploadId: fields['uploadId'] === undefined ? null : textField(fields, 'uploadId'),
    rename: decodeRename(fields['rename']),
    sealing: decodeSealing(fields['sealing']),
    version: decodeVersion(fields['version']),
    isDeleteMarker: fields['deleteMarker'] === true,
    tags: decodeTagSet(fields, 'tags'),
    retention: decodeRetention(fields['retention']),
    legalHold: fields['legalHold'] === undefined ? null : wordField(fields, 'legalHold', LEGAL_HOLDS),
    access: decodeObjectAccess(fields['access']),
  };
}

/** What a listing shows of an object. */
export type ListedAttributes = Pick<
  ObjectAttributes,
  'etag' | 'modifiedMs' | 'checksum' | 'sealing' | 'access' | 'isDeleteMarker'
>;

/** As `decodeObjectAttributes`, of fewer fields: a listing has a thousand objects. */
export function decodeListedAttributes(text: string): ListedAttributes {
  const fields = parseFields(text);
  return {
    etag: textField(fields, 'etag'),
    modifiedMs: countField(fields, 'modifiedMs'),
    checksum: decodeChecksum(fields['checksum']),
    sealing: decodeSealing(fields['sealing']),
    access: decodeObjectAccess(fields['access']),
    isDeleteMarker: fields['deleteMarker'] === true,
  };
}

export function encodeBucketAttributes(attributes: BucketAttributes): string {
  const { createdMs, ownerId, ownerName, region } = attributes;
  const configuration = encodeBucketConfiguration(attributes.configuration);
  return JSON.stringify({ v: FORMAT, createdMs, ownerId, ownerName, region, configuration });
}

export function decodeBucketAttributes(text: string): BucketAttributes {
  const fields = parseFields(text);
  return {
    createdMs: countField(fields, 'createdMs'),
    ownerId: textField(fields, 'ownerId'),
    ownerName: textField(fields, 'ownerName'),
    region: textField(fields, 'region'),
    configuration: decodeBucketConfiguration(fields['configuration']),
  };
}
