/** Commands beside a running `tally up`: keys that come and go, looks at buckets and tag tables. */
import { randomBytes } from 'node:crypto';
import { chmod, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3Session } from '../../src/s3/session/s3-session.js';
import { paste, Playground, RunningTally, runTally } from './running-tally.js';

let playground: Playground;
let tally: RunningTally;

beforeAll(async () => {
  playground = await Playground.make();
  tally = RunningTally.start(['up', ...playground.flags]);
  await tally.waitFor('Ctrl-C stops everything.');
}, 90_000);

afterAll(async () => {
  await tally.end('SIGINT');
  await playground.remove();
});

interface MadeKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

function user(...args: string[]) {
  return runTally(['user', ...args, '--data', playground.dataFolder]);
}

function sessionOf({ accessKeyId, secretAccessKey }: MadeKey): S3Session {
  const credential = { accessKeyId, secretAccessKey, ownerId: '', displayName: '' };
  const origin = `http://127.0.0.1:${playground.ports.s3}`;
  return new S3Session({ origin, credential, region: 'us-east-1', clock: Date.now });
}

function outcome(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => 'ok',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

describe('tally user', () => {
  it('a key works and stops working while the gateway runs; its secret is shown once, and each step is on record', async () => {
    const added = user('add', 'backup', '--json', '--display-name', 'Nightly');
    expect(added).toMatchObject({ exitCode: 0, stderr: '' });
    const made = JSON.parse(added.stdout) as MadeKey;
    const session = sessionOf(made);
    await expect.poll(() => outcome(() => session.buckets()), { timeout: 10_000 }).toBe('ok');

    const listed = user('list');
    expect(listed.stdout).toMatch(/^backup +first account +Nightly +read-write +all +tally user$/m);
    expect(listed.stdout + user('list', '--json').stdout).not.toContain(made.secretAccessKey);
    expect(user('add', 'backup')).toMatchObject({
      exitCode: 64,
      stderr: expect.stringContaining('already') as string,
    });

    expect(user('remove', 'backup')).toMatchObject({
      exitCode: 64,
      stderr: expect.stringContaining('--yes') as string,
    });
    expect(await outcome(() => session.buckets())).toBe('ok');
    expect(user('remove', 'backup', '--yes').exitCode).toBe(0);
    await expect.poll(() => outcome(() => session.buckets()), { timeout: 10_000 }).not.toBe('ok');
    expect(user('remove', 'backup', '--yes').exitCode).toBe(64);

    const file = join(playground.dataFolder, 'secrets', 'keys.yaml');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const log = (name: string) => readFile(join(playground.dataFolder, 'log', `${name}.log`), 'utf8');
    expect(await log('audit')).toMatch(/"action":"tally user add","target":"backup","user":"\w+/);
    expect(await log('audit')).toContain('"action":"tally user remove"');
    expect(await log('gateway')).toContain('"removed":["backup"]');
    expect((await log('audit')) + (await log('gateway'))).not.toContain(made.secretAccessKey);
  });

  it('a key of one bucket, for reading, may do nothing else', async () => {
    const first = /^\[default\]\n\S+ = (\S+)\n\S+ = (\S+)$/m.exec(
      await readFile(join(playground.dataFolder, 'secrets', 'credentials'), 'utf8'),
    )!;
    expect(paste(tally.line('make a bucket')).stdout).toBe('200\n');
    const session = sessionOf({ accessKeyId: first[1]!, secretAccessKey: first[2]! });
    const { name } = (await session.buckets())[0]!;
    const make = (...buckets: string[]) =>
      JSON.parse(
        user('add', '--read-only', '--json', ...buckets.flatMap((b) => ['-b', b])).stdout,
      ) as MadeKey;
    const [inside, outside] = [make('films', name), make('films')];
    expect(inside).toMatchObject({ access: 'read-only', buckets: ['films', name] });
    const list = (key: MadeKey) => outcome(() => sessionOf(key).list(name, '', null, 10));
    await expect.poll(() => list(outside), { timeout: 10_000 }).toMatch(/access denied/i);
    expect(await list(inside)).toBe('ok');
    expect(await outcome(() => sessionOf(inside).remove(name, 'hello'))).toMatch(/access denied/i);
    expect(user('list').stdout).toContain(` read-only   films, ${name} `);
  });

  it('what is no key is refused, and the first key can not be removed', () => {
    expect(user('add', 'no key')).toMatchObject({ exitCode: 64 });
    expect(user('add', '--bucket', 'x')).toMatchObject({ exitCode: 64 });
    const first = /^(\S+) .* first key$/m.exec(user('list').stdout)![1]!;
    const refused = user('remove', first, '--yes', '--json');
    expect(JSON.parse(refused.stdout)).toMatchObject({ code: 'configured-key' });
    expect(refused.exitCode).toBe(64);
  });
});

describe('tally bench', () => {
  it('loads the endpoint of the configuration, says what it took, and leaves nothing behind', () => {
    const run = (...args: string[]) => runTally(['bench', '--data', playground.dataFolder, ...args]);
    const { stdout, exitCode } = run('--json', '--seconds', '1', '--concurrency', '4', '--size', '300KiB');
    expect(exitCode).toBe(0);
    const { phases } = JSON.parse(stdout) as {
      phases: { operation: string; requestCount: number; bytes: number }[];
    };
    expect(phases.map(({ operation }) => operation)).toEqual(['PUT', 'GET', 'HEAD', 'DELETE']);
    for (const { requestCount } of phases) expect(requestCount).toBeGreaterThan(0);
    expect(phases[0]).toMatchObject({ bytes: phases[0]!.requestCount * 300 * 1024, failureCount: 0 });
    expect(phases[3]?.requestCount).toBe(phases[0]?.requestCount);
    expect(run('--seconds', '1').stdout).toMatch(/^OPERATION +REQUESTS +PER SECOND .*\nPUT +[\d,]+ /m);
    expect(runTally(['bucket', 'list', '--data', playground.dataFolder]).stdout).not.toContain('tally-bench');
    expect(run('--size', '1GiB').exitCode).toBe(64);
  });
});

describe('tally doctor', () => {
  it('finds nothing wrong with what runs, and names what is', async () => {
    const run = () => runTally(['doctor', '--data', playground.dataFolder]);
    const healthy = run();
    expect(healthy.stdout).toMatch(/^ok +answers +osd-1 at /m);
    expect(healthy.stdout).toMatch(/^ok +port +\S+ \(S3 endpoint\) is in use by it$/m);
    expect(healthy.stdout).toContain(', 0 failed.');
    expect(healthy.exitCode).toBe(0);
    const token = join(playground.dataFolder, 'secrets', 'admin-token');
    await chmod(token, 0o644);
    const found = run();
    await chmod(token, 0o600);
    expect(found.exitCode).toBe(1);
    expect(found.stdout).toContain(`-> chmod 600 ${token}`);
  });
});

/** Turns around what the segments of both mirrors have of these bytes. */
async function rotOnBoth(bytes: Buffer): Promise<void> {
  for (const name of ['osd-0', 'osd-1']) {
    const folder = join(playground.dataFolder, name, 'segments');
    const files = (await readdir(folder)).map((file) => join(folder, file));
    const places = await Promise.all(
      files.map(async (path) => ({ path, at: (await readFile(path)).indexOf(bytes) })),
    );
    const found = places.find(({ at }) => at !== -1);
    if (found === undefined) throw new Error(`${name} does not have these bytes in a segment`);
    const file = await open(found.path, 'r+');
    await file.write(
      bytes.map((byte) => byte ^ 0xff),
      0,
      bytes.length,
      found.at,
    );
    await file.close();
  }
}

describe('tally force --object', () => {
  const run = (...args: string[]) => runTally([...args, '--data', playground.dataFolder]);
  const giveUp = (...args: string[]) => run('force', '--object', 'photos/lost', '--give-up', ...args);

  it('gives up an object that is rotten on both mirrors for the right words alone, and it is on record who said what', async () => {
    paste(tally.line('make a bucket'));
    const content = randomBytes(300_000);
    const path = join(playground.folder, 'content');
    await writeFile(path, content);
    const put = tally.line('put a file').replace('README.md', path).replace('photos/hello', 'photos/lost');
    expect(paste(put).stdout).toBe('200\n');
    await rotOnBoth(content.subarray(1000, 1100));
    const get = tally
      .line('get it back')
      .replace(/ \| cmp .*/, ' -o /dev/null')
      .replace('photos/hello', 'photos/lost');
    const status = () => paste(get.replace('curl ', "curl -w '%{http_code}' ")).stdout;
    expect(status()).toBe('500');

    const asked = /^ {2}(give up .*)$/m;
    let plan = '';
    await expect.poll(() => (plan = giveUp().stdout), { timeout: 60_000, interval: 500 }).toMatch(asked);
    const words = asked.exec(plan)![1]!;
    const doctor = run('doctor');
    expect(doctor.stdout).toMatch(/^fail +objects +1 object .*photos\/lost$/m);
    expect(doctor.exitCode).toBe(1);
    const wrong = giveUp('--i-understand', words.replace('give', 'keep'));
    expect(wrong).toMatchObject({
      exitCode: 64,
      stderr: expect.stringContaining('Nothing was done') as string,
    });
    expect(status()).toBe('500');

    expect(giveUp('--i-understand', words)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(status()).toBe('404');
    const { lostObjectCount, forced } = JSON.parse(run('status', '--json').stdout) as {
      lostObjectCount: number;
      forced: unknown[];
    };
    expect(lostObjectCount).toBe(0);
    expect(forced.at(-1)).toMatchObject({ words });
    const audit = await readFile(join(playground.dataFolder, 'log', 'audit.log'), 'utf8');
    expect(audit).toMatch(
      /"action":"POST \/force\/object".*"key":"lost".*"words":"give up photos\/lost at epoch \d+"/,
    );
  });
});

describe('a look', () => {
  const look = (...args: string[]) => runTally([...args, '--data', playground.dataFolder]);

  it('at the buckets shows their names', () => {
    paste(tally.line('make a bucket'));
    const { buckets } = JSON.parse(look('bucket', 'list', '--json').stdout) as {
      buckets: { name: string }[];
    };
    expect(buckets).toHaveLength(1);
    expect(look('bucket', 'list').stdout).toMatch(
      new RegExp(`^BUCKET +MADE\n${buckets[0]!.name} +20\\d\\d-`),
    );
  });

  it('at a tag table shows what the other mirror lacks, up to a limit', async () => {
    paste(tally.line('make a bucket'));
    await expect
      .poll(() => look('tags', '-m', 'osd-0').stdout, { timeout: 10_000 })
      .toBe('No rows: every mirror has every write of this one.\n');
    process.kill(tally.processIdOf('osd-1'), 'SIGKILL');
    expect(paste(tally.line('keep writing')).stdout).toBe('200\n'.repeat(20));
    const all = JSON.parse(look('tags', '-m', 'osd-0', '--json').stdout) as { rows: { key: string }[] };
    const keys = new Set(all.rows.map(({ key }) => key));
    for (let n = 1; n <= 20; n += 1) expect(keys).toContain(`while-away-${n}`);
    const few = look('tags', '--mirror', 'osd-0', '--limit', '3');
    expect(few.exitCode).toBe(0);
    expect(few.stdout.match(/ while-away-\d+$/gm)?.length).toBeGreaterThan(0);
    expect(few.stdout).toContain('The first 3 rows; --limit shows more.');
    expect(look('tags', '-m', 'osd-9')).toMatchObject({ exitCode: 64 });
    expect(look('tags', '-m', 'osd-0', '--limit', '0')).toMatchObject({ exitCode: 64 });
  });
});
