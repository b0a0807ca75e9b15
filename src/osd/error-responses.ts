/** The one place that turns errors into responses (STYLE.md 15): JSON { code, message } with the status of the code. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { InvariantViolation } from '../protocol/invariant.js';
import { MEDIA_JSON } from '../wire/contract.js';
import type { OsdErrorCode } from '../wire/error-codes.js';
import type { OsdRefusal } from '../wire/osd-connection.js';
import type { OsdLogger } from './osd-logger.js';
import { foreseenRefusal, refusal } from './refusal.js';

export interface ErrorResponderOptions {
  readonly logger: OsdLogger;
  /** Our bug: stops the process. Called after the log has it. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

export class ErrorResponder {
  readonly #options: ErrorResponderOptions;

  constructor(options: ErrorResponderOptions) {
    this.#options = options;
  }

  /** What to answer to an error; logs what nobody foresaw. */
  refusalOf(error: unknown): OsdRefusal {
    const foreseen = foreseenRefusal(error);
    if (foreseen !== null) {
      if (foreseen.status >= 500) this.#options.logger.error({ err: error }, 'a request failed');
      return foreseen;
    }
    if (error instanceof InvariantViolation) {
      this.#options.logger.fatal({ err: error }, 'an invariant is broken');
      this.#options.onInvariantViolation(error);
    } else {
      this.#options.logger.error({ err: error }, 'a request failed in a way that nobody foresaw');
    }
    return refusal('internal-error', 'internal error', { cause: error });
  }

  respond(error: unknown, reply: FastifyReply): FastifyReply {
    const refused = this.refusalOf(error);
    // Whoever has no secret gets no second request on this connection.
    if (refused.status === 401) void reply.header('connection', 'close');
    return reply.code(refused.status).type(MEDIA_JSON).send(bodyOf(refused));
  }

  /** The same for a request that fastify did not see, whose sender has the secret. */
  respondOn(response: ServerResponse, error: unknown, endsConnection: boolean): void {
    const refused = this.refusalOf(error);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const body = bodyOf(refused);
    const headers = ['content-type', MEDIA_JSON, 'content-length', String(body.length)];
    if (endsConnection) headers.push('connection', 'close');
    response.writeHead(refused.status, headers).end(body);
  }
}

function bodyOf({ code, message }: OsdRefusal): Buffer {
  return Buffer.from(JSON.stringify({ code, message }));
}

const PARSER_ERROR_CODES: Readonly<Record<string, OsdErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
};

/** Answers bytes that are no HTTP request, on the socket itself. */
export function respondToClientError(error: Error & { code: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refused = refusal(PARSER_ERROR_CODES[error.code] ?? 'bad-request', 'no intelligible HTTP request');
  const body = bodyOf(refused);
  socket.end(
    `HTTP/1.1 ${refused.status} ${refused.code}\r\ncontent-type: ${MEDIA_JSON}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body.toString('utf8')}`,
  );
}
