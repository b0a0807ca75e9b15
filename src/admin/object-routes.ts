/** Buckets, objects and keys for the console. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AdminError } from './admin-errors.js';
import { OBJECT_PAGE_DEFAULT, UPLOAD_BYTES_MAX } from './admin-limits.js';
import type { ObjectBrowser } from './object-browser.js';
import {
  bucketsSchema,
  keysSchema,
  linkRequestSchema,
  linkSchema,
  objectQuerySchema,
  objectsQuerySchema,
  objectsSchema,
} from './object-schemas.js';

/** A bracketed IPv6 address, or a name, as the caller has it in Host. */
function hostnameOf(request: FastifyRequest): string {
  return /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d+)?$/.exec(request.headers.host ?? '')?.[1] ?? '127.0.0.1';
}

function lengthOf(request: FastifyRequest): number {
  const text = request.headers['content-length'];
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new AdminError('bad-request', 'An upload needs its Content-Length.');
  }
  const lengthBytes = Number(text);
  if (lengthBytes > UPLOAD_BYTES_MAX) throw new AdminError('payload-too-large');
  return lengthBytes;
}

export function addObjectRoutes(app: FastifyInstance, browser: ObjectBrowser): void {
  const refusing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const refusal = browser.refusalOf(error);
      if (refusal === null) throw error;
      const code = refusal.status === 404 ? 'no-such-object' : 's3-refused';
      throw new AdminError(code, refusal.message, { cause: error });
    }
  };
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Bodies of uploads are passed on as they come.
    scope.addContentTypeParser('*', (_request, payload, done) => {
      done(null, payload);
    });
    const typed = scope.withTypeProvider<TypeBoxTypeProvider>();
    typed.put('/objects', { schema: { querystring: objectQuerySchema } }, async (request, reply) => {
      const { bucket, key } = request.query;
      const contentType = request.headers['content-type'] ?? 'application/octet-stream';
      const lengthBytes = lengthOf(request);
      await refusing(() => browser.upload({ bucket, key, contentType, lengthBytes, body: request.raw }));
      return reply.code(204).send();
    });
  });
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get('/buckets', { schema: { response: { 200: bucketsSchema } } }, async () => ({
    buckets: await refusing(() => browser.buckets()),
  }));
  typed.get('/keys', { schema: { response: { 200: keysSchema } } }, async () => ({ keys: browser.keys() }));
  typed.get(
    '/objects',
    { schema: { querystring: objectsQuerySchema, response: { 200: objectsSchema } } },
    async ({ query: { bucket, prefix = '', after, limit = OBJECT_PAGE_DEFAULT } }) =>
      refusing(() => browser.list(bucket, prefix, after ?? null, limit)),
  );
  typed.delete('/objects', { schema: { querystring: objectQuerySchema } }, async (request, reply) => {
    const { bucket, key } = request.query;
    await refusing(() => browser.remove(bucket, key));
    return reply.code(204).send();
  });
  typed.post(
    '/links',
    { schema: { body: linkRequestSchema, response: { 200: linkSchema } } },
    async (request) => {
      const { bucket, key, expiresSeconds } = request.body;
      return { url: browser.link(hostnameOf(request), bucket, key, expiresSeconds) };
    },
  );
}
