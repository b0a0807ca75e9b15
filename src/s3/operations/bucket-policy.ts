/** GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus (S3 API reference, each by its name). */
import { isPublicAcl } from '../access/acl.js';
import { POLICY_DOCUMENT } from '../access/policy-document.js';
import { parsePolicy, POLICY_BYTES_MAX } from '../access/policy.js';
import { isPublicPolicy } from '../access/public-policy.js';
import { bucketAcl } from '../access/settings.js';
import { S3Error } from '../errors.js';
import { readBody } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import { document, textElement } from '../xml/render.js';
import type { BucketContext } from './context.js';

export async function getBucketPolicy({ services, bucket }: BucketContext): Promise<S3Response> {
  const policy = await services.buckets.document(bucket, POLICY_DOCUMENT);
  if (policy === null) throw new S3Error('NoSuchBucketPolicy', { details: { BucketName: bucket.name } });
  return {
    status: 200,
    headers: ['Content-Type', 'application/json'],
    body: { kind: 'bytes', bytes: policy.text },
  };
}

/** The bucket counts as shared before anybody is let in by the policy. */
export async function putBucketPolicy(context: BucketContext): Promise<S3Response> {
  const { services, bucket } = context;
  const bytes = await readBody(context);
  if (bytes.length > POLICY_BYTES_MAX) {
    throw new S3Error('InvalidArgument', { message: 'Policies must not be larger than 20 KB' });
  }
  const policy = parsePolicy(bytes.toString('utf8'), bucket.name);
  const isPublic = isPublicPolicy(policy);
  await services.buckets.configure(bucket, (present) => {
    if (isPublic && present.access.block?.includes('BlockPublicPolicy') === true) {
      throw new S3Error('AccessDenied');
    }
    return { ...present, access: { ...present.access, isShared: true } };
  });
  await services.buckets.putDocument(bucket, POLICY_DOCUMENT, policy);
  return { status: 204, headers: [], body: NO_BODY };
}

export async function deleteBucketPolicy({ services, bucket }: BucketContext): Promise<S3Response> {
  await services.buckets.putDocument(bucket, POLICY_DOCUMENT, null);
  return { status: 204, headers: [], body: NO_BODY };
}

/** Public by policy or, as Ceph has it, by ACL. */
export async function getBucketPolicyStatus({ services, bucket }: BucketContext): Promise<S3Response> {
  const { access } = bucket.configuration;
  const policy = await services.buckets.document(bucket, POLICY_DOCUMENT);
  const hasPublicAcl =
    access.ownership !== 'BucketOwnerEnforced' &&
    access.block?.includes('IgnorePublicAcls') !== true &&
    isPublicAcl(bucketAcl(access, bucket.ownerId));
  const hasPublicPolicy =
    policy !== null && isPublicPolicy(policy) && access.block?.includes('RestrictPublicBuckets') !== true;
  return xmlResponse(document('PolicyStatus', textElement('IsPublic', hasPublicAcl || hasPublicPolicy)));
}
