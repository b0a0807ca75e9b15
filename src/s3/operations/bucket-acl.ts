/** GetBucketAcl and PutBucketAcl (S3 API reference, each by its name). */
import { isPrivateAcl, type Acl } from '../access/acl.js';
import { readAclDocument, readAclHeaders, renderAcl } from '../access/acl-wire.js';
import { checkAclNotBlocked } from '../access/object-access.js';
import { bucketAcl } from '../access/settings.js';
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import type { BucketContext } from './context.js';

export function getBucketAcl({ bucket, services }: BucketContext): Promise<S3Response> {
  const acl = bucketAcl(bucket.configuration.access, bucket.ownerId);
  return Promise.resolve(xmlResponse(renderAcl(acl, services.accounts)));
}

/** The ACL of the headers or, without any, of the body. Throws S3Error. */
export async function readNewAcl(context: BucketContext, ownerId: string): Promise<Acl> {
  const { request, bucket, services } = context;
  const owners = { ownerId, bucketOwnerId: bucket.ownerId, accounts: services.accounts };
  const root = await readDocument(context);
  const fromHeaders = readAclHeaders(request.headers, owners);
  if (root !== null) {
    if (fromHeaders === null) return readAclDocument(root, owners);
    throw new S3Error('UnexpectedContent');
  }
  if (fromHeaders === null) throw new S3Error('MissingSecurityHeader');
  return fromHeaders;
}

export async function putBucketAcl(context: BucketContext): Promise<S3Response> {
  const { services, bucket } = context;
  const acl = await readNewAcl(context, bucket.ownerId);
  const isPrivate = isPrivateAcl(acl);
  await services.buckets.configure(bucket, (present) => {
    const { access } = present;
    if (access.ownership === 'BucketOwnerEnforced') throw new S3Error('AccessControlListNotSupported');
    checkAclNotBlocked({ ...context, bucket: { ...bucket, configuration: present } }, acl);
    return {
      ...present,
      access: {
        ...access,
        grants: isPrivate ? null : acl.grants,
        isShared: access.isShared || !isPrivate,
      },
    };
  });
  return { status: 200, headers: [], body: NO_BODY };
}
