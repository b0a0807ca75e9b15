/** GetBucketTagging, PutBucketTagging and DeleteBucketTagging (S3 API reference). */
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { readBucketTagging, tagSetElement } from '../tagging.js';
import type { BucketContext } from './context.js';
import { xmlAnswer } from './xml-answer.js';

export function getBucketTagging({ bucket }: BucketContext): Promise<S3Response> {
  const { tags } = bucket.configuration;
  if (tags.length === 0) throw new S3Error('NoSuchTagSet', { details: { BucketName: bucket.name } });
  return Promise.resolve(xmlAnswer('Tagging', tagSetElement(tags)));
}

export async function putBucketTagging(context: BucketContext): Promise<S3Response> {
  const tags = readBucketTagging(await readDocument(context));
  await context.services.buckets.configure(context.bucket, (present) => ({ ...present, tags }));
  return { status: 204, headers: [], body: NO_BODY };
}

export async function deleteBucketTagging(context: BucketContext): Promise<S3Response> {
  await context.services.buckets.configure(context.bucket, (present) => ({ ...present, tags: [] }));
  return { status: 204, headers: [], body: NO_BODY };
}
