/** ListObjectsV2 and ListObjects (S3 API reference). Keys come in the order of their UTF-8 bytes. */
import type { ListEntry } from '../../gateway/object-storage.js';
import { decodeListedAttributes } from '../attributes.js';
import { contentBytes } from '../encryption/sealing.js';
import { S3Error } from '../errors.js';
import { toIsoDate } from '../http-date.js';
import type { S3Response } from '../response.js';
import { checksumTypeOf } from '../payload/combined-checksums.js';
import { entryName, listVisible, type VisiblePage } from '../versions/visible-objects.js';
import { document, element, escapeXml, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext } from './context.js';
import { toListBounds } from './list-bounds.js';
import {
  nameWriter,
  ownerWriter,
  readListWish,
  type ListWish,
  type NameElement,
  type OwnerElement,
} from './list-wish.js';
import { decodeToken, encodeToken } from './paging.js';

const EMPTY_PAGE: VisiblePage = { entries: [], next: null };

async function fetchPage(context: BucketContext, wish: ListWish, after: string): Promise<VisiblePage> {
  const bounds = toListBounds({ prefix: wish.prefix, after, delimiter: wish.delimiter });
  if (bounds === null || wish.limit === 0) return EMPTY_PAGE;
  const { storage } = context.services;
  const { name: container, configuration } = context.bucket;
  const request = { container, limit: wish.limit, ...bounds };
  if (configuration.versioning !== 'unversioned') return listVisible(storage, request);
  const { entries, truncated } = await storage.list(request);
  const last = entries.at(-1);
  return { entries, next: truncated && last !== undefined ? entryName(last) : null };
}

function entryElement(entry: ListEntry, writeName: NameElement, writeOwner: OwnerElement): string {
  if (entry.kind === 'common-prefix') return element('CommonPrefixes', writeName('Prefix', entry.prefix));
  const attributes = decodeListedAttributes(entry.head.attributes);
  const { etag, modifiedMs, checksum, access } = attributes;
  const key = writeName('Key', entry.name);
  const checksumElements =
    checksum === null
      ? ''
      : textElement('ChecksumAlgorithm', checksum.algorithm) +
        textElement('ChecksumType', checksumTypeOf(checksum));
  const sizeBytes = contentBytes(entry.head.sizeBytes, attributes);
  // In few pieces, and with the quotes that are always there as `textElement` would write them: there are a thousand of these.
  return (
    `<Contents>${key}<LastModified>${toIsoDate(modifiedMs)}</LastModified><ETag>&quot;${escapeXml(etag)}&quot;</ETag>` +
    `${checksumElements}<Size>${sizeBytes}</Size>${writeOwner(access)}<StorageClass>STANDARD</StorageClass></Contents>`
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
  page: VisiblePage,
  parts: { paging: string; writeOwner: OwnerElement },
): S3Response {
  const writeName = nameWriter(wish);
  return answer([
    textElement('Name', context.bucket.name),
    writeName('Prefix', wish.prefix),
    parts.paging,
    textElement('MaxKeys', wish.limit),
    wish.delimiter === '' ? '' : writeName('Delimiter', wish.delimiter),
    wish.encodes ? textElement('EncodingType', 'url') : '',
    textElement('IsTruncated', page.next !== null),
    ...page.entries.map((entry) => entryElement(entry, writeName, parts.writeOwner)),
  ]);
}

export async function listObjectsV2(context: BucketContext): Promise<S3Response> {
  const { query } = context.request;
  if (query.get('list-type') !== '2') {
    throw new S3Error('InvalidArgument', { details: { ArgumentName: 'list-type' } });
  }
  const wish = readListWish(query);
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  if (token === '') {
    throw new S3Error('InvalidArgument', {
      message: 'The continuation token provided is incorrect',
      details: { ArgumentName: 'continuation-token' },
    });
  }
  const page = await fetchPage(context, wish, token === undefined ? (startAfter ?? '') : decodeToken(token));
  const paging = [
    textElement('KeyCount', page.entries.length),
    token === undefined ? '' : textElement('ContinuationToken', token),
    page.next === null ? '' : textElement('NextContinuationToken', encodeToken(page.next)),
    startAfter === undefined ? '' : nameWriter(wish)('StartAfter', startAfter),
  ].join('');
  const writeOwner = query.get('fetch-owner') === 'true' ? ownerWriter(context) : () => '';
  return render(context, wish, page, { paging, writeOwner });
}

/** NextMarker is for pages with a delimiter, and those that end behind their last key; else the last key serves. */
export async function listObjects(context: BucketContext): Promise<S3Response> {
  const { query } = context.request;
  const wish = readListWish(query);
  const marker = query.get('marker') ?? '';
  const page = await fetchPage(context, wish, marker);
  const last = page.entries.at(-1);
  const writeName = nameWriter(wish);
  const paging = [
    writeName('Marker', marker),
    page.next !== null && (wish.delimiter !== '' || last === undefined || entryName(last) !== page.next)
      ? writeName('NextMarker', page.next)
      : '',
  ].join('');
  return render(context, wish, page, { paging, writeOwner: ownerWriter(context) });
}
