/**
 * Access control lists (UserGuide "Access control list (ACL) overview"): who else than the owner may do what with a bucket or an
 * object. Pure.
 */

export const ACL_PERMISSIONS = ['READ', 'WRITE', 'READ_ACP', 'WRITE_ACP', 'FULL_CONTROL'] as const;
export type AclPermission = (typeof ACL_PERMISSIONS)[number];
/** What an operation can ask for. */
export type AskedPermission = Exclude<AclPermission, 'FULL_CONTROL'>;

export const GROUP_URIS = {
  'all-users': 'http://acs.amazonaws.com/groups/global/AllUsers',
  'authenticated-users': 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers',
  'log-delivery': 'http://acs.amazonaws.com/groups/s3/LogDelivery',
} as const;
export type Group = keyof typeof GROUP_URIS;
const GROUPS = Object.keys(GROUP_URIS) as readonly Group[];

export type Grantee =
  { readonly kind: 'group'; readonly group: Group } | { readonly kind: 'account'; readonly id: string };

export interface Grant {
  readonly grantee: Grantee;
  readonly permission: AclPermission;
}

export interface Acl {
  readonly ownerId: string;
  readonly grants: readonly Grant[];
}

export const GRANTS_MAX = 100;

const CANNED_ACLS = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
] as const;
export type CannedAcl = (typeof CANNED_ACLS)[number];

export function toCannedAcl(text: string): CannedAcl | null {
  return CANNED_ACLS.find((name) => name === text) ?? null;
}

export function toAclPermission(text: string): AclPermission | null {
  return ACL_PERMISSIONS.find((name) => name === text) ?? null;
}

export function groupOfUri(uri: string): Group | null {
  return GROUPS.find((group) => GROUP_URIS[group] === uri) ?? null;
}

function toGroup(group: Group, permission: AclPermission): Grant {
  return { grantee: { kind: 'group', group }, permission };
}

function toAccount(id: string, permission: AclPermission): Grant {
  return { grantee: { kind: 'account', id }, permission };
}

/** What each canned ACL adds to the owner's full control. */
const CANNED_GRANTS: Record<CannedAcl, (bucketOwnerId: string) => readonly Grant[]> = {
  private: () => [],
  'public-read': () => [toGroup('all-users', 'READ')],
  'public-read-write': () => [toGroup('all-users', 'READ'), toGroup('all-users', 'WRITE')],
  'authenticated-read': () => [toGroup('authenticated-users', 'READ')],
  // Amazon EC2 has no account here.
  'aws-exec-read': () => [],
  'bucket-owner-read': (bucketOwnerId) => [toAccount(bucketOwnerId, 'READ')],
  'bucket-owner-full-control': (bucketOwnerId) => [toAccount(bucketOwnerId, 'FULL_CONTROL')],
  'log-delivery-write': () => [toGroup('log-delivery', 'WRITE'), toGroup('log-delivery', 'READ_ACP')],
};

/** UserGuide "Canned ACL". */
export function cannedAcl(name: CannedAcl, ownerId: string, bucketOwnerId: string): Acl {
  const own = toAccount(ownerId, 'FULL_CONTROL');
  const further = CANNED_GRANTS[name](bucketOwnerId).filter(
    ({ grantee }) => grantee.kind === 'group' || grantee.id !== ownerId,
  );
  return { ownerId, grants: [own, ...further] };
}

export function privateAcl(ownerId: string): Acl {
  return cannedAcl('private', ownerId, ownerId);
}

/** The account that asks; null: an anonymous one. */
export type AclCaller = { readonly ownerId: string } | null;

function isGrantedTo({ grantee }: Grant, caller: AclCaller): boolean {
  if (grantee.kind === 'account') return grantee.id === caller?.ownerId;
  switch (grantee.group) {
    case 'all-users':
      return true;
    case 'authenticated-users':
      return caller !== null;
    case 'log-delivery':
      return false;
  }
}

function isPublicGrant({ grantee }: Grant): boolean {
  return grantee.kind === 'group' && grantee.group !== 'log-delivery';
}

/** UserGuide "The meaning of public": a grant to everybody, or to everybody with an account. */
export function isPublicAcl({ grants }: Acl): boolean {
  return grants.some(isPublicGrant);
}

/** The list without grants to groups of strangers (IgnorePublicAcls). */
export function withoutPublicGrants(acl: Acl): Acl {
  return { ...acl, grants: acl.grants.filter((grant) => !isPublicGrant(grant)) };
}

/** An owner may always read and change the list itself. */
export function allowsByAcl(acl: Acl, caller: AclCaller, permission: AskedPermission): boolean {
  const isOfList = permission === 'READ_ACP' || permission === 'WRITE_ACP';
  if (isOfList && caller !== null && caller.ownerId === acl.ownerId) return true;
  return acl.grants.some(
    (grant) =>
      (grant.permission === permission || grant.permission === 'FULL_CONTROL') && isGrantedTo(grant, caller),
  );
}

/** True when only the owner is on the list, with everything. */
export function isPrivateAcl({ ownerId, grants }: Acl): boolean {
  return (
    grants.length === 1 &&
    grants.every(
      ({ grantee, permission }) =>
        permission === 'FULL_CONTROL' && grantee.kind === 'account' && grantee.id === ownerId,
    )
  );
}

/** As text: `["READ","group:all-users"]`, `["FULL_CONTROL","account:<id>"]`. */
export type EncodedGrant = readonly [permission: string, grantee: string];

export function encodeGrants(grants: readonly Grant[]): readonly EncodedGrant[] {
  return grants.map(({ grantee, permission }) => [
    permission,
    grantee.kind === 'group' ? `group:${grantee.group}` : `account:${grantee.id}`,
  ]);
}

function decodeGrant(value: unknown): Grant | null {
  if (!Array.isArray(value)) return null;
  const pair: readonly unknown[] = value;
  const [permissionText, granteeText] = pair;
  if (typeof permissionText !== 'string' || typeof granteeText !== 'string') return null;
  const permission = toAclPermission(permissionText);
  const colon = granteeText.indexOf(':');
  const name = granteeText.slice(colon + 1);
  const group = GROUPS.find((known) => known === name);
  if (permission === null) return null;
  if (granteeText.startsWith('account:')) return toAccount(name, permission);
  return granteeText.startsWith('group:') && group !== undefined ? toGroup(group, permission) : null;
}

/** Null for what `encodeGrants` did not write. */
export function decodeGrants(value: unknown): readonly Grant[] | null {
  if (!Array.isArray(value)) return null;
  const grants: Grant[] = [];
  for (const item of value) {
    const grant = decodeGrant(item);
    if (grant === null) return null;
    grants.push(grant);
  }
  return grants;
}
