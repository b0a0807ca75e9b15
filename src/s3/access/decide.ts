/**
 * The decision on access, pure. In this order (UserGuide "How Amazon S3 authorizes a request"):
 *
 *  1. A key never gets beyond its own limits.
 *  2. What a policy denies is denied, but for the owner's hold on the policy itself.
 *  3. What a policy allows is allowed, unless the bucket is restricted and the policy is public.
 *  4. The bucket's owner may do all, but what is another account's object stays that account's.
 *  5. An ACL may let others in, unless ACLs are off (BucketOwnerEnforced).
 */
import type { Identity } from '../auth/credentials.js';
import { allowsByAcl, withoutPublicGrants, type Acl, type AskedPermission } from './acl.js';
import type { PolicyVerdict } from './policy.js';
import type { AccessRule } from './rules.js';
import { bucketAcl, objectAcl, type BucketAccess, type ObjectAccess } from './settings.js';

const POLICY_ACTIONS = ['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy'];

export interface AccessQuestion {
  readonly caller: Identity;
  readonly bucketName: string;
  readonly bucketOwnerId: string;
  readonly access: BucketAccess;
  readonly action: string;
  readonly acl: AccessRule['acl'];
  readonly isWrite: boolean;
  readonly verdict: PolicyVerdict;
  readonly isPolicyPublic: boolean;
}

/** `look`: it depends on the object; ask `decideByObject`. */
export type Decision = 'allow' | 'deny' | 'look';

export function exceedsKey(caller: Identity, bucketName: string, isWrite: boolean): boolean {
  const { isReadOnly, buckets } = caller.limits;
  return (isReadOnly && isWrite) || (buckets !== null && !buckets.includes(bucketName));
}

function isOwner({ caller, bucketOwnerId }: AccessQuestion): boolean {
  return !caller.isAnonymous && caller.ownerId === bucketOwnerId;
}

function isAllowedBy(acl: Acl, { caller, access }: AccessQuestion, permission: AskedPermission): boolean {
  if (access.ownership === 'BucketOwnerEnforced') return false;
  const effective = access.block?.includes('IgnorePublicAcls') === true ? withoutPublicGrants(acl) : acl;
  return allowsByAcl(effective, caller.isAnonymous ? null : caller, permission);
}

export function decide(question: AccessQuestion): Decision {
  const { caller, bucketName, bucketOwnerId, access, action, acl, isWrite, verdict } = question;
  const isOwners = isOwner(question);
  if (exceedsKey(caller, bucketName, isWrite)) return 'deny';
  if (verdict === 'deny') return isOwners && POLICY_ACTIONS.includes(action) ? 'allow' : 'deny';
  const isRestricted = access.block?.includes('RestrictPublicBuckets') === true && question.isPolicyPublic;
  if (verdict === 'allow' && (isOwners || !isRestricted)) return 'allow';
  if (acl?.of === 'object') {
    if (access.ownership === 'BucketOwnerEnforced') return isOwners ? 'allow' : 'deny';
    return isOwners && !access.isShared ? 'allow' : 'look';
  }
  if (isOwners) return 'allow';
  return acl !== null && isAllowedBy(bucketAcl(access, bucketOwnerId), question, acl.permission)
    ? 'allow'
    : 'deny';
}

/** The rest of `look`, for an object that is there. */
export function decideByObject(
  question: AccessQuestion,
  permission: AskedPermission,
  object: ObjectAccess | null,
): 'allow' | 'deny' {
  const acl = objectAcl(object, question.bucketOwnerId);
  if (isOwner(question) && acl.ownerId === question.bucketOwnerId) return 'allow';
  return isAllowedBy(acl, question, permission) ? 'allow' : 'deny';
}
