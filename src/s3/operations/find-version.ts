/** Finding the version of an object that a request means, and what to say of it. */
import type { ObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { S3Error } from '../errors.js';
import { toHttpDate } from '../http-date.js';
import type { HeaderList } from '../response.js';
import { isVersionId, versionIdOf } from '../versions/version-ids.js';
import type { StoredVersion } from '../versions/versioned-objects.js';
import type { ObjectContext } from './context.js';

/** What a client calls a version. Throws S3Error InvalidArgument. */
export function toVersionId(text: string): string {
  if (isVersionId(text)) return text;
  throw new S3Error('InvalidArgument', {
    message: text === '' ? 'Version id cannot be the empty string' : 'Invalid version id specified',
    details: { ArgumentName: 'versionId', ArgumentValue: text.slice(0, 64) },
  });
}

/** Null: the current version is meant. Throws S3Error InvalidArgument. */
export function wantedVersion({ request }: ObjectContext): string | null {
  const text = request.query.get('versionId');
  return text === undefined ? null : toVersionId(text);
}

export function noSuchObject(key: string, versionId: string | null): S3Error {
  return versionId === null
    ? new S3Error('NoSuchKey', { details: { Key: key } })
    : new S3Error('NoSuchVersion', { details: { Key: key, VersionId: versionId } });
}

/** In a bucket that has or had versioning an answer names the version it is about. */
export function versionNameHeaders(bucket: Bucket, attributes: ObjectAttributes): HeaderList {
  if (bucket.configuration.versioning === 'unversioned') return [];
  return ['x-amz-version-id', versionIdOf(attributes)];
}

/** A delete marker: as if there were nothing when it is the current version, not to be read when it is meant by its id. */
export function deleteMarkerError(
  { key }: ObjectContext,
  attributes: ObjectAttributes,
  versionId: string | null,
): S3Error {
  const name: (readonly [string, string])[] = [
    ['x-amz-delete-marker', 'true'],
    ['x-amz-version-id', versionIdOf(attributes)],
  ];
  if (versionId === null) return new S3Error('NoSuchKey', { details: { Key: key }, headers: name });
  const modified = ['Last-Modified', toHttpDate(attributes.modifiedMs)] as const;
  return new S3Error('MethodNotAllowed', {
    details: { Method: 'GET', ResourceType: 'DeleteMarker' },
    headers: [...name, ['Allow', 'DELETE'], modified],
  });
}

/** The version that the request means. Throws S3Error NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete marker. */
export async function requireVersion(context: ObjectContext): Promise<StoredVersion> {
  const { bucket, key, services } = context;
  const versionId = wantedVersion(context);
  const place = { bucket, key };
  const found =
    versionId === null
      ? await services.versions.current(place)
      : await services.versions.find(place, versionId);
  if (found === null) throw noSuchObject(key, versionId);
  if (found.attributes.isDeleteMarker) throw deleteMarkerError(context, found.attributes, versionId);
  return found;
}
