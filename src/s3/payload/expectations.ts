/** What the headers of a request promise about its body. Everything is checked here that can be before the body is read. */
import type { PayloadMode } from '../auth/authenticate.js';
import { S3Error } from '../errors.js';
import type { S3Limits } from '../limits.js';
import type { S3Request } from '../request.js';
import {
  CHECKSUM_ALGORITHMS,
  CHECKSUMS,
  checksumOfHeader,
  isBase64Of,
  toChecksumAlgorithm,
  type ChecksumAlgorithm,
} from './checksums.js';

const DECIMAL = /^\d{1,16}$/;

export interface PayloadExpectations {
  /** Of the payload, after aws-chunked is taken off; null when it is not known beforehand. */
  readonly sizeBytes: number | null;
  readonly contentMd5: string | null;
  /** The checksum to compute; `base64` is null when its value comes in the trailer. */
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly base64: string | null } | null;
  /** What to compute when the client states no checksum. */
  readonly computes?: ChecksumAlgorithm;
}

function isChunked(mode: PayloadMode): boolean {
  return mode.kind === 'signed-chunks' || mode.kind === 'unsigned-chunks';
}

function readSize(request: S3Request, mode: PayloadMode): number | null {
  if (isChunked(mode)) {
    const decoded = request.headers.get('x-amz-decoded-content-length');
    if (decoded === undefined) throw new S3Error('MissingContentLength');
    if (!DECIMAL.test(decoded)) {
      throw new S3Error('InvalidArgument', {
        details: { ArgumentName: 'x-amz-decoded-content-length', ArgumentValue: decoded },
      });
    }
    return Number(decoded);
  }
  if (!request.body.hasContentLength && !request.body.isChunked) throw new S3Error('MissingContentLength');
  return request.body.lengthBytes;
}

function readContentMd5(request: S3Request): string | null {
  const text = request.headers.get('content-md5');
  if (text === undefined) return null;
  if (!isBase64Of(text, 16))
    throw new S3Error('InvalidDigest', { details: { 'Content-MD5': text.slice(0, 128) } });
  return text;
}

function headerChecksum(request: S3Request): PayloadExpectations['checksum'] {
  const given = CHECKSUM_ALGORITHMS.filter((algorithm) => request.headers.has(CHECKSUMS[algorithm].header));
  const [algorithm, second] = given;
  if (algorithm === undefined) return null;
  if (second !== undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    });
  }
  const { header, digestBytes } = CHECKSUMS[algorithm];
  const base64 = request.headers.get(header) ?? '';
  if (!isBase64Of(base64, digestBytes)) {
    throw new S3Error('InvalidRequest', { message: `Value for ${header} header is invalid.` });
  }
  return { algorithm, base64 };
}

function trailerChecksum(request: S3Request, mode: PayloadMode): PayloadExpectations['checksum'] {
  const announced = request.headers.get('x-amz-trailer');
  const hasTrailer = mode.kind === 'unsigned-chunks' || (mode.kind === 'signed-chunks' && mode.hasTrailer);
  if (announced === undefined) return null;
  if (!hasTrailer)
    throw new S3Error('InvalidRequest', { message: 'x-amz-trailer needs a payload with a trailer.' });
  const algorithm = checksumOfHeader(announced.trim().toLowerCase());
  if (algorithm === null) {
    throw new S3Error('InvalidRequest', {
      message: 'The value specified in the x-amz-trailer header is not supported',
    });
  }
  return { algorithm, base64: null };
}

/**
 * The AWS SDK for JavaScript puts the checksum of no bytes into the URL that it presigns for a body it does not have. It is no word about
 * the body that comes; S3 passes over it. Any other checksum in a URL binds the sender.
 */
function isOfUnknownBody(
  request: S3Request,
  checksum: PayloadExpectations['checksum'],
  sizeBytes: number | null,
): boolean {
  if (checksum === null || sizeBytes === 0) return false;
  const { header, emptyBase64 } = CHECKSUMS[checksum.algorithm];
  return request.presignedHeaders.has(header) && checksum.base64 === emptyBase64;
}

function checkSdkAlgorithm(request: S3Request, checksum: PayloadExpectations['checksum']): void {
  const named = request.headers.get('x-amz-sdk-checksum-algorithm');
  if (named === undefined) return;
  if (checksum === null) {
    throw new S3Error('InvalidRequest', {
      message:
        'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    });
  }
  if (toChecksumAlgorithm(named) !== checksum.algorithm) {
    throw new S3Error('InvalidRequest', {
      message: 'Value for x-amz-sdk-checksum-algorithm header is invalid.',
    });
  }
}

/** Throws S3Error: MissingContentLength, EntityTooLarge, InvalidDigest, InvalidRequest, InvalidArgument. */
export function readExpectations(
  request: S3Request,
  mode: PayloadMode,
  limits: S3Limits,
): PayloadExpectations {
  const sizeBytes = mode.kind === 'buffered' ? mode.bytes.length : readSize(request, mode);
  if (sizeBytes !== null && sizeBytes > limits.singlePutBytesMax) {
    throw new S3Error('EntityTooLarge', {
      details: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(limits.singlePutBytesMax) },
    });
  }
  const inHeader = headerChecksum(request);
  const inTrailer = trailerChecksum(request, mode);
  if (inHeader !== null && inTrailer !== null) {
    throw new S3Error('InvalidRequest', {
      message: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    });
  }
  const checksum = inHeader ?? inTrailer;
  checkSdkAlgorithm(request, checksum);
  if (isOfUnknownBody(request, checksum, sizeBytes))
    return { sizeBytes, contentMd5: readContentMd5(request), checksum: null };
  return { sizeBytes, contentMd5: readContentMd5(request), checksum };
}
