/**
 * Frames: a JSON header and bytes in one body (media type application/vnd.tally.frame).
 *
 *   +----------------+--------------------------+---------------------------+
 *   | u32 big-endian | JSON, UTF-8,             | bytes: contents one after |
 *   | header length  | exactly that many bytes  | another, no padding       |
 *   +----------------+--------------------------+---------------------------+
 *
 * The header says how many bytes follow. `splitFrame` looks at the lengths only; the codecs of the several messages
 * check that the bytes are as many as their header promises.
 */
import { FRAME_HEADER_BYTES_MAX } from './contract.js';
import { MalformedMessage } from './malformed-message.js';

export const FRAME_PREFIX_BYTES = 4;

/** One buffer of header and contents. Throws RangeError when the header is over its limit. */
export function encodeFrame(header: object, contents: readonly Buffer[]): Buffer {
  const text = JSON.stringify(header);
  const headerBytes = Buffer.byteLength(text);
  if (headerBytes > FRAME_HEADER_BYTES_MAX) throw new RangeError(`frame header of ${headerBytes} bytes`);
  let totalBytes = FRAME_PREFIX_BYTES + headerBytes;
  for (const content of contents) totalBytes += content.length;
  const frame = Buffer.allocUnsafe(totalBytes);
  frame.writeUInt32BE(headerBytes, 0);
  frame.write(text, FRAME_PREFIX_BYTES, 'utf8');
  let position = FRAME_PREFIX_BYTES + headerBytes;
  for (const content of contents) position += content.copy(frame, position);
  return frame;
}

/** The length of the header that a frame begins with. Throws MalformedMessage when it is over its limit. */
export function frameHeaderLength(prefix: Buffer): number {
  const headerBytes = prefix.readUInt32BE(0);
  if (headerBytes > FRAME_HEADER_BYTES_MAX) {
    throw new MalformedMessage(`a frame header of ${headerBytes} bytes is over the limit`);
  }
  return headerBytes;
}

export interface SplitFrame {
  /** Parsed, not yet checked. */
  readonly header: unknown;
  /** A view of the frame's buffer. */
  readonly content: Buffer;
}

/** Takes a frame apart. Throws MalformedMessage when it is cut short or its header is no JSON. */
export function splitFrame(frame: Buffer): SplitFrame {
  if (frame.length < FRAME_PREFIX_BYTES) throw new MalformedMessage('a frame begins with four bytes');
  const headerEnd = FRAME_PREFIX_BYTES + frameHeaderLength(frame);
  if (frame.length < headerEnd) throw new MalformedMessage('the frame ends inside its header');
  return {
    header: parseJson(frame.toString('utf8', FRAME_PREFIX_BYTES, headerEnd)),
    content: frame.subarray(headerEnd),
  };
}

/** Hands out the bytes behind a frame's header in order. Both throw MalformedMessage. */
export class ContentCursor {
  readonly #content: Buffer;
  #position = 0;

  constructor(content: Buffer) {
    this.#content = content;
  }

  take(lengthBytes: number): Buffer {
    const end = this.#position + lengthBytes;
    if (end > this.#content.length) throw new MalformedMessage('the frame ends inside its contents');
    const piece = this.#content.subarray(this.#position, end);
    this.#position = end;
    return piece;
  }

  finish(): void {
    if (this.#position !== this.#content.length)
      throw new MalformedMessage('the frame has bytes behind its contents');
  }
}

/** Parses JSON of any shape. Throws MalformedMessage. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MalformedMessage('no JSON', { cause: error });
  }
}
