/**
 * ListMultipartUploads (S3 API reference "ListMultipartUploads"): by key, and for one key by the time of the beginning, which is the
 * order of upload ids.
 */
import { LIST_LIMIT_MAX, type ListEntry, type ListPage } from '../../gateway/object-storage.js';
import { S3Error } from '../errors.js';
import { toIsoDate } from '../http-date.js';
import { decodeUploadRecord, isUploadId, uploadsContainer } from '../multipart/upload-record.js';
import { ownerOf } from '../access/owner.js';
import type { S3Response } from '../response.js';
import { encodeName } from '../uri.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { BucketContext } from './context.js';
import { toListBounds } from './list-bounds.js';
import { ownerElements } from './list-parts.js';
import { readCount } from './paging.js';
import { uploadChecksumElements } from './upload-target.js';

interface UploadsWish {
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  /** Only with a key marker, as S3 has it. */
  readonly uploadIdMarker: string;
  readonly limit: number;
  readonly writeName: (name: string, text: string) => string;
}

function readWish(query: ReadonlyMap<string, string>): UploadsWish {
  const encoding = query.get('encoding-type');
  if (encoding !== undefined && encoding !== 'url') {
    throw new S3Error('InvalidArgument', {
      message: 'Invalid Encoding Method specified in Request',
      details: { ArgumentName: 'encoding-type', ArgumentValue: encoding.slice(0, 64) },
    });
  }
  const keyMarker = query.get('key-marker') ?? '';
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    keyMarker,
    uploadIdMarker: keyMarker === '' ? '' : (query.get('upload-id-marker') ?? ''),
    limit: readCount(query, 'max-uploads', LIST_LIMIT_MAX),
    writeName: (name, text) => textElement(name, encoding === 'url' ? encodeName(text) : text),
  };
}

async function fetchPage(context: BucketContext, wish: UploadsWish): Promise<ListPage> {
  const { prefix, delimiter, keyMarker, uploadIdMarker, limit } = wish;
  const bounds = toListBounds({ prefix, delimiter, after: keyMarker });
  if (bounds === null || limit === 0) return { entries: [], truncated: false };
  return context.services.storage.list({
    container: uploadsContainer(context.bucket.name),
    limit,
    ...bounds,
    ...(isUploadId(uploadIdMarker) && bounds.after === keyMarker && { afterVersion: uploadIdMarker }),
  });
}

/** An empty text for an upload into an earlier bucket of the same name. */
function entryElement(context: BucketContext, wish: UploadsWish, entry: ListEntry): string {
  const { bucket } = context;
  if (entry.kind === 'common-prefix') {
    return element('CommonPrefixes', wish.writeName('Prefix', entry.prefix));
  }
  const upload = decodeUploadRecord(entry.head.attributes);
  if (upload.bucketCreatedMs !== bucket.createdMs) return '';
  const owner = ownerOf(context, upload.object.access);
  return element(
    'Upload',
    wish.writeName('Key', entry.name),
    textElement('UploadId', entry.version),
    ownerElements('Initiator', upload.initiatorId, upload.initiatorName),
    ownerElements('Owner', owner.id, owner.displayName),
    textElement('StorageClass', 'STANDARD'),
    textElement('Initiated', toIsoDate(upload.initiatedMs)),
    uploadChecksumElements(upload.checksum),
  );
}

function nextMarkers(page: ListPage, { writeName }: UploadsWish): string {
  const last = page.entries.at(-1);
  if (!page.truncated || last === undefined) return '';
  return last.kind === 'common-prefix'
    ? writeName('NextKeyMarker', last.prefix) + textElement('NextUploadIdMarker', '')
    : writeName('NextKeyMarker', last.name) + textElement('NextUploadIdMarker', last.version);
}

export async function listMultipartUploads(context: BucketContext): Promise<S3Response> {
  const { query } = context.request;
  const wish = readWish(query);
  const page = await fetchPage(context, wish);
  const { writeName } = wish;
  const result = document(
    'ListMultipartUploadsResult',
    textElement('Bucket', context.bucket.name),
    writeName('KeyMarker', wish.keyMarker),
    textElement('UploadIdMarker', wish.uploadIdMarker),
    nextMarkers(page, wish),
    writeName('Prefix', wish.prefix),
    wish.delimiter === '' ? '' : writeName('Delimiter', wish.delimiter),
    query.has('encoding-type') ? textElement('EncodingType', 'url') : '',
    textElement('MaxUploads', wish.limit),
    textElement('IsTruncated', page.truncated),
    ...page.entries.map((entry) => entryElement(context, wish, entry)),
  );
  return { status: 200, headers: ['Content-Type', XML_CONTENT_TYPE], body: { kind: 'bytes', bytes: result } };
}
