/**
 * What a bucket and an object keep of access, in their attributes. The default (private, of the bucket's owner) is kept as nothing.
 *
 *   bucket  {"grants":[["READ","group:all-users"]],"ownership":"ObjectWriter","block":["BlockPublicAcls"],"isShared":true}
 *   object  {"ownerId":"...","grants":[...]}
 */
import { invariant } from '../../protocol/invariant.js';
import { asFields, optionalText, wordField, type Fields } from '../stored-fields.js';
import { decodeGrants, encodeGrants, privateAcl, type Acl, type Grant } from './acl.js';

export const OBJECT_OWNERSHIPS = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const;
export type ObjectOwnership = (typeof OBJECT_OWNERSHIPS)[number];

/** UserGuide "Blocking public access": those that are on. */
export const BLOCKS = [
  'BlockPublicAcls',
  'IgnorePublicAcls',
  'BlockPublicPolicy',
  'RestrictPublicBuckets',
] as const;
export type Block = (typeof BLOCKS)[number];

export interface BucketAccess {
  /** Null: private. */
  readonly grants: readonly Grant[] | null;
  /** Null: none was put; then it is as ObjectWriter. */
  readonly ownership: ObjectOwnership | null;
  /** Null: none was put. */
  readonly block: readonly Block[] | null;
  /** False: nobody but the owner was ever let in by ACL or policy, so all objects are the owner's. */
  readonly isShared: boolean;
}

export const PRIVATE_BUCKET: BucketAccess = { grants: null, ownership: null, block: null, isShared: false };

export interface ObjectAccess {
  /** Null: the bucket's owner. */
  readonly ownerId: string | null;
  /** Null: private. */
  readonly grants: readonly Grant[] | null;
}

export function bucketAcl(access: BucketAccess, ownerId: string): Acl {
  return access.grants === null ? privateAcl(ownerId) : { ownerId, grants: access.grants };
}

/** `access` is null for an object that keeps nothing. */
export function objectAcl(access: ObjectAccess | null, bucketOwnerId: string): Acl {
  const ownerId = access?.ownerId ?? bucketOwnerId;
  const grants = access?.grants ?? null;
  return grants === null ? privateAcl(ownerId) : { ownerId, grants };
}

function decodeGrantsField(fields: Fields): readonly Grant[] | null {
  if (fields['grants'] === undefined) return null;
  const grants = decodeGrants(fields['grants']);
  invariant(grants !== null, 'stored grants are grants');
  return grants;
}

export function encodeBucketAccess(access: BucketAccess): object | undefined {
  const { grants, ownership, block, isShared } = access;
  const fields = {
    ...(grants !== null && { grants: encodeGrants(grants) }),
    ...(ownership !== null && { ownership }),
    ...(block !== null && { block }),
    ...(isShared && { isShared }),
  };
  return Object.keys(fields).length === 0 ? undefined : fields;
}

export function decodeBucketAccess(value: unknown): BucketAccess {
  if (value === undefined) return PRIVATE_BUCKET;
  const fields = asFields(value);
  const { block, ownership } = fields;
  return {
    grants: decodeGrantsField(fields),
    ownership: ownership === undefined ? null : wordField(fields, 'ownership', OBJECT_OWNERSHIPS),
    block: Array.isArray(block) ? BLOCKS.filter((name) => block.includes(name)) : null,
    isShared: fields['isShared'] === true,
  };
}

/** Undefined when there is nothing to keep. */
export function encodeObjectAccess(access: ObjectAccess | null): object | undefined {
  if (access === null) return undefined;
  const { ownerId, grants } = access;
  if (ownerId === null && grants === null) return undefined;
  return {
    ...(ownerId !== null && { ownerId }),
    ...(grants !== null && { grants: encodeGrants(grants) }),
  };
}

export function decodeObjectAccess(value: unknown): ObjectAccess | null {
  if (value === undefined) return null;
  const fields = asFields(value);
  return { ownerId: optionalText(fields, 'ownerId'), grants: decodeGrantsField(fields) };
}
