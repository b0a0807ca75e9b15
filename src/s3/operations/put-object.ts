/** PutObject: replaces the whole object (S3 API reference "PutObject"). */
import { type Soon, whenKnown } from '../../protocol/soon.js';
import { newObjectAccess } from '../access/object-access.js';
import type { ObjectAttributes } from '../attributes.js';
import { readConditions } from '../conditions.js';
import type { CustomerKey } from '../encryption/customer-key.js';
import { encryptionHeaders, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { contentEtag, quoteEtag } from '../etags.js';
import type { ReceivedPayload } from '../payload/receive.js';
import { NO_BODY, type S3Response } from '../response.js';
import { parseTaggingHeader } from '../tagging.js';
import { readLockHeaders } from '../versions/object-lock.js';
import { commitObject, type CommittedObject, versionHeaders } from './commit-object.js';
import { objectId, type ObjectContext } from './context.js';
import { expirationHeaders } from './expiration-header.js';
import { checksumHeaders, readMetadata, readStoredHeaders } from './object-headers.js';
import { contentExpectations, storeContent } from './store-content.js';
import { openWriteSeal } from './write-seal.js';

/** A new object's metadata is what the request brings, which is all that may be said of it. */
export function checkDirective({ request }: ObjectContext): void {
  const directive = request.headers.get('x-amz-metadata-directive') ?? 'REPLACE';
  if (directive === 'REPLACE') return;
  throw new S3Error('InvalidArgument', {
    message: 'Only a copy can take over metadata.',
    details: { ArgumentName: 'x-amz-metadata-directive', ArgumentValue: directive.slice(0, 128) },
  });
}

/** The attributes of an object that this request writes whole, but for what depends on the payload. `seal` null: not encrypted. */
export function newObjectAttributes(
  context: ObjectContext,
  seal: Seal | null,
): (received: ReceivedPayload) => ObjectAttributes {
  const headers = readStoredHeaders(context.request);
  const metadata = readMetadata(context.request);
  const tagging = context.request.headers.get('x-amz-tagging');
  const tags = tagging === undefined ? [] : parseTaggingHeader(tagging);
  const access = newObjectAccess(context);
  const { configuration } = context.bucket;
  const lock = readLockHeaders(context.request, configuration, context.services.clock());
  return (received) => ({
    etag: contentEtag(received.md5, seal),
    modifiedMs: context.services.clock(),
    writes: 1,
    headers,
    metadata,
    checksum: received.checksum,
    parts: null,
    uploadId: null,
    rename: null,
    sealing: seal === null ? null : seal.sealing,
    version: null,
    isDeleteMarker: false,
    tags,
    retention: lock.retention,
    legalHold: lock.legalHold,
    access,
  });
}

/** `customerKey` null: the request brought none. */
function answerPut(
  context: ObjectContext,
  stored: CommittedObject,
  customerKey: CustomerKey | null,
): Soon<S3Response> {
  const { attributes } = stored;
  return whenKnown(expirationHeaders(context, stored), (expiration) => {
    const headers = ['ETag', quoteEtag(attributes.etag)];
    headers.push(...checksumHeaders(attributes.checksum));
    headers.push(...encryptionHeaders(attributes, customerKey));
    headers.push(...versionHeaders(stored));
    headers.push(...expiration);
    return { status: 200, headers, body: NO_BODY };
  });
}

export function putObject(context: ObjectContext): Promise<S3Response> {
  checkDirective(context);
  const conditions = readConditions(context.request);
  const { seal, customerKey } = openWriteSeal(context);
  const makeAttributes = newObjectAttributes(context, seal);
  const expectations = contentExpectations(context);
  const wish = { target: objectId(context), expectations, seal };
  const storing = storeContent(context, wish, (content, received) =>
    commitObject(context, { content, attributes: makeAttributes(received), conditions }),
  );
  return storing.then((stored) => answerPut(context, stored, customerKey));
}
