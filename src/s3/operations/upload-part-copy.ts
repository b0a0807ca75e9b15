/**
 * UploadPartCopy (S3 API reference "UploadPartCopy"): the part shares the source's stored bytes. They are read only for a checksum that
 * the upload was begun with and that nobody knows; so the ETag of a part of an object is not the MD5 of its bytes. Where source or upload is encrypted
 * they are read and stored anew.
 */
import type { StagedContent } from '../../gateway/object-storage.js';
import type { Extent } from '../../protocol/extent.js';
import type { ObjectAttributes } from '../attributes.js';
import type { CustomerKey } from '../encryption/customer-key.js';
import { encryptionHeaders, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { contentEtag, copiedPartEtag, isContentEtag, quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import { unsatisfiable } from '../ranges.js';
import type { S3Response } from '../response.js';
import { document, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { ObjectContext } from './context.js';
import { sourceChecksum, withCopySource, type CopySource } from './copy-source.js';
import { checkCopySize, transcribe } from './transcribe.js';
import { openUpload, storePart } from './upload-part.js';
import { placeOf } from '../multipart/upload-directory.js';
import { partObjectId } from '../multipart/upload-record.js';
import { checksumElement, readPartNumber, uploadName } from './upload-target.js';

const RANGE_HEADER = 'x-amz-copy-source-range';
const RANGE = /^bytes=(\d{1,15})-(\d{1,15})$/;

/** Unlike a Range, both ends must be there and inside the source. Throws S3Error InvalidArgument or InvalidRange. */
function readExtent(context: ObjectContext, sizeBytes: number): Extent {
  const header = context.request.headers.get(RANGE_HEADER);
  if (header === undefined) return { offset: 0, length: sizeBytes };
  const match = RANGE.exec(header.trim());
  const first = Number(match?.[1]);
  const last = Number(match?.[2]);
  if (match === null || last < first) {
    throw new S3Error('InvalidArgument', {
      message: `The ${RANGE_HEADER} value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy`,
      details: { ArgumentName: RANGE_HEADER, ArgumentValue: header.slice(0, 128) },
    });
  }
  if (last >= sizeBytes) throw unsatisfiable(header, sizeBytes);
  return { offset: first, length: last - first + 1 };
}

function partEtag({ attributes, sizeBytes }: CopySource, extent: Extent): string {
  const isWhole = extent.length === sizeBytes;
  return isWhole && isContentEtag(attributes.etag)
    ? attributes.etag
    : copiedPartEtag(attributes, extent.offset, extent.length);
}

async function copyBytes(
  context: ObjectContext,
  source: CopySource,
  extent: Extent,
  seal: Seal | null,
): Promise<{ readonly content: StagedContent; readonly etag: string }> {
  if (source.seal !== null || seal !== null) {
    const target = partObjectId(placeOf(uploadName(context)), readPartNumber(context.request));
    const { content, md5 } = await transcribe(context, source, extent, { target, seal });
    return { content, etag: contentEtag(md5, seal) };
  }
  const content = context.services.storage.composeContent([{ head: source.head, extent }]);
  return { content, etag: partEtag(source, extent) };
}

interface CopiedPart {
  readonly attributes: ObjectAttributes;
  readonly customerKey: CustomerKey | null;
  readonly versionId: string | null;
}

async function copyPart(context: ObjectContext, source: CopySource): Promise<CopiedPart> {
  const { buckets, limits } = context.services;
  const { upload, seal, customerKey } = await openUpload(context);
  const extent = readExtent(context, source.sizeBytes);
  checkCopySize(extent.length, limits.singlePutBytesMax);
  const checksum =
    upload.checksum === null
      ? null
      : await sourceChecksum(context, source, extent, upload.checksum.algorithm);
  const { content, etag } = await copyBytes(context, source, extent, seal);
  try {
    const attributes = await buckets.withBucket(context.bucket, () =>
      storePart(context, readPartNumber(context.request), content, { etag, checksum, seal }),
    );
    return { attributes, customerKey, versionId: source.versionId };
  } finally {
    content.discard();
  }
}

export async function uploadPartCopy(context: ObjectContext): Promise<S3Response> {
  readPartNumber(context.request);
  const { attributes, customerKey, versionId } = await withCopySource(context, (source) =>
    copyPart(context, source),
  );
  const result = document(
    'CopyPartResult',
    textElement('LastModified', toIsoDate(attributes.modifiedMs)),
    textElement('ETag', quoteEtag(attributes.etag)),
    checksumElement(attributes.checksum),
  );
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      ...encryptionHeaders(attributes, customerKey),
      ...(versionId === null ? [] : ['x-amz-copy-source-version-id', versionId]),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
