/**
 * DeleteObject and DeleteObjects (S3 API reference "DeleteObject", "DeleteObjects"). Without a version id a bucket with versioning gets a
 * delete marker; with one that version is gone for good, unless it is locked.
 */
import { ObjectStorageError, type ObjectHead, type RemoveRequest } from '../../gateway/object-storage.js';
import { InvariantViolation } from '../../protocol/invariant.js';
import { makeObjectId } from '../../protocol/object-id.js';
import { authorize, wishOf } from '../access/authorize.js';
import { decodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { checkWrite, readConditions, type Conditions } from '../conditions.js';
import { contentBytes } from '../encryption/sealing.js';
import { S3Error, toS3Error } from '../errors.js';
import { parseEtagCondition } from '../etags.js';
import { parseHttpDate, parseIsoDate } from '../http-date.js';
import { checkKey } from '../keys.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type HeaderList, type S3Response } from '../response.js';
import { writeDeleteMarker } from '../versions/delete-marker.js';
import { bypassesGovernance, checkRemoval } from '../versions/object-lock.js';
import { versionIdOf } from '../versions/version-ids.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { document, element, optionalElement, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext, ObjectContext } from './context.js';
import { toVersionId, wantedVersion } from './find-version.js';

const DELETES_MAX = 1000;
const CONCURRENT_DELETES_MAX = 16;
const DECIMAL = /^\d{1,16}$/;

interface DeleteConditions {
  readonly conditions: Conditions | null;
  readonly lastModifiedMs: number | null;
  readonly sizeBytes: number | null;
}

export interface Deletion extends DeleteConditions {
  readonly key: string;
  /** Null: the current version, by a delete marker where there is versioning. */
  readonly versionId: string | null;
}

/** What became of it, as the answer tells it. */
interface Deleted {
  readonly versionId: string | null;
  /** The marker that was made or removed; null: none. */
  readonly marker: ObjectAttributes | null;
}

interface Target {
  readonly sizeBytes: number;
  readonly attributes: ObjectAttributes;
}

function toTarget(head: ObjectHead, attributes: ObjectAttributes): Target {
  return { sizeBytes: contentBytes(head.sizeBytes, attributes), attributes };
}

/** Throws S3Error PreconditionFailed, or NoSuchKey when something is wanted of what is not there. */
function checkDeletion(deletion: Deletion, target: Target | null): void {
  const { conditions, lastModifiedMs, sizeBytes, key } = deletion;
  const visible = target?.attributes.isDeleteMarker === true && deletion.versionId === null ? null : target;
  if (conditions !== null) checkWrite(conditions, key, visible === null ? null : visible.attributes);
  if (visible === null) return;
  if (lastModifiedMs !== null) {
    const isIt = Math.floor(visible.attributes.modifiedMs / 1000) === Math.floor(lastModifiedMs / 1000);
    if (!isIt)
      throw new S3Error('PreconditionFailed', {
        details: { Condition: 'x-amz-if-match-last-modified-time' },
      });
  }
  if (sizeBytes !== null && visible.sizeBytes !== sizeBytes) {
    throw new S3Error('PreconditionFailed', { details: { Condition: 'x-amz-if-match-size' } });
  }
}

async function removePlain(context: BucketContext, bucket: Bucket, deletion: Deletion): Promise<Deleted> {
  const { conditions, lastModifiedMs, sizeBytes } = deletion;
  const id = makeObjectId(bucket.name, deletion.key);
  const isBlind = conditions === null && lastModifiedMs === null && sizeBytes === null;
  const request: RemoveRequest = isBlind
    ? { id }
    : {
        id,
        decide: (current) => {
          checkDeletion(
            deletion,
            current === null ? null : toTarget(current, decodeObjectAttributes(current.attributes)),
          );
        },
      };
  await context.services.storage.remove(request);
  return { versionId: null, marker: null };
}

async function addMarker(context: BucketContext, bucket: Bucket, deletion: Deletion): Promise<Deleted> {
  const marker = await writeDeleteMarker(context.services, { bucket, key: deletion.key }, (current) => {
    checkDeletion(deletion, current === null ? null : toTarget(current.head, current.attributes));
  });
  return { versionId: null, marker };
}

async function removeVersion(
  context: BucketContext,
  bucket: Bucket,
  deletion: Deletion & { versionId: string },
): Promise<Deleted> {
  const { versions, clock } = context.services;
  const { key, versionId } = deletion;
  const bypasses = bypassesGovernance(context.request);
  const removed = await versions.removeVersion({ bucket, key }, versionId, ({ head, attributes }) => {
    checkDeletion(deletion, toTarget(head, attributes));
    checkRemoval(attributes, clock(), bypasses);
  });
  return { versionId, marker: removed?.attributes.isDeleteMarker === true ? removed.attributes : null };
}

/** Deletes as the bucket's versioning has it. */
async function performDelete(context: BucketContext, deletion: Deletion): Promise<Deleted> {
  const { versionId } = deletion;
  return context.services.buckets.withBucket(context.bucket, (bucket) => {
    const isVersioned = bucket.configuration.versioning !== 'unversioned';
    if (versionId !== null && (isVersioned || versionId !== 'null')) {
      return removeVersion(context, bucket, { ...deletion, versionId });
    }
    return isVersioned ? addMarker(context, bucket, deletion) : removePlain(context, bucket, deletion);
  });
}

function readSize(text: string | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  if (!DECIMAL.test(text.trim())) throw new S3Error('InvalidArgument', { details: { ArgumentName: 'Size' } });
  return Number(text);
}

function readTime(text: string | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  const timeMs = parseIsoDate(text) ?? parseHttpDate(text);
  if (timeMs === null)
    throw new S3Error('InvalidArgument', { details: { ArgumentName: 'LastModifiedTime' } });
  return timeMs;
}

export async function deleteObject(context: ObjectContext): Promise<S3Response> {
  const { headers } = context.request;
  const { versionId, marker } = await performDelete(context, {
    key: context.key,
    versionId: wantedVersion(context),
    conditions: readConditions(context.request),
    lastModifiedMs: readTime(headers.get('x-amz-if-match-last-modified-time')),
    sizeBytes: readSize(headers.get('x-amz-if-match-size')),
  });
  const answer: HeaderList = [];
  if (marker !== null) answer.push('x-amz-delete-marker', 'true');
  if (versionId !== null) answer.push('x-amz-version-id', versionId);
  else if (marker !== null) answer.push('x-amz-version-id', versionIdOf(marker));
  return { status: 204, headers: answer, body: NO_BODY };
}

function readDeletion(item: XmlElement): Deletion {
  checkChildren(item, ['Key', 'VersionId', 'ETag', 'LastModifiedTime', 'Size']);
  const key = childText(item, 'Key');
  const versionId = childText(item, 'VersionId');
  const etag = childText(item, 'ETag');
  if (key === null || key === '') throw new S3Error('MalformedXML');
  const conditions: Conditions | null =
    etag === null
      ? null
      : {
          ifMatch: parseEtagCondition(etag),
          ifNoneMatch: null,
          ifModifiedSinceMs: null,
          ifUnmodifiedSinceMs: null,
        };
  return {
    key,
    versionId: versionId === '' ? null : versionId,
    conditions,
    lastModifiedMs: readTime(childText(item, 'LastModifiedTime')),
    sizeBytes: readSize(childText(item, 'Size')),
  };
}

function readDeletions(root: XmlElement | null): { deletions: readonly Deletion[]; isQuiet: boolean } {
  if (root?.name !== 'Delete') throw new S3Error('MalformedXML');
  checkChildren(root, ['Object', 'Quiet']);
  const items = childrenNamed(root, 'Object');
  if (items.length === 0 || items.length > DELETES_MAX) throw new S3Error('MalformedXML');
  return { deletions: items.map(readDeletion), isQuiet: childText(root, 'Quiet')?.trim() === 'true' };
}

function deletedElement({ key, versionId }: Deletion, { marker }: Deleted): string {
  return element(
    'Deleted',
    textElement('Key', key),
    optionalElement('VersionId', versionId),
    marker === null ? '' : textElement('DeleteMarker', true),
    marker === null ? '' : textElement('DeleteMarkerVersionId', versionIdOf(marker)),
  );
}

/** One element of the result; an empty text when there is nothing to say. */
async function performDeletion(
  context: BucketContext,
  deletion: Deletion,
  isQuiet: boolean,
): Promise<string> {
  try {
    checkKey(deletion.key);
    if (deletion.versionId !== null) toVersionId(deletion.versionId);
    await authorize(context, wishOf('DeleteObjects', context.bucket, deletion.key, deletion.versionId));
    const deleted = await performDelete(context, deletion);
    return isQuiet ? '' : deletedElement(deletion, deleted);
  } catch (thrown) {
    if (thrown instanceof InvariantViolation) throw thrown;
    if (!(thrown instanceof S3Error || thrown instanceof ObjectStorageError)) throw thrown;
    const error = toS3Error(thrown);
    return element(
      'Error',
      textElement('Key', deletion.key),
      optionalElement('VersionId', deletion.versionId),
      textElement('Code', error.code),
      textElement('Message', error.message),
    );
  }
}

export async function deleteObjects(context: BucketContext): Promise<S3Response> {
  const { deletions, isQuiet } = readDeletions(await readDocument(context));
  const results: string[] = [];
  for (let start = 0; start < deletions.length; start += CONCURRENT_DELETES_MAX) {
    const batch = deletions.slice(start, start + CONCURRENT_DELETES_MAX);
    results.push(
      ...(await Promise.all(batch.map((deletion) => performDeletion(context, deletion, isQuiet)))),
    );
  }
  return {
    status: 200,
    headers: ['Content-Type', XML_CONTENT_TYPE],
    body: { kind: 'bytes', bytes: document('DeleteResult', ...results) },
  };
}
