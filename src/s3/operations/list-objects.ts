/** ListObjectsV2 and ListObjects (S3 API reference). Keys come in the order of their UTF-8 bytes. */
import { LIST_LIMIT_MAX, type ListEntry, type ListPage } from '../../gateway/object-storage.js';
import { decodeObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import type { S3Response } from '../response.js';
import { encodeName } from '../uri.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext } from './context.js';
import { toListBounds } from './list-bounds.js';
import { decodeToken, encodeToken, readCount } from './paging.js';

interface ListWish {
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
  readonly encodes: boolean;
}

function readWish(query: ReadonlyMap<string, string>): ListWish {
  const encoding = query.get('encoding-type');
  if (encoding !== undefined && encoding !== 'url') {
    throw new S3Error('InvalidArgument', {
      message: 'Invalid Encoding Method specified in Request',
      details: { ArgumentName: 'encoding-type', ArgumentValue: encoding.slice(0, 64) },
    });
  }
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    limit: readCount(query, 'max-keys', LIST_LIMIT_MAX),
    encodes: encoding === 'url',
  };
}

const EMPTY_PAGE: ListPage = { entries: [], truncated: false };

async function fetchPage(context: BucketContext, wish: ListWish, after: string): Promise<ListPage> {
  const bounds = toListBounds({ prefix: wish.prefix, after, delimiter: wish.delimiter });
  if (bounds === null || wish.limit === 0) return EMPTY_PAGE;
  return context.services.storage.list({ container: context.bucket.name, limit: wish.limit, ...bounds });
}

function entryName(entry: ListEntry): string {
  return entry.kind === 'object' ? entry.name : entry.prefix;
}

/** Writes names, encoded when the client asked for it. */
type NameElement = (name: string, text: string) => string;

function nameWriter(wish: ListWish): NameElement {
  return (name, text) => textElement(name, wish.encodes ? encodeName(text) : text);
}

function ownerElement(bucket: Bucket): string {
  return element('Owner', textElement('ID', bucket.ownerId), textElement('DisplayName', bucket.ownerName));
}

function entryElement(entry: ListEntry, writeName: NameElement, owner: string): string {
  if (entry.kind === 'common-prefix') return element('CommonPrefixes', writeName('Prefix', entry.prefix));
  const { etag, modifiedMs, checksum } = decodeObjectAttributes(entry.head.attributes);
  return element(
    'Contents',
    writeName('Key', entry.name),
    textElement('LastModified', toIsoDate(modifiedMs)),
    textElement('ETag', quoteEtag(etag)),
    checksum === null
      ? ''
      : textElement('ChecksumAlgorithm', checksum.algorithm) + textElement('ChecksumType', 'FULL_OBJECT'),
    textElement('Size', entry.head.sizeBytes),
    owner,
    textElement('StorageClass', 'STANDARD'),
  );
}

function answer(content: readonly string[]): S3Response {
  return {
    status: 200,
    headers: ['Content-Type', XML_CONTENT_TYPE],
    body: { kind: 'bytes', bytes: document('ListBucketResult', ...content) },
  };
}

/** What both versions say alike; `paging` stands between. */
function render(
  context: BucketContext,
  wish: ListWish,
  page: ListPage,
  parts: { paging: string; owner: string },
): S3Response {
  const writeName = nameWriter(wish);
  return answer([
    textElement('Name', context.bucket.name),
    writeName('Prefix', wish.prefix),
    parts.paging,
    textElement('MaxKeys', wish.limit),
    wish.delimiter === '' ? '' : writeName('Delimiter', wish.delimiter),
    wish.encodes ? textElement('EncodingType', 'url') : '',
    textElement('IsTruncated', page.truncated),
    ...page.entries.map((entry) => entryElement(entry, writeName, parts.owner)),
  ]);
}

export async function listObjectsV2(context: BucketContext): Promise<S3Response> {
  const { query } = context.request;
  if (query.get('list-type') !== '2') {
    throw new S3Error('InvalidArgument', { details: { ArgumentName: 'list-type' } });
  }
  const wish = readWish(query);
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  if (token === '') {
    throw new S3Error('InvalidArgument', {
      message: 'The continuation token provided is incorrect',
      details: { ArgumentName: 'continuation-token' },
    });
  }
  const page = await fetchPage(context, wish, token === undefined ? (startAfter ?? '') : decodeToken(token));
  const last = page.entries.at(-1);
  const paging = [
    textElement('KeyCount', page.entries.length),
    token === undefined ? '' : textElement('ContinuationToken', token),
    page.truncated && last !== undefined
      ? textElement('NextContinuationToken', encodeToken(entryName(last)))
      : '',
    startAfter === undefined ? '' : nameWriter(wish)('StartAfter', startAfter),
  ].join('');
  const owner = query.get('fetch-owner') === 'true' ? ownerElement(context.bucket) : '';
  return render(context, wish, page, { paging, owner });
}

/** NextMarker is for pages with a delimiter; without one the last key serves. */
export async function listObjects(context: BucketContext): Promise<S3Response> {
  const { query } = context.request;
  const wish = readWish(query);
  const marker = query.get('marker') ?? '';
  const page = await fetchPage(context, wish, marker);
  const last = page.entries.at(-1);
  const writeName = nameWriter(wish);
  const paging = [
    writeName('Marker', marker),
    page.truncated && last !== undefined && wish.delimiter !== ''
      ? writeName('NextMarker', entryName(last))
      : '',
  ].join('');
  return render(context, wish, page, { paging, owner: ownerElement(context.bucket) });
}
