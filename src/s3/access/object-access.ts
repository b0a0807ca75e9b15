/** Whose a new object is and who else may have it, from the headers of the request that makes it. */
import type { BucketContext } from '../operations/context.js';
import { S3Error } from '../errors.js';
import { isPrivateAcl, isPublicAcl, type Acl } from './acl.js';
import { ACL_HEADERS, readAclHeaders } from './acl-wire.js';
import type { ObjectAccess } from './settings.js';

type Headers = ReadonlyMap<string, string>;

/** An ACL that gives the bucket's owner everything and nobody else anything is fine where ACLs are off. */
const ENFORCED_ACLS = ['bucket-owner-full-control'];

/** Throws S3Error AccessControlListNotSupported for headers that ask for what a bucket without ACLs can't give. */
export function checkAclsEnabled(context: BucketContext, headers: Headers): void {
  if (context.bucket.configuration.access.ownership !== 'BucketOwnerEnforced') return;
  const asks = ACL_HEADERS.some(
    (name) => headers.has(name) && !(name === 'x-amz-acl' && ENFORCED_ACLS.includes(headers.get(name) ?? '')),
  );
  if (asks) throw new S3Error('AccessControlListNotSupported');
}

/** UserGuide "Blocking public access", BlockPublicAcls. Throws S3Error AccessDenied. */
export function checkAclNotBlocked(context: BucketContext, acl: Acl): void {
  const { block } = context.bucket.configuration.access;
  if (block?.includes('BlockPublicAcls') === true && isPublicAcl(acl)) throw new S3Error('AccessDenied');
}

export function toObjectAccess(acl: Acl, bucketOwnerId: string): ObjectAccess | null {
  const ownerId = acl.ownerId === bucketOwnerId ? null : acl.ownerId;
  const grants = isPrivateAcl(acl) ? null : acl.grants;
  return ownerId === null && grants === null ? null : { ownerId, grants };
}

/**
 * Null: private, of the bucket's owner. `headers` are the request's, or those that a form or an upload began with. Throws S3Error
 * AccessControlListNotSupported, AccessDenied, InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress.
 */
export function newObjectAccess(
  context: BucketContext,
  headers: Headers = context.request.headers,
): ObjectAccess | null {
  const { bucket, identity, services } = context;
  const { ownership } = bucket.configuration.access;
  checkAclsEnabled(context, headers);
  if (ownership === 'BucketOwnerEnforced') return null;
  const isGivenUp = headers.get('x-amz-acl')?.trim() === 'bucket-owner-full-control';
  const ownerId = ownership === 'BucketOwnerPreferred' && isGivenUp ? bucket.ownerId : identity.ownerId;
  const owners = { ownerId, bucketOwnerId: bucket.ownerId, accounts: services.accounts };
  const acl = readAclHeaders(headers, owners);
  if (acl === null) return ownerId === bucket.ownerId ? null : { ownerId, grants: null };
  checkAclNotBlocked(context, acl);
  return toObjectAccess(acl, bucket.ownerId);
}
