/** Limits of the admin port, with real connections: who asks too much, too long or too slowly is let go, and the others are served. */
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import type { AdminLimits } from '../../../src/admin/admin-limits.js';
import { createAdminServer } from '../../../src/admin/admin-server.js';
import { expectConnectionLimit, RawConnection } from '../../support/raw-connection.js';
import { FakeBrowser, FakeControl, NOW_MS } from './fake-control.js';

const TOKEN = 'a-token-for-this-test';
const AUTHORIZATION = `Authorization: Bearer ${TOKEN}\r\n`;
const LIVE = 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n';

let app: FastifyInstance;

async function listen(limits: Partial<AdminLimits>): Promise<number> {
  app = createAdminServer({
    sets: { controls: new Map([['test', new FakeControl()]]), moveProgress: () => null },
    tokens: () => [{ name: 'admin', role: 'operate', token: TOKEN }],
    audit: { record: () => undefined },
    browser: new FakeBrowser(),
    consoleFolder: null,
    document: '',
    logger: pino({ level: 'silent' }),
    clock: () => NOW_MS,
    softwareVersion: 'test',
    limits,
    onInvariantViolation: () => undefined,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens');
  return address.port;
}

afterEach(async () => {
  app.server.closeAllConnections();
  await app.close();
});

async function exchange(port: number, bytes: string): Promise<string> {
  const connection = await RawConnection.open(port);
  connection.socket.write(bytes);
  return connection.untilClosed();
}

describe('the admin port', () => {
  it.each([
    ['no HTTP', 'NONSENSE\r\n\r\n'],
    ['a header bomb', `GET /health/live HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['a long target', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    [
      'a length and a transfer coding',
      'POST /reconcile HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('%s is refused in JSON, and the connection closed', async (_what, bytes) => {
    const answer = await exchange(await listen({}), bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*connection: close[^]*{"code":"bad-request"/);
  });

  it('headers that come too slowly are given up', async () => {
    const port = await listen({ headersTimeoutMs: 200 });
    const connection = await RawConnection.open(port);
    connection.socket.write('GET /health/live HTTP/1.1\r\nHost: a\r\n');
    const trickle = setInterval(() => connection.socket.write('X: y\r\n'), 20);
    const answer = await connection.untilClosed();
    clearInterval(trickle);
    expect(answer).toContain('"code":"bad-request"');
  });

  it('a body that stalls ends its connection', async () => {
    const port = await listen({ connectionIdleMs: 200 });
    const head = `PATCH /pace HTTP/1.1\r\nHost: a\r\n${AUTHORIZATION}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{`;
    expect(await exchange(port, head)).not.toContain('HTTP/1.1 200');
  });

  it('a body over the limit is refused before it is read', async () => {
    const port = await listen({});
    const head = `PATCH /pace HTTP/1.1\r\nHost: a\r\n${AUTHORIZATION}Connection: close\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n`;
    expect(await exchange(port, head)).toMatch(/^HTTP\/1\.1 413 [^]*"code":"payload-too-large"/);
  });

  it('so many connections are served at once, one more is turned away, and there is room when one is gone', async () => {
    await expectConnectionLimit(await listen({ connectionsMax: 3 }), 3, LIVE);
  });
});
