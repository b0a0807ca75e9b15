/** CreateMultipartUpload (S3 API reference "CreateMultipartUpload"). What the object is to be besides its content is settled here. */
import { XML_CONTENT_TYPE, document, textElement } from '../xml/render.js';
import type { S3Response } from '../response.js';
import { encryptionHeaders } from '../encryption/seals.js';
import type { ObjectContext } from './context.js';
import { checkDirective, newObjectAttributes } from './put-object.js';
import { openWriteSeal } from './write-seal.js';
import { readUploadChecksum, uploadChecksumHeaders } from './upload-target.js';

/** In place of what only the completion will know. */
const NOTHING_RECEIVED = { sizeBytes: 0, md5: Buffer.alloc(0), checksum: null };

export async function createMultipartUpload(context: ObjectContext): Promise<S3Response> {
  checkDirective(context);
  const { services, request, bucket, key, identity } = context;
  const checksum = readUploadChecksum(request);
  const { seal, customerKey } = openWriteSeal(context);
  const object = newObjectAttributes(context, seal)(NOTHING_RECEIVED);
  const uploadId = await services.buckets.withBucket(bucket, () =>
    services.uploads.create(bucket, key, {
      initiatedMs: services.clock(),
      initiatorId: identity.ownerId,
      initiatorName: identity.displayName,
      checksum,
      object,
    }),
  );
  const result = document(
    'InitiateMultipartUploadResult',
    textElement('Bucket', bucket.name),
    textElement('Key', key),
    textElement('UploadId', uploadId),
  );
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      ...uploadChecksumHeaders(checksum),
      ...encryptionHeaders(object, customerKey),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
