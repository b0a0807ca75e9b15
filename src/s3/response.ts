/**
 * S3 responses as data, and the one place that puts them on a connection.
 *
 * A streamed body that fails half-way destroys the connection: a client must never take a short body for a whole one.
 * When part of the request is unread, the rest is drained within limits before the connection is closed, since closing
 * a socket with unread bytes resets it and the client would lose the answer.
 */
import type { ServerResponse } from 'node:http';
import type { ObjectBody } from '../gateway/object-storage.js';
import { invariant } from '../protocol/invariant.js';
import { type Soon, whenKnown } from '../protocol/soon.js';
import type { RequestBody } from './body.js';
import type { S3Limits } from './limits.js';

/** Header names and values in turn; values one character a byte. */
export type HeaderList = string[];

export const NO_HEADERS: readonly string[] = [];

export type ResponseBody =
  | { readonly kind: 'none' }
  /** The headers of a body that is not sent (HEAD). */
  | { readonly kind: 'length-only'; readonly lengthBytes: number }
  | { readonly kind: 'bytes'; readonly bytes: Buffer | string }
  | { readonly kind: 'stream'; readonly lengthBytes: number; readonly pieces: ObjectBody };

export interface S3Response {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: ResponseBody;
}

export const NO_BODY: ResponseBody = { kind: 'none' };

export interface Exchange {
  readonly response: ServerResponse;
  readonly body: RequestBody;
  readonly isHead: boolean;
  readonly isClosing: () => boolean;
  readonly requestId: string;
  readonly hostId: string;
  readonly limits: S3Limits;
}

const SMALL_REST_BYTES = 64 * 1024;
/** What the operating system does not take waits here; the next piece waits until all of it is gone. */
const UNSENT_BYTES_MAX = 128 * 1024;

/** The rest of the request will be read off this connection, so that it can serve another one. */
async function clearRest(body: RequestBody): Promise<boolean> {
  if (body.waitsForContinue || body.lengthBytes === null || body.lengthBytes > SMALL_REST_BYTES) return false;
  return body.drain();
}

/** Null: there is none. */
export function bodyLength(body: ResponseBody): number | null {
  switch (body.kind) {
    case 'none':
      return null;
    case 'bytes':
      return typeof body.bytes === 'string' ? Buffer.byteLength(body.bytes) : body.bytes.length;
    case 'length-only':
    case 'stream':
      return body.lengthBytes;
  }
}

function responseHeaders(
  answer: S3Response,
  { requestId, hostId }: Exchange,
  further: readonly string[],
  closes: boolean,
): HeaderList {
  const headers = ['x-amz-request-id', requestId, 'x-amz-id-2', hostId, 'Server', 'Tally'];
  for (const text of answer.headers) headers.push(text);
  for (const text of further) headers.push(text);
  const length = bodyLength(answer.body);
  if (length !== null) headers.push('Content-Length', String(length));
  else if (answer.status !== 204 && answer.status !== 304) headers.push('Content-Length', '0');
  if (closes) headers.push('Connection', 'close');
  return headers;
}

function clientGone(): Error {
  return new Error('the client closed the connection before it had the whole response');
}

/** Resolves when the response takes more; rejects when the client is gone or takes nothing for too long. */
function waitForDrain(response: ServerResponse, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      finish();
    };
    const onDrain = (): void => {
      settle(resolve);
    };
    const onClose = (): void => {
      settle(() => {
        reject(clientGone());
      });
    };
    const timer = setTimeout(() => {
      settle(() => {
        reject(new Error('the client took no response bytes for too long'));
      });
    }, timeoutMs);
    response.on('drain', onDrain).on('close', onClose);
    if (response.destroyed) onClose();
  });
}

async function writePieces(
  exchange: Exchange,
  body: ResponseBody & { kind: 'stream' },
  writeHead: () => void,
): Promise<void> {
  const { response } = exchange;
  const { pieces } = body;
  let sentBytes = 0;
  let hasHead = false;
  for await (const piece of pieces) {
    sentBytes += piece.length;
    invariant(sentBytes <= body.lengthBytes, 'a read yields no more bytes than its extent has');
    if (!hasHead) {
      hasHead = true;
      writeHead();
    }
    if (response.destroyed) throw clientGone();
    // Called also when the connection breaks, and not before the operating system has the bytes.
    response.write(piece, () => pieces.giveBack?.(piece));
    if (response.writableNeedDrain && response.writableLength > UNSENT_BYTES_MAX)
      await waitForDrain(response, exchange.limits.responseIdleTimeoutMs);
  }
  invariant(sentBytes === body.lengthBytes, 'a read yields all the bytes of its extent', { sentBytes });
  if (!hasHead) writeHead();
  // A client that takes nothing is given up here, too.
  // No drain is told of after a write that was not called too much.
  if (response.writableNeedDrain && response.writableLength > 0)
    await waitForDrain(response, exchange.limits.responseIdleTimeoutMs);
  response.end();
}

/** Ends the response once the client has had a fair chance to read it. */
async function linger(exchange: Exchange): Promise<void> {
  if (!exchange.body.waitsForContinue) await exchange.body.drain();
  exchange.response.end();
}

/**
 * Sends the answer. Rejects when a streamed body failed: before its first byte nothing was sent and an error can still
 * be answered (`headersSent` is false), after that the caller destroys the connection. `further` are headers beside the answer's own.
 */
export function sendResponse(answer: S3Response, exchange: Exchange, further: readonly string[]): Soon<void> {
  const { response, body: rest } = exchange;
  if (response.destroyed) return letGo(answer.body);
  return whenKnown(rest.isEnded || clearRest(rest), (isClear) => {
    const closes = !isClear || exchange.isClosing();
    const headers = responseHeaders(answer, exchange, further, closes);
    const { body } = answer;
    if (body.kind === 'stream' && !exchange.isHead)
      return writePieces(exchange, body, () => response.writeHead(answer.status, headers));
    response.writeHead(answer.status, headers);
    const bytes = body.kind === 'bytes' && !exchange.isHead ? body.bytes : null;
    if (!isClear) return sendBeforeClosing(exchange, bytes);
    sendWhole(exchange, bytes);
    return undefined;
  });
}

function sendWhole({ response, limits }: Exchange, bytes: Buffer | string | null): void {
  if (bytes === null) response.end();
  else response.end(bytes);
  // What the operating system took at once needs no patience. Without a socket it waits behind answers to earlier requests.
  const isSent = response.socket?.writableLength === 0;
  if (!isSent) response.setTimeout(limits.responseIdleTimeoutMs);
}

function sendBeforeClosing(exchange: Exchange, bytes: Buffer | string | null): Promise<void> {
  const { response, limits } = exchange;
  response.setTimeout(limits.responseIdleTimeoutMs);
  if (bytes === null) response.flushHeaders();
  else response.write(bytes);
  return linger(exchange);
}

/** Releases a body that nobody will read. */
async function letGo(body: ResponseBody): Promise<void> {
  if (body.kind !== 'stream') return;
  await body.pieces[Symbol.asyncIterator]().return?.();
}
