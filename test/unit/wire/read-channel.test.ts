import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeConnector } from '../../../src/wire/connector.js';
import type { HttpRequest } from '../../../src/wire/http-exchange.js';
import { AnswerBody, ReadChannel, takeAll } from '../../../src/wire/http-read.js';
import { OsdUnreachable } from '../../../src/wire/osd-connection.js';

const HEAD = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
const REQUEST: HttpRequest = {
  ...{ method: 'GET', path: '/v1/object?id=a', headers: ['tally-epoch', '1'], body: null },
  ...{ answerWithinMs: 5000, idleMs: 5000 },
};

/** An OSD that answers as it is told, with its connections. */
let server: Server;
let sockets: Socket[];
let requests: string[];
let answer: (socket: Socket) => void;
let channel: ReadChannel;

beforeEach(async () => {
  sockets = [];
  requests = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      requests.push(bytes.toString('latin1'));
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const place = { host: `127.0.0.1:${port}`, hostname: '127.0.0.1', port: String(port), protocol: 'http:' };
  channel = new ReadChannel(place.host, (reading) => (onOutcome) => {
    makeConnector({ timeoutMs: 5000, socketPath: null, reading }, null)(place, onOutcome);
  });
});

afterEach(async () => {
  channel.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function inChunks(content: Buffer, chunkBytes: number): Buffer {
  const parts: Buffer[] = [Buffer.from(HEAD)];
  for (let at = 0; at < content.length; at += chunkBytes) {
    const chunk = content.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

async function readBody(lengthBytes: number): Promise<AnswerBody> {
  const incoming = await channel.open(REQUEST);
  return new AnswerBody(incoming, lengthBytes, (code) => new Error(`ended early: ${code ?? 'no code'}`));
}

describe('a large read', () => {
  it('is asked for in one request, with the headers that it has', async () => {
    answer = (socket) => socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}');
    const incoming = await channel.open(REQUEST);
    expect(incoming.status).toBe(404);
    expect((await takeAll(incoming, 10)).toString()).toBe('{}');
    const [request = ''] = requests;
    expect(request).toMatch(
      /^GET \/v1\/object\?id=a HTTP\/1\.1\r\nhost: 127.0.0.1:\d+\r\ntally-epoch: 1\r\n\r\n$/,
    );
  });

  it('brings every byte, on one connection, while its memory is used again and again', async () => {
    answer = (socket) => socket.write(inChunks(CONTENT, 70_000));
    const buffers = new Set<ArrayBufferLike>();
    for (let round = 0; round < 20; round += 1) {
      const body = await readBody(CONTENT.length);
      let at = 0;
      for await (const piece of body) {
        expect(piece.equals(CONTENT.subarray(at, at + piece.length))).toBe(true);
        at += piece.length;
        if (piece.buffer.byteLength >= 64 * 1024) buffers.add(piece.buffer);
        body.giveBack(piece);
      }
      expect(at).toBe(CONTENT.length);
    }
    expect(sockets).toHaveLength(1);
    expect(buffers.size).toBeLessThan(20);
  });

  it('pieces that nobody gives back stay as they are', async () => {
    answer = (socket) => socket.write(inChunks(CONTENT, 70_000));
    const pieces: Buffer[] = [];
    for (let round = 0; round < 3; round += 1) {
      for await (const piece of await readBody(CONTENT.length)) pieces.push(piece);
    }
    expect(Buffer.concat(pieces).equals(Buffer.concat([CONTENT, CONTENT, CONTENT]))).toBe(true);
  });

  it('that nobody reads stops its connection, and goes on when somebody does', async () => {
    const large = Buffer.alloc(16 * 1024 * 1024, 'x');
    let isWritten = false;
    answer = (socket) =>
      socket.write(inChunks(large, 1024 * 1024), () => {
        isWritten = true;
      });
    const body = await readBody(large.length);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isWritten).toBe(false);
    let receivedBytes = 0;
    for await (const piece of body) receivedBytes += piece.length;
    expect(receivedBytes).toBe(large.length);
  });

  it('that ends short says why', async () => {
    answer = (socket) => socket.write(`${HEAD}3\r\nabc\r\n0\r\ntally-error: damaged\r\n\r\n`);
    const pieces = (await readBody(10))[Symbol.asyncIterator]();
    expect((await pieces.next()).value?.toString()).toBe('abc');
    await expect(pieces.next()).rejects.toThrow('ended early: damaged');
  });

  it.each([
    ['breaks off', (socket: Socket) => socket.end(`${HEAD}5\r\nabc`)],
    ['is malformed', (socket: Socket) => socket.write(`${HEAD}3\r\nabcdef`)],
    ['goes silent', (socket: Socket) => socket.write(`${HEAD}5\r\nabc`)],
  ])('that %s fails, and the next one has another connection', async (_how, write) => {
    answer = write;
    const incoming = await channel.open({ ...REQUEST, idleMs: 50 });
    await expect(takeAll(incoming, 10)).rejects.toBeInstanceOf(OsdUnreachable);
    answer = (socket) => socket.write(inChunks(CONTENT, 1000));
    expect((await takeAll(await channel.open(REQUEST), CONTENT.length)).equals(CONTENT)).toBe(true);
    expect(sockets).toHaveLength(2);
  });

  it('without an answer in time fails', async () => {
    answer = () => undefined;
    await expect(channel.open({ ...REQUEST, answerWithinMs: 50 })).rejects.toMatchObject({ sent: true });
  });

  it('of an OSD that nobody reaches was not sent; nor is any after the end', async () => {
    await new Promise((resolve) => server.close(resolve));
    await expect(channel.open(REQUEST)).rejects.toMatchObject({ sent: false });
    channel.close();
    await expect(channel.open(REQUEST)).rejects.toMatchObject({ sent: false });
  });

  it('that is let go of early takes its connection along, unless little is left', async () => {
    answer = (socket) => socket.write(inChunks(CONTENT, 70_000));
    for (let round = 0; round < 2; round += 1) {
      const pieces = (await readBody(CONTENT.length))[Symbol.asyncIterator]();
      await pieces.next();
      await pieces.return?.();
    }
    expect(sockets).toHaveLength(2);
    answer = (socket) => socket.write(inChunks(CONTENT.subarray(0, 1000), 100));
    const before = sockets.length;
    for (let round = 0; round < 3; round += 1) {
      const pieces = (await readBody(1000))[Symbol.asyncIterator]();
      await pieces.return?.();
    }
    expect(sockets.length - before).toBeLessThanOrEqual(1);
  });

  it('with a header that ends a line is our mistake', async () => {
    const request = { ...REQUEST, headers: ['tally-epoch', '1\r\nhost: other'] };
    await expect(channel.open(request)).rejects.toThrow('no part of a request ends a line');
  });
});
