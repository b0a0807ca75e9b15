/**
 * The floor: the least that a durable PUT and a GET can cost here. A bare node:http server that writes each body into a file
 * of its own, syncs it, and serves it; no authentication, no mirror, no index, and after a crash the folder entry may be gone.
 * With `memory` it keeps the bodies in memory and syncs nothing: the least that a GET can cost.
 *
 * A child process: it takes the folder (or `memory`) as its argument and sends its port.
 */
import { createReadStream } from 'node:fs';
import { mkdir, open, stat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

const READ_PIECE_BYTES = 1024 * 1024;
const place = process.argv[2] ?? '';

type Action = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

function fileOf(request: IncomingMessage): string {
  return join(place, encodeURIComponent(request.url ?? ''));
}

const onDisk: Record<string, Action> = {
  async PUT(request, response) {
    const handle = await open(fileOf(request), 'w');
    try {
      for await (const piece of request) await handle.write(piece as Buffer);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    response.writeHead(200, { 'content-length': '0' }).end();
  },
  async GET(request, response) {
    const handle = await open(fileOf(request), 'r');
    const { size } = await handle.stat();
    response.writeHead(200, { 'content-length': String(size) });
    if (size > READ_PIECE_BYTES) {
      await handle.close();
      createReadStream(fileOf(request), { highWaterMark: READ_PIECE_BYTES }).pipe(response);
      return;
    }
    try {
      response.end(await handle.readFile());
    } finally {
      await handle.close();
    }
  },
  async HEAD(request, response) {
    const { size } = await stat(fileOf(request));
    response.writeHead(200, { 'content-length': String(size) }).end();
  },
  async DELETE(request, response) {
    await unlink(fileOf(request));
    response.writeHead(204).end();
  },
};

const bodies = new Map<string, Buffer>();
const inMemory: Record<string, Action> = {
  async PUT(request, response) {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    bodies.set(request.url ?? '', Buffer.concat(pieces));
    response.writeHead(200, { 'content-length': '0' }).end();
  },
  async GET(request, response) {
    const body = bodies.get(request.url ?? '') ?? Buffer.alloc(0);
    response.writeHead(200, { 'content-length': String(body.length) }).end(body);
  },
};

if (place !== 'memory') await mkdir(place, { recursive: true });
const actions = place === 'memory' ? inMemory : onDisk;
const server = createServer((request, response) => {
  const action = actions[request.method ?? ''];
  if (action === undefined) {
    response.writeHead(501).end();
    return;
  }
  action(request, response).catch((error: unknown) => {
    response.writeHead(500).end(String(error));
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
process.once('disconnect', () => process.exit());
