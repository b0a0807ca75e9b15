/** The actions on buckets themselves (S3 API reference, each by its name). */
import { isPrivateAcl, privateAcl } from '../access/acl.js';
import { readAclHeaders } from '../access/acl-wire.js';
import { PRIVATE_BUCKET, type BucketAccess } from '../access/settings.js';
import { DEFAULT_BUCKET_CONFIGURATION, type BucketConfiguration } from '../bucket-configuration.js';
import type { Bucket } from '../buckets.js';
import { S3Error } from '../errors.js';
import { toIsoDate } from '../http-date.js';
import { checkNewBucketName } from '../keys.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { checkChildren, childText } from '../xml/parse.js';
import { document, element, optionalElement, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext, NewBucketContext, ServiceContext } from './context.js';
import { toListBounds } from './list-bounds.js';
import { toObjectOwnership } from './ownership-controls.js';
import { decodeToken, encodeToken, readCount } from './paging.js';

const REGION_WITHOUT_NAME = 'us-east-1';
const LIST_BUCKETS_MAX = 10_000;

function xml(text: string): S3Response {
  return { status: 200, headers: ['Content-Type', XML_CONTENT_TYPE], body: { kind: 'bytes', bytes: text } };
}

async function checkConfiguration(context: NewBucketContext): Promise<void> {
  const root = await readDocument(context);
  if (root === null) return;
  if (root.name !== 'CreateBucketConfiguration') throw new S3Error('MalformedXML');
  for (const child of root.children) {
    if (['Bucket', 'Location', 'Tags'].includes(child.name)) {
      throw new S3Error('NotImplemented', { details: { Element: child.name } });
    }
  }
  checkChildren(root, ['LocationConstraint']);
  const region = childText(root, 'LocationConstraint')?.trim() ?? '';
  if (region !== '' && region !== context.services.region) {
    throw new S3Error('InvalidLocationConstraint', { details: { LocationConstraint: region.slice(0, 64) } });
  }
}

/** The ACL and the ownership that the headers ask for. Throws S3Error. */
function readBucketAccess({ request, identity, services }: NewBucketContext): BucketAccess {
  const { ownerId } = identity;
  const owners = { ownerId, bucketOwnerId: ownerId, accounts: services.accounts };
  const acl = readAclHeaders(request.headers, owners) ?? privateAcl(ownerId);
  const text = request.headers.get('x-amz-object-ownership');
  const ownership = text === undefined ? null : toObjectOwnership(text.trim());
  if (text !== undefined && ownership === null) {
    throw new S3Error('InvalidArgument', {
      details: { ArgumentName: 'x-amz-object-ownership', ArgumentValue: text.slice(0, 64) },
    });
  }
  if (isPrivateAcl(acl)) return { ...PRIVATE_BUCKET, ownership };
  if (ownership === 'BucketOwnerEnforced') throw new S3Error('InvalidBucketAclWithObjectOwnership');
  return { ...PRIVATE_BUCKET, ownership, grants: acl.grants, isShared: true };
}

/** A bucket with object lock has versioning from the start. */
function readBucketLock({ request }: NewBucketContext): Partial<BucketConfiguration> {
  const isLocked = request.headers.get('x-amz-bucket-object-lock-enabled')?.trim().toLowerCase() === 'true';
  return isLocked ? { versioning: 'enabled', objectLock: { defaultRetention: null } } : {};
}

/** In us-east-1 making a bucket that one has already is no error (S3 API reference "CreateBucket"); nothing of it changes. */
async function createUnlessOwned({ services }: NewBucketContext, bucket: Bucket): Promise<void> {
  try {
    await services.buckets.create(bucket);
  } catch (error) {
    const isOwned = error instanceof S3Error && error.code === 'BucketAlreadyOwnedByYou';
    if (!isOwned || services.region !== REGION_WITHOUT_NAME) throw error;
  }
}

export async function createBucket(context: NewBucketContext): Promise<S3Response> {
  const { services, identity, bucketName } = context;
  checkNewBucketName(bucketName);
  const access = readBucketAccess(context);
  const lock = readBucketLock(context);
  await checkConfiguration(context);
  await createUnlessOwned(context, {
    name: bucketName,
    createdMs: services.clock(),
    ownerId: identity.ownerId,
    ownerName: identity.displayName,
    region: services.region,
    configuration: { ...DEFAULT_BUCKET_CONFIGURATION, ...lock, access },
  });
  return { status: 200, headers: ['Location', `/${bucketName}`], body: NO_BODY };
}

export function headBucket(context: BucketContext): Promise<S3Response> {
  return Promise.resolve({
    status: 200,
    headers: ['x-amz-bucket-region', context.bucket.region, 'Content-Type', XML_CONTENT_TYPE],
    body: NO_BODY,
  });
}

export async function deleteBucket(context: BucketContext): Promise<S3Response> {
  await context.services.buckets.remove(context.bucket.name);
  return { status: 204, headers: [], body: NO_BODY };
}

/** us-east-1 is spelled as nothing. */
export function getBucketLocation(context: BucketContext): Promise<S3Response> {
  const { region } = context.bucket;
  return Promise.resolve(xml(document('LocationConstraint', region === REGION_WITHOUT_NAME ? '' : region)));
}

export async function listBuckets(context: ServiceContext): Promise<S3Response> {
  const { services, identity, request } = context;
  const { query } = request;
  const prefix = query.get('prefix') ?? '';
  const token = query.get('continuation-token');
  const limit = readCount(query, 'max-buckets', LIST_BUCKETS_MAX);
  const region = query.get('bucket-region');
  if (limit === 0)
    throw new S3Error('InvalidArgument', { details: { ArgumentName: 'max-buckets', ArgumentValue: '0' } });
  const isElsewhere = region !== undefined && region !== services.region;
  const bounds = toListBounds({
    prefix,
    after: token === undefined ? '' : decodeToken(token),
    delimiter: '',
  });
  const page =
    isElsewhere || bounds === null
      ? { buckets: [], isTruncated: false }
      : await services.buckets.list({
          ownerId: identity.ownerId,
          names: identity.limits.buckets,
          limit,
          prefix,
          after: bounds.after,
        });
  const last = page.buckets.at(-1);
  const items = page.buckets.map((bucket) =>
    element(
      'Bucket',
      textElement('Name', bucket.name),
      textElement('CreationDate', toIsoDate(bucket.createdMs)),
      textElement('BucketRegion', bucket.region),
    ),
  );
  return xml(
    document(
      'ListAllMyBucketsResult',
      element('Owner', textElement('ID', identity.ownerId), textElement('DisplayName', identity.displayName)),
      element('Buckets', ...items),
      page.isTruncated && last !== undefined ? textElement('ContinuationToken', encodeToken(last.name)) : '',
      optionalElement('Prefix', query.get('prefix') ?? null),
    ),
  );
}
