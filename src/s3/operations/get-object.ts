/** GetObject and HeadObject, with ranges and conditions (S3 API reference "GetObject", "HeadObject"). */
import {
  type ObjectBody,
  ObjectStorageError,
  type ObjectRead,
  type ReadRange,
} from '../../gateway/object-storage.js';
import type { Extent } from '../../protocol/extent.js';
import { type Soon, whenKnown } from '../../protocol/soon.js';
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
import { NO_BODY, NO_HEADERS, type HeaderList, type ResponseBody, type S3Response } from '../response.js';
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
function describe(
  context: ObjectContext,
  object: { readonly sizeBytes: number; readonly attributes: ObjectAttributes },
  range: ReadRange,
): Soon<HeaderList> {
  const { attributes } = object;
  const headers = objectHeaders(attributes, context.request.query);
  headers.push(...versionNameHeaders(context.bucket, attributes), ...annotationHeaders(attributes));
  const isCurrent = wantedVersion(context) === null;
  return whenKnown(isCurrent ? expirationHeaders(context, object) : NO_HEADERS, (expiration) => {
    headers.push(...expiration, ...checksumOf(context, attributes, range));
    return headers;
  });
}

/** The checksum of what goes out, where it is asked for and known, and of how many parts the object is, where one is asked for. */
function checksumOf(context: ObjectContext, attributes: ObjectAttributes, range: ReadRange): HeaderList {
  const wantsChecksum = context.request.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  const partNumber = readWantedPart(context.request);
  if (partNumber === null) {
    return wantsChecksum && range.kind === 'whole' ? checksumHeaders(attributes.checksum) : [];
  }
  const counted = partsCountHeaders(attributes);
  if (!wantsChecksum) return counted;
  return counted.concat(checksumHeaders(checksumOfPart(attributes, partNumber), attributes.checksum));
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

function bodyOf(
  { bytes, body }: Pick<ObjectRead, 'bytes' | 'body'>,
  lengthBytes: number,
): Soon<ResponseBody> {
  if (bytes !== null) return { kind: 'bytes', bytes };
  if (lengthBytes <= RESPONSE_BUFFER_BYTES_MAX) return collect(body, lengthBytes);
  return { kind: 'stream', lengthBytes, pieces: body };
}

/** The headers of an answer that carries `read`. Throws what S3 says instead of such an answer. */
function headersOfRead(
  context: ObjectContext,
  { head, extent }: ObjectRead,
  attributes: ObjectAttributes,
  range: ReadRange,
): Soon<HeaderList> {
  if (attributes.isDeleteMarker) throw deleteMarkerError(context, attributes, wantedVersion(context));
  const sizeBytes = contentBytes(head.sizeBytes, attributes);
  if (extent === null) throw unsatisfiable(context.request.headers.get('range'), sizeBytes);
  return whenKnown(describe(context, { sizeBytes, attributes }, range), (headers) => {
    if (range.kind !== 'whole') headers.push('Content-Range', contentRange(extent, sizeBytes));
    return headers;
  });
}

/** What is known of an answer before its body is touched. */
interface Described {
  readonly headers: HeaderList;
  /** Null: it is not encrypted. */
  readonly seal: Seal | null;
}

/** Null: a range of what is encrypted; other stored bytes are to be read for that. */
function describeRead(
  context: ObjectContext,
  read: ObjectRead,
  attributes: ObjectAttributes,
  range: ReadRange,
): Soon<Described | null> {
  const isSealed = attributes.sealing !== null;
  if (isSealed && range.kind !== 'whole') return null;
  const seal = isSealed ? openSeal(attributes, null, context.services.encryption) : null;
  return whenKnown(headersOfRead(context, read, attributes, range), (headers) => {
    if (seal !== null) headers.push(...encryptionHeaders(attributes, null));
    return { headers, seal };
  });
}

/** Lets go of the body of a read that is not answered with. */
async function describeOrLetGo(
  body: ObjectBody,
  describing: () => Soon<Described | null>,
): Promise<Described | null> {
  let described: Described | null = null;
  try {
    described = await describing();
    return described;
  } finally {
    if (described === null) await body[Symbol.asyncIterator]().return?.();
  }
}

/** Null: as of `describeRead`. */
function answerRead(context: ObjectContext, read: ObjectRead, range: ReadRange): Soon<S3Response | null> {
  const { head, extent, bytes, body } = read;
  const attributes = decodeObjectAttributes(head.attributes);
  const describing = (): Soon<Described | null> => describeRead(context, read, attributes, range);
  return whenKnown(bytes === null ? describeOrLetGo(body, describing) : describing(), (described) => {
    if (described === null) return null;
    const { headers, seal } = described;
    if (seal === null) return answerBytes({ headers, range, lengthBytes: extent?.length ?? 0 }, read);
    const lengthBytes = contentBytes(head.sizeBytes, attributes);
    return answerBytes({ headers, range, lengthBytes }, { bytes: null, body: openWhole(body, head, seal) });
  });
}

function answerBytes(
  answer: { readonly headers: HeaderList; readonly range: ReadRange; readonly lengthBytes: number },
  read: Pick<ObjectRead, 'bytes' | 'body'>,
): Soon<S3Response> {
  const { headers, range, lengthBytes } = answer;
  const status = range.kind === 'whole' ? 200 : 206;
  return whenKnown(bodyOf(read, lengthBytes), (body) => ({ status, headers, body }));
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
    const answering = answerRead(context, read, wish.range);
    const answer = answering instanceof Promise ? await answering : answering;
    if (answer !== null) return answer;
  }
  return getOtherwise(context, wish);
}

async function getOtherwise(context: ObjectContext, wish: Wish): Promise<S3Response> {
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
