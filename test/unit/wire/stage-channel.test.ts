import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeConnector } from '../../../src/wire/connector.js';
import { STAGE_PIECES_MAX, StageChannel, type StageRequest } from '../../../src/wire/http-stage.js';
import { OsdRefusal, type RemoteStage } from '../../../src/wire/osd-connection.js';

const REQUEST: StageRequest = {
  ...{ method: 'POST', path: '/v1/stages', headers: ['content-type', 'application/octet-stream'] },
  idleMs: 5000,
};
const PIECE_BYTES = 64 * 1024;
const LARGE_BYTES = 64 * 1024 * 1024;
const STAGED = { stageId: 'stage-1', lengthBytes: 0, contentChecksum: 0 };

function answerOf(status: number, body: object): string {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} Some\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
}

/** An OSD that does as it is told with each connection. */
let server: Server;
let port: number;
let sockets: Socket[];
/** What came over each. */
let received: Buffer[][];
let onConnection: (socket: Socket) => void;
/** `allBytes`: that came over this connection so far. */
let onData: (socket: Socket, bytes: Buffer, allBytes: number) => void;
let channels: StageChannel[];
/** Our ends. */
let clientSockets: Socket[];

beforeEach(async () => {
  sockets = [];
  received = [];
  channels = [];
  clientSockets = [];
  onConnection = () => undefined;
  onData = answerAtEnd;
  server = createServer((socket) => {
    sockets.push(socket);
    const pieces: Buffer[] = [];
    received.push(pieces);
    let allBytes = 0;
    socket.on('error', () => undefined);
    onConnection(socket);
    socket.on('data', (bytes: Buffer) => {
      pieces.push(bytes);
      allBytes += bytes.length;
      onData(socket, bytes, allBytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});

afterEach(async () => {
  for (const channel of channels) channel.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function answerAtEnd(socket: Socket, bytes: Buffer): void {
  const text = bytes.toString('latin1');
  if (text.endsWith('end') || text.endsWith('0\r\n\r\n')) socket.write(answerOf(200, STAGED));
}

function receivedOver(index: number): Buffer {
  return Buffer.concat(received[index] ?? []);
}

function openChannel(connectionsMax?: number): StageChannel {
  const place = { host: `127.0.0.1:${port}`, hostname: '127.0.0.1', port: String(port), protocol: 'http:' };
  const channel = new StageChannel(
    place.host,
    (reading) => (onOutcome) => {
      makeConnector({ timeoutMs: 5000, socketPath: null, reading }, null)(place, (...outcome) => {
        if (outcome[0] === null) clientSockets.push(outcome[1]);
        onOutcome(...outcome);
      });
    },
    connectionsMax,
  );
  channels.push(channel);
  return channel;
}

interface FullStage {
  readonly givenCount: number;
  readonly takenCount: () => number;
  /** The last write. */
  readonly blocked: Promise<void>;
}

/** Writes until it has to wait for long. */
async function fill(stage: RemoteStage, pieceBytes = PIECE_BYTES): Promise<FullStage> {
  let givenCount = 0;
  let takenCount = 0;
  for (;;) {
    const write = { isOver: false };
    givenCount += 1;
    const onTaken = (): void => {
      takenCount += 1;
    };
    const blocked = stage.write(Buffer.alloc(pieceBytes, givenCount), onTaken).finally(() => {
      write.isOver = true;
    });
    blocked.catch(() => undefined);
    for (let looks = 0; !write.isOver && looks < 10; looks += 1) await sleep(looks);
    if (!write.isOver) return { givenCount, takenCount: () => takenCount, blocked };
  }
}

describe('a stage', () => {
  it('whose length is known is one request, and its bytes as they are', async () => {
    const stage = openChannel().open(() => REQUEST, 9);
    await stage.write(Buffer.from('abc'));
    await stage.write(Buffer.alloc(0));
    await stage.write(Buffer.from('defend'));
    expect(await stage.finish()).toEqual(STAGED);
    expect(receivedOver(0).toString()).toBe(
      `POST /v1/stages HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/octet-stream\r\ncontent-length: 9\r\n\r\nabcdefend`,
    );
  });

  it('of unknown length has a frame around each piece', async () => {
    const stage = openChannel().open(() => REQUEST, null);
    await stage.write(Buffer.from('abc'));
    await stage.write(Buffer.alloc(20, 'x'));
    expect(await stage.finish()).toEqual(STAGED);
    expect(receivedOver(0).toString()).toMatch(
      /\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n14\r\nx{20}\r\n0\r\n\r\n$/,
    );
  });

  it('of nothing is a request all the same', async () => {
    onData = (socket) => socket.write(answerOf(200, STAGED));
    expect(
      await openChannel()
        .open(() => REQUEST, 0)
        .finish(),
    ).toEqual(STAGED);
    expect(receivedOver(0).toString()).toMatch(/\r\ncontent-length: 0\r\n\r\n$/);
    expect(
      await openChannel()
        .open(() => REQUEST, null)
        .finish(),
    ).toEqual(STAGED);
    expect(receivedOver(1).toString()).toMatch(/\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n$/);
  });

  it('that has other bytes than were said is lost', async () => {
    const channel = openChannel();
    const long = channel.open(() => REQUEST, 5);
    await long.write(Buffer.from('abc'));
    await expect(long.write(Buffer.from('def'))).rejects.toThrow('longer than was said');
    await expect(long.finish()).rejects.toThrow('longer than was said');
    const short = channel.open(() => REQUEST, 5);
    await short.write(Buffer.from('abc'));
    await expect(short.finish()).rejects.toThrow('shorter than was said');
    await expect.poll(() => sockets.every((socket) => socket.closed)).toBe(true);
  });

  it('that no request can be made for rejects with the reason', async () => {
    const reason = new OsdRefusal('wrong-contract', 400, 'it speaks another version');
    const stage = openChannel().open(() => {
      throw reason;
    }, 5);
    let taken = 0;
    await expect(stage.write(Buffer.from('abc'), () => (taken += 1))).rejects.toBe(reason);
    await expect(stage.finish()).rejects.toBe(reason);
    stage.abort();
    expect(taken).toBe(1);
    expect(sockets).toHaveLength(0);
  });

  it('shares its connection with the next one', async () => {
    const channel = openChannel();
    for (let round = 1; round <= 3; round += 1) {
      const stage = channel.open(() => REQUEST, 3);
      await stage.write(Buffer.from('end'));
      await stage.finish();
    }
    expect(sockets).toHaveLength(1);
    expect(receivedOver(0).toString().split('POST ')).toHaveLength(4);
  });

  it('waits for a connection when all are in use, and holds no more meanwhile than any other', async () => {
    const channel = openChannel(2);
    const stages = Array.from({ length: 7 }, () => channel.open(() => REQUEST, 3));
    const finished = stages.map(async (stage) => {
      await stage.write(Buffer.from('end'));
      return stage.finish();
    });
    expect(await Promise.all(finished)).toEqual(stages.map(() => STAGED));
    expect(sockets).toHaveLength(2);
    onData = () => undefined;
    const running = [channel.open(() => REQUEST, LARGE_BYTES), channel.open(() => REQUEST, LARGE_BYTES)];
    const late = channel.open(() => REQUEST, LARGE_BYTES);
    const { givenCount, takenCount } = await fill(late);
    expect(givenCount * PIECE_BYTES).toBeLessThanOrEqual(512 * 1024);
    late.abort();
    expect(takenCount()).toBe(givenCount);
    for (const stage of running) stage.abort();
  });
});

describe('the pieces of a stage', () => {
  it('are their owner’s again once they were taken, whatever becomes of them then', async () => {
    const contentBytes = 320 * PIECE_BYTES;
    let headBytes = 0;
    onData = (socket, bytes, allBytes) => {
      // Now and then it is slow.
      if (Math.floor(allBytes / 3_000_000) !== Math.floor((allBytes - bytes.length) / 3_000_000)) {
        socket.pause();
        setTimeout(() => socket.resume(), 3);
      }
      if (allBytes === bytes.length) headBytes = bytes.indexOf('\r\n\r\n') + 4;
      if (allBytes === headBytes + contentBytes) socket.write(answerOf(200, STAGED));
    };
    const stage = openChannel().open(() => REQUEST, contentBytes);
    let taken = 0;
    for (let index = 0; index < 320; index += 1) {
      const piece = Buffer.alloc(PIECE_BYTES, index);
      await stage.write(piece, () => {
        taken += 1;
        piece.fill(0xff);
      });
    }
    await stage.finish();
    expect(taken).toBe(320);
    const content = receivedOver(0).subarray(headBytes);
    for (let index = 0; index < 320; index += 1) {
      const piece = content.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
      expect(piece.equals(Buffer.alloc(PIECE_BYTES, index))).toBe(true);
    }
  });

  it.each<[string, (stage: RemoteStage, socket: Socket) => void]>([
    ['is aborted', (stage) => stage.abort()],
    ['loses its OSD', (_stage, socket) => socket.resetAndDestroy()],
    ['is refused', (_stage, socket) => socket.write(answerOf(503, { code: 'no-space', message: 'full' }))],
    ['is closed', () => channels[0]?.close()],
  ])('come back, each once, when it %s while the socket is full', async (_how, end) => {
    onConnection = (socket) => socket.pause();
    const channel = openChannel();
    const stage = channel.open(() => REQUEST, LARGE_BYTES);
    const { givenCount, takenCount, blocked } = await fill(stage);
    expect(takenCount()).toBeLessThan(givenCount);
    end(stage, sockets[0]!);
    await expect(blocked).rejects.toThrow();
    let lateTaken = 0;
    await expect(stage.write(Buffer.from('late'), () => (lateTaken += 1))).rejects.toThrow();
    await expect(stage.finish()).rejects.toThrow();
    await expect.poll(takenCount).toBe(givenCount);
    stage.abort();
    await sleep(20);
    expect(takenCount()).toBe(givenCount);
    expect(lateTaken).toBe(1);
  });
});

describe('pieces of a byte each', () => {
  it('are no more than a few before one of them is taken', async () => {
    const channel = openChannel(1);
    const running = channel.open(() => REQUEST, 3);
    const late = channel.open(() => REQUEST, LARGE_BYTES);
    const { givenCount } = await fill(late, 1);
    expect(givenCount).toBe(STAGE_PIECES_MAX);
    late.abort();
    running.abort();
  });

  it.each([20_000, null])('come one by one (length said: %s)', async (lengthBytes) => {
    const stage = openChannel().open(() => REQUEST, lengthBytes);
    let taken = 0;
    for (let index = 0; index < 20_000; index += 1)
      await stage.write(Buffer.from(index < 19_997 ? 'x' : 'end'.charAt(index - 19_997)), () => (taken += 1));
    expect(await stage.finish()).toEqual(STAGED);
    expect(taken).toBe(20_000);
  });
});

describe('a stage that goes wrong', () => {
  it('half-way, by a refusal, says which, and takes its connection along', async () => {
    onData = (socket, _bytes, allBytes) => {
      if (allBytes < 10 * PIECE_BYTES) return;
      socket.pause();
      socket.write(answerOf(507, { code: 'no-space', message: 'the disk is full' }));
    };
    const channel = openChannel();
    const stage = channel.open(() => REQUEST, LARGE_BYTES);
    const writing = (async () => {
      for (;;) await stage.write(Buffer.alloc(PIECE_BYTES));
    })();
    await expect(writing).rejects.toMatchObject({ name: 'OsdRefusal', code: 'no-space', status: 507 });
    await expect(stage.finish()).rejects.toMatchObject({ code: 'no-space' });
    onData = answerAtEnd;
    const next = channel.open(() => REQUEST, 3);
    await next.write(Buffer.from('end'));
    await next.finish();
    expect(sockets).toHaveLength(2);
    expect(receivedOver(1).toString()).toMatch(/^POST [^]*\r\n\r\nend$/);
  });

  it('is lost when the OSD says it has it before it has', async () => {
    onData = (socket) => socket.write(answerOf(200, STAGED));
    const stage = openChannel().open(() => REQUEST, LARGE_BYTES);
    const writing = (async () => {
      for (;;) await stage.write(Buffer.alloc(PIECE_BYTES));
    })();
    await expect(writing).rejects.toThrow('before the content ended');
    await expect(stage.finish()).rejects.toThrow('before the content ended');
    await expect.poll(() => sockets[0]?.closed).toBe(true);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['is killed', (socket) => socket.resetAndDestroy()],
    ['goes away', (socket) => socket.end()],
    ['talks nonsense', (socket) => socket.write('nonsense\r\n\r\n')],
    ['answers without end', (socket) => socket.write(answerOf(200, { stageId: 'x'.repeat(1_000_000) }))],
  ])('half-way, as its OSD %s, may have done anything, and is sent once', async (_how, fail) => {
    onData = (socket, _bytes, allBytes) => {
      if (allBytes > 10 * PIECE_BYTES) fail(socket);
    };
    const stage = openChannel().open(() => REQUEST, LARGE_BYTES);
    const writing = (async () => {
      for (;;) await stage.write(Buffer.alloc(PIECE_BYTES));
    })();
    await expect(writing).rejects.toMatchObject({ name: 'OsdUnreachable', sent: true });
    await expect(stage.finish()).rejects.toMatchObject({ name: 'OsdUnreachable', sent: true });
    await sleep(20);
    expect(sockets).toHaveLength(1);
  });

  it('on a connection that was idle and is closed as the request goes out is sent once', async () => {
    const channel = openChannel();
    const first = channel.open(() => REQUEST, 3);
    await first.write(Buffer.from('end'));
    await first.finish();
    onData = (socket) => socket.resetAndDestroy();
    const second = channel.open(() => REQUEST, 3);
    const writing = second.write(Buffer.from('end')).then(() => second.finish());
    await expect(writing).rejects.toMatchObject({ name: 'OsdUnreachable', sent: true });
    await sleep(20);
    expect(sockets).toHaveLength(1);
  });

  it('does not, when a connection was closed while nobody used it', async () => {
    const channel = openChannel();
    for (let round = 1; round <= 3; round += 1) {
      const stage = channel.open(() => REQUEST, 3);
      await stage.write(Buffer.from('end'));
      expect(await stage.finish()).toEqual(STAGED);
      sockets.at(-1)?.end();
      await expect.poll(() => sockets.at(-1)?.closed).toBe(true);
      await sleep(5);
    }
    expect(sockets).toHaveLength(3);
  });

  it('does not, in the moment in which its connection was idle for too long', async () => {
    const channel = openChannel();
    for (let round = 1; round <= 2; round += 1) {
      const stage = channel.open(() => REQUEST, 3);
      await stage.write(Buffer.from('end'));
      expect(await stage.finish()).toEqual(STAGED);
      clientSockets.at(-1)?.emit('timeout');
    }
    expect(sockets).toHaveLength(2);
  });

  it('was not sent when nobody is there, or the way is closed', async () => {
    const channel = openChannel();
    await new Promise((resolve) => server.close(resolve));
    const stage = channel.open(() => REQUEST, 3);
    let taken = 0;
    const writing = stage.write(Buffer.from('end'), () => (taken += 1)).then(() => stage.finish());
    await expect(writing).rejects.toMatchObject({ name: 'OsdUnreachable', sent: false });
    expect(taken).toBe(1);
    channel.close();
    await expect(channel.open(() => REQUEST, 0).finish()).rejects.toMatchObject({ sent: false });
  });
});

describe('the limit on pauses', () => {
  const hasty: StageRequest = { ...REQUEST, idleMs: 50 };

  it('ends a stage of which nothing is taken, or that is not answered', async () => {
    onConnection = (socket) => socket.pause();
    const stuck = openChannel().open(() => hasty, LARGE_BYTES);
    const writing = (async () => {
      for (;;) await stuck.write(Buffer.alloc(PIECE_BYTES));
    })();
    await expect(writing).rejects.toMatchObject({ name: 'OsdUnreachable', sent: true });
    onConnection = () => undefined;
    onData = () => undefined;
    const silent = openChannel().open(() => hasty, 3);
    await silent.write(Buffer.from('end'));
    await expect(silent.finish()).rejects.toMatchObject({ name: 'OsdUnreachable', sent: true });
  });

  it('leaves a stage alone whose own content is late', async () => {
    const stage = openChannel().open(() => hasty, 6);
    await stage.write(Buffer.from('abc'));
    await sleep(200);
    await stage.write(Buffer.from('end'));
    expect(await stage.finish()).toEqual(STAGED);
  });
});
