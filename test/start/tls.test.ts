/** A whole system over TLS: every port, and certificates on both sides between gateway and OSDs. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OSD_PATHS } from '../../src/wire/contract.js';
import { TestAuthority } from '../support/certificates.js';
import { until } from '../support/patience.js';
import { Playground, RunningTally, runTally } from './running-tally.js';

const SECRET = 'a-secret-for-this-test';
const WITHIN_MS = 30_000;
const CURL_CANT_VERIFY = 60;

let playground: Playground;
let authority: TestAuthority;
let started: RunningTally[];
let file: string;
let folder: string;

beforeEach(async () => {
  playground = await Playground.make();
  started = [];
  folder = join(playground.folder, 'etc');
  file = join(folder, 'tally.yaml');
  const { s3, admin, osds } = playground.ports;
  await mkdir(folder);
  authority = new TestAuthority(folder, 'ca');
  for (const name of ['front', 'osd', 'caller']) authority.issue(name);
  await writeFile(join(folder, 'osd-secret'), SECRET);
  await writeFile(join(folder, 'admin-token'), 'a-token-for-this-test\n');
  await writeFile(
    file,
    `data: ../var
mirrorSet:
  id: main
  secretFile: osd-secret
  caFile: ca.pem
  certFile: caller.pem
  keyFile: caller.key
  members:
    - { name: osd-0, url: "https://127.0.0.1:${osds[0]}" }
    - { name: osd-1, url: "https://127.0.0.1:${osds[1]}" }
s3: { listen: "127.0.0.1:${s3}", tls: { certFile: front.pem, keyFile: front.key } }
admin:
  listen: "127.0.0.1:${admin}"
  tokenFile: admin-token
  tls: { certFile: front.pem, keyFile: front.key }
  caFile: ca.pem
osd: { tls: { certFile: osd.pem, keyFile: osd.key, clientCaFile: ca.pem } }
credentials: { accessKey: KEY, secretKey: a-secret-key }
log: { folder: ../log }
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

function curl(...args: string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync('curl', ['-sS', ...args], { encoding: 'utf8', timeout: WITHIN_MS });
}

function s3Curl(path: string, ...args: string[]) {
  const signed = ['--aws-sigv4', 'aws:amz:us-east-1:s3', '--user', 'KEY:a-secret-key'];
  const unsigned = ['-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD'];
  return curl(...signed, ...unsigned, ...args, `https://127.0.0.1:${playground.ports.s3}${path}`);
}

/** The serial number of the certificate that new connections are shown. */
function shownSerial(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(authority.caFile) }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

function serialOf(path: string): string {
  return new X509Certificate(readFileSync(path)).serialNumber;
}

async function startAll(): Promise<void> {
  for (const name of ['osd-0', 'osd-1'])
    expect(runTally(['format', '--name', name, '--config', file]).exitCode).toBe(0);
  const services = [run('osd', '--name', 'osd-0'), run('osd', '--name', 'osd-1'), run('gateway')];
  for (const service of services) await service.waitFor('is ready at');
  const status = () => Promise.resolve(runTally(['status', '--config', file]));
  await until('all mirrors are in sync', status, ({ exitCode }) => exitCode === 0, { withinMs: WITHIN_MS });
}

describe('a system over TLS', () => {
  it('serves whoever trusts its authority, refuses callers without the right certificate, and takes a new one without a restart', async () => {
    await startAll();
    expect(runTally(['health', '--config', file]).stdout).toBe('live\n');
    expect(runTally(['health', '--config', file, '--name', 'osd-1']).stdout).toBe('live\n');

    const trusts = ['--cacert', authority.caFile];
    expect(s3Curl('/photos', ...trusts, '-X', 'PUT').status).toBe(0);
    expect(s3Curl('/photos/yaml', ...trusts, '-f', '-T', file).status).toBe(0);
    expect(s3Curl('/photos/yaml', ...trusts).stdout).toBe(await readFile(file, 'utf8'));
    expect(s3Curl('/photos/yaml').status).toBe(CURL_CANT_VERIFY);
    const stranger = runTally(['status', '--config', file], {
      TALLY_ADMIN_CA_FILE: new TestAuthority(folder, 'other').caFile,
    });
    expect([stranger.exitCode, stranger.stderr]).toEqual([69, expect.stringContaining('certificate')]);

    const osdUrl = `https://127.0.0.1:${playground.ports.osds[0]}${OSD_PATHS.identity}`;
    const authorized = [...trusts, '-H', `authorization: Bearer ${SECRET}`, osdUrl];
    const caller = ['--cert', join(folder, 'caller.pem'), '--key', join(folder, 'caller.key')];
    expect(curl(...authorized).status).not.toBe(0);
    expect(curl(...caller, ...authorized).stdout).toContain('"setId":"main"');

    const { s3 } = playground.ports;
    const front = join(folder, 'front.pem');
    const before = await shownSerial(s3);
    writeFileSync(front, 'not a certificate');
    const log = () => readFile(join(playground.folder, 'log', 'gateway.log'), 'utf8');
    const isRefused = (text: string) => text.includes('the S3 endpoint: the new certificate is refused');
    await until('the broken one is refused', log, isRefused, { withinMs: WITHIN_MS });
    expect(await shownSerial(s3)).toBe(before);

    const next = authority.issue('next');
    copyFileSync(next.certFile, front);
    copyFileSync(next.keyFile, join(folder, 'front.key'));
    const isNext = (serial: string) => serial === serialOf(next.certFile);
    await until('the new one is shown', () => shownSerial(s3), isNext, { withinMs: WITHIN_MS });
    expect(s3Curl('/photos/yaml', ...trusts).stdout).toBe(await readFile(file, 'utf8'));

    const { admin, osds } = playground.ports;
    const told = async (name: string) => {
      const text = await readFile(join(playground.folder, 'log', `${name}.log`), 'utf8');
      return [...text.matchAll(/"msg":"([^"]* listens at [^"]*)"/g)].map(([, message]) => message);
    };
    expect(await told('gateway')).toEqual([
      `The S3 endpoint listens at https://127.0.0.1:${s3}`,
      `The admin API listens at https://127.0.0.1:${admin}`,
    ]);
    expect(await told('osd-0')).toEqual([`osd-0 listens at https://127.0.0.1:${osds[0]}`]);
  });

  it('does not start with a certificate that is none, or at a URL of the other kind', async () => {
    const yaml = await readFile(file, 'utf8');
    await writeFile(file, yaml.replaceAll('https:', 'http:'));
    const plain = runTally(['osd', '--name', 'osd-0', '--config', file]);
    expect([plain.exitCode, plain.stderr]).toEqual([78, expect.stringContaining('https://')]);
    await writeFile(file, yaml);
    copyFileSync(join(folder, 'osd.key'), join(folder, 'front.key'));
    const mixed = runTally(['gateway', '--config', file]);
    expect([mixed.exitCode, mixed.stderr]).toEqual([78, expect.stringContaining('is not that of the certi')]);
  });
});
