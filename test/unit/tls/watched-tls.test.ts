import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTlsMaterial, type TlsMaterial } from '../../../src/tls/tls-material.js';
import { type IdentityFiles, TestAuthority } from '../../support/certificates.js';
import { sleep, until } from '../../support/patience.js';
import { POLL_MS, TlsRig } from './tls-rig.js';

const DAY_MS = 24 * 60 * 60 * 1000;

let rig: TlsRig;
let authority: TestAuthority;
let files: IdentityFiles;

beforeEach(() => {
  rig = new TlsRig();
  authority = new TestAuthority(rig.folder, 'ca');
  files = authority.issue('server');
});

afterEach(() => rig.close());

function logged(level: string): string[] {
  return rig.lines.filter((line) => line.level === level).map(({ message }) => message);
}

async function untilLogged(level: 'info' | 'warn' | 'error', count = 1): Promise<void> {
  const look = () => Promise.resolve(logged(level).length);
  await until(`${count} ${level} lines`, look, (found) => found >= count, { withinMs: 10_000 });
}

function replaceBy(other: IdentityFiles): void {
  copyFileSync(other.certFile, files.certFile);
  copyFileSync(other.keyFile, files.keyFile);
}

describe('certificates that are watched', () => {
  it('are replaced when their files are, and whoever uses them is told', async () => {
    const watched = await rig.watch({ ...files, caFile: null });
    const told: TlsMaterial[] = [];
    watched.onChange((material) => told.push(material));
    const next = authority.issue('next');
    replaceBy(next);
    await untilLogged('info');
    expect(watched.material.identity?.cert).toBe(readFileSync(next.certFile, 'utf8'));
    expect(told).toEqual([watched.material]);
    expect(logged('info')).toEqual(['the test: a new certificate is in use']);
  });

  it.each<[string, (broken: IdentityFiles) => void, string]>([
    ['no PEM', ({ certFile }) => writeFileSync(certFile, 'no certificate'), 'holds no certificate in PEM'],
    ['cut short', ({ certFile }) => writeFileSync(certFile, readFileSync(certFile).subarray(0, 300)), 'PEM'],
    ['gone', ({ certFile }) => rmSync(certFile), "can't be read"],
    [
      'that of another key',
      ({ certFile }) => copyFileSync(authority.issue('x').certFile, certFile),
      'is not that of the certificate',
    ],
  ])('stay as they are when the new one is %s', async (_what, breakIt, reason) => {
    const watched = await rig.watch({ ...files, caFile: null });
    const before = watched.material;
    breakIt(files);
    await untilLogged('error');
    await sleep(POLL_MS * 5);
    expect(watched.material).toBe(before);
    expect(logged('error')).toEqual([
      expect.stringContaining('the new certificate is refused, the one before stays in use'),
    ]);
    expect(logged('error')[0]).toContain(reason);
    replaceBy(authority.issue('next'));
    await untilLogged('info');
    expect(watched.material).not.toBe(before);
  });

  it('stay as they are when the new one has expired', async () => {
    const watched = await rig.watch({ ...files, caFile: null });
    const before = watched.material;
    rig.nowMs += 40 * DAY_MS;
    replaceBy(authority.issue('next'));
    await untilLogged('error');
    expect(watched.material).toBe(before);
    expect(logged('error')[0]).toContain('has expired');
  });

  it('are announced once a day in the two weeks before they expire', async () => {
    await rig.watch({ ...files, caFile: null });
    await sleep(POLL_MS * 5);
    expect(logged('warn')).toEqual([]);
    rig.nowMs += 20 * DAY_MS;
    await untilLogged('warn');
    await sleep(POLL_MS * 5);
    expect(logged('warn')).toEqual(['the test: the certificate expires soon']);
    rig.nowMs += 11 * DAY_MS;
    await untilLogged('warn', 2);
    expect(logged('warn')[1]).toBe('the test: the certificate has expired');
  });
});

describe('certificates that are read', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    [
      'a certificate that is not there',
      () => readTlsMaterial({ ...files, certFile: join(rig.folder, 'none'), caFile: null }),
      "can't be read",
    ],
    [
      'a key where the certificate must be',
      () => readTlsMaterial({ ...files, certFile: files.keyFile, caFile: null }),
      'holds no certificate',
    ],
    [
      'a certificate where the key must be',
      () => readTlsMaterial({ ...files, keyFile: files.certFile, caFile: null }),
      'holds no private key',
    ],
    [
      'authorities without a certificate',
      () => readTlsMaterial({ certFile: null, keyFile: null, caFile: files.keyFile }),
      'holds no certificate',
    ],
  ])('are refused for %s', async (_what, read, reason) => {
    await expect(read()).rejects.toThrow(reason);
    await expect(read()).rejects.toMatchObject({ code: 'bad-certificate' });
  });
});
