/** Delete markers: versions without content that say "not here". */
import type { ObjectStorage } from '../../gateway/object-storage.js';
import { makeObjectId } from '../../protocol/object-id.js';
import { encodeObjectAttributes, NO_ANNOTATIONS, type ObjectAttributes } from '../attributes.js';
import type { Place, StoredVersion, VersionedObjects } from './versioned-objects.js';

const NO_CONTENT_ETAG = '';

interface MarkerWriter {
  readonly storage: ObjectStorage;
  readonly versions: VersionedObjects;
  readonly clock: () => number;
}

/** Makes a delete marker the current version, in a bucket that has or had versioning. Under `buckets.withBucket`; `judge` may throw to refuse. */
export async function writeDeleteMarker(
  { storage, versions, clock }: MarkerWriter,
  place: Place,
  judge: (current: StoredVersion | null) => void,
): Promise<ObjectAttributes> {
  const id = makeObjectId(place.bucket.name, place.key);
  const content = await storage.openContent(id, 0).finish();
  try {
    return await versions.succeed(place, judge, async ({ version, check }) => {
      const attributes: ObjectAttributes = {
        etag: NO_CONTENT_ETAG,
        modifiedMs: clock(),
        writes: 1,
        headers: {},
        metadata: {},
        checksum: null,
        parts: null,
        uploadId: null,
        rename: null,
        sealing: null,
        ...NO_ANNOTATIONS,
        version,
        isDeleteMarker: true,
      };
      await storage.replace({
        id,
        content,
        attributes: (stored) => {
          check(stored);
          return encodeObjectAttributes(attributes);
        },
      });
      return attributes;
    });
  } finally {
    content.discard();
  }
}
