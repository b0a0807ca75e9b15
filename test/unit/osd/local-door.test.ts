import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DoorBlocked } from '../../../src/osd/local-door.js';
import { HttpOsdConnection } from '../../../src/wire/http-osd-connection.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { type RunningOsd, startOsd, TIMEOUTS } from './osd-harness.js';
import { SECRET, SET_ID } from './osd-writer.js';

/** Nobody listens there. */
const DEAD_URL = 'http://127.0.0.1:1';

let folder: string;
let path: string;
let osds: RunningOsd[];
let connections: HttpOsdConnection[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tally-door-'));
  path = join(folder, 'osd.sock');
  osds = [];
  connections = [];
});

afterEach(async () => {
  for (const connection of connections) await connection.close();
  for (const osd of osds) await osd.close();
  await rm(folder, { recursive: true });
});

async function startWithDoor(): Promise<RunningOsd> {
  const osd = await startOsd(new MemoryOsdStore(SET_ID, 1), { doorPath: path });
  osds.push(osd);
  return osd;
}

function connect(url: string, socketPath: string | null, secret = SECRET): HttpOsdConnection {
  const connection = new HttpOsdConnection({ url, socketPath, secret, timeouts: TIMEOUTS });
  connections.push(connection);
  return connection;
}

/** What a process leaves that is killed: a socket at which nobody listens. */
async function leaveStale(): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.listening`, resolve));
  await rename(`${path}.listening`, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('an OSD with a socket', () => {
  it('serves there as at its port, to nobody but its own user, and who has the secret', async () => {
    const osd = await startWithDoor();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const [bySocket, byPort] = [connect(DEAD_URL, path), connect(osd.url, null)];
    expect(await bySocket.identity()).toEqual(await byPort.identity());
    await expect(connect(DEAD_URL, path, `not-${SECRET}`).identity()).rejects.toMatchObject({ status: 401 });
  });

  it('is called at its port where the socket is not there, or nobody is at it', async () => {
    const osd = await startOsd(new MemoryOsdStore(SET_ID, 1));
    osds.push(osd);
    const connection = connect(osd.url, path);
    expect(await connection.identity()).toMatchObject({ setId: SET_ID });
    await leaveStale();
    expect(await connect(osd.url, path).identity()).toMatchObject({ setId: SET_ID });
    await expect(connect(DEAD_URL, path).identity()).rejects.toMatchObject({ sent: false });
  });

  it('takes the place of a socket at which nobody listens any more', async () => {
    await leaveStale();
    await startWithDoor();
    expect(await connect(DEAD_URL, path).identity()).toMatchObject({ setId: SET_ID });
  });

  it('does not start where somebody listens, and leaves him his socket', async () => {
    await startWithDoor();
    await expect(startWithDoor()).rejects.toThrow(DoorBlocked);
    expect(await connect(DEAD_URL, path).identity()).toMatchObject({ setId: SET_ID });
  });

  it('does not start where a file is, and leaves it', async () => {
    await writeFile(path, 'mine');
    await expect(startWithDoor()).rejects.toThrow(DoorBlocked);
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  it('that closes takes its socket away, answers what is in flight, and waits for no idle connection', async () => {
    const osd = await startWithDoor();
    const connection = connect(DEAD_URL, path);
    await connection.identity();
    const stage = connection.openStage();
    await stage.write(Buffer.from('half of it'));
    await expect.poll(() => osd.connection.identity().then(() => true)).toBe(true);
    const closing = osd.app.close();
    await expect.poll(() => stat(path).catch(() => null)).toBeNull();
    await stage.write(Buffer.from(', the other half'));
    expect(await stage.finish()).toMatchObject({ lengthBytes: 26 });
    await closing;
    await expect(connection.identity()).rejects.toMatchObject({ sent: false });
  });

  it('has no TLS', () => {
    expect(() => connect('https://127.0.0.1:1', path)).toThrow(RangeError);
  });
});
