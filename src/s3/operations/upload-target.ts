/** What the operations on one multipart upload read from their request, and how they tell of checksums. */
import { S3Error } from '../errors.js';
import { PARTS_MAX } from '../limits.js';
import type { UploadName } from '../multipart/upload-directory.js';
import type { UploadChecksum } from '../multipart/upload-record.js';
import {
  CHECKSUMS,
  toChecksumAlgorithm,
  type ChecksumAlgorithm,
  type ChecksumValue,
} from '../payload/checksums.js';
import { allowsType, checksumTypeOf, defaultType, type ChecksumType } from '../payload/combined-checksums.js';
import type { S3Request } from '../request.js';
import type { HeaderList } from '../response.js';
import { textElement } from '../xml/render.js';
import type { ObjectContext } from './context.js';

const PART_NUMBER = /^\d{1,5}$/;

export function uploadName(context: ObjectContext): UploadName {
  const { bucket, key, request } = context;
  return { bucket, key, uploadId: request.query.get('uploadId') ?? '' };
}

/** Throws S3Error InvalidArgument. */
export function readPartNumber(request: S3Request): number {
  const text = request.query.get('partNumber') ?? '';
  const number = Number(text);
  if (PART_NUMBER.test(text) && number >= 1 && number <= PARTS_MAX) return number;
  throw new S3Error('InvalidArgument', {
    message: `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`,
    details: { ArgumentName: 'partNumber', ArgumentValue: text.slice(0, 64) },
  });
}

/** Null without the header. Throws S3Error InvalidRequest. */
export function readChecksumAlgorithm(request: S3Request): ChecksumAlgorithm | null {
  const text = request.headers.get('x-amz-checksum-algorithm');
  if (text === undefined) return null;
  const algorithm = toChecksumAlgorithm(text.trim());
  if (algorithm !== null) return algorithm;
  throw new S3Error('InvalidRequest', {
    message: 'Checksum algorithm provided is unsupported. Please try again with any of the valid types.',
  });
}

/** Null without the header. Throws S3Error InvalidRequest. */
export function readChecksumType(request: S3Request): ChecksumType | null {
  const text = request.headers.get('x-amz-checksum-type')?.trim();
  if (text === undefined || text === 'COMPOSITE' || text === 'FULL_OBJECT') return text ?? null;
  throw new S3Error('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' });
}

/** The checksum that a new upload is to have. Throws S3Error InvalidRequest. */
export function readUploadChecksum(request: S3Request): UploadChecksum | null {
  const algorithm = readChecksumAlgorithm(request);
  const asked = readChecksumType(request);
  if (algorithm === null) {
    if (asked === null) return null;
    throw new S3Error('InvalidRequest', {
      message: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    });
  }
  const type = asked ?? defaultType(algorithm);
  if (allowsType(algorithm, type)) return { algorithm, type };
  throw new S3Error('InvalidRequest', {
    message: `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  });
}

export function uploadChecksumHeaders(checksum: UploadChecksum | null): HeaderList {
  if (checksum === null) return [];
  return ['x-amz-checksum-algorithm', checksum.algorithm, 'x-amz-checksum-type', checksum.type];
}

export function uploadChecksumElements(checksum: UploadChecksum | null): string {
  if (checksum === null) return '';
  return textElement('ChecksumAlgorithm', checksum.algorithm) + textElement('ChecksumType', checksum.type);
}

/** The header of a part's checksum. */
export function partChecksumHeaders(checksum: ChecksumValue | null): HeaderList {
  return checksum === null ? [] : [CHECKSUMS[checksum.algorithm].header, checksum.base64];
}

export function checksumElement(checksum: ChecksumValue | null): string {
  return checksum === null ? '' : textElement(`Checksum${checksum.algorithm}`, checksum.base64);
}

/** A whole object's checksum with its type. */
export function checksumElements(checksum: ChecksumValue | null): string {
  if (checksum === null) return '';
  return checksumElement(checksum) + textElement('ChecksumType', checksumTypeOf(checksum));
}
