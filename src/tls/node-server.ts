/**
 * The node server below fastify: HTTP, or HTTPS (TLS 1.2 and newer) when it is given certificates. fastify makes one for each
 * address that it listens on; every one of them gets the certificates that come later.
 */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { secureContextOf } from './tls-material.js';
import type { TlsLogger, TlsSource } from './watched-tls.js';

export interface ServerTls {
  /** With authorities (`ca`), clients must show a certificate of one of them. */
  readonly source: TlsSource;
  readonly logger: TlsLogger;
}

const HANDSHAKE_WITHIN_MS = 10_000;
/** Strangers that knock are told of at most so often. */
const REFUSALS_LOG_EVERY_MS = 10_000;

/** `tls` null: plain HTTP. */
export function makeNodeServer(
  listener: RequestListener,
  options: ServerOptions,
  tls: ServerTls | null,
): Server {
  if (tls === null) return createServer(options, listener);
  const { source } = tls;
  const server = createSecureServer(
    {
      ...options,
      ...secureContextOf(source.material),
      requestCert: source.material.ca !== null,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_WITHIN_MS,
    },
    listener,
  );
  const release = source.onChange((material) => {
    server.setSecureContext(secureContextOf(material));
  });
  server.on('close', release);
  endFailedHandshakes(server, tls.logger);
  return server;
}

/** Before node hands them on as errors of HTTP, which would be answered in the clear. */
function endFailedHandshakes(server: Server, logger: TlsLogger): void {
  let loggedMs = Number.NEGATIVE_INFINITY;
  let untoldCount = 0;
  server.prependListener('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const { remoteAddress } = socket;
    // Absent when the handshake failed before the certificate was judged, whatever the types say.
    const authorizationError: unknown = socket.authorizationError;
    socket.destroy();
    untoldCount += 1;
    if (performance.now() - loggedMs < REFUSALS_LOG_EVERY_MS) return;
    loggedMs = performance.now();
    const reason = authorizationError ?? error.code;
    logger.info({ remoteAddress, reason, count: untoldCount }, 'a TLS handshake failed');
    untoldCount = 0;
  });
}
