/**
 * Range overwrite: PATCH with `Content-Range: bytes <first>-<last>/*`, as Yandex Object Storage has it ("patch method").
 * First may be anything up to the size; what passes the end extends the object. Unlike there, Last-Modified moves.
 */
import type { Extent } from '../../protocol/extent.js';
import { decodeObjectAttributes, encodeObjectAttributes } from '../attributes.js';
import { checkWrite, readConditions } from '../conditions.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import { parseContentRange, unsatisfiable } from '../ranges.js';
import type { S3Response } from '../response.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import { attributesAfterWrite } from './append-object.js';
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
  const { services, request, key } = context;
  const contentRange = request.headers.get('content-range');
  const extent = parseContentRange(contentRange);
  const conditions = readConditions(request);
  const expectations = contentExpectations(context);
  checkLength(extent, expectations.sizeBytes);
  const head = await storeContent(context, expectations, (content, received) => {
    checkLength(extent, received.sizeBytes);
    return services.storage.writeRange({
      id: objectId(context),
      content,
      decide: (current) => {
        if (current === null) throw new S3Error('NoSuchKey', { details: { Key: key } });
        const before = decodeObjectAttributes(current.attributes);
        if (conditions !== null) checkWrite(conditions, key, before);
        if (extent.offset > current.sizeBytes) throw unsatisfiable(contentRange, current.sizeBytes);
        const attributes = attributesAfterWrite(context, before, { offset: extent.offset, received });
        return { offset: extent.offset, attributes: encodeObjectAttributes(attributes) };
      },
    });
  });
  const { etag, modifiedMs } = decodeObjectAttributes(head.attributes);
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
      String(head.sizeBytes),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
