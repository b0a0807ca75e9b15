/** ListObjectVersions (S3 API reference). */
import { LIST_LIMIT_MAX } from '../../gateway/object-storage.js';
import { contentBytes } from '../encryption/sealing.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import { checksumTypeOf } from '../payload/combined-checksums.js';
import type { S3Response } from '../response.js';
import { versionIdOf } from '../versions/version-ids.js';
import { listVersions, type VersionEntry, type VersionMarker } from '../versions/version-listing.js';
import { element, textElement } from '../xml/render.js';
import type { BucketContext } from './context.js';
import { toVersionId } from './find-version.js';
import { toListBounds } from './list-bounds.js';
import { nameWriter, ownerWriter, readListWish, type ListWish, type OwnerElement } from './list-wish.js';
import { xmlAnswer } from './xml-answer.js';

function readMarker(query: ReadonlyMap<string, string>): VersionMarker {
  const key = query.get('key-marker') ?? '';
  const versionId = query.get('version-id-marker') ?? '';
  if (versionId === '') return { key, versionId: null };
  if (key === '') {
    throw new S3Error('InvalidArgument', {
      message: 'A version-id marker cannot be specified without a key marker.',
      details: { ArgumentName: 'version-id-marker', ArgumentValue: versionId.slice(0, 64) },
    });
  }
  return { key, versionId: toVersionId(versionId) };
}

async function fetchPage(
  { services, bucket }: BucketContext,
  wish: ListWish,
  marker: VersionMarker,
): Promise<{ entries: readonly VersionEntry[]; isTruncated: boolean }> {
  const entries: VersionEntry[] = [];
  const bounds = toListBounds({ prefix: wish.prefix, after: marker.key, delimiter: wish.delimiter });
  if (bounds === null || wish.limit === 0) return { entries, isTruncated: false };
  const request = {
    prefix: bounds.prefix,
    delimiter: bounds.delimiter,
    marker: { key: bounds.after, versionId: marker.versionId },
    pageEntries: Math.min(wish.limit + 1, LIST_LIMIT_MAX),
  };
  const { storage, versions } = services;
  for await (const entry of listVersions({ storage, versions, bucket }, request)) {
    if (entries.length === wish.limit) return { entries, isTruncated: true };
    entries.push(entry);
  }
  return { entries, isTruncated: false };
}

function versionElement(
  entry: VersionEntry & { kind: 'version' },
  wish: ListWish,
  writeOwner: OwnerElement,
): string {
  const { head, attributes, isCurrent } = entry.version;
  const { etag, modifiedMs, checksum, isDeleteMarker, access } = attributes;
  const name = [
    nameWriter(wish)('Key', entry.key),
    textElement('VersionId', versionIdOf(attributes)),
    textElement('IsLatest', isCurrent),
    textElement('LastModified', toIsoDate(modifiedMs)),
  ];
  if (isDeleteMarker) return element('DeleteMarker', ...name, writeOwner(access));
  return element(
    'Version',
    ...name,
    textElement('ETag', quoteEtag(etag)),
    checksum === null
      ? ''
      : textElement('ChecksumAlgorithm', checksum.algorithm) +
          textElement('ChecksumType', checksumTypeOf(checksum)),
    textElement('Size', contentBytes(head.sizeBytes, attributes)),
    writeOwner(access),
    textElement('StorageClass', 'STANDARD'),
  );
}

function entryElement(entry: VersionEntry, wish: ListWish, writeOwner: OwnerElement): string {
  if (entry.kind === 'version') return versionElement(entry, wish, writeOwner);
  return element('CommonPrefixes', nameWriter(wish)('Prefix', entry.prefix));
}

/** Where the next page begins. */
function nextMarkers(last: VersionEntry | undefined, wish: ListWish): string {
  if (last === undefined) return '';
  const writeName = nameWriter(wish);
  if (last.kind === 'common-prefix') return writeName('NextKeyMarker', last.prefix);
  return (
    writeName('NextKeyMarker', last.key) +
    textElement('NextVersionIdMarker', versionIdOf(last.version.attributes))
  );
}

export async function listObjectVersions(context: BucketContext): Promise<S3Response> {
  const { query } = context.request;
  const wish = readListWish(query);
  const marker = readMarker(query);
  const { entries, isTruncated } = await fetchPage(context, wish, marker);
  const writeName = nameWriter(wish);
  const writeOwner = ownerWriter(context);
  return xmlAnswer(
    'ListVersionsResult',
    textElement('Name', context.bucket.name),
    writeName('Prefix', wish.prefix),
    writeName('KeyMarker', marker.key),
    textElement('VersionIdMarker', marker.versionId ?? ''),
    isTruncated ? nextMarkers(entries.at(-1), wish) : '',
    textElement('MaxKeys', wish.limit),
    wish.delimiter === '' ? '' : writeName('Delimiter', wish.delimiter),
    wish.encodes ? textElement('EncodingType', 'url') : '',
    textElement('IsTruncated', isTruncated),
    ...entries.map((entry) => entryElement(entry, wish, writeOwner)),
  );
}
