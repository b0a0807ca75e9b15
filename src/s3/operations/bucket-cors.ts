/** GetBucketCors, PutBucketCors, DeleteBucketCors (S3 API reference, each by its name). */
import { CORS_DOCUMENT, readCors, renderCors } from '../cors.js';
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import type { BucketContext } from './context.js';

export async function getBucketCors({ services, bucket }: BucketContext): Promise<S3Response> {
  const configuration = await services.buckets.document(bucket, CORS_DOCUMENT);
  if (configuration === null) {
    throw new S3Error('NoSuchCORSConfiguration', { details: { BucketName: bucket.name } });
  }
  return xmlResponse(renderCors(configuration));
}

export async function putBucketCors(context: BucketContext): Promise<S3Response> {
  const root = await readDocument(context);
  if (root === null) throw new S3Error('MalformedXML');
  await context.services.buckets.putDocument(context.bucket, CORS_DOCUMENT, readCors(root));
  return { status: 200, headers: [], body: NO_BODY };
}

export async function deleteBucketCors({ services, bucket }: BucketContext): Promise<S3Response> {
  await services.buckets.putDocument(bucket, CORS_DOCUMENT, null);
  return { status: 204, headers: [], body: NO_BODY };
}
