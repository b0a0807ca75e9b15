/**
 * CompleteMultipartUpload (S3 API reference "CompleteMultipartUpload"): the object is composed of its parts' stored bytes, none of
 * which is moved, so its cost follows the number of parts.
 *
 * Order: the object first (with its upload's id in the attributes), then the end of the upload, then the parts. A completion that is
 * sent again, after a lost answer or a crash between these, finds the object that it made and answers as it did.
 */
import { ATTRIBUTES_BYTES_MAX, ObjectStorageError } from '../../gateway/object-storage.js';
import { COMPOSE_SOURCES_MAX } from '../../protocol/compose.js';
import { encodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import { readConditions } from '../conditions.js';
import { readCustomerKey } from '../encryption/customer-key.js';
import { contentBytes } from '../encryption/sealing.js';
import { encryptionHeaders, openSeal, UPLOAD_REFUSALS } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { multipartEtag, quoteEtag } from '../etags.js';
import { PARTS_MAX } from '../limits.js';
import { noSuchUpload, type Part, placeOf, type UploadName } from '../multipart/upload-directory.js';
import type { UploadChecksum, UploadRecord } from '../multipart/upload-record.js';
import { makeObjectParts } from '../object-parts.js';
import { CHECKSUM_ALGORITHMS, CHECKSUMS, type ChecksumValue } from '../payload/checksums.js';
import { combineChecksums } from '../payload/combined-checksums.js';
import { readDocument } from '../payload/document.js';
import { originOf, type S3Request } from '../request.js';
import type { S3Response } from '../response.js';
import { toRuns } from '../runs.js';
import { isNullVersion, versionIdOf } from '../versions/version-ids.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { document, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import { commitObject, versionHeaders, type CommittedObject } from './commit-object.js';
import type { ObjectContext } from './context.js';
import { checksumElements, readChecksumType, uploadName } from './upload-target.js';

const SIZE_HEADER = 'x-amz-mp-object-size';
const CHECKSUM_ELEMENTS = CHECKSUM_ALGORITHMS.map((algorithm) => `Checksum${algorithm}`);

/** The sizes of all pieces must be known to read what is encrypted; this is what leaves room for a new version's further attributes. */
const SEALED_ATTRIBUTES_BYTES_MAX = ATTRIBUTES_BYTES_MAX - 4 * 1024;

/** A part as the client names it. */
interface NamedPart {
  readonly number: number;
  readonly etag: string;
  readonly checksums: readonly ChecksumValue[];
}

/** Here the checksum headers are about the object, not about the body. */
function withoutChecksumHeaders(request: S3Request): S3Request {
  const headers = new Map(request.headers);
  for (const algorithm of CHECKSUM_ALGORITHMS) headers.delete(CHECKSUMS[algorithm].header);
  return { ...request, headers };
}

function readNamedPart(item: XmlElement): NamedPart {
  checkChildren(item, ['PartNumber', 'ETag', ...CHECKSUM_ELEMENTS]);
  const number = Number(childText(item, 'PartNumber') ?? Number.NaN);
  const etag = childText(item, 'ETag')?.trim().replaceAll('"', '');
  if (!Number.isInteger(number) || etag === undefined) throw new S3Error('MalformedXML');
  if (number < 1 || number > PARTS_MAX) {
    throw new S3Error('InvalidArgument', {
      message: `PartNumber must be >= 1 and <= ${PARTS_MAX}`,
      details: { ArgumentName: 'partNumber', ArgumentValue: String(number) },
    });
  }
  const checksums = CHECKSUM_ALGORITHMS.flatMap((algorithm): ChecksumValue[] => {
    const base64 = childText(item, `Checksum${algorithm}`);
    return base64 === null ? [] : [{ algorithm, base64: base64.trim() }];
  });
  return { number, etag, checksums };
}

/** Of a part that is named twice in a row the last one counts. Throws S3Error InvalidPartOrder. */
function inOrder(named: readonly NamedPart[]): readonly NamedPart[] {
  return named.filter(({ number }, index) => {
    const next = named[index + 1];
    if (next !== undefined && next.number < number) throw new S3Error('InvalidPartOrder');
    return next?.number !== number;
  });
}

async function readNamedParts(context: ObjectContext): Promise<readonly NamedPart[]> {
  const root = await readDocument({ ...context, request: withoutChecksumHeaders(context.request) });
  if (root?.name !== 'CompleteMultipartUpload') throw new S3Error('MalformedXML');
  checkChildren(root, ['Part']);
  const named = childrenNamed(root, 'Part').map(readNamedPart);
  if (named.length === 0 || named.length > COMPOSE_SOURCES_MAX) throw new S3Error('MalformedXML');
  return inOrder(named);
}

function invalidPart(context: ObjectContext, { number, etag }: NamedPart): S3Error {
  const { uploadId } = uploadName(context);
  return new S3Error('InvalidPart', {
    details: { UploadId: uploadId, PartNumber: String(number), ETag: etag.slice(0, 128) },
  });
}

function checkPartChecksums(context: ObjectContext, part: Part, named: NamedPart): void {
  const { checksum } = part.attributes;
  if (checksum === null) return;
  const isRight = named.checksums.every(
    ({ algorithm, base64 }) => algorithm === checksum.algorithm && base64 === checksum.base64,
  );
  if (!isRight) throw invalidPart(context, named);
}

/** The parts that the client named. Throws S3Error InvalidPart or EntityTooSmall. */
function chooseParts(
  context: ObjectContext,
  named: readonly NamedPart[],
  stored: ReadonlyMap<number, Part>,
): readonly Part[] {
  const parts = named.map((wish) => {
    const part = stored.get(wish.number);
    if (part?.attributes.etag !== wish.etag) throw invalidPart(context, wish);
    checkPartChecksums(context, part, wish);
    return part;
  });
  const { partBytesMin } = context.services.limits;
  for (const part of parts.slice(0, -1)) {
    const { number, attributes } = part;
    if (partBytes(part) >= partBytesMin) continue;
    throw new S3Error('EntityTooSmall', {
      details: {
        ProposedSize: String(partBytes(part)),
        MinSizeAllowed: String(partBytesMin),
        PartNumber: String(number),
        ETag: attributes.etag,
      },
    });
  }
  return parts;
}

function partBytes({ head, attributes }: Part): number {
  return contentBytes(head.sizeBytes, attributes);
}

/** Throws S3Error EntityTooLarge or InvalidRequest. */
function checkSize(context: ObjectContext, parts: readonly Part[]): void {
  const sizeBytes = parts.reduce((sum, part) => sum + partBytes(part), 0);
  const { objectBytesMax } = context.services.limits;
  if (sizeBytes > objectBytesMax) {
    throw new S3Error('EntityTooLarge', {
      details: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(objectBytesMax) },
    });
  }
  const expected = context.request.headers.get(SIZE_HEADER);
  if (expected === undefined || expected.trim() === String(sizeBytes)) return;
  throw new S3Error('InvalidRequest', {
    message: `The provided '${SIZE_HEADER}' header does not match what was computed.`,
    details: { ExpectedSize: expected.slice(0, 32), ComputedSize: String(sizeBytes) },
  });
}

/** What the request says of the object's checksum must fit how the upload was begun. Throws S3Error InvalidRequest. */
function checkStatedChecksum(request: S3Request, upload: UploadChecksum | null): void {
  const type = readChecksumType(request);
  if (upload !== null && type !== null && type !== upload.type) {
    throw new S3Error('InvalidRequest', {
      message: `The upload was created using the ${upload.type} checksum mode. The complete request must use the same checksum mode.`,
    });
  }
  const stranger = CHECKSUM_ALGORITHMS.find(
    (algorithm) => algorithm !== upload?.algorithm && request.headers.has(CHECKSUMS[algorithm].header),
  );
  if (stranger === undefined) return;
  throw new S3Error('InvalidRequest', {
    message: `Checksum Type mismatch occurred, expected checksum Type: ${upload?.algorithm.toLowerCase() ?? 'null'}, actual checksum Type: ${stranger.toLowerCase()}`,
  });
}

/** Throws S3Error BadDigest or InvalidRequest. */
async function combineAndCheck(
  request: S3Request,
  upload: UploadChecksum | null,
  parts: readonly Part[],
): Promise<ChecksumValue | null> {
  checkStatedChecksum(request, upload);
  if (upload === null) return null;
  const { algorithm, type } = upload;
  const digests = parts.map((part) => ({
    base64: part.attributes.checksum?.base64 ?? '',
    sizeBytes: partBytes(part),
  }));
  const combined = await combineChecksums(algorithm, type, digests);
  const expected = request.headers.get(CHECKSUMS[algorithm].header)?.trim();
  if (expected === undefined || expected === combined.base64) return combined;
  throw new S3Error('BadDigest', {
    message: `The ${algorithm.toLowerCase()} you specified did not match the calculated checksum.`,
  });
}

function describeObject(
  context: ObjectContext,
  upload: UploadRecord,
  parts: readonly Part[],
  checksum: ChecksumValue | null,
): ObjectAttributes {
  const { sealing } = upload.object;
  const sizes = parts.map(partBytes);
  const attributes: ObjectAttributes = {
    ...upload.object,
    sealing: sealing === null ? null : { ...sealing, pieces: toRuns(sizes) },
    etag: multipartEtag(parts.map((part) => part.attributes.etag)),
    modifiedMs: context.services.clock(),
    checksum,
    uploadId: uploadName(context).uploadId,
  };
  const digests = parts.map((part) => part.attributes.checksum?.base64 ?? '');
  const otherBytes = Buffer.byteLength(encodeObjectAttributes(attributes));
  if (sealing !== null && otherBytes > SEALED_ATTRIBUTES_BYTES_MAX) {
    throw new S3Error('NotImplemented', {
      message: 'An encrypted object can not be made of so many parts of different sizes.',
    });
  }
  return { ...attributes, parts: makeObjectParts(sizes, checksum === null ? null : digests, otherBytes) };
}

async function complete(
  context: ObjectContext,
  upload: UploadRecord,
  named: readonly NamedPart[],
): Promise<CommittedObject> {
  const { uploads, storage } = context.services;
  const parts = chooseParts(context, named, await uploads.allParts(placeOf(uploadName(context))));
  checkSize(context, parts);
  const checksum = await combineAndCheck(context.request, upload.checksum, parts);
  const attributes = describeObject(context, upload, parts, checksum);
  const content = storage.composeContent(
    parts.map(({ head }) => ({ head, extent: { offset: 0, length: head.sizeBytes } })),
  );
  try {
    return await commitObject(context, { content, attributes, conditions: readConditions(context.request) });
  } finally {
    content.discard();
  }
}

/** What an earlier completion of this very upload made; null when there is no such object (any more). */
async function findCompleted(
  context: ObjectContext,
  { uploadId }: UploadName,
  named: readonly NamedPart[],
): Promise<CommittedObject | null> {
  const { services, key } = context;
  const bucket = await services.buckets.heldBucket(context.bucket);
  const current = await services.versions.current({ bucket, key });
  if (current === null) return null;
  const { attributes, head } = current;
  const isSame =
    attributes.uploadId === uploadId && attributes.etag === multipartEtag(named.map(({ etag }) => etag));
  if (!isSame) return null;
  const versionId = isNullVersion(attributes) ? null : versionIdOf(attributes);
  return { attributes, sizeBytes: contentBytes(head.sizeBytes, attributes), versionId };
}

/**
 * The customer's key may be given, and must be the right one then; of an upload with a checksum it must be given (S3 API reference). Throws S3Error
 * InvalidRequest.
 */
function checkCustomerKey({ request, services }: ObjectContext, upload: UploadRecord): void {
  const customerKey = readCustomerKey(request, services.encryption.customerKeysOverHttp);
  if (customerKey !== null || upload.checksum !== null)
    openSeal(upload.object, customerKey, services.encryption, UPLOAD_REFUSALS);
}

async function completeOnce(context: ObjectContext, named: readonly NamedPart[]): Promise<CommittedObject> {
  const { uploads } = context.services;
  const name = uploadName(context);
  const upload = await uploads.find(name);
  const completed = await findCompleted(context, name, named);
  if (upload === null) {
    if (completed === null) throw noSuchUpload(name.uploadId);
    return completed;
  }
  checkCustomerKey(context, upload);
  const committed = completed ?? (await complete(context, upload, named));
  try {
    await uploads.end(name.bucket.name, name.key, name.uploadId);
  } catch (error) {
    // The object is there, which is what the client asked for; the sweeper ends the upload.
    if (!(error instanceof ObjectStorageError)) throw error;
  }
  return committed;
}

export async function completeMultipartUpload(context: ObjectContext): Promise<S3Response> {
  const { services, request, bucket, key } = context;
  const named = await readNamedParts(context);
  const { uploadId } = uploadName(context);
  const committed = await services.buckets.withBucket(bucket, () =>
    services.uploads.alone(uploadId, () => completeOnce(context, named)),
  );
  const { attributes } = committed;
  const result = document(
    'CompleteMultipartUploadResult',
    textElement('Location', originOf(request) + request.rawPath),
    textElement('Bucket', bucket.name),
    textElement('Key', key),
    textElement('ETag', quoteEtag(attributes.etag)),
    checksumElements(attributes.checksum),
  );
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      ...versionHeaders(committed),
      ...encryptionHeaders(attributes, null),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
