/** DeleteObject and DeleteObjects (S3 API reference "DeleteObject", "DeleteObjects"). */
import { ObjectStorageError, type RemoveRequest } from '../../gateway/object-storage.js';
import { InvariantViolation } from '../../protocol/invariant.js';
import { makeObjectId } from '../../protocol/object-id.js';
import { decodeObjectAttributes } from '../attributes.js';
import { checkWrite, readConditions, type Conditions } from '../conditions.js';
import { S3Error, toS3Error } from '../errors.js';
import { parseEtagCondition } from '../etags.js';
import { checkKey } from '../keys.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext, ObjectContext } from './context.js';

const DELETES_MAX = 1000;
const CONCURRENT_DELETES_MAX = 16;

async function removeKey(context: BucketContext, key: string, conditions: Conditions | null): Promise<void> {
  const { storage, buckets } = context.services;
  const id = makeObjectId(context.bucket.name, key);
  const request: RemoveRequest =
    conditions === null
      ? { id }
      : {
          id,
          decide: (current) => {
            checkWrite(conditions, key, current === null ? null : decodeObjectAttributes(current.attributes));
          },
        };
  await buckets.withBucket(context.bucket, () => storage.remove(request));
}

export async function deleteObject(context: ObjectContext): Promise<S3Response> {
  await removeKey(context, context.key, readConditions(context.request));
  return { status: 204, headers: [], body: NO_BODY };
}

interface Deletion {
  readonly key: string;
  readonly conditions: Conditions | null;
}

function readDeletion(item: XmlElement): Deletion {
  for (const name of ['LastModifiedTime', 'Size']) {
    if (childrenNamed(item, name).length > 0)
      throw new S3Error('NotImplemented', { details: { Element: name } });
  }
  checkChildren(item, ['Key', 'VersionId', 'ETag']);
  const key = childText(item, 'Key');
  const versionId = childText(item, 'VersionId');
  const etag = childText(item, 'ETag');
  if (key === null || key === '') throw new S3Error('MalformedXML');
  if (versionId !== null && versionId !== '' && versionId !== 'null') {
    throw new S3Error('NotImplemented', { details: { Element: 'VersionId' } });
  }
  const conditions: Conditions | null =
    etag === null
      ? null
      : {
          ifMatch: parseEtagCondition(etag),
          ifNoneMatch: null,
          ifModifiedSinceMs: null,
          ifUnmodifiedSinceMs: null,
        };
  return { key, conditions };
}

function readDeletions(root: XmlElement | null): { deletions: readonly Deletion[]; isQuiet: boolean } {
  if (root?.name !== 'Delete') throw new S3Error('MalformedXML');
  checkChildren(root, ['Object', 'Quiet']);
  const items = childrenNamed(root, 'Object');
  if (items.length === 0 || items.length > DELETES_MAX) throw new S3Error('MalformedXML');
  return { deletions: items.map(readDeletion), isQuiet: childText(root, 'Quiet')?.trim() === 'true' };
}

/** One element of the result; an empty text when there is nothing to say. */
async function performDeletion(
  context: BucketContext,
  deletion: Deletion,
  isQuiet: boolean,
): Promise<string> {
  const { key } = deletion;
  try {
    checkKey(key);
    await removeKey(context, key, deletion.conditions);
    return isQuiet ? '' : element('Deleted', textElement('Key', key));
  } catch (thrown) {
    if (thrown instanceof InvariantViolation) throw thrown;
    if (!(thrown instanceof S3Error || thrown instanceof ObjectStorageError)) throw thrown;
    const error = toS3Error(thrown);
    return element(
      'Error',
      textElement('Key', key),
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
