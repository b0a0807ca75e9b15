/**
 * Range overwrite: PATCH with `Content-Range: bytes <first>-<last>/*`, as Yandex Object Storage has it ("patch method").
 * First may be anything up to the size; what passes the end extends the object. Unlike there, Last-Modified moves.
 */
import type { Extent } from '../../protocol/extent.js';
import { checkWrite, readConditions } from '../conditions.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import { parseContentRange, unsatisfiable } from '../ranges.js';
import type { S3Response } from '../response.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import { attributesAfterWrite, checkUnsealed } from './append-object.js';
import { commitRange, rangeVersionHeaders } from './commit-range.js';
import { objectId, type ObjectContext } from './context.js';
import { contentExpectations, storeContent } from './store-content.js';

function checkLength(extent: Extent, sizeBytes: number | null): void {
  if (sizeBytes === null || sizeBytes === extent.length) return;
  throw new S3Error('InvalidRequest', {
    message: 'The length of the request body must be the length of Content-Range.',
    details: { ContentRangeLength: String(extent.length), BodyLength: String(sizeBytes) },
  });
}

export async function patchObject(context: ObjectContext): Promise<S3Response> {
  const { request, key } = context;
  const contentRange = request.headers.get('content-range');
  const extent = parseContentRange(contentRange);
  const conditions = readConditions(request);
  const expectations = contentExpectations(context);
  checkLength(extent, expectations.sizeBytes);
  const { attributes, sizeBytes } = await storeContent(
    context,
    { target: objectId(context), expectations, seal: null },
    (content, received) => {
      checkLength(extent, received.sizeBytes);
      return commitRange(context, content, (target) => {
        if (target === null) throw new S3Error('NoSuchKey', { details: { Key: key } });
        const before = target.attributes;
        if (conditions !== null) checkWrite(conditions, key, before);
        checkUnsealed(before);
        if (extent.offset > target.sizeBytes) throw unsatisfiable(contentRange, target.sizeBytes);
        const { offset } = extent;
        return { offset, attributes: attributesAfterWrite(context, before, { offset, received }) };
      });
    },
  );
  const { etag, modifiedMs } = attributes;
  const result = document(
    'PatchObjectResult',
    element(
      'Object',
      textElement('LastModified', toIsoDate(modifiedMs)),
      textElement('ETag', quoteEtag(etag)),
    ),
  );
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      'ETag',
      quoteEtag(etag),
      'x-amz-object-size',
      String(sizeBytes),
      ...rangeVersionHeaders(attributes),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
