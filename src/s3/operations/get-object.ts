/** GetObject and HeadObject, with ranges and conditions (S3 API reference "GetObject", "HeadObject"). */
import { ObjectStorageError, type ObjectRead, type ReadRange } from '../../gateway/object-storage.js';
import { decodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import { evaluateRead, readConditions, type Conditions } from '../conditions.js';
import { etagMatches, parseEtagCondition } from '../etags.js';
import { parseHttpDate } from '../http-date.js';
import { READ_ATTEMPTS_MAX, RESPONSE_BUFFER_BYTES_MAX } from '../limits.js';
import { contentRange, parseRange, resolveRange, unsatisfiable, WHOLE } from '../ranges.js';
import { NO_BODY, type HeaderList, type ResponseBody, type S3Response } from '../response.js';
import type { StoredVersion } from '../versions/versioned-objects.js';
import { objectId, type ObjectContext } from './context.js';
import { expirationHeaders } from './expiration-header.js';
import {
  deleteMarkerError,
  noSuchObject,
  requireVersion,
  versionNameHeaders,
  wantedVersion,
} from './find-version.js';
import { annotationHeaders, checksumHeaders, objectHeaders, validatorHeaders } from './object-headers.js';
import { checksumOfPart, partRange, partsCountHeaders, readWantedPart } from './part-range.js';

function notModified(attributes: ObjectAttributes): S3Response {
  const headers = validatorHeaders(attributes);
  const cacheControl = attributes.headers['cache-control'];
  if (cacheControl !== undefined) headers.push('Cache-Control', cacheControl);
  if (attributes.headers.expires !== undefined) headers.push('Expires', attributes.headers.expires);
  return { status: 304, headers, body: NO_BODY };
}

/** RFC 9110 section 13.1.5: a range of something else than what the client has is no use to it. */
function rangeApplies(ifRange: string, attributes: ObjectAttributes): boolean {
  const dateMs = parseHttpDate(ifRange);
  if (dateMs === null || ifRange.startsWith('"'))
    return etagMatches(parseEtagCondition(ifRange), attributes.etag);
  return Math.floor(attributes.modifiedMs / 1000) === Math.floor(dateMs / 1000);
}

interface Wish {
  readonly rangeHeader: string | undefined;
  readonly range: ReadRange;
  readonly ifRange: string | undefined;
  readonly conditions: Conditions | null;
  /** Null: not by part number. */
  readonly partNumber: number | null;
}

function readWish(context: ObjectContext): Wish {
  const rangeHeader = context.request.headers.get('range');
  return {
    rangeHeader,
    range: parseRange(rangeHeader),
    ifRange: rangeHeader === undefined ? undefined : context.request.headers.get('if-range'),
    conditions: readConditions(context.request),
    partNumber: readWantedPart(context.request),
  };
}

function chooseRange(wish: Wish, attributes: ObjectAttributes): ReadRange {
  if (wish.partNumber !== null) return partRange(attributes, wish.partNumber);
  return wish.ifRange === undefined || rangeApplies(wish.ifRange, attributes) ? wish.range : WHOLE;
}

/** Headers of the found object; `range` is what of it goes out. */
async function describe(
  context: ObjectContext,
  object: { readonly sizeBytes: number; readonly attributes: ObjectAttributes },
  range: ReadRange,
): Promise<HeaderList> {
  const { attributes } = object;
  const headers = [
    ...objectHeaders(attributes, context.request.query),
    ...versionNameHeaders(context.bucket, attributes),
    ...annotationHeaders(attributes),
    ...(wantedVersion(context) === null ? await expirationHeaders(context, object) : []),
  ];
  const wantsChecksum = context.request.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  const partNumber = readWantedPart(context.request);
  if (partNumber !== null) headers.push(...partsCountHeaders(attributes));
  if (wantsChecksum && partNumber !== null) {
    headers.push(...checksumHeaders(checksumOfPart(attributes, partNumber), attributes.checksum));
  } else if (wantsChecksum && range.kind === 'whole') {
    headers.push(...checksumHeaders(attributes.checksum));
  }
  return headers;
}

async function collect(pieces: AsyncIterable<Buffer>, lengthBytes: number): Promise<ResponseBody> {
  const collected: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of pieces) {
    collected.push(piece);
    sizeBytes += piece.length;
  }
  if (sizeBytes !== lengthBytes)
    throw new ObjectStorageError('damaged', 'a read yielded fewer bytes than its extent has');
  const [only] = collected;
  return {
    kind: 'bytes',
    bytes: collected.length === 1 && only !== undefined ? only : Buffer.concat(collected),
  };
}

async function bodyOf({ bytes, body }: ObjectRead, lengthBytes: number): Promise<ResponseBody> {
  if (bytes !== null) return { kind: 'bytes', bytes };
  if (lengthBytes <= RESPONSE_BUFFER_BYTES_MAX) return collect(body, lengthBytes);
  return { kind: 'stream', lengthBytes, pieces: body };
}

/** The headers of an answer that carries `read`. Throws what S3 says instead of such an answer. */
async function headersOfRead(
  context: ObjectContext,
  read: ObjectRead,
  range: ReadRange,
): Promise<HeaderList> {
  const { head, extent } = read;
  const attributes = decodeObjectAttributes(head.attributes);
  if (attributes.isDeleteMarker) throw deleteMarkerError(context, attributes, wantedVersion(context));
  if (extent === null) throw unsatisfiable(context.request.headers.get('range'), head.sizeBytes);
  const headers = await describe(context, { sizeBytes: head.sizeBytes, attributes }, range);
  if (range.kind !== 'whole') headers.push('Content-Range', contentRange(extent, head.sizeBytes));
  return headers;
}

async function answerRead(context: ObjectContext, read: ObjectRead, range: ReadRange): Promise<S3Response> {
  const { extent, body } = read;
  let headers: HeaderList;
  try {
    headers = await headersOfRead(context, read, range);
  } catch (error) {
    if (read.bytes === null) await body[Symbol.asyncIterator]().return?.();
    throw error;
  }
  const lengthBytes = extent?.length ?? 0;
  return {
    status: range.kind === 'whole' ? 200 : 206,
    headers,
    body: await bodyOf(read, lengthBytes),
  };
}

/** Null when the object moved on between the look at its head and the read. */
async function readConditionally(context: ObjectContext, wish: Wish): Promise<S3Response | null> {
  const { storage } = context.services;
  const { head, attributes } = await requireVersion(context);
  if (wish.conditions !== null && evaluateRead(wish.conditions, attributes) === 'not-modified') {
    return notModified(attributes);
  }
  const range = chooseRange(wish, attributes);
  try {
    const read = await storage.read(head.id, range, head.lastTag);
    return read === null ? null : await answerRead(context, read, range);
  } catch (error) {
    if (error instanceof ObjectStorageError && error.kind === 'changed') return null;
    throw error;
  }
}

export async function getObject(context: ObjectContext): Promise<S3Response> {
  const wish = readWish(context);
  const isPlain = wish.conditions === null && wish.ifRange === undefined && wish.partNumber === null;
  if (isPlain && wantedVersion(context) === null) {
    const read = await context.services.storage.read(objectId(context), wish.range);
    if (read === null) throw noSuchObject(context.key, null);
    return answerRead(context, read, wish.range);
  }
  for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt += 1) {
    const answer = await readConditionally(context, wish);
    if (answer !== null) return answer;
  }
  throw new ObjectStorageError(
    'changed',
    `the object changed between head and read ${READ_ATTEMPTS_MAX} times`,
  );
}

async function answerHead(
  context: ObjectContext,
  { head, attributes }: StoredVersion,
  wish: Wish,
): Promise<S3Response> {
  if (wish.conditions !== null && evaluateRead(wish.conditions, attributes) === 'not-modified') {
    return notModified(attributes);
  }
  const range = chooseRange(wish, attributes);
  const extent = resolveRange(range, head.sizeBytes);
  if (extent === null) throw unsatisfiable(wish.rangeHeader, head.sizeBytes);
  const headers = await describe(context, { sizeBytes: head.sizeBytes, attributes }, range);
  const isPart = range.kind !== 'whole';
  if (isPart) headers.push('Content-Range', contentRange(extent, head.sizeBytes));
  return { status: isPart ? 206 : 200, headers, body: { kind: 'length-only', lengthBytes: extent.length } };
}

export async function headObject(context: ObjectContext): Promise<S3Response> {
  const wish = readWish(context);
  return answerHead(context, await requireVersion(context), wish);
}
