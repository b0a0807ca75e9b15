/**
 * Who may do what on the admin port. Every token has a name, which the audit log records, and a role:
 *
 *   metrics   GET /metrics and nothing else, so that a monitoring system holds no power
 *   read      besides, everything that changes nothing: whatever is asked for with GET. It sees the names of objects, not their content
 *   operate   everything
 *
 * The role that a request needs follows from its method and its route, so a new route that acts can't be left open by mistake. All tokens
 * are compared, each in constant time, so how long that takes tells nothing. A token with too little is answered 403, and that is audited.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AdminError } from './admin-errors.js';
import type { AuditEntry, AuditLog } from './audit-log.js';

export const METRICS_PATH = '/metrics';

/** Each may what those before it may. */
export const ADMIN_ROLES = ['metrics', 'read', 'operate'] as const;
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** Who sends a request. */
export interface Caller {
  readonly name: string;
  readonly role: AdminRole;
}

export interface AdminToken extends Caller {
  readonly token: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null: of a route that is open to anybody, or refused. */
    caller: Caller | null;
  }
}

export interface AccessOptions {
  /** As they are now; no two have the same token. */
  readonly tokens: () => readonly AdminToken[];
  readonly audit: AuditLog;
  /** Routes that anybody may ask for. */
  readonly isOpen: (route: string | undefined) => boolean;
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Null: it is none of these tokens. */
function makeAuthenticator(tokens: () => readonly AdminToken[]): (authorization: string) => Caller | null {
  let read: readonly AdminToken[] = [];
  let known: readonly { readonly caller: Caller; readonly digest: Buffer }[] = [];
  return (authorization) => {
    const now = tokens();
    if (now !== read) {
      read = now;
      known = now.map(({ name, role, token }) => ({
        caller: { name, role },
        digest: digestOf(`Bearer ${token}`),
      }));
    }
    const given = digestOf(authorization);
    let found: Caller | null = null;
    for (const { caller, digest } of known) {
      if (timingSafeEqual(digest, given)) found = caller;
    }
    return found;
  };
}

function roleNeeded({ method, routeOptions }: FastifyRequest): AdminRole {
  if (method !== 'GET') return 'operate';
  return routeOptions.url === METRICS_PATH ? 'metrics' : 'read';
}

function isEnough(role: AdminRole, needed: AdminRole): boolean {
  return ADMIN_ROLES.indexOf(role) >= ADMIN_ROLES.indexOf(needed);
}

export function requireToken(app: FastifyInstance, { tokens, audit, isOpen }: AccessOptions): void {
  const authenticate = makeAuthenticator(tokens);
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    if (isOpen(request.routeOptions.url)) return;
    request.caller = authenticate(request.headers.authorization ?? '');
    if (request.caller === null) {
      void reply.header('www-authenticate', 'Bearer realm="tally admin"');
      throw new AdminError('unauthorized');
    }
    const { name, role } = request.caller;
    const needed = roleNeeded(request);
    if (isEnough(role, needed)) return;
    throw new AdminError('forbidden', `This needs the role ${needed}; the token "${name}" has ${role}.`);
  });
  app.addHook('onResponse', async (request, reply) => {
    if (isAudited(request, reply.statusCode)) audit.record(entryOf(request, reply.statusCode));
  });
}

/** A request without any token is a browser that has not logged in yet, or a port scan: the access is refused, nothing was tried. */
function isAudited({ method, headers }: FastifyRequest, status: number): boolean {
  if (status === 401) return headers.authorization !== undefined;
  return method !== 'GET' || status === 403;
}

/** Of a query or a body these go on record. Nothing that is secret has one of these names. */
const AUDITED_FIELDS = ['mirror', 'bucket', 'key', 'version', 'choice', 'words'];
/** Of each; a request that was refused for its form may have anything in it. */
const AUDITED_CHARACTERS_MAX = 1024;

function aboutOf({ query, body }: FastifyRequest): Pick<AuditEntry, 'about'> {
  const about: Record<string, string> = {};
  for (const said of [query, body]) {
    if (typeof said !== 'object' || said === null) continue;
    const named: ReadonlyMap<string, unknown> = new Map(Object.entries(said));
    for (const field of AUDITED_FIELDS) {
      const value = named.get(field);
      if (typeof value === 'string') about[field] = value.slice(0, AUDITED_CHARACTERS_MAX);
    }
  }
  return Object.keys(about).length === 0 ? {} : { about };
}

function entryOf(request: FastifyRequest, status: number): AuditEntry {
  return {
    by: request.caller?.name ?? null,
    action: `${request.method} ${request.routeOptions.url ?? 'unknown'}`,
    target: request.url.split('?', 1)[0] ?? '',
    ...aboutOf(request),
    status,
    remoteAddress: request.ip,
    requestId: request.id,
  };
}
