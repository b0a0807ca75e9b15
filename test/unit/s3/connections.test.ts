/** Clients that go away, stall, send too much or no HTTP at all. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectConnectionLimit } from '../../support/raw-connection.js';
import { TestServer, until } from './harness.js';

let server: TestServer;
const HOLD = {
  limits: {
    bodyIdleTimeoutMs: 500,
    headersTimeoutMs: 600,
    responseIdleTimeoutMs: 800,
    drainTimeMs: 300,
    drainBytesMax: 1_000_000,
  },
};

beforeEach(async () => {
  server = await TestServer.start(HOLD);
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterEach(async () => {
  await server.close();
});

async function readUntilClose(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  socket.on('error', () => {});
  await once(socket, 'close');
  return Buffer.concat(pieces).toString('latin1');
}

function uploadHead(length: number, headers: Record<string, string> = {}): string {
  const wish = { method: 'PUT', target: '/bucket/upload', payload: 'UNSIGNED-PAYLOAD' };
  return server.head(wish, { 'content-length': String(length), ...headers });
}

async function expectNothingWritten(): Promise<void> {
  expect((await server.send({ target: '/bucket/upload' })).status).toBe(404);
  expect(server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0 });
}

describe('a client that goes away half-way changes nothing', () => {
  it.each(['end', 'destroy', 'resetAndDestroy'] as const)('by %s', async (way) => {
    const socket = await server.openSocket();
    socket.on('error', () => {});
    socket.write(uploadHead(1_000_000));
    socket.write(Buffer.alloc(300_000));
    await until(() => server.storage.counters.openSinks === 1);
    socket[way]();
    await until(() => server.storage.counters.openSinks === 0);
    await expectNothingWritten();
  });

  it('while its GET is streamed, the read is let go', async () => {
    const large = Buffer.alloc(30_000_000);
    await server.send({
      method: 'PUT',
      target: '/bucket/large',
      body: large,
      payload: createHash('sha256').update(large).digest('hex'),
    });
    const socket = await server.openSocket();
    socket.on('error', () => {});
    socket.write(server.head({ target: '/bucket/large' }));
    await once(socket, 'readable');
    await until(() => server.storage.counters.openReads === 1);
    socket.destroy();
    await until(() => server.storage.counters.openReads === 0);
  });
});

describe('backpressure', () => {
  it('while the store takes no more, no more is read from the client', async () => {
    let writes = 0;
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const beforeEachOperation = async (operation: string): Promise<void> => {
      if (operation !== 'write') return;
      writes += 1;
      await gate;
    };
    const slow = await TestServer.start({ ...HOLD, storage: { beforeEach: beforeEachOperation } });
    await slow.send({ method: 'PUT', target: '/bucket' });
    const socket = await slow.openSocket();
    const size = 50_000_000;
    const wish = { method: 'PUT', target: '/bucket/upload', payload: 'UNSIGNED-PAYLOAD' };
    socket.write(slow.head(wish, { 'content-length': String(size), connection: 'close' }));
    socket.write(Buffer.alloc(size));
    await until(() => writes === 1);
    // Longer than bodyIdleTimeoutMs: that the store is slow is not the client's fault.
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(writes).toBe(1);
    expect(socket.writableLength).toBeGreaterThan(0);
    open();
    expect(await readUntilClose(socket)).toMatch(/^HTTP\/1.1 200 /);
    await slow.close();
  });
});

describe('a large GET ends', () => {
  it.each([64 * 1024 + 1, 1024 * 1024 + 1, 3 * 1024 * 1024 - 1])(
    'at once, and the connection serves on, also when its last piece is short: %i bytes',
    async (lengthBytes) => {
      const body = Buffer.alloc(lengthBytes, 'x');
      const payload = createHash('sha256').update(body).digest('hex');
      await server.send({ method: 'PUT', target: '/bucket/large', body, payload });
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let round = 0; round < 10; round += 1) {
        const { headers } = server.sign({ target: '/bucket/large' });
        const request = httpRequest({ port: server.port, path: '/bucket/large', headers, agent });
        request.end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        let receivedBytes = 0;
        for await (const piece of response) receivedBytes += (piece as Buffer).length;
        expect(receivedBytes).toBe(lengthBytes);
      }
      agent.destroy();
    },
  );
});

describe('slowness has limits', () => {
  it('a body that stalls is RequestTimeout, and nothing is written', async () => {
    const socket = await server.openSocket();
    socket.write(uploadHead(1_000_000));
    socket.write(Buffer.alloc(1000));
    const answer = await readUntilClose(socket);
    expect(answer).toMatch(/^HTTP\/1.1 400 [^]*<Code>RequestTimeout<\/Code>/);
    await expectNothingWritten();
  });

  it('a body that trickles is RequestTimeout too', async () => {
    const socket = await server.openSocket();
    socket.write(uploadHead(1_000_000));
    const trickle = setInterval(() => socket.write('x'), 20);
    const answer = await readUntilClose(socket);
    clearInterval(trickle);
    expect(answer).toContain('<Code>RequestTimeout</Code>');
    await expectNothingWritten();
  });

  it('headers that stall are RequestTimeout', async () => {
    const socket = await server.openSocket();
    socket.write('GET /bucket HTTP/1.1\r\nHost: a\r\n');
    expect(await readUntilClose(socket)).toMatch(
      /^HTTP\/1.1 400 [^]*x-amz-request-id: [^]*<Code>RequestTimeout<\/Code>/,
    );
  });

  it('a client that reads nothing loses its connection', async () => {
    const large = Buffer.alloc(60_000_000);
    await server.send({ method: 'PUT', target: '/bucket/large', body: large });
    const socket = await server.openSocket();
    socket.on('error', () => {});
    socket.write(server.head({ target: '/bucket/large' }));
    socket.pause();
    await until(() => server.storage.counters.openReads === 1);
    await until(() => server.storage.counters.openReads === 0);
    socket.destroy();
  });
});

describe('what is no request, or too much of one', () => {
  it.each([
    [
      'a header of 64 KiB',
      `GET / HTTP/1.1\r\nHost: a\r\nX-Bomb: ${'x'.repeat(65_536)}\r\n\r\n`,
      'RequestHeaderSectionTooLarge',
    ],
    [
      'a request target of 64 KiB',
      `GET /${'x'.repeat(65_536)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      'RequestHeaderSectionTooLarge',
    ],
    [
      '300 headers',
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${'X: y\r\n'.repeat(300)}\r\n`,
      'RequestHeaderSectionTooLarge',
    ],
    ['garbage', 'this is no HTTP\r\n\r\n', 'BadRequest'],
    ['TLS', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), 'BadRequest'],
    [
      'two lengths',
      'PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      'BadRequest',
    ],
    [
      'a length and a transfer coding',
      'PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'BadRequest',
    ],
    ['a negative length', 'PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', 'BadRequest'],
    ['a header with a line break', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\u0000b\r\n\r\n', 'BadRequest'],
    ['an absolute target', 'GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'InvalidURI'],
    ['no Host', 'GET /b HTTP/1.1\r\nConnection: close\r\n\r\n', 'AccessDenied'],
  ])('%s is a clear S3 error', async (_claim, bytes, code) => {
    const answer = await server.sendRaw(bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer).toContain(`<Code>${code}</Code>`);
    expect(answer).toMatch(/x-amz-request-id: [0-9A-F]{16}/);
  });

  it('a chunked transfer that is broken half-way writes nothing', async () => {
    const socket = await server.openSocket();
    const wish = { method: 'PUT', target: '/bucket/upload', payload: 'UNSIGNED-PAYLOAD' };
    socket.write(server.head(wish, { 'transfer-encoding': 'chunked' }));
    socket.write('5\r\nhello\r\nnot a size\r\n');
    expect(await readUntilClose(socket)).toContain('<Code>BadRequest</Code>');
    await until(() => server.storage.counters.openSinks === 0);
    await expectNothingWritten();
  });

  it('arbitrary bytes and paths never get a 5xx other than 501 and 503, and never crash', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.stringMatching(/^[!-~]{0,40}$/),
        fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'PATCH'),
        async (path, method) => {
          const answer = await server.sendRaw(
            `${method} /${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
          );
          const status = Number(answer.slice(9, 12));
          // Nobody has no buckets: `GET /` is a list of none.
          expect(
            (status >= 400 || /^GET [/](\?|$)/.test(`${method} /${path}`)) &&
              (status < 500 || status === 501),
          ).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('Expect: 100-continue (RFC 9110 section 10.1.1)', () => {
  const expects = { expect: '100-continue' };

  it('a good upload is told to go on, and then answered', async () => {
    const socket = await server.openSocket();
    socket.write(uploadHead(5, { ...expects, connection: 'close' }));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write('hello');
    expect(await readUntilClose(socket)).toMatch(/^HTTP\/1.1 200 /);
    expect((await server.send({ target: '/bucket/upload' })).text).toBe('hello');
  });

  it.each(['tea', ''])('an expectation of %j is passed over, as RFC 9110 allows', async (expectation) => {
    const headers = { expect: expectation };
    const answer = await server.send({ method: 'PUT', target: '/bucket/upload', headers, body: 'hello' });
    expect(answer.status).toBe(200);
  });

  it.each([
    ['a wrong signature', 'SignatureDoesNotMatch', '/bucket/upload', 1_000_000],
    ['no bucket', 'NoSuchBucket', '/nowhere/upload', 1_000_000],
    ['too much', 'EntityTooLarge', '/bucket/upload', 6_000_000_000],
  ])(
    '%s is refused before the body is sent, and the connection closed',
    async (claim, code, target, length) => {
      const socket = await server.openSocket();
      const wish = { method: 'PUT', target, payload: 'UNSIGNED-PAYLOAD' };
      const head = server.head(wish, { 'content-length': String(length), ...expects });
      socket.write(claim === 'a wrong signature' ? head.replace(/Signature=.{4}/, 'Signature=0000') : head);
      const answer = await readUntilClose(socket);
      expect(answer).toMatch(/^HTTP\/1.1 4\d\d /);
      expect(answer).toMatch(/connection: close/i);
      expect(answer).toContain(`<Code>${code}</Code>`);
      expect(server.storage.counters.openSinks).toBe(0);
    },
  );
});

describe('connections', () => {
  it('so many are served at once, one more is turned away, and there is room when one is gone', async () => {
    const small = await TestServer.start({ ...HOLD, limits: { ...HOLD.limits, connectionsMax: 3 } });
    await expectConnectionLimit(small.port, 3, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await small.close();
  });

  it('a refused upload is read to its end when little is left, so the connection serves on', async () => {
    const socket = await server.openSocket();
    const pieces: string[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece.toString('latin1')));
    const wish = { method: 'PUT', target: '/nowhere/upload', payload: 'UNSIGNED-PAYLOAD' };
    socket.write(server.head(wish, { 'content-length': '50000' }));
    socket.write(Buffer.alloc(50_000));
    socket.write(server.head({ target: '/bucket/absent' }));
    await until(() => pieces.join('').includes('NoSuchKey'));
    expect(pieces.join('')).toContain('NoSuchBucket');
    socket.destroy();
  });

  it('a body that comes together with its headers is taken whole, and refused where it is wrong; the connection serves on', async () => {
    const socket = await server.openSocket();
    const pieces: string[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece.toString('latin1')));
    const wrong = { 'content-md5': createHash('md5').update('another').digest('base64') };
    const chunked = { method: 'PUT', target: '/bucket/chunked', payload: 'UNSIGNED-PAYLOAD' };
    socket.write(
      `${uploadHead(4, wrong)}body${uploadHead(4)}body` +
        `${server.head(chunked, { 'transfer-encoding': 'chunked' })}4\r\nbody\r\n0\r\n\r\n` +
        server.head({ target: '/bucket/absent' }),
    );
    await until(() => pieces.join('').includes('NoSuchKey'));
    const outcomes = [...pieces.join('').matchAll(/HTTP\/1\.1 (\d+)|<Code>(\w+)<\/Code>/g)];
    expect(outcomes.map(([, status, code]) => status ?? code)).toEqual([
      ...['400', 'BadDigest', '200', '200', '404', 'NoSuchKey'],
    ]);
    expect((await server.send({ target: '/bucket/upload' })).body.toString()).toBe('body');
    socket.destroy();
  });

  it('a refused upload of much still gets its answer, then the connection closes', async () => {
    const socket = await server.openSocket();
    const wish = { method: 'PUT', target: '/nowhere/upload', payload: 'UNSIGNED-PAYLOAD' };
    socket.write(server.head(wish, { 'content-length': '900000' }));
    socket.write(Buffer.alloc(900_000));
    expect(await readUntilClose(socket)).toMatch(/<Code>NoSuchBucket<\/Code>/);
  });

  it('one connection serves many requests', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let round = 0; round < 5; round += 1) {
      const { headers } = server.sign({ target: '/bucket?list-type=2' });
      const request = httpRequest({
        port: server.port,
        host: '127.0.0.1',
        path: '/bucket?list-type=2',
        headers,
        agent,
      });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      ports.add(response.socket.localPort);
      response.resume();
      await once(response, 'end');
    }
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  it('closing lets a request that is under way finish, and says Connection: close', async () => {
    const socket = await server.openSocket();
    socket.write(uploadHead(10));
    socket.write('hello');
    await until(() => server.storage.counters.openSinks === 1);
    const closing = server.app.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write('world');
    const answer = await readUntilClose(socket);
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toMatch(/connection: close/i);
    await closing;
  });
});
