/**
 * The floor: the least that a durable PUT and a GET can cost here. A bare node:http server that writes each body into a file
 * of its own, syncs it, and serves it; no authentication, no mirror, no index, and after a crash the folder entry may be gone.
 *
 * A child process: it takes the folder as its argument and sends its port.
 */
import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

const READ_PIECE_BYTES = 1024 * 1024;
const folder = process.argv[2] ?? '';

function fileOf(url: string): string {
  return join(folder, encodeURIComponent(url));
}

async function store(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const handle = await open(fileOf(request.url ?? ''), 'w');
  try {
    for await (const piece of request) await handle.write(piece as Buffer);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  response.writeHead(200, { 'content-length': '0' }).end();
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const handle = await open(fileOf(request.url ?? ''), 'r');
  const { size } = await handle.stat();
  response.writeHead(200, { 'content-length': String(size) });
  if (size > READ_PIECE_BYTES) {
    await handle.close();
    createReadStream(fileOf(request.url ?? ''), { highWaterMark: READ_PIECE_BYTES }).pipe(response);
    return;
  }
  try {
    response.end(await handle.readFile());
  } finally {
    await handle.close();
  }
}

await mkdir(folder, { recursive: true });
const server = createServer((request, response) => {
  const work = request.method === 'PUT' ? store(request, response) : serve(request, response);
  work.catch((error: unknown) => {
    response.writeHead(500).end(String(error));
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
process.once('disconnect', () => process.exit());
