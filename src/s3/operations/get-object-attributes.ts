/** GetObjectAttributes (S3 API reference "GetObjectAttributes"). */
import { LIST_LIMIT_MAX, type ObjectHead } from '../../gateway/object-storage.js';
import type { ObjectAttributes } from '../attributes.js';
import { readCustomerKey } from '../encryption/customer-key.js';
import { contentBytes } from '../encryption/sealing.js';
import { encryptionHeaders, openSeal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { toHttpDate } from '../http-date.js';
import { PARTS_MAX } from '../limits.js';
import { partChecksum, partExtent, type ObjectParts } from '../object-parts.js';
import { CHECKSUMS } from '../payload/checksums.js';
import type { S3Response } from '../response.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { ObjectContext } from './context.js';
import { requireVersion, versionNameHeaders } from './find-version.js';
import { readCount } from './paging.js';
import { checksumElement, checksumElements } from './upload-target.js';

const HEADER = 'x-amz-object-attributes';
const NAMES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
type AttributeName = (typeof NAMES)[number];

/** Throws S3Error InvalidArgument. */
function readNames(context: ObjectContext): ReadonlySet<AttributeName> {
  const texts = (context.request.headers.get(HEADER) ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  const names = texts.map((text) => NAMES.find((name) => name === text));
  const known = names.filter((name) => name !== undefined);
  if (known.length > 0 && known.length === names.length) return new Set(known);
  throw new S3Error('InvalidArgument', {
    message: 'Invalid attribute name specified.',
    details: { ArgumentName: HEADER, ArgumentValue: texts.join(',').slice(0, 128) },
  });
}

interface PartsWish {
  readonly marker: number;
  readonly limit: number;
}

function readPartsWish({ request }: ObjectContext): PartsWish {
  const { headers } = request;
  const hasMarker = (headers.get('x-amz-part-number-marker') ?? '') !== '';
  return {
    marker: hasMarker ? readCount(headers, 'x-amz-part-number-marker', PARTS_MAX) : 0,
    limit: readCount(headers, 'x-amz-max-parts', LIST_LIMIT_MAX),
  };
}

function partElement(attributes: ObjectAttributes, parts: ObjectParts, number: number): string {
  const { checksum } = attributes;
  const extent = partExtent(parts, number);
  const base64 =
    checksum === null ? null : partChecksum(parts, number, CHECKSUMS[checksum.algorithm].digestBytes);
  return element(
    'Part',
    textElement('PartNumber', number),
    textElement('Size', extent?.length ?? 0),
    checksum === null || base64 === null ? '' : checksumElement({ ...checksum, base64 }),
  );
}

/** Parts are listed as far as their sizes are kept (object-parts.ts). */
function partsElement(attributes: ObjectAttributes, parts: ObjectParts, wish: PartsWish): string {
  const last = Math.min(parts.count, wish.marker + wish.limit);
  const numbers =
    parts.sizes === undefined
      ? []
      : Array.from({ length: Math.max(last - wish.marker, 0) }, (_, index) => wish.marker + index + 1);
  return element(
    'ObjectParts',
    textElement('PartsCount', parts.count),
    textElement('PartNumberMarker', wish.marker),
    textElement('NextPartNumberMarker', numbers.at(-1) ?? 0),
    textElement('MaxParts', wish.limit),
    textElement('IsTruncated', numbers.length > 0 && last < parts.count),
    ...numbers.map((number) => partElement(attributes, parts, number)),
  );
}

function describe(context: ObjectContext, head: ObjectHead, attributes: ObjectAttributes): readonly string[] {
  const names = readNames(context);
  const { parts, checksum } = attributes;
  return [
    names.has('ETag') ? textElement('ETag', attributes.etag) : '',
    names.has('Checksum') && checksum !== null ? element('Checksum', checksumElements(checksum)) : '',
    names.has('ObjectParts') && parts !== null ? partsElement(attributes, parts, readPartsWish(context)) : '',
    names.has('StorageClass') ? textElement('StorageClass', 'STANDARD') : '',
    names.has('ObjectSize') ? textElement('ObjectSize', contentBytes(head.sizeBytes, attributes)) : '',
  ];
}

export async function getObjectAttributes(context: ObjectContext): Promise<S3Response> {
  readNames(context);
  const { request, services } = context;
  const customerKey = readCustomerKey(request, services.encryption.customerKeysOverHttp);
  const { head, attributes } = await requireVersion(context);
  openSeal(attributes, customerKey, services.encryption);
  const result = document('GetObjectAttributesResponse', ...describe(context, head, attributes));
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      'Last-Modified',
      toHttpDate(attributes.modifiedMs),
      ...versionNameHeaders(context.bucket, attributes),
      ...encryptionHeaders(attributes, customerKey),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
