/** GET and HEAD with partNumber (S3 API reference "GetObject"): the bytes of one part of a multipart upload. */
import type { ReadRange } from '../../gateway/object-storage.js';
import type { ObjectAttributes } from '../attributes.js';
import { S3Error } from '../errors.js';
import { partChecksum, partExtent } from '../object-parts.js';
import { CHECKSUMS, type ChecksumValue } from '../payload/checksums.js';
import { WHOLE } from '../ranges.js';
import type { S3Request } from '../request.js';
import type { HeaderList } from '../response.js';
import { readPartNumber } from './upload-target.js';

/** Null without the parameter. Throws S3Error InvalidArgument, InvalidRequest. */
export function readWantedPart(request: S3Request): number | null {
  if (!request.query.has('partNumber')) return null;
  if (request.headers.has('range')) {
    throw new S3Error('InvalidRequest', {
      message: 'Cannot specify both Range header and partNumber query parameter',
    });
  }
  return readPartNumber(request);
}

/** An object that was not uploaded in parts is its own part 1. Throws S3Error InvalidPart or NotImplemented. */
export function partRange({ parts }: ObjectAttributes, partNumber: number): ReadRange {
  if (partNumber > (parts?.count ?? 1)) {
    throw new S3Error('InvalidPart', {
      message: 'The requested partnumber is not satisfiable',
      details: { PartNumberRequested: String(partNumber), ActualPartCount: String(parts?.count ?? 1) },
    });
  }
  if (parts === null) return WHOLE;
  const extent = partExtent(parts, partNumber);
  if (extent === null) {
    throw new S3Error('NotImplemented', {
      message: 'This object has too many parts of different sizes for reads by part number.',
    });
  }
  if (extent.length === 0) return WHOLE;
  return { kind: 'between', first: extent.offset, last: extent.offset + extent.length - 1 };
}

export function partsCountHeaders({ parts }: ObjectAttributes): HeaderList {
  return parts === null ? [] : ['x-amz-mp-parts-count', String(parts.count)];
}

/** Null when it is not known. */
export function checksumOfPart(
  { parts, checksum }: ObjectAttributes,
  partNumber: number,
): ChecksumValue | null {
  if (checksum === null || parts === null) return checksum;
  const base64 = partChecksum(parts, partNumber, CHECKSUMS[checksum.algorithm].digestBytes);
  return base64 === null ? null : { ...checksum, base64 };
}
