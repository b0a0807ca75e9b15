/**
 * Receives the payload of a request: takes off its coding, computes what must be computed, and compares everything that
 * was promised with what came. When `receivePayload` resolves the payload is whole and right; only then may it be
 * committed.
 */
import { sharedUse } from '../../protocol/shared-use.js';
import { type Soon, whenKnown } from '../../protocol/soon.js';
import type { PayloadMode } from '../auth/authenticate.js';
import type { RequestBody } from '../body.js';
import { S3Error } from '../errors.js';
import type { S3Limits } from '../limits.js';
import { AwsChunkedDecoder } from './aws-chunked.js';
import { CHECKSUMS, isBase64Of, type Checksum, type ChecksumValue } from './checksums.js';
import type { PayloadExpectations } from './expectations.js';
import { RunningHash } from './running-hash.js';

interface Payload {
  readonly mode: PayloadMode;
  readonly body: Pick<RequestBody, 'read'>;
  readonly expectations: PayloadExpectations;
  /** Called with pieces of the body of which nobody needs the memory any more: all of a long one but the first. Default: those are left to the collector. */
  readonly freeBytes?: ((piece: Buffer) => void) | undefined;
}

export interface ReceivedPayload {
  readonly sizeBytes: number;
  readonly md5: Buffer;
  /** The checksum that the client stated, computed here and compared, or that was to be computed. */
  readonly checksum: ChecksumValue | null;
}

/** Takes a piece of the payload; resolves when the next may come, undefined: at once. Calls `onTaken`, or not, when the piece is not needed any more. */
type PayloadConsumer = (piece: Buffer, onTaken?: () => void) => Promise<void> | undefined;

function openDecoder(mode: PayloadMode, sizeBytes: number | null): AwsChunkedDecoder | null {
  const decodedBytes = sizeBytes ?? 0;
  if (mode.kind === 'signed-chunks') {
    return new AwsChunkedDecoder({ signer: mode.signer, hasTrailer: mode.hasTrailer, decodedBytes });
  }
  return mode.kind === 'unsigned-chunks'
    ? new AwsChunkedDecoder({ signer: null, hasTrailer: true, decodedBytes })
    : null;
}

/** The digests of one payload while it comes in. */
class Digests {
  readonly md5 = new RunningHash('md5');
  readonly sha256: RunningHash | null;
  readonly checksum: Checksum | null;
  sizeBytes = 0;

  constructor(mode: PayloadMode, checksum: Checksum | null) {
    this.sha256 = mode.kind === 'sha256' ? new RunningHash('sha256') : null;
    this.checksum = checksum;
  }

  update(piece: Buffer): void {
    this.sizeBytes += piece.length;
    this.md5.update(piece);
    this.sha256?.update(piece);
    this.checksum?.update(piece);
  }
}

function checkSha256(mode: PayloadMode, sha256: RunningHash | null): void {
  if (mode.kind !== 'sha256' || sha256 === null) return;
  const computed = sha256.digest().toString('hex');
  if (computed === mode.hex) return;
  throw new S3Error('XAmzContentSHA256Mismatch', {
    details: { ClientComputedContentSHA256: mode.hex, S3ComputedContentSHA256: computed },
  });
}

function checkMd5(expected: string | null, md5: Buffer): void {
  const computed = md5.toString('base64');
  if (expected === null || expected === computed) return;
  throw new S3Error('BadDigest', {
    message: 'The Content-MD5 you specified did not match what we received.',
    details: { ExpectedDigest: expected, CalculatedDigest: computed },
  });
}

function checkChecksum(
  expectations: PayloadExpectations,
  computed: Checksum | null,
  trailers: ReadonlyMap<string, string> | null,
): ChecksumValue | null {
  const { checksum } = expectations;
  if (checksum === null || computed === null) {
    if (trailers !== null && trailers.size > 0) throw new S3Error('MalformedTrailerError');
    const { computes } = expectations;
    return computed === null || computes === undefined
      ? null
      : { algorithm: computes, base64: computed.digestBase64() };
  }
  const { header, digestBytes } = CHECKSUMS[checksum.algorithm];
  const expected = checksum.base64 ?? trailers?.get(header) ?? null;
  const strangers = (trailers?.size ?? 0) - (checksum.base64 === null ? 1 : 0);
  if (expected === null || strangers !== 0) throw new S3Error('MalformedTrailerError');
  if (!isBase64Of(expected, digestBytes)) {
    throw new S3Error('InvalidRequest', { message: `Value for ${header} trailing header is invalid.` });
  }
  const base64 = computed.digestBase64();
  if (expected !== base64) {
    throw new S3Error('BadDigest', {
      message: `The ${checksum.algorithm} you specified did not match the calculated checksum.`,
    });
  }
  return { algorithm: checksum.algorithm, base64 };
}

/** `take` is for what comes out as one piece. */
function decoding(
  decoder: AwsChunkedDecoder,
  digests: Digests,
  take: PayloadConsumer,
  accept: PayloadConsumer,
): PayloadConsumer {
  return (piece, onTaken) => {
    const decoded = decoder.push(piece);
    const [only, second] = decoded;
    if (only === undefined) return undefined;
    if (second === undefined) return take(only, onTaken);
    for (const part of decoded) digests.update(part);
    return acceptAll(decoded, accept, onTaken && sharedUse(decoded.length, onTaken));
  };
}

async function acceptAll(
  pieces: readonly Buffer[],
  accept: PayloadConsumer,
  onTaken?: () => void,
): Promise<void> {
  for (const piece of pieces) await accept(piece, onTaken);
}

/** Small bodies are one piece, which stays in memory. Of others the first one is what digests may still hold (running-hash.ts). */
function freeing(
  freeBytes: (piece: Buffer) => void,
  digests: Digests,
  take: PayloadConsumer,
): PayloadConsumer {
  return (piece) => {
    if (digests.sizeBytes === 0) return take(piece);
    return take(piece, () => {
      freeBytes(piece);
    });
  };
}

/**
 * Throws S3Error: IncompleteBody, EntityTooLarge, SignatureDoesNotMatch, InvalidChunkSizeError, MalformedTrailerError,
 * XAmzContentSHA256Mismatch, BadDigest, InvalidRequest, RequestTimeout; ClientGoneError; and what `accept` throws.
 */
export function receivePayload(
  payload: Payload,
  limits: S3Limits,
  accept: PayloadConsumer,
): Soon<ReceivedPayload> {
  const { checksum, computes } = payload.expectations;
  const algorithm = checksum?.algorithm ?? computes;
  return whenKnown(algorithm === undefined ? null : CHECKSUMS[algorithm].open(), (open) =>
    receiveWith(open, payload, limits, accept),
  );
}

/** `checksum` is the one to compute; null: none. */
function receiveWith(
  checksum: Checksum | null,
  { mode, body, expectations, freeBytes }: Payload,
  limits: S3Limits,
  accept: PayloadConsumer,
): Soon<ReceivedPayload> {
  const digests = new Digests(mode, checksum);
  const decoder = openDecoder(mode, expectations.sizeBytes);
  const take = (piece: Buffer, onTaken?: () => void): Promise<void> | undefined => {
    digests.update(piece);
    if (digests.sizeBytes > limits.singlePutBytesMax) {
      throw new S3Error('EntityTooLarge', { details: { MaxSizeAllowed: String(limits.singlePutBytesMax) } });
    }
    return piece.length === 0 ? undefined : accept(piece, onTaken);
  };
  const takeCoded = decoder === null ? take : decoding(decoder, digests, take, accept);
  const taking =
    mode.kind === 'buffered'
      ? take(mode.bytes)
      : body.read(freeBytes === undefined ? takeCoded : freeing(freeBytes, digests, takeCoded));
  return whenKnown<unknown, ReceivedPayload>(taking, () => {
    decoder?.finish();
    checkSha256(mode, digests.sha256);
    const md5 = digests.md5.digest();
    checkMd5(expectations.contentMd5, md5);
    const value = checkChecksum(expectations, checksum, decoder?.trailers ?? null);
    return { sizeBytes: digests.sizeBytes, md5, checksum: value };
  });
}
