/** What is known of an object by its key and version, for those who don't act on it. */
import type { ObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { isVersionId } from '../versions/version-ids.js';
import type { Services } from './context.js';

/** Null: there is none, or a delete marker. `versionId` is as clients name it; null: the current version. */
export async function findObjectAttributes(
  services: Services,
  bucket: Bucket,
  key: string,
  versionId: string | null,
): Promise<ObjectAttributes | null> {
  const place = { bucket, key };
  if (versionId !== null && !isVersionId(versionId)) return null;
  const found =
    versionId === null
      ? await services.versions.current(place)
      : await services.versions.find(place, versionId);
  return found === null || found.attributes.isDeleteMarker ? null : found.attributes;
}
