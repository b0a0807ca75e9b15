/** GetBucketOwnershipControls, PutBucketOwnershipControls, DeleteBucketOwnershipControls (S3 API reference, each by its name). */
import { isPrivateAcl } from '../access/acl.js';
import { bucketAcl, OBJECT_OWNERSHIPS, type ObjectOwnership } from '../access/settings.js';
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { document, element, textElement } from '../xml/render.js';
import type { BucketContext } from './context.js';

/** Null when there is no such setting. */
export function toObjectOwnership(text: string): ObjectOwnership | null {
  return OBJECT_OWNERSHIPS.find((name) => name === text) ?? null;
}

function readOwnership(root: XmlElement | null): ObjectOwnership {
  if (root?.name !== 'OwnershipControls') throw new S3Error('MalformedXML');
  checkChildren(root, ['Rule']);
  const [rule, second] = childrenNamed(root, 'Rule');
  if (rule === undefined || second !== undefined) throw new S3Error('MalformedXML');
  checkChildren(rule, ['ObjectOwnership']);
  const ownership = toObjectOwnership(childText(rule, 'ObjectOwnership')?.trim() ?? '');
  if (ownership === null) throw new S3Error('MalformedXML');
  return ownership;
}

export function getBucketOwnershipControls({ bucket }: BucketContext): Promise<S3Response> {
  const { ownership } = bucket.configuration.access;
  if (ownership === null) {
    return Promise.reject(
      new S3Error('OwnershipControlsNotFoundError', { details: { BucketName: bucket.name } }),
    );
  }
  const rule = element('Rule', textElement('ObjectOwnership', ownership));
  return Promise.resolve(xmlResponse(document('OwnershipControls', rule)));
}

/** A bucket whose ACL lets others in can't have its ACLs turned off: they would lose what they were given. */
export async function putBucketOwnershipControls(context: BucketContext): Promise<S3Response> {
  const { services, bucket } = context;
  const ownership = readOwnership(await readDocument(context));
  await services.buckets.configure(bucket, (present) => {
    const { access } = present;
    if (ownership === 'BucketOwnerEnforced' && !isPrivateAcl(bucketAcl(access, bucket.ownerId))) {
      throw new S3Error('InvalidBucketAclWithObjectOwnership');
    }
    return { ...present, access: { ...access, ownership } };
  });
  return { status: 200, headers: [], body: NO_BODY };
}

export async function deleteBucketOwnershipControls({
  services,
  bucket,
}: BucketContext): Promise<S3Response> {
  await services.buckets.configure(bucket, (present) => ({
    ...present,
    access: { ...present.access, ownership: null },
  }));
  return { status: 204, headers: [], body: NO_BODY };
}
