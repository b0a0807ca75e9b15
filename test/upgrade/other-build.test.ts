/** Neighbours of releases that don't understand each other, as real processes: they are told apart from those that are away. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../support/patience.js';
import { cliEntry } from '../support/repository.js';
import { TallySystem } from '../support/tally-system.js';
import { runTally } from '../start/running-tally.js';
import { ProgramCopy } from './program-copy.js';
import { upgradeRolling } from './rolling/rolling-upgrade.js';

const WITHIN_MS = 60_000;
const SEED = 7;

let other: ProgramCopy;
let system: TallySystem;

beforeEach(() => {
  other = new ProgramCopy();
});

afterEach(() => {
  other.remove();
});

async function restartAs(index: 0 | 1, entry: string): Promise<void> {
  const osd = system.osds[index];
  await osd.process.stop();
  system.useProgram(osd.name, entry);
  osd.process.start();
}

function tally(...args: string[]) {
  return runTally(args, {
    TALLY_DATA: system.folder,
    TALLY_ADMIN_URL: system.adminUrl,
    TALLY_ADMIN_TOKEN: system.adminToken,
  });
}

async function ready(): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${system.adminUrl}/health/ready`);
  return { status: response.status, text: await response.text() };
}

it('a system whose parts speak version 1 is upgraded one process at a time, and loses nothing', async () => {
  const report: string[] = [];
  const { acknowledged, objectCount, findings } = await upgradeRolling({
    earlier: other.speak(1, 1).entry,
    present: cliEntry(),
    seed: SEED,
    restMs: 200,
    goesBack: false,
    workers: 1,
    writes: 'direct',
    report: (line) => report.push(line),
  });
  expect(findings, report.join('\n')).toEqual([]);
  expect(acknowledged).toBeGreaterThan(0);
  expect(objectCount).toBeGreaterThan(0);
});

describe('an OSD that speaks no version of the contract that the gateway speaks', () => {
  afterEach(() => system.dispose());

  it('is named with who has to be upgraded first, serves nobody, and catches up once it is of the right release', async () => {
    other.speak(7, 8);
    system = await TallySystem.start();
    await system.s3.createBucket('bucket');
    await restartAs(1, other.entry);
    const upgrade = /osd-1 speaks contract 7 to 8, and this gateway 1 to \d+: upgrade this gateway first/;
    const { mirrors } = await until(
      'osd-1 is incompatible',
      () => system.admin.status(),
      (status) => status.phase === 'active' && status.mirrors[1]?.condition === 'incompatible',
      { withinMs: WITHIN_MS },
    );
    expect(mirrors[1]?.incompatibility).toMatch(upgrade);
    const { status } = await system.s3.put('bucket', 'meanwhile', Buffer.from('written meanwhile'));
    expect(status).toBe(200);
    expect(await ready()).toMatchObject({ status: 200 });

    const shown = tally('status');
    expect([shown.exitCode, shown.stdout]).toEqual([1, expect.stringMatching(/osd-1 +incompatible/)]);
    expect(shown.stdout).toMatch(upgrade);
    const examined = tally('doctor');
    expect([examined.exitCode, examined.stdout]).toEqual([
      1,
      expect.stringMatching(/fail +contract +osd-1 speaks/),
    ]);
    const metrics = await fetch(`${system.adminUrl}/metrics`, {
      headers: { authorization: `Bearer ${system.adminToken}` },
    });
    expect(await metrics.text()).toMatch(
      /tally_mirror_state\{[^}]*mirror="osd-1"[^}]*state="incompatible"\} 1/,
    );
    expect(readFileSync(system.gateway.logPath, 'utf8')).toMatch(upgrade);
    expect(readFileSync(system.osds[1].process.logPath, 'utf8')).toMatch(
      /the caller speaks contract 1 to \d+, and this OSD 7 to 8: upgrade the caller first/,
    );

    await restartAs(0, other.entry);
    const waiting = await until('the gateway is not ready', ready, (seen) => seen.status === 503, {
      withinMs: WITHIN_MS,
    });
    await until('it says why', ready, ({ text }) => text.includes('osd-0 speaks contract 7 to 8'), {
      withinMs: WITHIN_MS,
    });
    expect(waiting.status).toBe(503);

    for (const index of [0, 1] as const) await restartAs(index, cliEntry());
    await system.untilInSync();
    expect(String(await system.s3.get('bucket', 'meanwhile'))).toBe('written meanwhile');
  });
});

describe('a gateway with workers whose program was replaced below it', () => {
  afterEach(() => system.dispose());

  it('ends when a worker of the new build would join the old ones, so that all start as the new one', async () => {
    system = await TallySystem.start({ entry: other.entry, workers: 2 });
    const [worker = 0] = system.workerProcessIds;
    other.replace();
    process.kill(worker, 'SIGKILL');
    expect(await system.gateway.ended()).toEqual({ code: 69, signal: null });
    expect(readFileSync(system.gateway.logPath, 'utf8')).toContain(
      'The program was replaced below the running gateway',
    );
    system.gateway.start();
    await system.untilInSync();
  });
});
