/** What a newcomer does with `tally up`, done by a machine: every printed line, a pulled plug, Ctrl-C, a second start. */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AdminStatus } from '../../src/admin/schemas.js';
import { isAlive, paste, Playground, RunningTally, runTally } from './running-tally.js';

const READY = 'Ctrl-C stops everything.';

let playground: Playground;
let started: RunningTally[];

beforeEach(async () => {
  playground = await Playground.make();
  started = [];
});

afterEach(async () => {
  for (const tally of started) await tally.end('SIGINT');
  await playground.remove();
});

function up(...more: string[]): RunningTally {
  const tally = RunningTally.start(['up', ...playground.flags, ...more]);
  started.push(tally);
  return tally;
}

function status(): AdminStatus {
  const { stdout } = runTally(['status', '--data', playground.dataFolder, '--json']);
  return JSON.parse(stdout) as AdminStatus;
}

function rowCounts(): (number | undefined)[] {
  return status().mirrors.map(({ identity }) => identity?.rowCount);
}

describe('tally up', () => {
  it('every printed line works when pasted: put, get, kill an OSD, keep writing, bring it back, in sync', async () => {
    const tally = up();
    await tally.waitFor(READY);

    expect(paste(tally.line('make a bucket')).stdout).toBe('200\n');
    expect(paste(tally.line('put a file')).stdout).toBe('200\n');
    expect(paste(tally.line('get it back')).stdout).toBe('the same bytes\n');
    expect(paste(tally.line('list the bucket')).stdout).toContain('<Key>hello</Key>');
    const looked = paste(tally.line('look at the mirrors'));
    expect(looked.stdout).toContain('All mirrors are in sync.');
    expect(looked.exitCode).toBe(0);
    const asked = JSON.parse(paste(tally.line('the same from the admin API')).stdout) as AdminStatus;
    expect(asked.inSync).toEqual(['osd-0', 'osd-1']);

    paste(tally.line('pull the plug on osd-1'));
    await tally.waitFor('osd-1 (process');
    await tally.waitFor('died: killed by SIGKILL');
    expect(paste(tally.line('keep writing')).stdout).toBe('200\n'.repeat(20));
    // What is shown is as of the gateway's last look at the OSD that stayed.
    await expect
      .poll(() => paste(tally.line('see what it lacks')), { timeout: 10_000 })
      .toMatchObject({ stdout: expect.stringMatching(/osd-1 may lack 20 writes/) as string, exitCode: 1 });

    const line = tally.line('bring it back');
    expect(tally.output).toContain(`\n  ${line}\n`);
    const byHand = RunningTally.start(line.split('main.js ')[1]!.split(' '));
    started.push(byHand);
    await byHand.waitFor('osd-1 is ready');
    await tally.waitFor('osd-1 is back, process');
    await expect.poll(() => status().inSync, { timeout: 20_000 }).toEqual(['osd-0', 'osd-1']);
    await expect.poll(rowCounts, { timeout: 5000 }).toEqual([0, 0]);
    expect(paste(tally.line('compare the mirrors')).exitCode).toBe(0);
    expect(paste(tally.line('look at the mirrors')).stdout).toContain('Last reconciliation');
    await tally.waitFor('20 not;');

    const processIds = [tally.processIdOf('osd-0'), byHand.processId];
    expect(await tally.end('SIGINT')).toBe(0);
    expect(await byHand.exit()).toBe(0);
    expect(processIds.filter(isAlive)).toEqual([]);
    expect(tally.output).toContain('Stopped.');
  });

  it('finds everything again at the second start, and the gateway had stopped cleanly', async () => {
    const first = up();
    await first.waitFor(READY);
    expect(first.output).toContain('for the first time');
    paste(first.line('make a bucket'));
    paste(first.line('put a file'));
    const get = first.line('get it back');
    expect(await first.end('SIGTERM')).toBe(0);

    const second = up();
    await second.waitFor(READY);
    expect(second.output).not.toContain('for the first time');
    expect(second.line('get it back')).toBe(get);
    expect(paste(get).stdout).toBe('the same bytes\n');
    const { waitingFor, inSync } = status();
    expect({ waitingFor, inSync }).toEqual({ waitingFor: null, inSync: ['osd-0', 'osd-1'] });
  });

  it('keeps secrets where only their owner can read them, and out of the logs', async () => {
    const tally = up('--log-level', 'trace');
    await tally.waitFor(READY);
    paste(tally.line('make a bucket'));
    paste(tally.line('put a file'));
    runTally(['status', '--data', playground.dataFolder]);
    expect(await tally.end('SIGINT')).toBe(0);
    const secrets = join(playground.dataFolder, 'secrets');
    const credentials = await readFile(join(secrets, 'credentials'), 'utf8');
    const texts = [
      /aws_secret_access_key = (\S+)/.exec(credentials)![1]!,
      (await readFile(join(secrets, 'admin-token'), 'utf8')).trim(),
      (await readFile(join(secrets, 'osd-secret'), 'utf8')).trim(),
    ];
    for (const name of ['credentials', 'admin-token', 'osd-secret', '../run.yaml']) {
      expect((await stat(join(secrets, name))).mode & 0o077, name).toBe(0);
    }
    for (const name of ['gateway', 'osd-0', 'osd-1']) {
      const log = await readFile(join(playground.dataFolder, 'log', `${name}.log`), 'utf8');
      expect(log).toContain('"msg"');
      for (const text of texts) expect(log).not.toContain(text);
    }
  });

  it('takes its keys from the environment', async () => {
    const environment = { TALLY_ACCESS_KEY: 'MYKEY', TALLY_SECRET_KEY: 'my-own-secret-key' };
    const tally = RunningTally.start(['up', ...playground.flags], environment);
    started.push(tally);
    await tally.waitFor(READY);
    expect(tally.line('make a bucket')).toContain('--user MYKEY:my-own-secret-key');
    expect(paste(tally.line('make a bucket')).stdout).toBe('200\n');
  });

  it('goes on without the gateway until it is brought back by hand', async () => {
    const tally = up();
    await tally.waitFor(READY);
    paste(tally.line('make a bucket'));
    const gateway = status();
    expect(gateway.phase).toBe('active');
    process.kill(tally.processIdOf('gateway'), 'SIGKILL');
    await tally.waitFor('No requests are served.');
    const byHand = RunningTally.start(['gateway', '--data', playground.dataFolder]);
    started.push(byHand);
    await byHand.waitFor('gateway is ready');
    await expect.poll(() => status().phase, { timeout: 20_000 }).toBe('active');
    expect(status().epoch).toBeGreaterThan(gateway.epoch);
    expect(paste(tally.line('put a file')).stdout).toBe('200\n');
    expect(await tally.end('SIGINT')).toBe(0);
    expect(await byHand.exit()).toBe(0);
  });

  it('with --restart starts a service again that dies', async () => {
    const tally = up('--restart');
    await tally.waitFor(READY);
    process.kill(tally.processIdOf('osd-0'), 'SIGKILL');
    await tally.waitFor('It is started again.');
    await tally.waitFor('osd-0 is back, process');
    await expect.poll(() => status().inSync, { timeout: 20_000 }).toEqual(['osd-0', 'osd-1']);
  });

  it('that is killed takes its services with it, and the next start needs no help', async () => {
    const first = up();
    await first.waitFor(READY);
    paste(first.line('make a bucket'));
    paste(first.line('put a file'));
    const processIds = [first.processIdOf('osd-0'), first.processIdOf('osd-1')];
    await first.end('SIGKILL');
    const second = up();
    await second.waitFor(READY);
    expect(processIds.filter(isAlive)).toEqual([]);
    expect(paste(second.line('get it back')).stdout).toBe('the same bytes\n');
  });

  it('a second Ctrl-C ends everything at once', async () => {
    const tally = up();
    await tally.waitFor(READY);
    const processIds = [tally.processIdOf('osd-0'), tally.processIdOf('osd-1')];
    process.kill(processIds[0]!, 'SIGSTOP');
    process.kill(tally.processId, 'SIGINT');
    await tally.waitFor('Stopping.');
    expect(await tally.end('SIGINT')).toBe(130);
    await expect.poll(() => processIds.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });
});

describe('tally up refuses, in one sentence and with its exit code,', () => {
  function refusal(args: readonly string[] = playground.flags) {
    const { exitCode, stderr, stdout } = runTally(['up', ...args]);
    expect(stdout).toBe('');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    return { exitCode, message: stderr.trim() };
  }

  it('a folder that another one uses', async () => {
    const tally = up();
    await tally.waitFor(READY);
    const { exitCode, message } = refusal();
    expect(exitCode).toBe(73);
    expect(message).toBe(
      `error The folder ${playground.dataFolder} is in use by tally up (process ${tally.processId}).`,
    );
  });

  it('a port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(playground.ports.s3, '127.0.0.1', resolve));
    const { exitCode, message } = refusal();
    expect(exitCode).toBe(69);
    expect(message).toContain(`127.0.0.1:${playground.ports.s3} (the S3 endpoint)`);
    expect(message).toContain('--s3-port');
    await new Promise((resolve) => server.close(resolve));
    await up().waitFor(READY);
  });

  it("a folder with somebody else's files", async () => {
    await mkdir(playground.dataFolder);
    await writeFile(join(playground.dataFolder, 'thesis.txt'), '');
    expect(refusal()).toMatchObject({ exitCode: 73 });
  });

  it('a folder without permission', () => {
    // Not even root makes a folder there.
    const { exitCode, stderr } = runTally(['up', '--data', '/sys/kernel/tally']);
    expect(exitCode).toBe(77);
    expect(stderr).toContain('no permission');
  });

  it('a configuration with a mistake, by its line', async () => {
    const file = join(playground.folder, 'tally.yaml');
    await writeFile(file, 's3:\n  colour: red\n');
    expect(refusal(['--config', file])).toEqual({
      exitCode: 78,
      message: `error ${file}:2:3: there is no setting "s3.colour"`,
    });
  });

  it('a mirror on another machine', () => {
    const { exitCode, stderr } = runTally(['up', '--data', playground.dataFolder], {
      TALLY_MEMBERS: 'a=http://127.0.0.1:1,b=http://10.1.2.3:1',
    });
    expect(exitCode).toBe(78);
    expect(stderr).toContain('b is at http://10.1.2.3:1');
  });
});

describe('an OSD that lost its disk', () => {
  it('does not start as if nothing had been; after "tally format" it is copied in full', async () => {
    const first = up();
    await first.waitFor(READY);
    paste(first.line('make a bucket'));
    paste(first.line('put a file'));
    await first.end('SIGINT');
    await rm(join(playground.dataFolder, 'osd-1'), { recursive: true });

    const second = up();
    await second.waitFor(READY);
    expect(second.output).toContain('There is no store in');
    expect(status().inSync).toEqual(['osd-0']);
    const data = ['--data', playground.dataFolder];
    expect(runTally(['format', '--name', 'osd-1', ...data]).exitCode).toBe(0);
    expect(runTally(['format', '--name', 'osd-1', ...data]).exitCode).toBe(73);
    expect(runTally(['format', '--name', 'osd-1', '--if-missing', ...data]).exitCode).toBe(0);
    const byHand = RunningTally.start(['osd', '--name', 'osd-1', ...data]);
    started.push(byHand);
    await byHand.waitFor('osd-1 is ready');
    await expect.poll(() => status().inSync, { timeout: 20_000 }).toEqual(['osd-0', 'osd-1']);
    const counts = status().mirrors.map(({ identity }) => identity?.objectCount);
    expect(counts[0]).toBe(counts[1]);
    expect(runTally(['reconcile', '--wait', '--json', ...data]).exitCode).toBe(0);
  });
});

describe('commands without a running Tally', () => {
  it('say so', () => {
    const { exitCode, stderr } = runTally(['status', '--data', playground.dataFolder]);
    expect(exitCode).toBe(78);
    expect(stderr).toContain('There is no Tally in');
    const environment = { TALLY_ADMIN_TOKEN: 'x'.repeat(20), TALLY_ADMIN_URL: 'http://127.0.0.1:1' };
    const unreachable = runTally(['status', '--data', playground.dataFolder, '--json'], environment);
    expect(unreachable.exitCode).toBe(69);
    expect(JSON.parse(unreachable.stdout)).toMatchObject({ code: 'gateway-unreachable' });
  });

  it('a wrong command line ends with 64', () => {
    expect(runTally(['frobnicate']).exitCode).toBe(64);
    expect(runTally(['up', '--frobnicate']).exitCode).toBe(64);
    expect(runTally(['osd', '--data', playground.dataFolder]).exitCode).toBe(64);
    expect(runTally(['up', '--help']).exitCode).toBe(0);
  });
});
