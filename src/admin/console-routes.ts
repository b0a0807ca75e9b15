/** The web console: files that the build has made, under headers that let it do nothing but talk to this very port. */
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

const CONSOLE_PREFIX = '/console/';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

/** `folder`: absolute. Its files are found now; what is added later is not served. */
export function addConsole(app: FastifyInstance, folder: string): void {
  void app.register(fastifyStatic, {
    root: folder,
    prefix: CONSOLE_PREFIX,
    wildcard: false,
    index: 'index.html',
    cacheControl: false,
    setHeaders: (reply) => {
      for (const [name, value] of Object.entries(SECURITY_HEADERS)) void reply.header(name, value);
      void reply.header('cache-control', 'no-cache');
    },
  });
  app.get('/', (_request, reply) => reply.headers(SECURITY_HEADERS).redirect(CONSOLE_PREFIX, 302));
}

/** The files hold nothing but code; who may see anything is decided by the API. */
export function isConsoleRoute(route: string | undefined): boolean {
  return route !== undefined && (route === '/' || route.startsWith(CONSOLE_PREFIX));
}
