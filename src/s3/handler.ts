/** Takes each request through parsing, dispatch and answer, and each failure to its one answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { FastifyBaseLogger } from 'fastify';
import { InvariantViolation } from '../protocol/invariant.js';
import { type Soon, whenKnown } from '../protocol/soon.js';
import { RequestBody } from './body.js';
import { dispatch, RequestTrail, type Dispatch } from './dispatch.js';
import { errorMessage, errorResponse } from './error-response.js';
import { ClientGoneError, S3Error } from './errors.js';
import type { S3Limits } from './limits.js';
import type { RequestIds } from './request-ids.js';
import type { EndedRequest, RequestObserver } from './request-observer.js';
import { parseRequest, type RawRequest } from './request.js';
import { bodyLength, sendResponse, type Exchange, type S3Response } from './response.js';

interface S3HandlerSetup {
  readonly dispatch: Dispatch;
  readonly limits: S3Limits;
  /** For virtual-host style addresses, lower case. */
  readonly domains: readonly string[];
  readonly ids: RequestIds;
  readonly logger: () => FastifyBaseLogger;
  readonly observer: RequestObserver | null;
  /** Answers end their connections. */
  readonly isStopping: () => boolean;
  /** Told of our own bugs, after they are logged and answered. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

/** A request on its way to its answer. */
interface Run {
  readonly raw: RawRequest;
  readonly exchange: Exchange;
  readonly trail: RequestTrail;
  readonly startMs: number;
}

export class S3Handler {
  readonly #dispatch: Dispatch;
  readonly #limits: S3Limits;
  readonly #domains: readonly string[];
  readonly #ids: RequestIds;
  readonly #logger: () => FastifyBaseLogger;
  readonly #observer: RequestObserver | null;
  readonly #isStopping: () => boolean;
  readonly #onInvariantViolation: (violation: InvariantViolation) => void;
  readonly #waitingForContinue = new WeakSet<IncomingMessage>();
  readonly #responses = new WeakMap<Duplex, ServerResponse>();
  readonly #closes = (): boolean => this.#isClosing || this.#isStopping();
  #isClosing = false;

  constructor(setup: S3HandlerSetup) {
    this.#dispatch = setup.dispatch;
    this.#limits = setup.limits;
    this.#domains = setup.domains;
    this.#ids = setup.ids;
    this.#logger = setup.logger;
    this.#observer = setup.observer;
    this.#isStopping = setup.isStopping;
    this.#onInvariantViolation = setup.onInvariantViolation;
  }

  beginClosing(): void {
    this.#isClosing = true;
  }

  /** For Expect: the body decides when to say 100. */
  expectsContinue(message: IncomingMessage): void {
    this.#waitingForContinue.add(message);
  }

  /** Never rejects. */
  async serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const run = this.#begin(message, response);
    let end: RequestEnd;
    try {
      end = await this.#answer(run);
    } catch (thrown) {
      end = await this.#sendError(thrown, run);
    }
    this.#tellEnd(run, end);
  }

  #begin(message: IncomingMessage, response: ServerResponse): Run {
    const { socket, method = '', url: rawUrl = '', rawHeaders } = message;
    this.#responses.set(socket, response);
    const body = new RequestBody(message, response, this.#limits, this.#waitingForContinue.has(message));
    const remoteAddress = socket.remoteAddress ?? null;
    const isSecure = socket instanceof TLSSocket;
    this.#observer?.requestBegan();
    return {
      raw: { method, rawUrl, rawHeaders, remoteAddress, isSecure, body },
      exchange: this.#makeExchange(message, response, body),
      trail: new RequestTrail(),
      startMs: performance.now(),
    };
  }

  #answer({ raw, exchange, trail }: Run): Soon<RequestEnd> {
    const request = parseRequest(raw, this.#limits, this.#domains);
    return whenKnown(dispatch(request, this.#dispatch, trail), (answer) =>
      whenKnown(sendResponse(answer, exchange, trail.headers), () => {
        const { requestId } = exchange;
        this.#logger().debug({ requestId, operation: trail.operation, status: answer.status }, 'S3 request');
        return endOf(answer, null, exchange);
      }),
    );
  }

  #tellEnd({ raw, exchange, trail, startMs }: Run, { status, errorCode, sentBytes }: RequestEnd): void {
    const { method, rawUrl, remoteAddress, body } = raw;
    this.#observer?.requestEnded({
      status,
      errorCode,
      sentBytes,
      requestId: exchange.requestId,
      operation: trail.operation,
      method,
      path: pathOf(rawUrl),
      accessKeyId: trail.accessKeyId,
      remoteAddress,
      durationMs: performance.now() - startMs,
      receivedBytes: body.receivedBytes,
    });
  }

  /** The one place where a failed request is answered and logged. Never rejects. */
  async #sendError(thrown: unknown, { raw, exchange, trail }: Run): Promise<RequestEnd> {
    const resource = pathOf(raw.rawUrl);
    const logger = this.#logger();
    const { response, requestId } = exchange;
    const { operation } = trail;
    let end: RequestEnd = BROKEN_OFF;
    try {
      if (thrown instanceof ClientGoneError || response.headersSent || response.destroyed) {
        logger.info({ requestId, operation, err: thrown }, 'S3 request broken off');
        response.destroy();
      } else {
        const { error, answer } = errorResponse(thrown, { ...exchange, resource });
        const level = error.status >= 500 && error.status !== 501 ? 'error' : 'debug';
        logger[level](
          { requestId, operation, code: error.code, status: error.status, err: error.cause ?? error },
          'S3 request refused',
        );
        await sendResponse(answer, exchange, trail.headers);
        end = endOf(answer, error.code, exchange);
      }
    } catch (failure) {
      logger.info({ requestId, operation, err: failure }, 'S3 error response broken off');
      response.destroy();
    }
    if (thrown instanceof InvariantViolation) {
      logger.fatal({ requestId, operation, err: thrown }, 'broken invariant');
      this.#onInvariantViolation(thrown);
    }
    return end;
  }

  /** For bytes that are no HTTP request, and requests whose headers do not come. */
  refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
    const response = this.#responses.get(socket);
    if (
      error.code === 'ECONNRESET' ||
      !socket.writable ||
      (response?.headersSent === true && !response.writableEnded)
    ) {
      socket.destroy();
      return;
    }
    const context = { requestId: this.#ids.next(), hostId: this.#ids.hostId, resource: null };
    socket.end(errorMessage(connectionError(error), context), () => {
      socket.destroy();
    });
  }

  #makeExchange(message: IncomingMessage, response: ServerResponse, body: RequestBody): Exchange {
    return {
      response,
      body,
      isHead: message.method === 'HEAD',
      isClosing: this.#closes,
      requestId: this.#ids.next(),
      hostId: this.#ids.hostId,
      limits: this.#limits,
    };
  }
}

type RequestEnd = Pick<EndedRequest, 'status' | 'errorCode' | 'sentBytes'>;

const BROKEN_OFF: RequestEnd = { status: null, errorCode: 'ClientGone', sentBytes: 0 };

function endOf(answer: S3Response, errorCode: string | null, { isHead }: Exchange): RequestEnd {
  const sentBytes = isHead ? 0 : (bodyLength(answer.body) ?? 0);
  return { status: answer.status, errorCode, sentBytes };
}

function pathOf(rawUrl: string): string {
  const end = rawUrl.indexOf('?');
  return end === -1 ? rawUrl : rawUrl.slice(0, end);
}

function connectionError(error: NodeJS.ErrnoException): S3Error {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new S3Error('RequestHeaderSectionTooLarge', { cause: error });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new S3Error('RequestTimeout', { cause: error });
    default:
      return new S3Error('BadRequest', { cause: error });
  }
}
