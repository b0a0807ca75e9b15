/**
 * The short way for the requests that make up nearly all traffic: batches of writes and of reads. What their headers leave no doubt
 * about goes straight from node's server to the work; everything else, refusals of headers included, goes to the fastify
 * route of the same path, and so does every request while the server drains. (fastify took a tenth of the OSD's time: bench/README.md.)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { HEADER_CONTRACT } from '../wire/contract.js';
import type { CallersContract } from './callers-contract.js';
import type { ErrorResponder } from './error-responses.js';
import { bodyOf } from './osd-routes.js';

/** One whole buffer in, one out. */
export interface HotRequest {
  readonly mediaType: string;
  readonly bytesMax: number;
  readonly answerMediaType: string;
  /** Rejects with what `ErrorResponder` understands. */
  readonly perform: (body: Buffer) => Promise<Buffer>;
}

/** By path; all are POST. */
export type HotRequests = ReadonlyMap<string, HotRequest>;

interface ShortWayOptions {
  readonly requests: HotRequests;
  readonly responder: ErrorResponder;
  readonly isAuthentic: (authorization: string | undefined) => boolean;
  readonly contract: CallersContract;
  /** Nobody is let in any more. */
  readonly isDraining: () => boolean;
  /** Answers end their connections. */
  readonly endsConnections: () => boolean;
}

export function addHotRoutes(app: FastifyInstance, requests: HotRequests): void {
  for (const [path, { bytesMax, answerMediaType, perform }] of requests) {
    app.post(path, { bodyLimit: bytesMax }, async (request, reply) =>
      reply.type(answerMediaType).send(await perform(bodyOf(request))),
    );
  }
}

export class ShortWay {
  readonly #options: ShortWayOptions;

  constructor(options: ShortWayOptions) {
    this.#options = options;
  }

  /** False: this request has to go the long way. */
  take(message: IncomingMessage, response: ServerResponse): boolean {
    const { requests, isAuthentic, contract, isDraining } = this.#options;
    const { method, url = '', headers } = message;
    const request = method === 'POST' ? requests.get(url) : undefined;
    if (request === undefined || isDraining()) return false;
    const lengthBytes = Number(headers['content-length']);
    const isWelcome =
      lengthBytes > 0 &&
      lengthBytes <= request.bytesMax &&
      headers['content-type'] === request.mediaType &&
      contract.wasSpoken(headers[HEADER_CONTRACT]) &&
      isAuthentic(headers.authorization);
    if (isWelcome) void this.#serve(request, message, response);
    return isWelcome;
  }

  /** Never rejects. */
  async #serve(
    { perform, answerMediaType }: HotRequest,
    message: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { responder, endsConnections } = this.#options;
    try {
      const body = await readBody(message);
      if (body === null) return; // nobody is there to be answered
      const answer = await perform(body);
      const headers = ['content-type', answerMediaType, 'content-length', String(answer.length)];
      if (endsConnections()) headers.push('connection', 'close');
      response.writeHead(200, headers).end(answer);
    } catch (error) {
      responder.respondOn(response, error, endsConnections());
    }
  }
}

/** Null when the client goes away first. node itself sees to it that a body is as long as its header says. */
function readBody(message: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    message.on('data', (piece: Buffer) => pieces.push(piece));
    message.on('end', () => {
      const [only] = pieces;
      resolve(pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces));
    });
    message.on('error', () => resolve(null));
    message.on('close', () => resolve(null));
  });
}
