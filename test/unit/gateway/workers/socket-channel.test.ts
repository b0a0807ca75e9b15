import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ObjectStorageError } from '../../../../src/gateway/object-storage.js';
import { Peer, PeerGone } from '../../../../src/gateway/workers/peer.js';
import { SocketChannel } from '../../../../src/gateway/workers/socket-channel.js';

async function connectPeers(): Promise<readonly [Peer, Peer]> {
  const folder = mkdtempSync(join(tmpdir(), 'tally-channel-'));
  const path = join(folder, 'socket');
  const server = createServer();
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const socket = createConnection(path);
  const peers = [
    new Peer('right', new SocketChannel(socket)),
    new Peer('left', new SocketChannel(await accepted)),
  ] as const;
  onTestFinished(() => {
    for (const peer of peers) peer.close();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return peers;
}

it('messages arrive whole and in order, small ones together and large ones in pieces', async () => {
  const [left, right] = await connectPeers();
  const seen: number[] = [];
  right.serve<{ number: number; bytes: Buffer }>('take', ({ number, bytes }) => {
    seen.push(number);
    return bytes.length;
  });
  const sizes = [0, 1, 100_000, 3, 1_000_000, 70_000, ...new Array<number>(200).fill(10)];
  const replies = await Promise.all(
    sizes.map((size, number) => left.call<number>('take', { number, bytes: Buffer.alloc(size, number) })),
  );
  expect(replies).toEqual(sizes);
  expect(seen).toEqual(sizes.map((_, number) => number));
});

it('a refusal keeps its kind', async () => {
  const [left, right] = await connectPeers();
  right.serve('refuse', () => {
    throw new ObjectStorageError('no-space', 'no room');
  });
  await expect(left.call('refuse', null)).rejects.toMatchObject({ kind: 'no-space', message: 'no room' });
});

it('when the other side is gone, calls without an answer end, and so does every later one', async () => {
  const [left, right] = await connectPeers();
  right.serve('never', () => new Promise(() => undefined));
  const waiting = left.call('never', null);
  let isTold = false;
  left.onGone(() => (isTold = true));
  right.close();
  await expect(waiting).rejects.toBeInstanceOf(PeerGone);
  expect(isTold).toBe(true);
  await expect(left.call('never', null)).rejects.toBeInstanceOf(PeerGone);
});
