/** What an SDK sees of a gateway whose S3 endpoint two workers serve: the same as of one. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sleep, until } from '../support/patience.js';
import { S3Client } from '../support/s3-client.js';
import { TallySystem } from '../support/tally-system.js';
import { connectSdk } from './sdk.js';
import { objectClaims } from './sdk-object-claims.js';
import { uploadClaims } from './sdk-upload-claims.js';
import { versionClaims } from './sdk-version-claims.js';

const [makesBucket, ...rest] = objectClaims;
const removesBucket = rest.pop();
if (makesBucket === undefined || removesBucket === undefined)
  throw new Error('the first claim makes a bucket');
const claims = [makesBucket, ...rest, ...versionClaims, ...uploadClaims, removesBucket];

let system: TallySystem;
let sdk: ReturnType<typeof connectSdk>;

beforeAll(async () => {
  system = await TallySystem.start({ workers: 2 });
  sdk = connectSdk({ system, bucket: 'two-workers', folder: system.folder });
});

afterAll(async () => {
  sdk.client.destroy();
  await system.dispose();
});

for (const { name, show } of claims) test(name, () => show(sdk));

/** Clients with a connection of their own each, which the workers share out among them. */
async function withClients(
  count: number,
  use: (clients: readonly S3Client[]) => Promise<void>,
): Promise<void> {
  const clients = Array.from({ length: count }, () => new S3Client(system.access));
  try {
    await use(clients);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** Of a PUT. */
async function statusOf(
  client: S3Client,
  path: string,
  body = Buffer.from('x'),
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const outcome = await client.attempt({ method: 'PUT', path, body, headers });
  if (outcome.kind !== 'answered') throw new Error(outcome.reason);
  return outcome.reply.status;
}

test('a bucket that one worker has made, configured or removed is so for the others at once', async () => {
  await withClients(4, async (clients) => {
    for (let round = 0; round < 4; round += 1) {
      const bucket = 'shared-by-workers';
      const [first, ...others] = [...clients.slice(round), ...clients.slice(0, round)];
      if (first === undefined) throw new Error('there are four clients');
      await first.createBucket(bucket);
      for (const [at, other] of others.entries())
        expect((await other.put(bucket, `key-${at}`, Buffer.from(`of ${at}`))).status).toBe(200);
      expect(await first.listKeys(bucket)).toEqual(['key-0', 'key-1', 'key-2']);
      for (const [at] of others.entries()) await first.delete(bucket, `key-${at}`);
      expect((await first.request({ method: 'DELETE', path: `/${bucket}` })).status).toBe(204);
      for (const other of others) expect(await statusOf(other, `/${bucket}/late`)).toBe(404);
    }
  });
});

test('of many who create the same object if it is not there, through all workers, one wins', async () => {
  await withClients(8, async (clients) => {
    const [first] = clients;
    await first?.createBucket('races');
    for (let round = 0; round < 10; round += 1) {
      const statuses = await Promise.all(
        clients.map((client, at) =>
          statusOf(client, `/races/round-${round}`, Buffer.from(`by ${at}`), { 'if-none-match': '*' }),
        ),
      );
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      const winner = statuses.indexOf(200);
      for (const client of clients)
        expect((await client.get('races', `round-${round}`))?.toString()).toBe(`by ${winner}`);
    }
  });
});

test('a worker that is killed is replaced, and nothing that was acknowledged is lost', async () => {
  await withClients(4, async (clients) => {
    await clients[0]?.createBucket('killed');
    const acknowledged: string[] = [];
    let isOver = false;
    const writing = Promise.all(
      clients.map(async (client, at) => {
        for (let number = 0; !isOver; number += 1) {
          const key = `${at}-${number}`;
          const outcome = await client.attempt({
            method: 'PUT',
            path: `/killed/${key}`,
            body: Buffer.from(key),
          });
          if (outcome.kind === 'answered' && outcome.reply.status === 200) acknowledged.push(key);
        }
      }),
    );
    await sleep(300);
    const [victim] = system.workerProcessIds;
    if (victim === undefined) throw new Error('there are workers');
    process.kill(victim, 'SIGKILL');
    await until(
      'another one takes its place',
      async () => system.workerProcessIds,
      (ids) => ids.length === 2 && !ids.includes(victim),
      { withinMs: 20_000 },
    );
    await system.untilServing();
    await sleep(300);
    isOver = true;
    await writing;
    expect(acknowledged.length).toBeGreaterThan(0);
    for (const key of acknowledged) expect((await clients[0]?.get('killed', key))?.toString()).toBe(key);
  });
});

test('a connection that comes while a worker hangs is not left without an end when the worker is killed', async () => {
  await withClients(8, async (clients) => {
    const [victim] = system.workerProcessIds;
    if (victim === undefined) throw new Error('there are workers');
    process.kill(victim, 'SIGSTOP');
    let ended = 0;
    const requests = clients.map(async (client) => {
      await client.attempt({ method: 'GET', path: '/killed/nothing' });
      ended += 1;
    });
    await sleep(200);
    process.kill(victim, 'SIGKILL');
    await until(
      'every request has ended, one way or the other',
      async () => ended,
      (count) => count === clients.length,
      { withinMs: 20_000 },
    );
    await Promise.all(requests);
    await system.untilServing();
  });
});

test('leaves two identical mirrors behind', async () => {
  await system.untilInSync();
  await system.untilTablesEmpty(10_000);
  expect((await system.compare()).differences).toEqual([]);
});
