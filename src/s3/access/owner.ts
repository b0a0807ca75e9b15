/** How answers name the owner of an object. */
import type { BucketContext } from '../operations/context.js';
import type { ObjectAccess } from './settings.js';

/** `access` is null for an object of the bucket's owner. Where ACLs are off all objects are. */
export function ownerOf(
  { bucket, services }: BucketContext,
  access: ObjectAccess | null,
): { readonly id: string; readonly displayName: string } {
  const ownerId = access?.ownerId ?? null;
  const isEnforced = bucket.configuration.access.ownership === 'BucketOwnerEnforced';
  if (ownerId === null || isEnforced) return { id: bucket.ownerId, displayName: bucket.ownerName };
  return { id: ownerId, displayName: services.accounts.findById(ownerId)?.displayName ?? ownerId };
}
