/** The actions on buckets themselves (S3 API reference, each by its name). */
import { S3Error } from '../errors.js';
import { toIsoDate } from '../http-date.js';
import { checkBucketName } from '../keys.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { checkChildren, childText } from '../xml/parse.js';
import { document, element, optionalElement, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext, NewBucketContext, ServiceContext } from './context.js';
import { toListBounds } from './list-bounds.js';
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

export async function createBucket(context: NewBucketContext): Promise<S3Response> {
  const { services, identity, bucketName } = context;
  checkBucketName(bucketName);
  await checkConfiguration(context);
  await services.buckets.create({
    name: bucketName,
    createdMs: services.clock(),
    ownerId: identity.ownerId,
    ownerName: identity.displayName,
    region: services.region,
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

/** A bucket that never had versioning has an empty configuration. */
export function getBucketVersioning(): Promise<S3Response> {
  return Promise.resolve(xml(document('VersioningConfiguration')));
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
      : await services.buckets.list({ ownerId: identity.ownerId, limit, prefix, after: bounds.after });
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
