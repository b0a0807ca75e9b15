/** Access control lists as clients give them (x-amz-acl, x-amz-grant-*, AccessControlPolicy) and get them. */
import type { AccountDirectory } from '../auth/credentials.js';
import { S3Error } from '../errors.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { document, element, optionalElement, textElement } from '../xml/render.js';
import {
  ACL_PERMISSIONS,
  cannedAcl,
  GRANTS_MAX,
  GROUP_URIS,
  groupOfUri,
  toAclPermission,
  toCannedAcl,
  type Acl,
  type AclPermission,
  type Grant,
  type Grantee,
} from './acl.js';

type Headers = ReadonlyMap<string, string>;

const CANNED_HEADER = 'x-amz-acl';
const GRANT_HEADERS: readonly (readonly [header: string, permission: AclPermission])[] = ACL_PERMISSIONS.map(
  (permission) => [`x-amz-grant-${permission.toLowerCase().replace('_', '-')}`, permission],
);
/** All headers that say something of an ACL. */
export const ACL_HEADERS: readonly string[] = [CANNED_HEADER, ...GRANT_HEADERS.map(([header]) => header)];

function invalid(name: string, value: string, message?: string): S3Error {
  return new S3Error('InvalidArgument', {
    ...(message !== undefined && { message }),
    details: { ArgumentName: name, ArgumentValue: value.slice(0, 256) },
  });
}

function accountGrantee(accounts: AccountDirectory, id: string): Grantee {
  if (accounts.findById(id) === null) throw invalid('CanonicalUser/ID', id, 'Invalid id');
  return { kind: 'account', id };
}

function emailGrantee(accounts: AccountDirectory, email: string): Grantee {
  const account = accounts.findByEmail(email);
  if (account === null) throw new S3Error('UnresolvableGrantByEmailAddress');
  return { kind: 'account', id: account.ownerId };
}

function groupGrantee(uri: string): Grantee {
  const group = groupOfUri(uri);
  if (group === null) throw invalid('Group/URI', uri, 'Invalid group uri');
  return { kind: 'group', group };
}

const NAMED_GRANTEE = /^\s*(id|emailAddress|uri)\s*=\s*("[^"]*"|[^",\s]+)\s*$/i;

/** `id="…", emailAddress="…", uri="…"` */
function readGrantHeader(header: string, value: string, accounts: AccountDirectory): readonly Grantee[] {
  return value.split(',').map((item) => {
    const [, kind, quoted] = NAMED_GRANTEE.exec(item) ?? [];
    if (kind === undefined || quoted === undefined) {
      throw invalid(header, value, 'Argument format not recognized');
    }
    const text = quoted.replaceAll('"', '');
    switch (kind.toLowerCase()) {
      case 'id':
        return accountGrantee(accounts, text);
      case 'emailaddress':
        return emailGrantee(accounts, text);
      default:
        return groupGrantee(text);
    }
  });
}

export interface AclOwners {
  readonly ownerId: string;
  readonly bucketOwnerId: string;
  readonly accounts: AccountDirectory;
}

/** Null when the headers say nothing. Throws S3Error InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress. */
export function readAclHeaders(headers: Headers, owners: AclOwners): Acl | null {
  const { ownerId, bucketOwnerId, accounts } = owners;
  const canned = headers.get(CANNED_HEADER);
  const granting = GRANT_HEADERS.filter(([header]) => headers.has(header));
  if (canned !== undefined && granting.length > 0) {
    throw new S3Error('InvalidRequest', {
      message: 'Specifying both Canned ACLs and Header Grants is not allowed',
    });
  }
  if (canned !== undefined) {
    const name = toCannedAcl(canned.trim());
    if (name === null) throw invalid(CANNED_HEADER, canned);
    return cannedAcl(name, ownerId, bucketOwnerId);
  }
  if (granting.length === 0) return null;
  const grants = granting.flatMap(([header, permission]) =>
    readGrantHeader(header, headers.get(header) ?? '', accounts).map((grantee) => ({ grantee, permission })),
  );
  checkCount(grants);
  return { ownerId, grants };
}

function checkCount(grants: readonly Grant[]): void {
  if (grants.length > GRANTS_MAX) throw new S3Error('MalformedACLError');
}

function malformed(): S3Error {
  return new S3Error('MalformedACLError');
}

function readGrantee(item: XmlElement, accounts: AccountDirectory): Grantee {
  const id = childText(item, 'ID');
  const email = childText(item, 'EmailAddress');
  const uri = childText(item, 'URI');
  if (id !== null) return accountGrantee(accounts, id.trim());
  if (email !== null) return emailGrantee(accounts, email.trim());
  if (uri !== null) return groupGrantee(uri.trim());
  throw malformed();
}

/** The owner that the document names must be the owner. Throws S3Error MalformedACLError, AccessDenied and as above. */
export function readAclDocument(root: XmlElement, owners: Pick<AclOwners, 'ownerId' | 'accounts'>): Acl {
  if (root.name !== 'AccessControlPolicy') throw malformed();
  checkChildren(root, ['Owner', 'AccessControlList']);
  const [owner] = childrenNamed(root, 'Owner');
  const [list, second] = childrenNamed(root, 'AccessControlList');
  if (list === undefined || second !== undefined) throw malformed();
  const ownerId = owner === undefined ? null : childText(owner, 'ID');
  if (ownerId === null) throw malformed();
  if (ownerId.trim() !== owners.ownerId) throw new S3Error('AccessDenied');
  checkChildren(list, ['Grant']);
  const grants = childrenNamed(list, 'Grant').map((item): Grant => {
    const permission = toAclPermission(childText(item, 'Permission')?.trim() ?? '');
    const [grantee] = childrenNamed(item, 'Grantee');
    if (permission === null || grantee === undefined) throw malformed();
    return { grantee: readGrantee(grantee, owners.accounts), permission };
  });
  checkCount(grants);
  return { ownerId: owners.ownerId, grants };
}

const XSI = 'http://www.w3.org/2001/XMLSchema-instance';

function displayName(accounts: AccountDirectory, id: string): string {
  return optionalElement('DisplayName', accounts.findById(id)?.displayName ?? null);
}

function granteeElement(grantee: Grantee, accounts: AccountDirectory): string {
  const type = grantee.kind === 'account' ? 'CanonicalUser' : 'Group';
  const content =
    grantee.kind === 'account'
      ? textElement('ID', grantee.id) + displayName(accounts, grantee.id)
      : textElement('URI', GROUP_URIS[grantee.group]);
  return `<Grantee xmlns:xsi="${XSI}" xsi:type="${type}">${content}</Grantee>`;
}

/** Groups come first, as in Ceph's gateway; the order has no meaning. */
export function renderAcl({ ownerId, grants }: Acl, accounts: AccountDirectory): string {
  const sorted = [
    ...grants.filter(({ grantee }) => grantee.kind === 'group'),
    ...grants.filter(({ grantee }) => grantee.kind === 'account'),
  ];
  return document(
    'AccessControlPolicy',
    element('Owner', textElement('ID', ownerId), displayName(accounts, ownerId)),
    element(
      'AccessControlList',
      ...sorted.map(({ grantee, permission }) =>
        element('Grant', granteeElement(grantee, accounts), textElement('Permission', permission)),
      ),
    ),
  );
}
