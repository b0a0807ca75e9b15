/** PutObject: replaces the whole object (S3 API reference "PutObject"). */
import { decodeObjectAttributes, encodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import { checkWrite, readConditions } from '../conditions.js';
import { contentEtag, quoteEtag } from '../etags.js';
import type { ReceivedPayload } from '../payload/receive.js';
import { NO_BODY, type S3Response } from '../response.js';
import { objectId, type ObjectContext } from './context.js';
import { checksumHeaders, readMetadata, readStoredHeaders } from './object-headers.js';
import { contentExpectations, storeContent } from './store-content.js';

/** The attributes of an object that this request writes whole, but for what depends on the payload. */
export function newObjectAttributes(context: ObjectContext): (received: ReceivedPayload) => ObjectAttributes {
  const headers = readStoredHeaders(context.request);
  const metadata = readMetadata(context.request);
  return (received) => ({
    etag: contentEtag(received.md5),
    modifiedMs: context.services.clock(),
    writes: 1,
    headers,
    metadata,
    checksum: received.checksum,
  });
}

export async function putObject(context: ObjectContext): Promise<S3Response> {
  const { services, request, key } = context;
  const conditions = readConditions(request);
  const makeAttributes = newObjectAttributes(context);
  const expectations = contentExpectations(context);
  const stored = await storeContent(context, expectations, async (content, received) => {
    const attributes = makeAttributes(received);
    const text = encodeObjectAttributes(attributes);
    await services.storage.replace({
      id: objectId(context),
      content,
      attributes:
        conditions === null
          ? text
          : (current) => {
              checkWrite(
                conditions,
                key,
                current === null ? null : decodeObjectAttributes(current.attributes),
              );
              return text;
            },
    });
    return attributes;
  });
  return {
    status: 200,
    headers: ['ETag', quoteEtag(stored.etag), ...checksumHeaders(stored.checksum)],
    body: NO_BODY,
  };
}
