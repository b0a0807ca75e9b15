/** Secrets are changed under a running system, one part after the other: nothing is restarted, and nobody is left out. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Playground, RunningTally, runTally } from './running-tally.js';

/** Two looks of each process, and more on a busy machine. */
const TAKEN_WITHIN_MS = 60_000;
const NEW_SECRET = 'the-new-secret-of-the-mirror-set';
const NEW_TOKEN = 'the-new-token-of-the-admin-api';

let playground: Playground;
let tally: RunningTally;

beforeEach(async () => {
  playground = await Playground.make();
  tally = RunningTally.start(['up', ...playground.flags]);
  await tally.waitFor('Ctrl-C stops everything.');
});

afterEach(async () => {
  await tally.end('SIGINT');
  await playground.remove();
});

function path(name: string): string {
  return join(playground.dataFolder, name);
}

function auditLines(what: string): string[] {
  return readFileSync(path('log/audit.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(`"${what}: read again`));
}

async function untilTaken(what: string, count: number): Promise<void> {
  await expect.poll(() => auditLines(what).length, { timeout: TAKEN_WITHIN_MS }).toBe(count);
}

it('the secret of the set in three steps, the token of the admin API in one', async () => {
  const old = readFileSync(path('secrets/osd-secret'), 'utf8').trim();
  const secret = 'the secret of the mirror set';
  const before = runTally(['status', '--json', '--data', playground.dataFolder]);
  expect(before.exitCode, before.stderr).toBe(0);
  const { epoch } = JSON.parse(before.stdout) as { readonly epoch: number };
  let taken = 0;
  for (const text of [`${old}\n${NEW_SECRET}\n`, `${NEW_SECRET}\n${old}\n`, `${NEW_SECRET}\n`]) {
    writeFileSync(path('secrets/osd-secret'), text);
    // The gateway and both OSDs.
    taken += 3;
    await untilTaken(secret, taken);
  }
  const after = runTally(['status', '--json', '--data', playground.dataFolder]);
  expect(after.exitCode, after.stderr).toBe(0);
  expect(JSON.parse(after.stdout)).toMatchObject({ phase: 'active', epoch });

  const oldToken = readFileSync(path('secrets/admin-token'), 'utf8').trim();
  writeFileSync(path('secrets/admin-token'), `${NEW_TOKEN}\n`);
  await untilTaken('the tokens of the admin API', 1);
  expect(auditLines('the tokens of the admin API')[0]).toContain('"changed":["admin"]');
  expect(runTally(['status', '--data', playground.dataFolder]).exitCode).toBe(0);
  const withOld = await fetch(`http://127.0.0.1:${playground.ports.admin}/status`, {
    headers: { authorization: `Bearer ${oldToken}` },
  });
  expect(withOld.status).toBe(401);

  const logs = ['audit', 'gateway', 'osd-0', 'osd-1'].map((name) =>
    readFileSync(path(`log/${name}.log`), 'utf8'),
  );
  for (const text of [old, NEW_SECRET, oldToken, NEW_TOKEN]) expect(logs.join('')).not.toContain(text);
});
