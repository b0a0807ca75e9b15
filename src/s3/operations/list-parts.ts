/** ListParts (S3 API reference "ListParts"). */
import { LIST_LIMIT_MAX } from '../../gateway/object-storage.js';
import { readCustomerKey } from '../encryption/customer-key.js';
import { contentBytes } from '../encryption/sealing.js';
import { openSeal, UPLOAD_REFUSALS } from '../encryption/seals.js';
import { quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import { PARTS_MAX } from '../limits.js';
import { type Part, type PartPage, placeOf } from '../multipart/upload-directory.js';
import { ownerOf } from '../access/owner.js';
import type { S3Response } from '../response.js';
import { document, element, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import type { ObjectContext } from './context.js';
import { readCount } from './paging.js';
import { checksumElement, uploadChecksumElements, uploadName } from './upload-target.js';

function partElement({ number, head, attributes }: Part): string {
  return element(
    'Part',
    textElement('PartNumber', number),
    textElement('LastModified', toIsoDate(attributes.modifiedMs)),
    textElement('ETag', quoteEtag(attributes.etag)),
    textElement('Size', contentBytes(head.sizeBytes, attributes)),
    checksumElement(attributes.checksum),
  );
}

export function ownerElements(name: string, id: string, displayName: string): string {
  return element(name, textElement('ID', id), textElement('DisplayName', displayName));
}

export async function listParts(context: ObjectContext): Promise<S3Response> {
  const { services, request, bucket, key } = context;
  const { uploads } = services;
  const name = uploadName(context);
  const limit = readCount(request.query, 'max-parts', LIST_LIMIT_MAX);
  const hasMarker = (request.query.get('part-number-marker') ?? '') !== '';
  const marker = hasMarker ? readCount(request.query, 'part-number-marker', PARTS_MAX) : 0;
  const upload = await uploads.get(name);
  const customerKey = readCustomerKey(request, services.encryption.customerKeysOverHttp);
  if (customerKey !== null) openSeal(upload.object, customerKey, services.encryption, UPLOAD_REFUSALS);
  const owner = ownerOf(context, upload.object.access);
  const page: PartPage =
    limit === 0 ? { parts: [], isTruncated: false } : await uploads.listParts(placeOf(name), marker, limit);
  const result = document(
    'ListPartsResult',
    textElement('Bucket', bucket.name),
    textElement('Key', key),
    textElement('UploadId', name.uploadId),
    textElement('PartNumberMarker', marker),
    // Only while there is more: SDKs' paginators go on for as long as it is there.
    page.isTruncated ? textElement('NextPartNumberMarker', page.parts.at(-1)?.number ?? 0) : '',
    textElement('MaxParts', limit),
    textElement('IsTruncated', page.isTruncated),
    uploadChecksumElements(upload.checksum),
    ...page.parts.map(partElement),
    ownerElements('Initiator', upload.initiatorId, upload.initiatorName),
    ownerElements('Owner', owner.id, owner.displayName),
    textElement('StorageClass', 'STANDARD'),
  );
  return { status: 200, headers: ['Content-Type', XML_CONTENT_TYPE], body: { kind: 'bytes', bytes: result } };
}
