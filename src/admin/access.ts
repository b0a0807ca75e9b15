/**
 * Who may do what on the admin port. One token operates; another one, if there is any, reads the metrics and nothing else, so that
 * a monitoring system holds no power. Compared in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AdminError } from './admin-errors.js';
import type { AuditLog } from './audit-log.js';

export const METRICS_PATH = '/metrics';

export interface AccessOptions {
  readonly token: string;
  readonly metricsToken: string | null;
  readonly audit: AuditLog;
  /** Routes that anybody may ask for. */
  readonly isOpen: (route: string | undefined) => boolean;
}

type Authenticator = (authorization: string | undefined) => boolean;

function makeAuthenticator(token: string): Authenticator {
  const digestOf = (text: string) => createHash('sha256').update(text).digest();
  const expected = digestOf(`Bearer ${token}`);
  return (authorization) => timingSafeEqual(digestOf(authorization ?? ''), expected);
}

export function requireToken(app: FastifyInstance, options: AccessOptions): void {
  const mayOperate = makeAuthenticator(options.token);
  const mayReadMetrics = makeAuthenticator(options.metricsToken ?? options.token);
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    const route = request.routeOptions.url;
    const { authorization } = request.headers;
    if (options.isOpen(route) || mayOperate(authorization)) return;
    if (route === METRICS_PATH && mayReadMetrics(authorization)) return;
    void reply.header('www-authenticate', 'Bearer realm="tally admin"');
    throw new AdminError('unauthorized');
  });
  app.addHook('onResponse', async (request, reply) => {
    if (isAudited(request, reply.statusCode)) options.audit.record(entryOf(request, reply.statusCode));
  });
}

/** A request without any token is a browser that has not logged in yet, or a port scan: the access is refused, nothing was tried. */
function isAudited({ method, headers }: FastifyRequest, status: number): boolean {
  if (status === 401) return headers.authorization !== undefined;
  return method !== 'GET';
}

function entryOf(request: FastifyRequest, status: number) {
  return {
    action: `${request.method} ${request.routeOptions.url ?? 'unknown'}`,
    target: request.url.split('?', 1)[0] ?? '',
    status,
    remoteAddress: request.ip,
    requestId: request.id,
  };
}
