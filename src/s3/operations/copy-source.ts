/** The source of CopyObject and UploadPartCopy: x-amz-copy-source and its conditions. */
import { ObjectStorageError, type ObjectHead } from '../../gateway/object-storage.js';
import type { Extent } from '../../protocol/extent.js';
import { authorize, hidingAbsence, wishOf } from '../access/authorize.js';
import type { ObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { evaluateRead, readConditions, type Conditions } from '../conditions.js';
import { readSourceCustomerKey } from '../encryption/customer-key.js';
import { contentBytes } from '../encryption/sealing.js';
import { openSeal, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { checkBucketName, checkKey } from '../keys.js';
import { READ_ATTEMPTS_MAX } from '../limits.js';
import { CHECKSUMS, type ChecksumAlgorithm, type ChecksumValue } from '../payload/checksums.js';
import { checksumTypeOf } from '../payload/combined-checksums.js';
import type { S3Request } from '../request.js';
import { decodePercent } from '../uri.js';
import { versionIdOf } from '../versions/version-ids.js';
import type { ObjectContext } from './context.js';
import { noSuchObject, toVersionId } from './find-version.js';
import { readContent } from './read-content.js';

const HEADER = 'x-amz-copy-source';
const VERSION_MARK = '?versionId=';

interface SourceName {
  readonly bucket: string;
  readonly key: string;
  /** Null: the current version. */
  readonly versionId: string | null;
}

export interface CopySource {
  readonly head: ObjectHead;
  readonly attributes: ObjectAttributes;
  /** Of its content, however that is stored. */
  readonly sizeBytes: number;
  /** What it is opened with; null: it is not encrypted. */
  readonly seal: Seal | null;
  /** The source is what the copy would replace. */
  readonly isTarget: boolean;
  /** What x-amz-copy-source-version-id says; null: nothing. */
  readonly versionId: string | null;
}

function invalidSource(): S3Error {
  return new S3Error('InvalidArgument', {
    message: 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    details: { ArgumentName: HEADER },
  });
}

/** `[/]bucket/key[?versionId=id]`, percent-encoded. Throws S3Error InvalidArgument, InvalidURI, InvalidBucketName. */
function readSourceName(request: S3Request): SourceName {
  const text = request.headers.get(HEADER) ?? '';
  const mark = text.lastIndexOf(VERSION_MARK);
  const versionId = mark < 0 ? null : toVersionId(decodePercent(text.slice(mark + VERSION_MARK.length)));
  const path = decodePercent(mark < 0 ? text : text.slice(0, mark)).replace(/^\//, '');
  const slash = path.indexOf('/');
  if (slash <= 0 || slash === path.length - 1) throw invalidSource();
  const bucket = path.slice(0, slash);
  const key = path.slice(slash + 1);
  checkBucketName(bucket);
  checkKey(key);
  return { bucket, key, versionId };
}

/** The x-amz-copy-source-if-* headers as conditions. */
function readSourceConditions(request: S3Request): Conditions | null {
  const headers = new Map<string, string>();
  for (const [name, value] of request.headers) {
    if (name.startsWith(`${HEADER}-if-`)) headers.set(name.slice(HEADER.length + 1), value);
  }
  return readConditions({ ...request, headers });
}

/** Throws S3Error NoSuchBucket, AccessDenied. */
async function openSourceBucket(context: ObjectContext, bucketName: string): Promise<Bucket> {
  const bucket = await context.services.buckets.get(bucketName);
  const expected = context.request.headers.get('x-amz-source-expected-bucket-owner');
  if (expected !== undefined && expected !== bucket.ownerId) throw new S3Error('AccessDenied');
  return bucket;
}

/** Throws S3Error NoSuchKey, NoSuchVersion; InvalidRequest or AccessDenied for a missing or wrong key; InvalidRequest for a delete marker that is meant by its id. */
async function findSource(context: ObjectContext, bucket: Bucket, name: SourceName): Promise<CopySource> {
  const { versions, encryption: settings } = context.services;
  const customerKey = readSourceCustomerKey(context.request, settings.customerKeysOverHttp);
  const { key, versionId } = name;
  const place = { bucket, key };
  const found = versionId === null ? await versions.current(place) : await versions.find(place, versionId);
  if (found === null) throw noSuchObject(key, versionId);
  const { head, attributes, isCurrent } = found;
  if (attributes.isDeleteMarker) {
    if (versionId === null) throw noSuchObject(key, null);
    throw new S3Error('InvalidRequest', {
      message: 'The source of a copy request may not specifically refer to a delete marker by version id.',
    });
  }
  const isVersioned = bucket.configuration.versioning !== 'unversioned';
  return {
    head,
    attributes,
    sizeBytes: contentBytes(head.sizeBytes, attributes),
    seal: openSeal(attributes, customerKey, settings),
    isTarget: isCurrent && bucket.name === context.bucket.name && key === context.key,
    versionId: isVersioned ? versionIdOf(attributes) : null,
  };
}

/** Throws S3Error NoSuchBucket, AccessDenied, and as `findSource`; and PreconditionFailed. */
async function lookAtSource(context: ObjectContext, name: SourceName): Promise<CopySource> {
  const bucket = await openSourceBucket(context, name.bucket);
  const wish = wishOf('GetObject', bucket, name.key, name.versionId);
  await authorize(context, wish);
  const found = await hidingAbsence(context, wish, () => findSource(context, bucket, name));
  const conditions = readSourceConditions(context.request);
  if (conditions !== null && evaluateRead(conditions, found.attributes) === 'not-modified') {
    throw new S3Error('PreconditionFailed', { details: { Condition: `${HEADER}-if-none-match` } });
  }
  return found;
}

/** Runs `copy` with the source as it is, anew when the source has changed before the copy was made. */
export async function withCopySource<Result>(
  context: ObjectContext,
  copy: (source: CopySource) => Promise<Result>,
): Promise<Result> {
  const name = readSourceName(context.request);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await copy(await lookAtSource(context, name));
    } catch (error) {
      const isChanged = error instanceof ObjectStorageError && error.kind === 'changed';
      if (!isChanged || attempt >= READ_ATTEMPTS_MAX) throw error;
    }
  }
}

/**
 * The checksum of bytes of the source: the stored one where it is that of these bytes, else the bytes are read (not moved).
 * Throws ObjectStorageError `changed` when the source is not as it was any more.
 */
export async function sourceChecksum(
  context: ObjectContext,
  source: CopySource,
  extent: Extent,
  algorithm: ChecksumAlgorithm,
): Promise<ChecksumValue> {
  const stored = source.attributes.checksum;
  const isWhole = extent.length === source.sizeBytes;
  if (isWhole && stored?.algorithm === algorithm && checksumTypeOf(stored) === 'FULL_OBJECT') return stored;
  const checksum = await CHECKSUMS[algorithm].open();
  for await (const piece of await readContent(context.services, source, extent)) checksum.update(piece);
  return { algorithm, base64: checksum.digestBase64() };
}
