/** Gateway and OSDs as one would run them on several machines: one configuration file, no `tally up`. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Playground, RunningTally, runTally } from './running-tally.js';

let playground: Playground;
let started: RunningTally[];
let file: string;

beforeEach(async () => {
  playground = await Playground.make();
  started = [];
  file = join(playground.folder, 'tally.yaml');
  const { s3, admin, osds } = playground.ports;
  await writeFile(join(playground.folder, 'osd-secret'), 'a-secret-for-this-test\n');
  await writeFile(join(playground.folder, 'admin-token'), 'a-token-for-this-test\n');
  await writeFile(
    file,
    `data: var
mirrorSet:
  id: main
  secretFile: osd-secret
  members:
    - { name: osd-0, url: "http://127.0.0.1:${osds[0]}" }
    - { name: osd-1, url: "http://127.0.0.1:${osds[1]}" }
s3: { listen: "127.0.0.1:${s3}" }
admin: { listen: "127.0.0.1:${admin}", tokenFile: admin-token }
credentials: { accessKey: KEY, secretKey: a-secret-key }
`,
  );
});

afterEach(async () => {
  for (const service of started.reverse()) await service.end('SIGTERM');
  await playground.remove();
});

function run(...args: string[]): RunningTally {
  const service = RunningTally.start([...args, '--config', file]);
  started.push(service);
  return service;
}

describe('services of their own', () => {
  it('are started in any order, serve, and stop on SIGTERM', async () => {
    for (const name of ['osd-0', 'osd-1']) {
      expect(runTally(['format', '--name', name, '--config', file, '--json']).exitCode).toBe(0);
    }
    const gateway = run('gateway');
    await gateway.waitFor('gateway is ready');
    expect(runTally(['health', '--config', file]).stdout).toBe('live\n');
    expect(runTally(['health', '--config', file, '--name', 'osd-0']).exitCode).toBe(69);
    const waiting = runTally(['status', '--config', file]);
    expect(waiting.exitCode).toBe(1);
    expect(waiting.stdout).toContain('Nobody is served: the first activation needs every configured mirror.');

    const osds = [run('osd', '--name', 'osd-0'), run('osd', '--name', 'osd-1')];
    for (const osd of osds) await osd.waitFor('is ready at');
    expect(runTally(['health', '--config', file, '--name', 'osd-0']).stdout).toBe('live\n');
    const inSync = () => runTally(['status', '--config', file]).exitCode;
    await expect.poll(inSync, { timeout: 30_000 }).toBe(0);

    expect(await gateway.end('SIGTERM')).toBe(0);
    for (const osd of osds) expect(await osd.end('SIGTERM')).toBe(0);
  });

  it('an OSD with a socket is called there, also when it was killed and started again', async () => {
    const socket = (name: string) => join(playground.folder, `${name}.sock`);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll(/(osd-\d), url: ("[^"]+")/g, '$1, url: $2, socket: $1.sock'));
    /** As many ends as the kernel knows of, the listener among them. */
    const endsAt = async (path: string) =>
      (await readFile('/proc/net/unix', 'utf8')).split('\n').filter((line) => line.endsWith(path)).length;
    for (const name of ['osd-0', 'osd-1']) runTally(['format', '--name', name, '--config', file]);
    const osds = [run('osd', '--name', 'osd-0'), run('osd', '--name', 'osd-1')];
    const gateway = run('gateway');
    for (const service of [...osds, gateway]) await service.waitFor('is ready');
    const inSync = () => runTally(['status', '--config', file]).exitCode;
    await expect.poll(inSync, { timeout: 30_000 }).toBe(0);
    for (const name of ['osd-0', 'osd-1']) expect(await endsAt(socket(name))).toBeGreaterThan(1);
    expect(runTally(['doctor', '--config', file]).stdout).toContain(`${socket('osd-0')} (osd-0) is answered`);

    await osds[0]?.end('SIGKILL');
    await run('osd', '--name', 'osd-0').waitFor('is ready');
    await expect.poll(inSync, { timeout: 30_000 }).toBe(0);
    // It may have been away so shortly that nobody had called it meanwhile.
    await expect.poll(() => endsAt(socket('osd-0')), { timeout: 30_000 }).toBeGreaterThan(1);
  });

  it('a second gateway never uses the same authority', async () => {
    const first = run('gateway');
    await first.waitFor('gateway is ready');
    const second = run('gateway');
    expect(await second.exit()).toBe(73);
    expect(second.output).toMatch(/is in use by tally gateway \(process \d+\)\.\n$/);
  });

  it('an OSD never formats: without its store it refuses to start', async () => {
    const { exitCode, stderr } = runTally(['osd', '--name', 'osd-0', '--config', file]);
    expect(exitCode).toBe(74);
    expect(stderr).toContain('There is no store in');
    await expect(stat(join(playground.folder, 'var', 'osd-0'))).rejects.toThrow('ENOENT');
  });

  it('an OSD never opens a store that another process has open', async () => {
    runTally(['format', '--name', 'osd-0', '--config', file]);
    const first = run('osd', '--name', 'osd-0');
    await first.waitFor('is ready at');
    const second = runTally(['osd', '--name', 'osd-0', '--listen', '127.0.0.1:1', '--config', file]);
    expect(second.exitCode).toBe(73);
    expect(second.stderr.trim().split('\n').at(-1)).toMatch(/^error /);
  });

  it('a missing secret is named, with the ways to give it', async () => {
    await writeFile(file, (await readFile(file, 'utf8')).replace('  secretFile: osd-secret\n', ''));
    const { exitCode, stderr } = runTally(['gateway', '--config', file]);
    expect(exitCode).toBe(78);
    expect(stderr).toContain('Give it with TALLY_SET_SECRET_FILE or mirrorSet.secretFile.');
  });
});
