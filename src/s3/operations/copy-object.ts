/**
 * CopyObject (S3 API reference "CopyObject"): the copy shares the source's stored bytes. Since nobody reads them, the ETag, the parts and
 * the checksum go along with the content; only a checksum by another algorithm makes them be read (not moved).
 */
import type { ObjectAttributes } from '../attributes.js';
import { readConditions } from '../conditions.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import type { ChecksumValue } from '../payload/checksums.js';
import { checksumTypeOf } from '../payload/combined-checksums.js';
import type { S3Request } from '../request.js';
import type { S3Response } from '../response.js';
import { document, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import { commitObject, versionHeaders, type CommittedObject } from './commit-object.js';
import type { ObjectContext } from './context.js';
import { sourceChecksum, withCopySource, type CopySource } from './copy-source.js';
import { newObjectAttributes } from './put-object.js';
import { checksumElements, readChecksumAlgorithm } from './upload-target.js';

const NOTHING_RECEIVED = { sizeBytes: 0, md5: Buffer.alloc(0), checksum: null };

type Directive = 'COPY' | 'REPLACE';

function readDirective(request: S3Request, header: string): Directive {
  const text = request.headers.get(header)?.trim() ?? 'COPY';
  if (text === 'COPY' || text === 'REPLACE') return text;
  throw new S3Error('InvalidArgument', {
    message: `Unknown directive in ${header}.`,
    details: { ArgumentName: header, ArgumentValue: text.slice(0, 64) },
  });
}

interface CopyWish {
  readonly metadata: Directive;
  readonly tagging: Directive;
}

/** UserGuide "Copying objects": onto itself only with something new. Throws S3Error InvalidRequest. */
function checkSelfCopy(source: CopySource, wish: CopyWish): void {
  const changesNothing = source.isTarget && wish.metadata === 'COPY';
  if (!changesNothing) return;
  throw new S3Error('InvalidRequest', {
    message:
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  });
}

async function chooseChecksum(context: ObjectContext, source: CopySource): Promise<ChecksumValue | null> {
  const algorithm = readChecksumAlgorithm(context.request);
  const { checksum } = source.attributes;
  if (algorithm === null || (checksum?.algorithm === algorithm && checksumTypeOf(checksum) === 'FULL_OBJECT'))
    return checksum;
  return sourceChecksum(context, source, { offset: 0, length: source.head.sizeBytes }, algorithm);
}

function describeCopy(
  asked: ObjectAttributes,
  { attributes: from }: CopySource,
  wish: CopyWish,
  checksum: ChecksumValue | null,
): ObjectAttributes {
  return {
    ...asked,
    etag: from.etag,
    writes: from.writes,
    parts: from.parts,
    checksum,
    ...(wish.metadata === 'COPY' && { headers: from.headers, metadata: from.metadata }),
    ...(wish.tagging === 'COPY' && { tags: from.tags }),
  };
}

async function copy(context: ObjectContext, source: CopySource, wish: CopyWish): Promise<CommittedObject> {
  const { services, request, bucket } = context;
  checkSelfCopy(source, wish);
  const checksum = await chooseChecksum(context, source);
  const asked = newObjectAttributes(context)(NOTHING_RECEIVED);
  const attributes = describeCopy(asked, source, wish, checksum);
  const content = services.storage.composeContent([
    { head: source.head, extent: { offset: 0, length: source.head.sizeBytes } },
  ]);
  try {
    const conditions = readConditions(request);
    return await services.buckets.withBucket(bucket, () =>
      commitObject(context, { content, attributes, conditions }),
    );
  } finally {
    content.discard();
  }
}

export async function copyObject(context: ObjectContext): Promise<S3Response> {
  const wish: CopyWish = {
    metadata: readDirective(context.request, 'x-amz-metadata-directive'),
    tagging: readDirective(context.request, 'x-amz-tagging-directive'),
  };
  const { committed, sourceVersionId } = await withCopySource(context, async (source) => ({
    committed: await copy(context, source, wish),
    sourceVersionId: source.versionId,
  }));
  const { etag, modifiedMs, checksum } = committed.attributes;
  const result = document(
    'CopyObjectResult',
    textElement('LastModified', toIsoDate(modifiedMs)),
    textElement('ETag', quoteEtag(etag)),
    checksumElements(checksum),
  );
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      ...versionHeaders(committed),
      ...(sourceVersionId === null ? [] : ['x-amz-copy-source-version-id', sourceVersionId]),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
