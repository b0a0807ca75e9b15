/**
 * Decodes `Content-Encoding: aws-chunked` bodies, as the bytes come and without copying them.
 *
 *   signed:    <size hex>;chunk-signature=<64 hex> CRLF  <data>  CRLF   ...   0;chunk-signature=<64 hex> CRLF
 *   unsigned:  <size hex> CRLF                           <data>  CRLF   ...   0 CRLF
 *   then       [<name>:<value> CRLF]...  [x-amz-trailer-signature:<64 hex> CRLF]  CRLF
 *
 * Guarantees: `push` returns exactly the payload bytes, in order, whatever pieces the input comes in; a body that was cut,
 * changed, prolonged or reordered is refused, at the latest by `finish` (in the signed forms; the unsigned form leaves
 * changed data to the checksum in its trailer). Data is handed out before its chunk's signature is checked: nothing of
 * it may be committed before `finish` returned.
 *
 * minio-go ends a trailer line with LF CRLF; that is accepted.
 */
import { createHash, type Hash } from 'node:crypto';
import type { ChunkSigner } from '../auth/chunk-signer.js';
import { EMPTY_SHA256 } from '../auth/sigv4.js';
import { S3Error } from '../errors.js';

/** A size line or a trailer line. */
const LINE_BYTES_MAX = 4096;
const TRAILERS_MAX = 16;
const SIZE = /^[0-9a-fA-F]{1,16}$/;
const SIGNATURE = /^[0-9a-f]{64}$/;
const SIGNATURE_EXTENSION = 'chunk-signature=';
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';
const CR = 0x0d;
const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

interface AwsChunkedOptions {
  /** Null: chunks are not signed. */
  readonly signer: ChunkSigner | null;
  readonly hasTrailer: boolean;
  /** From x-amz-decoded-content-length. */
  readonly decodedBytes: number;
}

type State = 'size-line' | 'data' | 'data-end' | 'trailer' | 'done';

function incomplete(problem: string): S3Error {
  return new S3Error('IncompleteBody', { message: `The request body is not complete: ${problem}` });
}

function badSize(problem: string): S3Error {
  return new S3Error('InvalidChunkSizeError', { message: `A chunk header is not valid: ${problem}` });
}

export class AwsChunkedDecoder {
  readonly #options: AwsChunkedOptions;
  readonly #trailers = new Map<string, string>();
  #state: State = 'size-line';
  /** The beginning of a line whose end has not come yet. */
  #line: Buffer = NOTHING;
  #chunkLeftBytes = 0;
  #chunkSignature = '';
  #chunkHash: Hash | null = null;
  #decodedBytes = 0;
  #signedTrailerText = '';
  #trailerIsSigned = false;
  #hasBareLineFeed = false;

  constructor(options: AwsChunkedOptions) {
    this.#options = options;
  }

  /** The trailers by lower-case name; whole once `finish` returned. */
  get trailers(): ReadonlyMap<string, string> {
    return this.#trailers;
  }

  /** Returns the payload in this piece of the body, as views of it, and remembers nothing of its memory. Throws S3Error. */
  push(piece: Buffer): Buffer[] {
    const decoded: Buffer[] = [];
    let offset = 0;
    while (offset < piece.length) {
      if (this.#state === 'data') {
        const data = piece.subarray(offset, offset + this.#chunkLeftBytes);
        offset += data.length;
        this.#takeData(data);
        decoded.push(data);
        continue;
      }
      if (this.#state === 'done') throw incomplete('there is something after its end');
      const end = piece.indexOf(LF, offset);
      const rest = piece.subarray(offset, end < 0 ? piece.length : end);
      if (this.#line.length + rest.length > LINE_BYTES_MAX) throw badSize('a line is too long');
      const line = this.#line.length === 0 ? rest : Buffer.concat([this.#line, rest]);
      if (end < 0) {
        // The memory of the piece is its owner's again.
        this.#line = Buffer.from(line);
        break;
      }
      this.#line = NOTHING;
      offset = end + 1;
      this.#takeLine(line);
    }
    return decoded;
  }

  /** The body is over. Throws S3Error when it is not complete. */
  finish(): void {
    if (this.#state !== 'done') throw incomplete('it ends before its last chunk does');
    if (this.#decodedBytes !== this.#options.decodedBytes) {
      throw incomplete(
        `it has ${this.#decodedBytes} bytes, x-amz-decoded-content-length says ${this.#options.decodedBytes}`,
      );
    }
  }

  #takeData(data: Buffer): void {
    this.#chunkHash?.update(data);
    this.#chunkLeftBytes -= data.length;
    if (this.#chunkLeftBytes > 0) return;
    this.#checkChunk(this.#chunkHash?.digest('hex') ?? EMPTY_SHA256);
    this.#state = 'data-end';
  }

  #checkChunk(sha256Hex: string): void {
    const { signer } = this.#options;
    if (signer !== null && !signer.acceptChunk(this.#chunkSignature, sha256Hex)) {
      throw new S3Error('SignatureDoesNotMatch', {
        message: 'The signature of a chunk of the request body does not match.',
      });
    }
  }

  /** `line` is without its LF. */
  #takeLine(line: Buffer): void {
    const hasCr = line.length > 0 && line[line.length - 1] === CR;
    const text = line.toString('latin1', 0, hasCr ? line.length - 1 : line.length);
    if (this.#state === 'trailer') {
      this.#takeTrailerLine(text, hasCr);
      return;
    }
    if (!hasCr) throw badSize('its line does not end with CR LF');
    if (this.#state === 'size-line') {
      this.#takeSizeLine(text);
      return;
    }
    if (text !== '') throw badSize('the data is longer than the size says');
    this.#state = 'size-line';
  }

  #takeSizeLine(text: string): void {
    const semicolon = text.indexOf(';');
    const sizeText = semicolon < 0 ? text : text.slice(0, semicolon);
    const extension = semicolon < 0 ? null : text.slice(semicolon + 1);
    if (!SIZE.test(sizeText)) throw badSize('the size is not a hexadecimal number');
    const sizeBytes = Number.parseInt(sizeText, 16);
    this.#chunkSignature = this.#readSignature(extension);
    if (this.#decodedBytes + sizeBytes > this.#options.decodedBytes) {
      throw incomplete('the chunks are longer than x-amz-decoded-content-length says');
    }
    this.#decodedBytes += sizeBytes;
    this.#chunkLeftBytes = sizeBytes;
    if (sizeBytes > 0) {
      this.#chunkHash = this.#options.signer === null ? null : createHash('sha256');
      this.#state = 'data';
      return;
    }
    this.#checkChunk(EMPTY_SHA256);
    this.#state = 'trailer';
  }

  #readSignature(extension: string | null): string {
    if (this.#options.signer === null) {
      if (extension !== null) throw badSize('unsigned chunks have no extension');
      return '';
    }
    const signature = extension?.startsWith(SIGNATURE_EXTENSION)
      ? extension.slice(SIGNATURE_EXTENSION.length)
      : '';
    if (!SIGNATURE.test(signature)) {
      throw new S3Error('SignatureDoesNotMatch', {
        message: 'A chunk of the request body has no signature of 64 hex digits.',
      });
    }
    return signature;
  }

  #takeTrailerLine(text: string, hasCr: boolean): void {
    if (text !== '') {
      this.#takeTrailer(text);
      this.#hasBareLineFeed = !hasCr;
      return;
    }
    if (!hasCr) throw new S3Error('MalformedTrailerError');
    if (this.#hasBareLineFeed) {
      this.#hasBareLineFeed = false;
      return;
    }
    const mustBeSigned = this.#options.hasTrailer && this.#options.signer !== null;
    if (mustBeSigned && !this.#trailerIsSigned) {
      throw new S3Error('SignatureDoesNotMatch', {
        message: 'The trailer of the request body is not signed.',
      });
    }
    this.#state = 'done';
  }

  #takeTrailer(text: string): void {
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = text.slice(colon + 1).trim();
    const isTooMany = this.#trailers.size >= TRAILERS_MAX;
    if (
      !this.#options.hasTrailer ||
      name === '' ||
      isTooMany ||
      this.#trailers.has(name) ||
      this.#trailerIsSigned
    ) {
      throw new S3Error('MalformedTrailerError');
    }
    if (name !== TRAILER_SIGNATURE) {
      this.#trailers.set(name, value);
      this.#signedTrailerText += `${name}:${value}\n`;
      return;
    }
    const { signer } = this.#options;
    if (signer === null) throw new S3Error('MalformedTrailerError');
    const hash = createHash('sha256').update(this.#signedTrailerText, 'latin1').digest('hex');
    if (!SIGNATURE.test(value) || !signer.acceptTrailer(value, hash)) {
      throw new S3Error('SignatureDoesNotMatch', {
        message: 'The signature of the trailer of the request body does not match.',
      });
    }
    this.#trailerIsSigned = true;
  }
}
