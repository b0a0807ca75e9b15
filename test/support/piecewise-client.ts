/** A server of node's own, and a client that sends it one body piece by piece, with pauses between them. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export const PAUSE_MS = 10;

/** Settles as `read` does with the request. */
export async function receivePiecewise<Read>(
  pieces: readonly Buffer[],
  read: (message: IncomingMessage, response: ServerResponse) => Promise<Read>,
): Promise<Read> {
  let server: Server | null = null;
  try {
    return await new Promise<Read>((resolve, reject) => {
      const listening = createServer((message, response) => {
        read(message, response)
          .then(resolve, reject)
          .finally(() => response.end());
      });
      server = listening;
      listening.listen(0, '127.0.0.1', () => void send(listening, pieces).catch(reject));
    });
  } finally {
    (server as Server | null)?.close();
    (server as Server | null)?.closeAllConnections();
  }
}

async function send(listening: Server, pieces: readonly Buffer[]): Promise<void> {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const { port } = listening.address() as AddressInfo;
  const client = request({ method: 'PUT', port, host: '127.0.0.1', headers: { 'content-length': length } });
  // It is cut off when everything is over.
  client.on('error', () => undefined);
  for (const piece of pieces) {
    client.write(piece);
    await sleep(PAUSE_MS);
  }
  client.end();
}
