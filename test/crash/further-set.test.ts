/** A mirror set is added to a system that has objects, and the gateway is killed while they move. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { homeOf, toSetName } from '../../src/protocol/placement.js';
import { makeObjectId } from '../../src/protocol/object-id.js';
import { HttpOsdConnection } from '../../src/wire/http-osd-connection.js';
import { findFreePorts } from '../support/free-ports.js';
import { ManagedProcess } from '../support/managed-process.js';
import { compareMirrors } from '../support/mirror-comparison.js';
import { viewOsd } from '../support/osd-view.js';
import { sleep, until } from '../support/patience.js';
import { cliEntry } from '../support/repository.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem, TEST_SET_ID } from '../support/tally-system.js';

const BUCKET = 'moving';
const SECOND = 'second-set';
const OBJECTS = 120;
const KILLS = 4;
const WITHIN_MS = 60_000;
/** SEED=n in the environment replays a run. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

const KEYS = Array.from(
  { length: OBJECTS },
  (_, index) => `folder-${index % 5}/object-${String(index).padStart(3, '0')}`,
);

/** From nothing to what takes several pieces; small ones live in the record. */
function bytesOf(index: number): Buffer {
  return new SeededRandom(SEED + index).bytes(index % 4 === 0 ? 200_000 + index : index * 7);
}

interface FurtherOsd {
  readonly name: string;
  readonly process: ManagedProcess;
  readonly connection: HttpOsdConnection;
}

function makeOsd(folder: string, configurationFile: string, name: string, url: string): FurtherOsd {
  const environment = { PATH: process.env['PATH'] ?? '', TALLY_DATA: folder };
  const args = ['--config', configurationFile, '--name', name];
  const formatted = spawnSync(process.execPath, [cliEntry(), 'format', ...args], {
    env: environment,
    encoding: 'utf8',
  });
  expect(formatted.stderr + formatted.stdout).toContain(SECOND);
  return {
    name,
    process: new ManagedProcess({
      name,
      program: process.execPath,
      args: () => [cliEntry(), 'osd', ...args],
      environment,
      logPath: join(folder, 'logs', `${name}.log`),
    }),
    connection: new HttpOsdConnection({
      url,
      secret: 'a-secret-of-the-second-set',
      timeouts: { connectMs: 2000, answerMs: 10_000, bodyIdleMs: 10_000 },
    }),
  };
}

async function expectAllThere(system: TallySystem, keys: readonly string[]): Promise<void> {
  expect(await system.s3.listKeys(BUCKET, '', 50)).toEqual([...keys].sort());
  for (const key of keys) {
    const body = await system.s3.get(BUCKET, key);
    expect(body?.equals(bytesOf(KEYS.indexOf(key))), key).toBe(true);
  }
}

function isSettled(system: TallySystem): boolean {
  const text = readFileSync(join(system.folder, 'authority', 'placement.json'), 'utf8');
  return (JSON.parse(text) as { former: unknown[] }).former.length === 0;
}

test(`objects move to a set that is added, through kill -9 of the gateway, and none is lost, doubled or brought back (SEED=${SEED})`, async () => {
  const random = new SeededRandom(SEED);
  const folder = mkdtempSync(join(tmpdir(), 'tally-further-set-'));
  const configurationFile = join(folder, 'tally.yaml');
  writeFileSync(configurationFile, '{}\n');
  const system = await TallySystem.start({ folder, configurationFile });
  const further: FurtherOsd[] = [];
  let isWell = false;
  try {
    await system.s3.createBucket(BUCKET);
    for (const [index, key] of KEYS.entries()) await system.s3.put(BUCKET, key, bytesOf(index));

    await system.gateway.stop();
    const urls = (await findFreePorts(2)).map((port) => `http://127.0.0.1:${port}`);
    const members = urls.map((url, index) => ({ name: `osd-${index + 2}`, url }));
    const secret = 'a-secret-of-the-second-set';
    writeFileSync(configurationFile, JSON.stringify({ furtherSets: [{ id: SECOND, secret, members }] }));
    for (const { name, url } of members) further.push(makeOsd(folder, configurationFile, name, url));
    for (const osd of further) osd.process.start();

    for (let kill = 0; kill < KILLS; kill += 1) {
      system.gateway.start();
      await system.untilServing(WITHIN_MS);
      await sleep(random.integer(0, 150));
      await system.gateway.kill();
    }
    system.gateway.start();
    await system.untilServing(WITHIN_MS);
    const removed = KEYS.filter((_, index) => index % 10 === 3);
    for (const key of removed) await system.s3.delete(BUCKET, key);
    const left = KEYS.filter((key) => !removed.includes(key));
    await expectAllThere(system, left);
    await until(
      'all objects are at home',
      async () => isSettled(system),
      (settled) => settled,
      { withinMs: WITHIN_MS },
    );
    await expectAllThere(system, left);

    const sets = [TEST_SET_ID, SECOND].map(toSetName);
    const homes = left.map((key) => homeOf({ sets, pins: new Map() }, makeObjectId(BUCKET, key)));
    expect(new Set(homes).size).toBe(2);
    const [third, fourth] = further;
    const { activeEpoch } = await third!.connection.identity();
    const comparison = await compareMirrors(
      viewOsd('osd-2', third!.connection, activeEpoch),
      viewOsd('osd-3', fourth!.connection, activeEpoch),
    );
    expect(comparison.differences).toEqual([]);
    expect((await system.compare()).differences).toEqual([]);
    isWell = true;
  } finally {
    if (!isWell) process.stderr.write(system.gateway.logTail());
    await Promise.all(further.map(({ process: osd }) => osd.kill()));
    await Promise.all(further.map(({ connection }) => connection.close()));
    await system.dispose(!isWell);
    if (isWell) rmSync(folder, { recursive: true, force: true });
  }
});
