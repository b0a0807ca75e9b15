/**
 * The node server under fastify, with every limit set. fastify makes one for each address that it listens on, so all that belongs to
 * a server belongs here.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { makeNodeServer, type ServerTls } from '../tls/node-server.js';
import type { S3Handler } from './handler.js';
import type { S3Limits } from './limits.js';

const CHECK_INTERVAL_MAX_MS = 5_000;

/** node answers Expect by itself unless it is listened to. Whatever else is expected is passed over, as S3 does and RFC 9110 (10.1.1) allows. */
function listenForExpectations(server: Server, handler: S3Handler): void {
  server.on('checkContinue', (message: IncomingMessage, response: ServerResponse) => {
    handler.expectsContinue(message);
    server.emit('request', message, response);
  });
  server.on('checkExpectation', (message: IncomingMessage, response: ServerResponse) => {
    server.emit('request', message, response);
  });
}

/** Must call `serve`, once, and settle as that does. */
export type AroundRequest = (message: IncomingMessage, serve: () => Promise<void>) => Promise<void>;

export interface HttpServerSurroundings {
  readonly tls: ServerTls | null;
  /** Null: nothing is around a request. */
  readonly around: AroundRequest | null;
}

export function makeHttpServer(
  handler: S3Handler,
  limits: S3Limits,
  { tls, around }: HttpServerSurroundings,
): Server {
  const serve =
    around === null
      ? (message: IncomingMessage, response: ServerResponse) => handler.serve(message, response)
      : (message: IncomingMessage, response: ServerResponse) =>
          around(message, () => handler.serve(message, response));
  const server = makeNodeServer(
    (message, response) => {
      void serve(message, response);
    },
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, CHECK_INTERVAL_MAX_MS),
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      // Bodies have a limit on progress (body.ts) and none on the whole time: 5 GiB may take long.
      requestTimeout: 0,
      // Authentication asks for Host, and answers in XML.
      requireHostHeader: false,
      noDelay: true,
    },
    tls,
  );
  // Never drop headers in silence: their number is limited where they are read.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connectionsMax;
  server.on('clientError', (error, socket) => {
    handler.refuseConnection(error, socket);
  });
  listenForExpectations(server, handler);
  return server;
}
