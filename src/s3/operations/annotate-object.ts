/** The common part of those actions that change the attributes of one version and nothing else. */
import { ATTRIBUTES_BYTES_MAX } from '../../gateway/object-storage.js';
import { encodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import { S3Error } from '../errors.js';
import type { StoredVersion } from '../versions/versioned-objects.js';
import type { ObjectContext } from './context.js';
import { deleteMarkerError, noSuchObject, wantedVersion } from './find-version.js';

/**
 * Changes the version that the request means. `change` may throw to refuse. Throws S3Error NoSuchKey, NoSuchVersion, or
 * MethodNotAllowed for a delete marker.
 */
export function annotateObject(
  context: ObjectContext,
  change: (attributes: ObjectAttributes) => ObjectAttributes,
): Promise<StoredVersion> {
  const { key, services } = context;
  const versionId = wantedVersion(context);
  return services.buckets.withBucket(context.bucket, (bucket) =>
    services.versions.annotate({ bucket, key }, versionId, (found) => {
      if (found === null) throw noSuchObject(key, versionId);
      if (found.attributes.isDeleteMarker) throw deleteMarkerError(context, found.attributes, versionId);
      const attributes = change(found.attributes);
      if (Buffer.byteLength(encodeObjectAttributes(attributes)) > ATTRIBUTES_BYTES_MAX) {
        throw new S3Error('MetadataTooLarge');
      }
      return attributes;
    }),
  );
}
