/** CORS (UserGuide "Using cross-origin resource sharing", S3 API reference "OPTIONS object"). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elements, TestServer, type Answer } from './harness.js';

const CONFIGURATION = `<CORSConfiguration>
<CORSRule><ID>first</ID><AllowedOrigin>http://*.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><ExposeHeader>ETag</ExposeHeader></CORSRule>
<CORSRule><AllowedOrigin>http://put.test</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-meta-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader><MaxAgeSeconds>300</MaxAgeSeconds></CORSRule>
<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>DELETE</AllowedMethod></CORSRule>
</CORSConfiguration>`;

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  for (const name of ['bucket', 'plain']) await server.send({ method: 'PUT', target: `/${name}` });
  await server.send({
    method: 'PUT',
    target: '/bucket/key',
    body: 'x',
    headers: { 'x-amz-acl': 'public-read' },
  });
  await server.send({ method: 'PUT', target: '/bucket?cors', body: CONFIGURATION });
});
afterAll(async () => {
  await server.close();
});

function preflight(target: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return server.sendWith({ method: 'OPTIONS', target }, { host: server.host, ...headers });
}

function asking(origin: string, method: string, headers?: string): Record<string, string> {
  return {
    origin,
    'access-control-request-method': method,
    ...(headers !== undefined && { 'access-control-request-headers': headers }),
  };
}

describe('the configuration', () => {
  it('comes back', async () => {
    const { text } = await server.send({ target: '/bucket?cors' });
    expect([elements(text, 'ID'), elements(text, 'AllowedMethod'), elements(text, 'MaxAgeSeconds')]).toEqual([
      ['first'],
      ['GET', 'HEAD', 'PUT', 'DELETE'],
      ['300'],
    ]);
  });

  it('is removed', async () => {
    await server.send({ method: 'PUT', target: '/plain?cors', body: CONFIGURATION });
    expect((await server.send({ method: 'DELETE', target: '/plain?cors' })).status).toBe(204);
    expect((await server.send({ target: '/plain?cors' })).code).toBe('NoSuchCORSConfiguration');
  });

  it.each([
    ['', 'MalformedXML'],
    ['<CORSConfiguration/>', 'MalformedXML'],
    [
      '<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>',
      'MalformedXML',
    ],
    [CONFIGURATION.replace('<AllowedMethod>PUT', '<AllowedMethod>PATCH'), 'InvalidRequest'],
    [CONFIGURATION.replace('http://*.example', 'http://*.*.example'), 'InvalidRequest'],
    [CONFIGURATION.replace('300', '-1'), 'MalformedXML'],
  ])('%s is %s', async (body, code) => {
    expect((await server.send({ method: 'PUT', target: '/plain?cors', body })).code).toBe(code);
  });
});

describe('a preflight', () => {
  it('is answered to anybody, without a signature', async () => {
    const answer = await preflight('/bucket/key?versionId=a', asking('http://a.example.com', 'GET'));
    expect([answer.status, answer.headers]).toMatchObject([
      200,
      {
        'access-control-allow-origin': 'http://a.example.com',
        'access-control-allow-methods': 'GET, HEAD',
        'access-control-expose-headers': 'ETag',
        vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
      },
    ]);
  });

  it('allows the headers that the rule has, in any case', async () => {
    const fine = await preflight(
      '/bucket/key',
      asking('http://put.test', 'PUT', 'X-Amz-Meta-A, content-type'),
    );
    expect([fine.status, fine.headers]).toMatchObject([
      200,
      { 'access-control-allow-headers': 'X-Amz-Meta-A, content-type', 'access-control-max-age': '300' },
    ]);
    expect((await preflight('/bucket/key', asking('http://put.test', 'PUT', 'x-other'))).status).toBe(403);
  });

  it('of any origin is answered with a star', async () => {
    const answer = await preflight('/bucket', asking('http://who.test', 'DELETE'));
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, '*']);
  });

  it.each([
    ['another origin', '/bucket/key', asking('http://example.com', 'GET'), 403, 'AccessForbidden'],
    ['another method', '/bucket/key', asking('http://a.example.com', 'PUT'), 403, 'AccessForbidden'],
    ['a bucket without CORS', '/plain/key', asking('http://a.example.com', 'GET'), 403, 'AccessForbidden'],
    ['no bucket', '/', asking('http://a.example.com', 'GET'), 403, 'AccessForbidden'],
    [
      'a bucket that is not there',
      '/missing/key',
      asking('http://a.example.com', 'GET'),
      404,
      'NoSuchBucket',
    ],
    ['no Origin', '/bucket/key', { 'access-control-request-method': 'GET' }, 400, 'BadRequest'],
    ['no method', '/bucket/key', { origin: 'http://a.example.com' }, 400, 'BadRequest'],
  ])('with %s is refused', async (_claim, target, headers, status, code) => {
    const answer = await preflight(target, headers);
    expect([answer.status, answer.code, answer.headers['access-control-allow-origin']]).toEqual([
      status,
      code,
      undefined,
    ]);
  });
});

describe('other requests', () => {
  it.each([
    ['a GET', '/bucket/key', 200],
    ['a refused one', '/bucket/missing', 403],
  ])('%s carries the headers when a rule covers it', async (_claim, target, status) => {
    const answer = await server.sendWith({ target }, { host: server.host, origin: 'http://a.example.com' });
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([
      status,
      'http://a.example.com',
    ]);
  });

  it('carries none otherwise', async () => {
    for (const headers of [{}, { origin: 'http://other.test' }]) {
      const answer = await server.sendWith({ target: '/bucket/key' }, { host: server.host, ...headers });
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, undefined]);
    }
  });

  it.each(['x', 'k'.repeat(911), 'No_Name', '%C3%BC'])(
    'of a bucket that can be none (%.20s) are refused',
    async (name) => {
      for (const method of ['GET', 'OPTIONS']) {
        const sent = { host: server.host, ...asking('http://a.test', 'GET') };
        const answer = await server.sendWith({ method, target: `/${name}/key` }, sent);
        expect([answer.status, answer.code]).toEqual([400, 'InvalidBucketName']);
      }
    },
  );
});
