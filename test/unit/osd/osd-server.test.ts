import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { StoreError } from '../../../src/store/object-store.js';
import {
  HEADER_EPOCH,
  MEDIA_BYTES,
  MEDIA_FRAME,
  MEDIA_JSON,
  MEDIA_TRANSACTIONS,
  OSD_PATHS,
} from '../../../src/wire/contract.js';
import { HttpOsdConnection } from '../../../src/wire/http-osd-connection.js';
import { STAGE_BUFFER_BYTES_MAX } from '../../../src/wire/http-stage.js';
import { type OsdConnection, OsdRefusal, type OsdUnreachable } from '../../../src/wire/osd-connection.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { type RunningOsd, startOsd, type StartOptions, TIMEOUTS } from './osd-harness.js';
import {
  commit,
  contentOf,
  EPOCH,
  objectNamed,
  patternBytes,
  replyTo,
  SECRET,
  SET_ID,
  tagAt,
} from './osd-writer.js';

const ID = objectNamed('key');
const HELLO = Buffer.from('hello');
const REPLACE = { kind: 'replace', objectId: ID, tag: tagAt(1, 1), bytes: HELLO } as const;

let store: MemoryOsdStore;
let running: RunningOsd;
let osd: OsdConnection;

async function start(options: StartOptions = {}): Promise<void> {
  store = new MemoryOsdStore(SET_ID, 1);
  running = await startOsd(store, options);
  osd = running.connection;
  await osd.fence(EPOCH);
  await osd.activate(EPOCH);
}

afterEach(() => running.close());

/** A request without the client of ours. */
async function raw(
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string | Buffer; secret?: string | null } = {},
): Promise<{ status: number; body: unknown; headers: Headers }> {
  const { secret = SECRET } = options;
  const authorization: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` };
  const response = await fetch(running.url + path, {
    method,
    headers: { ...authorization, ...options.headers },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** Bytes over a bare socket, until the other side ends. */
async function rawSocket(text: string): Promise<string> {
  const socket = connect(Number(new URL(running.url).port), '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(received).toString('utf8');
}

async function eventually(check: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it did not happen');
}

describe('who may talk to an OSD', () => {
  beforeEach(() => start());

  const routes = Object.values(OSD_PATHS).filter((path) => !path.startsWith('/health'));

  it.each(routes)('%s lets nobody in without the secret, whatever the method', async (path) => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const { status, body } = await raw(method, path.replace(/\{\w+\}/, '1'), { secret: null });
      expect({ status, body }).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    }
  });

  it('a wrong secret, of the same length or not, is none; unknown routes say nothing either', async () => {
    for (const secret of ['', 'x', SECRET.replace('a', 'b'), `${SECRET}x`]) {
      expect(await raw('GET', OSD_PATHS.identity, { secret })).toMatchObject({ status: 401 });
      expect(await raw('GET', '/nowhere', { secret })).toMatchObject({ status: 401 });
    }
    const stranger = new HttpOsdConnection({
      url: running.url,
      secret: 'some-other-secret',
      timeouts: TIMEOUTS,
    });
    await expect(stranger.identity()).rejects.toMatchObject({
      name: 'OsdRefusal',
      code: 'unauthorized',
      status: 401,
    });
    await stranger.close();
  });

  it('while the secret is changed each of both is accepted, and the first is shown', async () => {
    const OTHER = 'the-other-secret-of-the-set';
    let served: readonly [string, ...string[]] = [SECRET];
    let shown: readonly [string, ...string[]] = [SECRET];
    const osd = await startOsd(new MemoryOsdStore(SET_ID, 9), { secret: () => served });
    const caller = new HttpOsdConnection({ url: osd.url, secret: () => shown, timeouts: TIMEOUTS });
    await caller.identity();
    shown = [OTHER, SECRET];
    await expect(caller.identity()).rejects.toMatchObject({ code: 'unauthorized' });
    served = [SECRET, OTHER];
    await caller.identity();
    await osd.connection.identity();
    served = [OTHER];
    await caller.identity();
    await expect(osd.connection.identity()).rejects.toMatchObject({ code: 'unauthorized' });
    await caller.close();
    await osd.close();
  });

  it('the body of a stranger is not read: the connection is closed', async () => {
    const answer = await rawSocket(
      `POST ${OSD_PATHS.stages} HTTP/1.1\r\nhost: x\r\ncontent-type: ${MEDIA_BYTES}\r\ncontent-length: 100000000\r\n\r\nabc`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  it('the health of the process is open to all', async () => {
    expect(await raw('GET', OSD_PATHS.live, { secret: null })).toMatchObject({ status: 200 });
    expect(await raw('GET', OSD_PATHS.ready, { secret: null })).toMatchObject({
      status: 200,
      body: { status: 'ready' },
    });
    expect(await raw('POST', OSD_PATHS.live, { secret: null })).toMatchObject({ status: 401 });
  });
});

it('F29: a fence that is meant for another run of the OSD does nothing', async () => {
  await start();
  const { incarnation } = await osd.identity();
  await expect(osd.fence(toEpoch(2), `${incarnation}-before`)).rejects.toMatchObject({ code: 'stale-order' });
  expect((await osd.identity()).fencedEpoch).toBe(EPOCH);
  expect(await osd.fence(toEpoch(2), incarnation)).toMatchObject({ fencedEpoch: 2 });
});

describe('batches go the short way, past fastify', () => {
  beforeEach(() => start());

  const mediaTypes: ReadonlyMap<string, string> = new Map([
    [OSD_PATHS.byteTransactions, MEDIA_TRANSACTIONS],
    [OSD_PATHS.transactions, MEDIA_FRAME],
    [OSD_PATHS.reads, MEDIA_JSON],
  ]);
  const hotPaths = [...mediaTypes.keys()];
  const mediaTypeOf = (path: string): string => mediaTypes.get(path) ?? '';
  const reads = JSON.stringify({ epoch: 1, reads: [{ id: ID, range: null }] });

  it('one without a length (in chunks) goes the long way, and is answered the same', async () => {
    await commit(osd, REPLACE);
    const request = (rest: string): string =>
      `POST ${OSD_PATHS.reads} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${SECRET}\r\n` +
      `content-type: ${MEDIA_JSON}\r\nconnection: close\r\n${rest}`;
    const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n'));
    const short = await rawSocket(request(`content-length: ${reads.length}\r\n\r\n${reads}`));
    const long = await rawSocket(
      request(`transfer-encoding: chunked\r\n\r\n${reads.length.toString(16)}\r\n${reads}\r\n0\r\n\r\n`),
    );
    expect(short).toMatch(/^HTTP\/1\.1 200 [^]*hello$/);
    expect(bodyOf(long)).toBe(bodyOf(short));
  });

  it.each(hotPaths)('%s: each refusal is what it is on any other route', async (path) => {
    const headers = { 'content-type': mediaTypeOf(path) };
    const refusalOf = async (options: Parameters<typeof raw>[2]) => {
      const { status, body } = await raw('POST', path, options);
      return { status, code: (body as { code: string }).code };
    };
    expect(await refusalOf({ headers, body: 'x' })).toEqual({ status: 400, code: 'bad-request' });
    expect(await refusalOf({ headers, body: '' })).toEqual({ status: 400, code: 'bad-request' });
    expect(await refusalOf({ headers, body: 'x', secret: 'not-the-secret-of-the-set' })).toEqual({
      status: 401,
      code: 'unauthorized',
    });
    expect(await refusalOf({ headers: { 'content-type': 'text/plain' }, body: 'x' })).toEqual({
      status: 415,
      code: 'unsupported-media-type',
    });
  });

  it.each(hotPaths)('%s: a body over the limit is refused by its length', async (path) => {
    const answer = await rawSocket(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${SECRET}\r\n` +
        `content-type: ${mediaTypeOf(path)}\r\ncontent-length: 100000000\r\n\r\nabc`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*"code":"body-too-large"/);
  });

  it('a client that goes away in the middle of a batch leaves nothing behind, and harms nobody', async () => {
    const socket = connect(Number(new URL(running.url).port), '127.0.0.1');
    socket.write(
      `POST ${OSD_PATHS.transactions} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${SECRET}\r\n` +
        `content-type: ${MEDIA_FRAME}\r\ncontent-length: 1000\r\n\r\nabc`,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    await commit(osd, REPLACE);
    expect(await osd.head(EPOCH, ID)).toMatchObject({ sizeBytes: HELLO.length });
    expect(running.violations).toEqual([]);
  });
});

describe('requests that are none', () => {
  beforeEach(() => start({ limits: { requestHeaderBytesMax: 4096 } }));

  it.each([
    ['GET', '/nowhere', {}, 404, 'no-such-route'],
    ['DELETE', OSD_PATHS.identity, {}, 404, 'no-such-route'],
    ['GET', '/v1/%ff', {}, 400, 'bad-request'],
    [
      'POST',
      OSD_PATHS.fence,
      { headers: { 'content-type': 'text/plain' }, body: 'x' },
      415,
      'unsupported-media-type',
    ],
    ['POST', OSD_PATHS.fence, { headers: { 'content-type': MEDIA_JSON }, body: '{' }, 400, 'bad-request'],
    [
      'POST',
      OSD_PATHS.fence,
      { headers: { 'content-type': MEDIA_JSON }, body: '{"epoch":-1}' },
      400,
      'bad-request',
    ],
    [
      'POST',
      OSD_PATHS.fence,
      { headers: { 'content-type': MEDIA_JSON }, body: '{"epoch":1,"x":1}' },
      400,
      'bad-request',
    ],
    [
      'POST',
      OSD_PATHS.fence,
      { headers: { 'content-type': MEDIA_JSON }, body: ' '.repeat(70_000) },
      413,
      'body-too-large',
    ],
    ['POST', OSD_PATHS.fence, {}, 400, 'bad-request'],
    [
      'POST',
      OSD_PATHS.transactions,
      { headers: { 'content-type': MEDIA_FRAME }, body: 'garbage' },
      400,
      'bad-request',
    ],
    [
      'POST',
      OSD_PATHS.byteTransactions,
      { headers: { 'content-type': MEDIA_TRANSACTIONS }, body: 'garbage' },
      400,
      'bad-request',
    ],
    ['GET', `${OSD_PATHS.objectState}?id=no-id`, { headers: { [HEADER_EPOCH]: '1' } }, 400, 'bad-request'],
    ['GET', `${OSD_PATHS.objectState}?id=b%00k%00`, {}, 400, 'bad-request'],
    [
      'GET',
      `${OSD_PATHS.objectState}?id=b%00k%00`,
      { headers: { [HEADER_EPOCH]: '1' } },
      404,
      'no-such-object',
    ],
    ['GET', `${OSD_PATHS.tagTable}?limit=1001`, {}, 400, 'bad-request'],
    ['GET', '/v1/reconciliations/abc', {}, 400, 'bad-request'],
    ['GET', '/v1/reconciliations/7', {}, 404, 'unknown-reconciliation'],
    [
      'POST',
      OSD_PATHS.stages,
      { headers: { 'content-type': MEDIA_JSON }, body: '{}' },
      415,
      'unsupported-media-type',
    ],
  ] as const)('%s %s is refused (%#)', async (method, path, options, status, code) => {
    expect(await raw(method, path, options)).toMatchObject({ status, body: { code } });
  });

  it('bytes that are no HTTP, and header bombs, are answered in JSON and closed', async () => {
    expect(await rawSocket('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [^]*"code":"bad-request"/);
    const bomb = `GET /v1/identity HTTP/1.1\r\nhost: x\r\nx-bomb: ${'x'.repeat(8000)}\r\n\r\n`;
    expect(await rawSocket(bomb)).toMatch(/^HTTP\/1\.1 431 [^]*"code":"headers-too-large"/);
    expect((await osd.identity()).setId).toBe(SET_ID);
  });
});

describe('limits', () => {
  it('a head that comes too slowly is given up', async () => {
    await start({ limits: { requestHeadersMs: 100 } });
    expect(await rawSocket('GET /v1/identity HTTP/1.1\r\nhost: x\r\n')).toMatch(
      /^HTTP\/1\.1 408 [^]*request-timeout/,
    );
  });

  it('a stage over its limit is refused and dropped', async () => {
    await start({ limits: { stageBytesMax: 100_000 } });
    const stage = osd.openStage();
    const writing = async (): Promise<void> => {
      for (let count = 0; count < 1000; count += 1) await stage.write(Buffer.alloc(10_000));
      await stage.finish();
    };
    const error: unknown = await writing().catch((reason: unknown) => reason);
    // The refusal, or the reset of the connection that came before it.
    expect(error instanceof OsdRefusal ? error.code : (error as OsdUnreachable).code).toMatch(
      /body-too-large|osd-unreachable/,
    );
    expect(store.stages.size).toBe(0);
    await commit(osd, REPLACE);
  });

  it('a stage that nobody names is discarded after a while, one that was named late is unknown', async () => {
    await start({ limits: { stageIdleMs: 40 } });
    const stage = osd.openStage();
    await stage.write(HELLO);
    const staged = await stage.finish();
    expect(store.stages.size).toBe(1);
    await eventually(() => store.stages.size === 0);
    expect(await replyTo(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 1), staged })).toMatchObject({
      code: 'unknown-stage',
    });
  });

  it('there are so many stages at the most, and room again when one is gone', async () => {
    await start({ limits: { stagesMax: 2 } });
    const finish = async (): Promise<string> => {
      const stage = osd.openStage();
      await stage.write(HELLO);
      return (await stage.finish()).stageId;
    };
    const first = await finish();
    await finish();
    await expect(finish()).rejects.toMatchObject({ code: 'too-many-stages', status: 503 });
    await osd.discardStage(first);
    await finish();
  });

  it('a page of a listing ends early when attributes are long', async () => {
    await start({ limits: { listPageBytesMax: 1000 } });
    for (let count = 1; count <= 5; count += 1) {
      const attributes = 'x'.repeat(400);
      await commit(osd, { ...REPLACE, objectId: objectNamed(`n${count}`), tag: tagAt(1, count), attributes });
    }
    const page = await osd.list(EPOCH, {
      container: 'bucket',
      prefix: '',
      after: '',
      delimiter: '',
      limit: 10,
    });
    expect(page).toMatchObject({ truncated: true });
    expect(page.entries.length).toBe(2);
  });
});

describe('a client that goes away', () => {
  beforeEach(() => start());

  it('half-way into a stage leaves nothing of it', async () => {
    const stage = osd.openStage();
    await stage.write(Buffer.alloc(100_000));
    await stage.write(Buffer.alloc(100_000));
    stage.abort();
    await commit(osd, REPLACE);
    expect(store.stages.size).toBe(0);
    // Not one stage is counted any more: as many as the limit allows can be opened.
    const stages = Array.from({ length: 50 }, () => osd.openStage());
    await Promise.all(stages.map((each) => each.write(HELLO)));
    const staged = await Promise.all(stages.map((each) => each.finish()));
    expect(new Set(staged.map(({ stageId }) => stageId)).size).toBe(50);
  });
});

describe('failures of the store', () => {
  beforeEach(() => start());

  it('F30: bytes that turn out damaged end the read as a refusal, after right bytes only', async () => {
    const bytes = patternBytes(1_000_000, 5);
    const stage = osd.openStage();
    await stage.write(bytes);
    await commit(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 1), staged: await stage.finish() });
    store.damaged.add(ID);
    const read = await osd.read(EPOCH, ID, { kind: 'whole' });
    const pieces: Buffer[] = [];
    const reading = (async () => {
      for await (const piece of read!.body) pieces.push(piece);
    })();
    await expect(reading).rejects.toMatchObject({ name: 'OsdRefusal', code: 'damaged' });
    const got = Buffer.concat(pieces);
    expect(got.length).toBeLessThan(bytes.length);
    expect(bytes.subarray(0, got.length).equals(got)).toBe(true);
    store.damaged.clear();
    expect((await contentOf(osd, EPOCH, ID))?.equals(bytes)).toBe(true);
  });

  it('a failed disk refuses writes and stages, and the OSD is not ready any more', async () => {
    store.hasDiskFailed = true;
    expect(await replyTo(osd, REPLACE)).toEqual({ kind: 'refused', code: 'io-error', lastTag: null });
    const stage = osd.openStage();
    await stage.write(HELLO);
    await expect(stage.finish()).rejects.toMatchObject({ code: 'io-error', status: 503 });
    expect(await raw('GET', OSD_PATHS.ready, { secret: null })).toMatchObject({ status: 503 });
    expect(await raw('GET', OSD_PATHS.live, { secret: null })).toMatchObject({ status: 200 });
  });

  it('what nobody foresaw is an internal error without its message; a broken invariant stops the process', async () => {
    store.summaries = () => Promise.reject(new Error('secret detail'));
    const { status, body } = await raw('GET', `${OSD_PATHS.summaries}?limit=1`);
    expect({ status, body }).toEqual({
      status: 500,
      body: { code: 'internal-error', message: 'internal error' },
    });
    expect(running.violations).toEqual([]);
    store.summaries = () => Promise.reject(new InvariantViolation('two and two are four'));
    await expect(osd.summaries(null, 1)).rejects.toMatchObject({ code: 'internal-error' });
    expect(running.violations.length).toBe(1);
    store.summaries = () => Promise.reject(new StoreError('closed', 'the store is closed'));
    await expect(osd.summaries(null, 1)).rejects.toMatchObject({ code: 'closing', status: 503 });
  });
});

describe('closing', () => {
  it('lets what is in flight finish, and takes nothing new', async () => {
    await start();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const { write } = store;
    store.write = async (request) => {
      await held;
      return write.call(store, request);
    };
    const writing = commit(osd, REPLACE);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closing = running.app.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(osd.identity()).rejects.toThrow();
    release();
    await writing;
    await closing;
    await expect(osd.identity()).rejects.toMatchObject({ name: 'OsdUnreachable', sent: false });
  });
});

describe('what a client knows of a request without an answer', () => {
  let server: Server;
  let sockets: Socket[];
  let behave: (socket: Socket) => void;

  beforeEach(async () => {
    await start();
    sockets = [];
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      behave(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  function connectionTo(url: string, answerMs = 200): HttpOsdConnection {
    return new HttpOsdConnection({
      url,
      secret: SECRET,
      timeouts: { connectMs: 200, answerMs, bodyIdleMs: 300 },
    });
  }

  function serverUrl(): string {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it listens on a port');
    return `http://127.0.0.1:${address.port}`;
  }

  it('refused connections did nothing', async () => {
    const url = serverUrl();
    const connection = connectionTo(url.replace(/\d+$/, '1'));
    await expect(connection.identity()).rejects.toMatchObject({ name: 'OsdUnreachable', sent: false });
    await expect(connection.openStage().finish()).rejects.toMatchObject({ sent: false });
    await expect(connection.read(EPOCH, ID, { kind: 'whole' })).rejects.toMatchObject({ sent: false });
    await connection.close();
    await expect(connection.identity()).rejects.toMatchObject({ sent: false });
    const nowhere = connectionTo('unix:/nonexistent/osd.sock');
    await expect(nowhere.identity()).rejects.toMatchObject({ sent: false });
    await nowhere.close();
  });

  it('a connection that is reset, closed or silent after the request may have done anything', async () => {
    const behaviours: ((socket: Socket) => void)[] = [
      (socket) => socket.on('data', () => socket.resetAndDestroy()),
      (socket) => socket.on('data', () => socket.end()),
      () => {},
      (socket) => socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{')),
      (socket) => socket.on('data', () => socket.write('nonsense\r\n\r\n')),
      (socket) => socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')),
      (socket) =>
        socket.on('data', () =>
          socket.write('HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'),
        ),
    ];
    for (const each of behaviours) {
      behave = each;
      const connection = connectionTo(serverUrl());
      const before = sockets.length;
      await expect(connection.fence(toEpoch(9))).rejects.toMatchObject({
        name: 'OsdUnreachable',
        sent: true,
      });
      expect(sockets.length - before).toBe(1);
      await connection.close();
    }
  });

  it('requests that wait for a connection that never comes free did nothing', async () => {
    let receivedCount = 0;
    behave = (socket) =>
      socket.on('data', (bytes) => {
        receivedCount += bytes.toString('latin1').split('GET ').length - 1;
      });
    const connection = connectionTo(serverUrl(), 100);
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => connection.identity()));
    const failures = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as OsdUnreachable] : [],
    );
    expect(failures.length).toBe(40);
    expect(failures.some(({ sent }) => !sent)).toBe(true);
    expect(receivedCount).toBeLessThanOrEqual(failures.filter(({ sent }) => sent).length);
    await connection.close();
  });

  it('a stage feels the backpressure of its OSD, and a stuck OSD fails it', async () => {
    behave = (socket) => socket.pause();
    const connection = connectionTo(serverUrl());
    const stage = connection.openStage();
    let takenBytes = 0;
    const piece = Buffer.alloc(256 * 1024);
    const writing = (async () => {
      for (let count = 0; count < 400; count += 1) {
        await stage.write(piece);
        takenBytes += piece.length;
      }
    })();
    await expect(writing).rejects.toMatchObject({ name: 'OsdUnreachable', sent: true });
    // The kernel's socket buffers take some megabytes; this process holds no more than its own limit.
    expect(takenBytes).toBeLessThan(40 * piece.length + STAGE_BUFFER_BYTES_MAX);
    await expect(stage.finish()).rejects.toMatchObject({ name: 'OsdUnreachable' });
    await connection.close();
  });
});
