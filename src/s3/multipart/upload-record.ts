/**
 * What is stored of a multipart upload in progress. All of it are objects of the mirrored store, in containers of Tally's own:
 *
 *   .uploads.<bucket>  <key>  version <upload id>   no content; {"v":1,"initiatedMs":0,"bucketCreatedMs":0,"initiatorId":"...",
 *                                                    "initiatorName":"...","checksum":{"algorithm":"...","type":"..."},"object":"..."}
 *   .uploads           <upload id>                  no content; {"v":1,"initiatedMs":0,"bucketCreatedMs":0,"bucket":"...","key":"..."}
 *   .parts.<bucket>    <key>  version <upload id>/<five digits>    the part's bytes; attributes as an object's
 *
 *   .parts             <upload id>/<five digits>    a part of an upload that was begun before parts lived under their key: read, never written
 *
 * The first is the upload: without it there is none, whatever else lies about. The second is the sweeper's index; it is
 * written first and removed last, so nothing of an upload is ever without it. `object` has the attributes of the object to be.
 */
import { randomBytes } from 'node:crypto';
import { invariant } from '../../protocol/invariant.js';
import { makeObjectId, type ObjectId } from '../../protocol/object-id.js';
import {
  decodeObjectAttributes,
  encodeObjectAttributes,
  parseFields,
  type ObjectAttributes,
} from '../attributes.js';
import { toChecksumAlgorithm, type ChecksumAlgorithm } from '../payload/checksums.js';
import type { ChecksumType } from '../payload/combined-checksums.js';
import { asFields, countField, textField, wordField } from '../stored-fields.js';

export const INDEX_CONTAINER = '.uploads';
const PARTS_CONTAINER = '.parts';
/** Where parts were before they lived under their key; the name there is what their version is now. */
export const OLDER_PARTS_CONTAINER = PARTS_CONTAINER;
const FORMAT = 1;
const TIME_DIGITS = 12;
const RANDOM_BYTES = 16;
const PART_DIGITS = 5;
const UPLOAD_ID = /^[0-9a-f]{44}$/;

/** Ids sort by the time of their making: so uploads of one key are listed as S3 lists them. */
export function newUploadId(nowMs: number): string {
  return nowMs.toString(16).padStart(TIME_DIGITS, '0') + randomBytes(RANDOM_BYTES).toString('hex');
}

export function isUploadId(text: string): boolean {
  return UPLOAD_ID.test(text);
}

export function uploadsContainer(bucket: string): string {
  return `${INDEX_CONTAINER}.${bucket}`;
}

export function uploadObjectId(bucket: string, key: string, uploadId: string): ObjectId {
  return makeObjectId(uploadsContainer(bucket), key, uploadId);
}

export function indexObjectId(uploadId: string): ObjectId {
  return makeObjectId(INDEX_CONTAINER, uploadId);
}

/** Which upload of which key. */
export interface UploadPlace {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

/** Parts live under the key that they are for, so that they are where it will be (protocol/placement.ts). */
export function partsContainer(bucket: string): string {
  return `${PARTS_CONTAINER}.${bucket}`;
}

/** The versions of a key in the container of parts: by upload, then by part number. */
export function partVersion(uploadId: string, partNumber: number): string {
  return `${uploadId}/${String(partNumber).padStart(PART_DIGITS, '0')}`;
}

export function partObjectId({ bucket, key, uploadId }: UploadPlace, partNumber: number): ObjectId {
  return makeObjectId(partsContainer(bucket), key, partVersion(uploadId, partNumber));
}

/** Null: the version is of a part of another upload. */
export function partNumberOf(uploadId: string, version: string): number | null {
  return version.startsWith(`${uploadId}/`) ? Number(version.slice(-PART_DIGITS)) : null;
}

export interface UploadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
}

export interface UploadRecord {
  readonly initiatedMs: number;
  /** Tells the bucket from a later one of the same name. */
  readonly bucketCreatedMs: number;
  readonly initiatorId: string;
  readonly initiatorName: string;
  /** Null: the client named none. */
  readonly checksum: UploadChecksum | null;
  readonly object: ObjectAttributes;
}

export interface IndexRecord {
  readonly initiatedMs: number;
  readonly bucketCreatedMs: number;
  readonly bucket: string;
  readonly key: string;
}

export function encodeUploadRecord({ checksum, object, ...record }: UploadRecord): string {
  return JSON.stringify({
    v: FORMAT,
    ...record,
    ...(checksum !== null && { checksum }),
    object: encodeObjectAttributes(object),
  });
}

function decodeUploadChecksum(value: unknown): UploadChecksum | null {
  if (value === undefined) return null;
  const fields = asFields(value);
  const algorithm = toChecksumAlgorithm(textField(fields, 'algorithm'));
  invariant(algorithm !== null, 'the algorithm of a stored upload is known');
  return { algorithm, type: wordField(fields, 'type', ['COMPOSITE', 'FULL_OBJECT'] as const) };
}

export function decodeUploadRecord(text: string): UploadRecord {
  const fields = parseFields(text);
  return {
    initiatedMs: countField(fields, 'initiatedMs'),
    bucketCreatedMs: countField(fields, 'bucketCreatedMs'),
    initiatorId: textField(fields, 'initiatorId'),
    initiatorName: textField(fields, 'initiatorName'),
    checksum: decodeUploadChecksum(fields['checksum']),
    object: decodeObjectAttributes(textField(fields, 'object')),
  };
}

export function encodeIndexRecord(record: IndexRecord): string {
  return JSON.stringify({ v: FORMAT, ...record });
}

export function decodeIndexRecord(text: string): IndexRecord {
  const fields = parseFields(text);
  return {
    initiatedMs: countField(fields, 'initiatedMs'),
    bucketCreatedMs: countField(fields, 'bucketCreatedMs'),
    bucket: textField(fields, 'bucket'),
    key: textField(fields, 'key'),
  };
}
