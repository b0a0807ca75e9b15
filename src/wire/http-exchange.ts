/**
 * One request and its answer on an undici pool, all of the answer in one buffer.
 *
 * What it guarantees: no retry, no redirect. A failure is an `OsdUnreachable` whose `sent` is false only when undici had
 * not yet handed a single byte of the request to a socket; once it has, nobody knows (STYLE.md 14).
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { OsdUnreachable } from './osd-connection.js';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Names and values, alternating. */
  readonly headers: string[];
  readonly body: Buffer | null;
  /** From now to the head of the answer, the wait for a connection included. */
  readonly answerWithinMs: number;
  /** Longest pause within a body, either way. */
  readonly idleMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The head of the answer took too long. */
class AnswerTimeout extends Error {
  readonly code = 'answer-timeout';

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = 'AnswerTimeout';
  }
}

/** What undici is told of a request. */
function dispatchOptions(request: HttpRequest): Dispatcher.DispatchOptions {
  return {
    method: request.method,
    path: request.path,
    headers: request.headers,
    body: request.body,
    // RequestProgress has the deadline.
    headersTimeout: 0,
    bodyTimeout: request.idleMs,
  };
}

interface Abortable {
  abort(reason: Error): void;
}

/** Keeps track of how far a request came, and ends it when its answer does not begin in time. */
export class RequestProgress {
  #controller: Abortable | null = null;
  #isOver = false;
  readonly #timer: NodeJS.Timeout | null;

  /** `onTimeout` is called at most once, when the answer did not begin in time and no byte was sent yet. */
  constructor(answerWithinMs: number | null, onTimeout: (error: Error) => void) {
    this.#timer =
      answerWithinMs === null
        ? null
        : setTimeout(() => {
            const timeout = new AnswerTimeout(answerWithinMs);
            if (this.#controller === null) onTimeout(timeout);
            this.abort(timeout);
          }, answerWithinMs);
  }

  /** True when bytes of the request may have left this process. */
  get sent(): boolean {
    return this.#controller !== null;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  start(controller: Abortable): void {
    if (this.#isOver) {
      controller.abort(new Error('given up before it was sent'));
      return;
    }
    this.#controller = controller;
  }

  answerBegan(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  finish(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  abort(reason: Error): void {
    this.finish();
    this.#controller?.abort(reason);
  }

  unreachable(error: Error): OsdUnreachable {
    return new OsdUnreachable(`the OSD does not answer: ${error.message}`, this.sent, { cause: error });
  }
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #progress: RequestProgress;
  readonly #answerBytesMax: number;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: OsdUnreachable) => void;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #bytes = 0;
  readonly #chunks: Buffer[] = [];

  constructor(
    request: HttpRequest,
    answerBytesMax: number,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: OsdUnreachable) => void,
  ) {
    this.#answerBytesMax = answerBytesMax;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#progress = new RequestProgress(request.answerWithinMs, (timeout) =>
      reject(this.#progress.unreachable(timeout)),
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#progress.start(controller);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
  ): void {
    this.#progress.answerBegan();
    this.#status = statusCode;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#answerBytesMax) {
      controller.abort(new Error(`the answer is over ${this.#answerBytesMax} bytes`));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#progress.finish();
    const [first] = this.#chunks;
    const body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#progress.finish();
    this.#reject(this.#progress.unreachable(error));
  }
}

/** Sends a request and waits for all of its answer. Rejects with OsdUnreachable. */
export function exchange(
  pool: Dispatcher,
  request: HttpRequest,
  answerBytesMax: number,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    pool.dispatch(dispatchOptions(request), new ExchangeHandler(request, answerBytesMax, resolve, reject));
  });
}
