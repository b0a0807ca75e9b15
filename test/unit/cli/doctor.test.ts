import { chmod, readdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examineFolder, judgeSpace, judgeSyncs } from '../../../src/cli/doctor/disk-checks.js';
import { fail, ok, renderFindings, warn } from '../../../src/cli/doctor/finding.js';
import { examineSecret, judgeClock, judgeNode } from '../../../src/cli/doctor/machine-checks.js';
import { judgeSet } from '../../../src/cli/doctor/set-checks.js';
import {
  examinePort,
  examineSocket,
  judgeContract,
  judgeVersions,
} from '../../../src/cli/doctor/service-checks.js';
import { FakeControl, NOW_MS } from '../admin/fake-control.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();
const GIBIBYTE = 1024 ** 3;

describe('tally doctor', () => {
  it.each([
    [50 * GIBIBYTE, 100 * GIBIBYTE, 'ok'],
    [4 * GIBIBYTE, 100 * GIBIBYTE, 'warn'],
    [GIBIBYTE / 2, GIBIBYTE, 'warn'],
    [1024 ** 2, GIBIBYTE, 'fail'],
  ])('%d bytes free of %d: %s', (freeBytes, totalBytes, verdict) => {
    expect(judgeSpace('/data', freeBytes, totalBytes).verdict).toBe(verdict);
  });

  it.each([
    [3, false, 'warn', 'No disk is so fast'],
    [300, false, 'ok', null],
    [300, true, 'warn', 'Power loss'],
    [40_000, false, 'warn', 'Each small write waits'],
  ])('a sync of %d µs (in memory: %s): %s', (microseconds, isInMemory, verdict, advice) => {
    const finding = judgeSyncs('/data', microseconds, isInMemory);
    expect(finding.verdict).toBe(verdict);
    if (advice === null) expect(finding.advice).toBeNull();
    else expect(finding.advice).toContain(advice);
  });

  it('measures a folder and leaves nothing in it; a missing one fails', async () => {
    const found = await examineFolder(temporary(), true);
    expect(found.map(({ check }) => check)).toEqual(['folder', 'space', 'sync']);
    expect(await readdir(temporary())).toEqual([]);
    expect(await examineFolder(join(temporary(), 'gone'), true)).toMatchObject([{ verdict: 'fail' }]);
  });

  it.each([
    ['20.18.9', 'fail'],
    ['20.19.0', 'ok'],
    ['18.20.0', 'fail'],
    ['24.0.1', 'ok'],
  ])('Node %s: %s', (version, verdict) => {
    expect(judgeNode(version).verdict).toBe(verdict);
  });

  it.each([
    [NOW_MS, NOW_MS - 1000, 'ok'],
    [NOW_MS, NOW_MS + 60_000, 'warn'],
    [NOW_MS, NOW_MS - 20 * 60_000, 'fail'],
    [NOW_MS, null, 'ok'],
    [0, null, 'fail'],
  ])('a clock at %d beside the gateway at %s: %s', (nowMs, gatewayMs, verdict) => {
    expect(judgeClock(nowMs, gatewayMs).verdict).toBe(verdict);
  });

  it('a secret that others may read fails, and one that is missing only when it is needed', async () => {
    const path = join(temporary(), 'secret');
    expect(await examineSecret(path, false)).toEqual([]);
    expect(await examineSecret(path, true)).toMatchObject([{ verdict: 'fail' }]);
    await writeFile(path, 'x');
    for (const [mode, verdict] of [
      [0o600, 'ok'],
      [0o640, 'warn'],
      [0o604, 'fail'],
    ] as const) {
      await chmod(path, mode);
      expect(await examineSecret(path, true)).toMatchObject([{ verdict }]);
    }
  });

  it('a socket is answered, or its OSD is called over TCP', async () => {
    const path = join(temporary(), 'osd.sock');
    expect(await examineSocket('osd-0', path, false)).toMatchObject({ verdict: 'ok' });
    expect(await examineSocket('osd-0', path, true)).toMatchObject({ verdict: 'warn' });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await chmod(path, 0o600);
    expect(await examineSocket('osd-0', path, true)).toMatchObject({ verdict: 'ok' });
    await chmod(path, 0o666);
    expect(await examineSocket('osd-0', path, true)).toMatchObject({ advice: `chmod 600 ${path}` });
    await new Promise((resolve) => server.close(resolve));
  });

  it('a port is free, ours, or somebody else’s', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
    expect((await examinePort('S3', address, true)).verdict).toBe('ok');
    expect((await examinePort('S3', address, false)).verdict).toBe('fail');
    await new Promise((resolve) => server.close(resolve));
    expect((await examinePort('S3', address, false)).message).toContain('is free');
  });

  it('parts of two versions are named', () => {
    const status = { softwareVersion: '0.1.0', nowMs: NOW_MS, ...new FakeControl().current };
    expect(judgeVersions('0.1.0', [{ ...status, mirrors: [] }]).verdict).toBe('ok');
    const finding = judgeVersions('0.2.0', [{ ...status, mirrors: [] }]);
    expect(finding).toMatchObject({ verdict: 'warn', message: 'this command 0.2.0, gateway 0.1.0' });
  });

  it('parts that do not understand each other are a failure, with who has to go first', () => {
    const status = { softwareVersion: '0.1.0', nowMs: NOW_MS, ...new FakeControl().current };
    const [mirror] = status.mirrors;
    if (mirror === undefined) throw new Error('there is a mirror');
    expect(judgeContract([status])).toMatchObject([{ verdict: 'ok' }]);
    const incompatibility = 'osd-1 speaks contract 3, and this gateway 4 to 5: upgrade osd-1 first';
    const apart = { ...mirror, condition: 'incompatible' as const, incompatibility };
    expect(judgeContract([{ ...status, mirrors: [mirror, apart] }])).toMatchObject([
      { verdict: 'fail', message: incompatibility },
    ]);
    expect(judgeContract([])).toEqual([]);
  });

  it('names a mirror that is not in sync, what a set waits for, and what can not be read', () => {
    const status = { softwareVersion: '0.1.0', nowMs: NOW_MS, ...new FakeControl().current };
    const verdicts = (changed: Partial<typeof status>) =>
      judgeSet({ ...status, ...changed }).map(({ verdict, message }) => `${verdict} ${message}`);
    const [first, ...others] = status.mirrors;
    const whole = status.mirrors.map((mirror) => ({ ...mirror, condition: 'in-sync' as const }));
    expect(verdicts({ mirrors: whole }).map((text) => text.slice(0, 3))).toEqual(['ok ', 'ok ']);
    const away = [{ ...first!, condition: 'away' as const }, ...others];
    expect(verdicts({ mirrors: away })[0]).toMatch(/^warn .*osd-0 is away/);
    expect(verdicts({ phase: 'waiting', waitingFor: 'osd-1 missing' })[0]).toMatch(/^fail .*osd-1 missing/);
    const lost = { bucket: 'photos', key: 'cat.jpg', version: '', lastTag: '1', sizeBytes: 9, lostBytes: 9 };
    const lostObjects = [{ ...lost, mirrors: [], kept: null }];
    expect(verdicts({ lostObjectCount: 1, lostObjects })[1]).toMatch(/^fail 1 object .*photos\/cat\.jpg/);
  });

  it('says what to do below what it found, and counts', () => {
    const text = renderFindings([ok('a', 'fine'), warn('b', 'hm', 'look'), fail('c', 'bad', 'act')]);
    expect(text).toMatch(/^warn +b +hm\n +-> look$/m);
    expect(text).toContain('1 ok, 1 to look at, 1 failed.');
  });
});
