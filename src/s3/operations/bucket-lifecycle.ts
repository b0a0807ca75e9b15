/** GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle (S3 API reference). */
import { S3Error } from '../errors.js';
import { LIFECYCLE, readLifecycle, ruleElement } from '../lifecycle/document.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import type { BucketContext } from './context.js';
import { xmlAnswer } from './xml-answer.js';

export async function getBucketLifecycle({ services, bucket }: BucketContext): Promise<S3Response> {
  const rules = await services.buckets.document(bucket, LIFECYCLE);
  if (rules === null) {
    throw new S3Error('NoSuchLifecycleConfiguration', { details: { BucketName: bucket.name } });
  }
  return xmlAnswer('LifecycleConfiguration', ...rules.map(ruleElement));
}

export async function putBucketLifecycle(context: BucketContext): Promise<S3Response> {
  const rules = readLifecycle(await readDocument(context));
  await context.services.buckets.putDocument(context.bucket, LIFECYCLE, rules);
  return { status: 200, headers: [], body: NO_BODY };
}

export async function deleteBucketLifecycle({ services, bucket }: BucketContext): Promise<S3Response> {
  await services.buckets.putDocument(bucket, LIFECYCLE, null);
  return { status: 204, headers: [], body: NO_BODY };
}
