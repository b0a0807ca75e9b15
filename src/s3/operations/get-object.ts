/** GetObject and HeadObject, with ranges and conditions (S3 API reference "GetObject", "HeadObject"). */
import { ObjectStorageError, type ObjectRead, type ReadRange } from '../../gateway/object-storage.js';
import type { Extent } from '../../protocol/extent.js';
import { decodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import { evaluateRead, readConditions, type Conditions } from '../conditions.js';
import { readCustomerKey, type CustomerKey } from '../encryption/customer-key.js';
import { WRITE_ONLY_HEADERS } from '../encryption/encryption-wish.js';
import { contentBytes } from '../encryption/sealing.js';
import { encryptionHeaders, openSeal, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
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
import { openWhole, readContent } from './read-content.js';
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
  /** Null: the request brings none. */
  readonly customerKey: CustomerKey | null;
}

function readWish(context: ObjectContext): Wish {
  const writeOnly = WRITE_ONLY_HEADERS.find((name) => context.request.headers.has(name));
  if (writeOnly !== undefined) {
    throw new S3Error('InvalidArgument', {
      message: `${writeOnly} header is not supported for this operation.`,
      details: { ArgumentName: writeOnly },
    });
  }
  const rangeHeader = context.request.headers.get('range');
  return {
    rangeHeader,
    range: parseRange(rangeHeader),
    ifRange: rangeHeader === undefined ? undefined : context.request.headers.get('if-range'),
    conditions: readConditions(context.request),
    partNumber: readWantedPart(context.request),
    customerKey: readCustomerKey(context.request, context.services.encryption.customerKeysOverHttp),
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
  const headers = objectHeaders(attributes, context.request.query);
  headers.push(...versionNameHeaders(context.bucket, attributes), ...annotationHeaders(attributes));
  if (wantedVersion(context) === null) headers.push(...(await expirationHeaders(context, object)));
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

async function bodyOf(
  { bytes, body }: Pick<ObjectRead, 'bytes' | 'body'>,
  lengthBytes: number,
): Promise<ResponseBody> {
  if (bytes !== null) return { kind: 'bytes', bytes };
  if (lengthBytes <= RESPONSE_BUFFER_BYTES_MAX) return collect(body, lengthBytes);
  return { kind: 'stream', lengthBytes, pieces: body };
}

/** The headers of an answer that carries `read`. Throws what S3 says instead of such an answer. */
async function headersOfRead(
  context: ObjectContext,
  { head, extent }: ObjectRead,
  attributes: ObjectAttributes,
  range: ReadRange,
): Promise<HeaderList> {
  if (attributes.isDeleteMarker) throw deleteMarkerError(context, attributes, wantedVersion(context));
  const sizeBytes = contentBytes(head.sizeBytes, attributes);
  if (extent === null) throw unsatisfiable(context.request.headers.get('range'), sizeBytes);
  const headers = await describe(context, { sizeBytes, attributes }, range);
  if (range.kind !== 'whole') headers.push('Content-Range', contentRange(extent, sizeBytes));
  return headers;
}

/** Null: a range of what is encrypted; other stored bytes are to be read for that. */
async function answerRead(
  context: ObjectContext,
  read: ObjectRead,
  range: ReadRange,
): Promise<S3Response | null> {
  const { head, extent, body } = read;
  const attributes = decodeObjectAttributes(head.attributes);
  const isSealed = attributes.sealing !== null;
  let headers: HeaderList | null = null;
  let seal: Seal | null = null;
  try {
    if (isSealed && range.kind !== 'whole') return null;
    if (isSealed) seal = openSeal(attributes, null, context.services.encryption);
    headers = await headersOfRead(context, read, attributes, range);
  } finally {
    if (headers === null && read.bytes === null) await body[Symbol.asyncIterator]().return?.();
  }
  if (seal === null) return answerBytes({ headers, range, lengthBytes: extent?.length ?? 0 }, read);
  headers.push(...encryptionHeaders(attributes, null));
  const lengthBytes = contentBytes(head.sizeBytes, attributes);
  return answerBytes({ headers, range, lengthBytes }, { bytes: null, body: openWhole(body, head, seal) });
}

async function answerBytes(
  answer: { readonly headers: HeaderList; readonly range: ReadRange; readonly lengthBytes: number },
  { bytes, body }: Pick<ObjectRead, 'bytes' | 'body'>,
): Promise<S3Response> {
  const { headers, range, lengthBytes } = answer;
  return {
    status: range.kind === 'whole' ? 200 : 206,
    headers,
    body: await bodyOf({ bytes, body }, lengthBytes),
  };
}

/** The headers of an answer with `range` of the object, whole or not, and what of its content that is. */
async function describeRange(
  context: ObjectContext,
  { head, attributes }: StoredVersion,
  wish: Wish,
): Promise<{ readonly headers: HeaderList; readonly range: ReadRange; readonly extent: Extent }> {
  const sizeBytes = contentBytes(head.sizeBytes, attributes);
  const range = chooseRange(wish, attributes);
  const extent = resolveRange(range, sizeBytes);
  if (extent === null) throw unsatisfiable(wish.rangeHeader, sizeBytes);
  const headers = await describe(context, { sizeBytes, attributes }, range);
  headers.push(...encryptionHeaders(attributes, wish.customerKey));
  if (range.kind !== 'whole') headers.push('Content-Range', contentRange(extent, sizeBytes));
  return { headers, range, extent };
}

async function answerSealed(
  context: ObjectContext,
  object: StoredVersion & { readonly seal: Seal },
  wish: Wish,
): Promise<S3Response> {
  const { headers, range, extent } = await describeRange(context, object, wish);
  const body = await readContent(context.services, object, extent);
  return answerBytes({ headers, range, lengthBytes: extent.length }, { bytes: null, body });
}

/** Null when the object moved on between the look at its head and the read. */
async function readConditionally(context: ObjectContext, wish: Wish): Promise<S3Response | null> {
  const { storage } = context.services;
  const found = await requireVersion(context);
  const { head, attributes } = found;
  const range = chooseRange(wish, attributes);
  const seal = openSeal(attributes, wish.customerKey, context.services.encryption);
  if (wish.conditions !== null && evaluateRead(wish.conditions, attributes) === 'not-modified') {
    return notModified(attributes);
  }
  try {
    if (seal !== null) return await answerSealed(context, { ...found, seal }, wish);
    const read = await storage.read(head.id, range, head.lastTag);
    return read === null ? null : await answerRead(context, read, range);
  } catch (error) {
    if (error instanceof ObjectStorageError && error.kind === 'changed') return null;
    throw error;
  }
}

export async function getObject(context: ObjectContext): Promise<S3Response> {
  const wish = readWish(context);
  const isPlain =
    wish.conditions === null &&
    wish.ifRange === undefined &&
    wish.partNumber === null &&
    wish.customerKey === null;
  if (isPlain && wantedVersion(context) === null) {
    const read = await context.services.storage.read(objectId(context), wish.range);
    if (read === null) throw noSuchObject(context.key, null);
    const answer = await answerRead(context, read, wish.range);
    if (answer !== null) return answer;
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

async function answerHead(context: ObjectContext, found: StoredVersion, wish: Wish): Promise<S3Response> {
  const { attributes } = found;
  chooseRange(wish, attributes);
  openSeal(attributes, wish.customerKey, context.services.encryption);
  if (wish.conditions !== null && evaluateRead(wish.conditions, attributes) === 'not-modified') {
    return notModified(attributes);
  }
  const { headers, range, extent } = await describeRange(context, found, wish);
  return {
    status: range.kind === 'whole' ? 200 : 206,
    headers,
    body: { kind: 'length-only', lengthBytes: extent.length },
  };
}

export async function headObject(context: ObjectContext): Promise<S3Response> {
  const wish = readWish(context);
  return answerHead(context, await requireVersion(context), wish);
}
