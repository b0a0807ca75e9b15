/** Takes each request that fastify hands over through parsing, dispatch and answer, and each failure to its one answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { InvariantViolation } from '../protocol/invariant.js';
import { RequestBody } from './body.js';
import { dispatch, RequestTrail, type Dispatch } from './dispatch.js';
import { errorMessage, errorResponse } from './error-response.js';
import { ClientGoneError, S3Error } from './errors.js';
import type { S3Limits } from './limits.js';
import type { RequestIds } from './request-ids.js';
import type { EndedRequest, RequestObserver } from './request-observer.js';
import { parseRequest } from './request.js';
import { bodyLength, sendResponse, type Exchange, type S3Response } from './response.js';

interface S3HandlerSetup {
  readonly dispatch: Dispatch;
  readonly limits: S3Limits;
  /** For virtual-host style addresses, lower case. */
  readonly domains: readonly string[];
  readonly ids: RequestIds;
  readonly observer: RequestObserver | null;
  /** Answers end their connections. */
  readonly isStopping: () => boolean;
  /** Told of our own bugs, after they are logged and answered. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

export class S3Handler {
  readonly #dispatch: Dispatch;
  readonly #limits: S3Limits;
  readonly #domains: readonly string[];
  readonly #ids: RequestIds;
  readonly #observer: RequestObserver | null;
  readonly #isStopping: () => boolean;
  readonly #onInvariantViolation: (violation: InvariantViolation) => void;
  readonly #waitingForContinue = new WeakSet<IncomingMessage>();
  readonly #responses = new WeakMap<Duplex, ServerResponse>();
  #isClosing = false;

  constructor(setup: S3HandlerSetup) {
    this.#dispatch = setup.dispatch;
    this.#limits = setup.limits;
    this.#domains = setup.domains;
    this.#ids = setup.ids;
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
  async serve(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.hijack();
    const message = request.raw;
    const response = reply.raw;
    this.#responses.set(message.socket, response);
    const body = new RequestBody(message, response, this.#limits, this.#waitingForContinue.has(message));
    const exchange = this.#makeExchange(request, response, body);
    const trail = new RequestTrail();
    const startMs = performance.now();
    this.#observer?.requestBegan();
    let end: RequestEnd;
    try {
      const { method, rawHeaders } = message;
      const parsed = parseRequest(
        {
          method: method ?? '',
          rawUrl: request.originalUrl,
          rawHeaders,
          remoteAddress: message.socket.remoteAddress ?? null,
          isSecure: message.socket instanceof TLSSocket,
          body,
        },
        this.#limits,
        this.#domains,
      );
      const answer = await dispatch(parsed, this.#dispatch, trail);
      await sendResponse({ ...answer, headers: [...answer.headers, ...trail.headers] }, exchange);
      request.log.debug(
        { requestId: request.id, operation: trail.operation, status: answer.status },
        'S3 request',
      );
      end = endOf(answer, null, exchange);
    } catch (thrown) {
      end = await this.sendError(thrown, request, exchange, trail);
    }
    this.#observer?.requestEnded({
      ...end,
      requestId: request.id,
      operation: trail.operation,
      method: message.method ?? '',
      path: pathOf(request),
      accessKeyId: trail.accessKeyId,
      remoteAddress: message.socket.remoteAddress ?? null,
      durationMs: performance.now() - startMs,
      receivedBytes: body.receivedBytes,
    });
  }

  /** The one place where a failed request is answered and logged. Never rejects. */
  async sendError(
    thrown: unknown,
    request: FastifyRequest,
    exchange: Exchange,
    trail: RequestTrail,
  ): Promise<RequestEnd> {
    const { response } = exchange;
    const { operation } = trail;
    const requestId = request.id;
    let end: RequestEnd = BROKEN_OFF;
    try {
      if (thrown instanceof ClientGoneError || response.headersSent || response.destroyed) {
        request.log.info({ requestId, operation, err: thrown }, 'S3 request broken off');
        response.destroy();
      } else {
        const resource = pathOf(request);
        const { error, answer } = errorResponse(thrown, { ...exchange, resource });
        const level = error.status >= 500 && error.status !== 501 ? 'error' : 'debug';
        request.log[level](
          { requestId, operation, code: error.code, status: error.status, err: error.cause ?? error },
          'S3 request refused',
        );
        await sendResponse({ ...answer, headers: [...answer.headers, ...trail.headers] }, exchange);
        end = endOf(answer, error.code, exchange);
      }
    } catch (failure) {
      request.log.info({ requestId, operation, err: failure }, 'S3 error response broken off');
      response.destroy();
    }
    if (thrown instanceof InvariantViolation) {
      request.log.fatal({ requestId, operation, err: thrown }, 'broken invariant');
      this.#onInvariantViolation(thrown);
    }
    return end;
  }

  /** For errors that fastify finds. */
  async serveError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.hijack();
    await this.sendError(thrown, request, this.#makeExchange(request, reply.raw, null), new RequestTrail());
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

  #makeExchange(request: FastifyRequest, response: ServerResponse, body: RequestBody | null): Exchange {
    return {
      response,
      body,
      isHead: request.raw.method === 'HEAD',
      isClosing: () => this.#isClosing || this.#isStopping(),
      requestId: request.id,
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

function pathOf(request: FastifyRequest): string {
  const { originalUrl } = request;
  const end = originalUrl.indexOf('?');
  return end === -1 ? originalUrl : originalUrl.slice(0, end);
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
