/**
 * The web console: files that the build has made, under headers that let it do nothing but talk to this very port.
 *
 * They are read when the gateway starts, and held in memory: a new version that is installed under a running gateway changes the folder,
 * and the pages of one version with the API of another one would work by half.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const CONSOLE_PREFIX = '/console/';
const INDEX = 'index.html';

/** All files together; the console has some 100 KiB. */
const CONSOLE_BYTES_MAX = 8 * 1024 * 1024;
const CONSOLE_FILES_MAX = 200;

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

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface ConsoleFile {
  /** Below the folder, with `/`. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly etag: string;
}

/** Throws RangeError for more than a console has. */
function readFiles(folder: string): readonly ConsoleFile[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );
  if (names.length > CONSOLE_FILES_MAX) throw new RangeError(`${folder} has ${names.length} files`);
  let bytesLeft = CONSOLE_BYTES_MAX;
  return names.map((name) => {
    const bytes = readFileSync(join(folder, name));
    bytesLeft -= bytes.length;
    if (bytesLeft < 0) throw new RangeError(`${folder} has more than ${CONSOLE_BYTES_MAX} bytes`);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    return { name: name.replaceAll('\\', '/'), bytes, etag };
  });
}

/** `folder`: absolute. What is put there later is not served. */
export function addConsole(app: FastifyInstance, folder: string): void {
  for (const { name, bytes, etag } of readFiles(folder)) {
    const headers = {
      ...SECURITY_HEADERS,
      'cache-control': 'no-cache',
      'content-type': CONTENT_TYPES[extname(name)] ?? 'application/octet-stream',
      etag,
    };
    for (const path of name === INDEX ? ['', name] : [name]) {
      app.get(`${CONSOLE_PREFIX}${path}`, (request, reply) => {
        void reply.headers(headers);
        return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(bytes);
      });
    }
  }
  app.get('/', (_request, reply) => reply.headers(SECURITY_HEADERS).redirect(CONSOLE_PREFIX, 302));
}

/** The files hold nothing but code; who may see anything is decided by the API. */
export function isConsoleRoute(route: string | undefined): boolean {
  return route !== undefined && (route === '/' || route.startsWith(CONSOLE_PREFIX));
}
