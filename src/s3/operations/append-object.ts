/**
 * Append: PutObject with x-amz-write-offset-bytes, as S3 Express One Zone has it (UserGuide "Appending data to objects
 * in directory buckets"). The offset must be the present size; offset 0 creates an object that is not there. The stored headers
 * and metadata stay; a checksum over the whole is no longer known and dropped.
 */
import type { StagedContent } from '../../gateway/object-storage.js';
import type { ObjectAttributes } from '../attributes.js';
import { checkWrite, readConditions, type Conditions } from '../conditions.js';
import { S3Error } from '../errors.js';
import { etagAfterRangeWrite, quoteEtag } from '../etags.js';
import { READ_ATTEMPTS_MAX } from '../limits.js';
import type { ReceivedPayload } from '../payload/receive.js';
import { NO_BODY, type S3Response } from '../response.js';
import { commitObject } from './commit-object.js';
import { commitRange, rangeVersionHeaders, type RangeTarget } from './commit-range.js';
import { objectId, type ObjectContext } from './context.js';
import { readMetadata } from './object-headers.js';
import { newObjectAttributes } from './put-object.js';
import { contentExpectations, storeContent } from './store-content.js';

const OFFSET = /^\d{1,16}$/;

/** Thrown inside `decide`: the object came or went since we looked; try the other way. */
class ExistenceChanged extends Error {}

interface Append {
  readonly offset: number;
  readonly conditions: Conditions | null;
  readonly content: StagedContent;
  readonly received: ReceivedPayload;
}

function readOffset(context: ObjectContext): number {
  const text = context.request.headers.get('x-amz-write-offset-bytes') ?? '';
  if (!OFFSET.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new S3Error('InvalidArgument', {
      details: { ArgumentName: 'x-amz-write-offset-bytes', ArgumentValue: text.slice(0, 64) },
    });
  }
  return Number(text);
}

function wrongOffset(sizeBytes: number): S3Error {
  return new S3Error('InvalidWriteOffset', { details: { ObjectSize: String(sizeBytes) } });
}

function cannotAppend(reason: string): S3Error {
  return new S3Error('NotImplemented', {
    message: `${reason}, and what is encrypted can not be appended to or written in part.`,
  });
}

/** Throws S3Error NotImplemented for what is encrypted. */
export function checkUnsealed({ sealing }: ObjectAttributes): void {
  if (sealing !== null) throw cannotAppend('The object is encrypted');
}

/** The attributes after a range write. Throws S3Error EntityTooLarge. */
export function attributesAfterWrite(
  context: ObjectContext,
  before: ObjectAttributes,
  write: { readonly offset: number; readonly received: ReceivedPayload },
): ObjectAttributes {
  const { objectBytesMax } = context.services.limits;
  const endBytes = write.offset + write.received.sizeBytes;
  if (endBytes > objectBytesMax) {
    throw new S3Error('EntityTooLarge', {
      details: { ProposedSize: String(endBytes), MaxSizeAllowed: String(objectBytesMax) },
    });
  }
  return {
    ...before,
    etag: etagAfterRangeWrite(before, write.offset, write.received.md5),
    modifiedMs: context.services.clock(),
    writes: before.writes + 1,
    checksum: null,
    parts: null,
    uploadId: null,
    rename: null,
  };
}

function extend(context: ObjectContext, append: Append): Promise<RangeTarget> {
  const hasMetadata = Object.keys(readMetadata(context.request)).length > 0;
  return commitRange(context, append.content, (target) => {
    const before = target === null ? null : target.attributes;
    if (append.conditions !== null) checkWrite(append.conditions, context.key, before);
    if (target === null || before === null) {
      if (append.offset === 0) throw new ExistenceChanged();
      throw wrongOffset(0);
    }
    checkUnsealed(before);
    if (target.sizeBytes !== append.offset) throw wrongOffset(target.sizeBytes);
    if (hasMetadata) {
      throw new S3Error('InvalidRequest', {
        message:
          'Cannot specify both a write offset value and user-defined object metadata for existing objects.',
      });
    }
    return { offset: append.offset, attributes: attributesAfterWrite(context, before, append) };
  });
}

function create(context: ObjectContext, append: Append): Promise<RangeTarget> {
  if (context.bucket.configuration.defaultEncryption !== null)
    throw cannotAppend('The bucket encrypts new objects');
  const attributes = newObjectAttributes(context, null)(append.received);
  return commitObject(context, {
    content: append.content,
    attributes,
    conditions: null,
    judge: (current) => {
      if (current !== null) throw new ExistenceChanged();
      if (append.conditions !== null) checkWrite(append.conditions, context.key, null);
    },
  });
}

async function commitAppend(context: ObjectContext, append: Append): Promise<RangeTarget> {
  let isThere = append.offset > 0;
  for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt += 1) {
    try {
      return await (isThere ? extend(context, append) : create(context, append));
    } catch (error) {
      if (!(error instanceof ExistenceChanged)) throw error;
      isThere = !isThere;
    }
  }
  throw new S3Error('ConditionalRequestConflict');
}

export async function appendObject(context: ObjectContext): Promise<S3Response> {
  const offset = readOffset(context);
  const conditions = readConditions(context.request);
  readMetadata(context.request);
  const expectations = contentExpectations(context);
  const { attributes, sizeBytes } = await storeContent(
    context,
    { target: objectId(context), expectations, seal: null },
    (content, received) => {
      if (received.sizeBytes === 0) {
        throw new S3Error('InvalidRequest', {
          message: "Request body cannot be empty when 'write offset' is specified.",
        });
      }
      return commitAppend(context, { offset, conditions, content, received });
    },
  );
  return {
    status: 200,
    headers: [
      'ETag',
      quoteEtag(attributes.etag),
      'x-amz-object-size',
      String(sizeBytes),
      ...rangeVersionHeaders(attributes),
    ],
    body: NO_BODY,
  };
}
