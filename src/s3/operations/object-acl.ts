/** GetObjectAcl and PutObjectAcl (S3 API reference, each by its name). */
import { renderAcl } from '../access/acl-wire.js';
import { checkAclNotBlocked, checkAclsEnabled, toObjectAccess } from '../access/object-access.js';
import { objectAcl } from '../access/settings.js';
import { S3Error } from '../errors.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import { readNewAcl } from './bucket-acl.js';
import type { ObjectContext } from './context.js';
import { noSuchObject, requireVersion, versionNameHeaders, wantedVersion } from './find-version.js';

export async function getObjectAcl(context: ObjectContext): Promise<S3Response> {
  const { bucket, services } = context;
  const { access } = (await requireVersion(context)).attributes;
  const isEnforced = bucket.configuration.access.ownership === 'BucketOwnerEnforced';
  return xmlResponse(renderAcl(objectAcl(isEnforced ? null : access, bucket.ownerId), services.accounts));
}

export async function putObjectAcl(context: ObjectContext): Promise<S3Response> {
  const { bucket, key, services, request } = context;
  checkAclsEnabled(context, request.headers);
  if (bucket.configuration.access.ownership === 'BucketOwnerEnforced') {
    throw new S3Error('AccessControlListNotSupported');
  }
  const before = await requireVersion(context);
  const { ownerId } = objectAcl(before.attributes.access, bucket.ownerId);
  const versionId = wantedVersion(context);
  const acl = await readNewAcl(context, ownerId);
  checkAclNotBlocked(context, acl);
  const written = await services.buckets.withBucket(bucket, (present) =>
    services.versions.annotate({ bucket: present, key }, versionId, (version) => {
      if (version === null || version.attributes.isDeleteMarker) throw noSuchObject(key, versionId);
      // Another account's object has come to be under this name: that is not the one that was authorized.
      const { access } = version.attributes;
      if (objectAcl(access, bucket.ownerId).ownerId !== ownerId) throw new S3Error('AccessDenied');
      return { ...version.attributes, access: toObjectAccess(acl, bucket.ownerId) };
    }),
  );
  return { status: 200, headers: versionNameHeaders(bucket, written.attributes), body: NO_BODY };
}
