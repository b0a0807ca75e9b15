/**
 * One answer of HTTP/1.1 (RFC 9112) as it comes from a socket, in pieces of any size. Nothing of a body is copied: what is told of are views.
 *
 *   status line CRLF, { name ":" value CRLF }, CRLF, body
 *   body: as many bytes as content-length says | { hex length CRLF, bytes, CRLF }, "0" CRLF, { trailer CRLF }, CRLF
 *
 * Leaves out what an OSD never sends: interim answers, bodies that end with their connection, extensions of chunks.
 */
import { MalformedMessage } from './malformed-message.js';

/** By name in lower case. */
export type AnswerFields = ReadonlyMap<string, string>;

export interface AnswerListener {
  readonly onHead: (status: number, headers: AnswerFields) => void;
  readonly onPiece: (piece: Buffer) => void;
  readonly onEnd: (trailers: AnswerFields) => void;
}

type Part = 'status' | 'headers' | 'body' | 'chunk' | 'chunk-end' | 'trailers' | 'ended';

/** Lines without a byte of a body between them. */
export const ANSWER_HEADERS_BYTES_MAX = 16 * 1024;

const LINE_FEED = 10;
const STATUS_LINE = /^HTTP\/1\.1 ([2-5]\d\d)(?: .*)?$/;
const FIELD_LINE = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_LENGTH = /^[\da-f]{1,12}$/i;

export class AnswerParser {
  readonly #listener: AnswerListener;
  #part: Part = 'status';
  #status = 0;
  #headers = new Map<string, string>();
  readonly #trailers = new Map<string, string>();
  /** Of the line that is not there to its end. */
  #line = '';
  /** Of all lines since the last body byte. */
  #linesBytes = 0;
  #isChunked = false;
  #remainingBytes = 0;

  constructor(listener: AnswerListener) {
    this.#listener = listener;
  }

  get isEnded(): boolean {
    return this.#part === 'ended';
  }

  /** Bytes of the body are next. */
  get isInBody(): boolean {
    return this.#part === 'body';
  }

  /** The connection can be asked again. */
  get isReusable(): boolean {
    return this.isEnded && this.#headers.get('connection')?.toLowerCase() !== 'close';
  }

  /** Throws MalformedMessage, and takes nothing more after that. */
  feed(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#part === 'ended') throw new MalformedMessage('there is more than one answer');
      at += this.#part === 'body' ? this.#takeBody(bytes, at) : this.#takeLinePart(bytes, at);
    }
  }

  #takeBody(bytes: Buffer, at: number): number {
    const takenBytes = Math.min(this.#remainingBytes, bytes.length - at);
    this.#remainingBytes -= takenBytes;
    if (this.#remainingBytes === 0 && this.#isChunked) this.#part = 'chunk-end';
    this.#linesBytes = 0;
    this.#listener.onPiece(bytes.subarray(at, at + takenBytes));
    if (this.#remainingBytes === 0 && !this.#isChunked) this.#end();
    return takenBytes;
  }

  #takeLinePart(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(LINE_FEED, at);
    const end = found === -1 ? bytes.length : found + 1;
    this.#linesBytes += end - at;
    if (this.#linesBytes > ANSWER_HEADERS_BYTES_MAX) throw new MalformedMessage('the head is too long');
    this.#line += bytes.toString('latin1', at, end);
    if (found === -1) return end - at;
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw new MalformedMessage('a line ends without CR');
    this.#takeLine(line.slice(0, -2));
    return end - at;
  }

  #takeLine(line: string): void {
    switch (this.#part) {
      case 'status': {
        const status = STATUS_LINE.exec(line)?.[1];
        if (status === undefined) throw new MalformedMessage('this is no answer of HTTP/1.1');
        this.#status = Number(status);
        this.#part = 'headers';
        return;
      }
      case 'headers':
        if (line === '') this.#endHeaders();
        else takeField(line, this.#headers);
        return;
      case 'chunk':
        if (!CHUNK_LENGTH.test(line)) throw new MalformedMessage('a chunk has no length');
        this.#remainingBytes = Number.parseInt(line, 16);
        this.#part = this.#remainingBytes === 0 ? 'trailers' : 'body';
        return;
      case 'chunk-end':
        if (line !== '') throw new MalformedMessage('a chunk is longer than it says');
        this.#part = 'chunk';
        return;
      case 'trailers':
        if (line === '') this.#end();
        else takeField(line, this.#trailers);
        return;
      case 'body':
      case 'ended':
        throw new MalformedMessage('there is no line here');
    }
  }

  #endHeaders(): void {
    const coding = this.#headers.get('transfer-encoding');
    const length = this.#headers.get('content-length');
    this.#isChunked = coding?.toLowerCase() === 'chunked';
    if (this.#isChunked ? length !== undefined : coding !== undefined || !LENGTH.test(length ?? '')) {
      throw new MalformedMessage('nobody knows how long the answer is');
    }
    this.#remainingBytes = Number(length ?? 0);
    this.#part = this.#isChunked ? 'chunk' : 'body';
    this.#listener.onHead(this.#status, this.#headers);
    if (!this.#isChunked && this.#remainingBytes === 0) this.#end();
  }

  #end(): void {
    this.#part = 'ended';
    this.#listener.onEnd(this.#trailers);
  }
}

/** The last one of a name counts, but for those that say where the answer ends: of these there is one. */
function takeField(line: string, fields: Map<string, string>): void {
  const [, name, value] = FIELD_LINE.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new MalformedMessage('a header is no header');
  const key = name.toLowerCase();
  const isFraming = key === 'content-length' || key === 'transfer-encoding';
  if (isFraming && fields.has(key)) throw new MalformedMessage(`${key} comes twice`);
  fields.set(key, value);
}
