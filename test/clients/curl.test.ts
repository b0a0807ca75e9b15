import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem } from '../support/tally-system.js';

let system: TallySystem;
let curl: ClientProgram;
let folder: string;
let base: string;

/** Flags of a signed request. Debian 12's curl leaves x-amz-content-sha256 out unless it is given. */
function signed(...args: readonly string[]): string[] {
  const { accessKeyId, secretAccessKey, region } = system.access;
  return [
    ...['--silent', '--show-error', '--fail-with-body', '--aws-sigv4', `aws:amz:${region}:s3`],
    ...['--user', `${accessKeyId}:${secretAccessKey}`],
    ...args,
  ];
}

beforeAll(async () => {
  curl = new ClientProgram({ name: 'curl', debianPackage: 'curl' });
  system = await TallySystem.start();
  folder = mkdtempSync(join(tmpdir(), 'tally-curl-'));
  base = `${system.access.endpoint}/curl-bucket`;
  await curl.run(...signed('--request', 'PUT', base));
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await system.dispose();
});

describe('curl --aws-sigv4', () => {
  test.each([
    ['an empty file', 0],
    ['a small file', 1000],
    ['a file that is staged', 700_000],
  ])('puts and gets %s, without x-amz-content-sha256', async (name, lengthBytes) => {
    const file = join(folder, 'in');
    const bytes = new SeededRandom(lengthBytes).bytes(lengthBytes);
    writeFileSync(file, bytes);
    const url = `${base}/${encodeURIComponent(name)}`;
    await curl.run(...signed('--upload-file', file, url));
    await curl.run(...signed('--output', join(folder, 'out'), url));
    expect(readFileSync(join(folder, 'out')).equals(bytes)).toBe(true);
  });

  test('puts a large file with x-amz-content-sha256: UNSIGNED-PAYLOAD', async () => {
    const file = join(folder, 'large');
    const bytes = new SeededRandom(5).bytes(5_000_000);
    writeFileSync(file, bytes);
    await curl.run(
      ...signed('-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', '--upload-file', file, `${base}/large`),
    );
    await curl.run(...signed('--output', join(folder, 'out'), `${base}/large`));
    expect(readFileSync(join(folder, 'out')).equals(bytes)).toBe(true);
  });

  test('lists, asks for a range and a head', async () => {
    await curl.run(...signed('--request', 'PUT', '--data-binary', '0123456789', `${base}/digits`));
    expect(await curl.run(...signed('--range', '2-4', `${base}/digits`))).toBe('234');
    expect(await curl.run(...signed('--head', `${base}/digits`))).toMatch(/^content-length: 10\r$/im);
    const listing = await curl.run(...signed(`${base}?list-type=2&prefix=dig`));
    expect(listing).toContain('<Key>digits</Key>');
  });

  test('appends and overwrites a range', async () => {
    const url = `${base}/grown`;
    const send = (method: string, header: string, body: string) =>
      curl.run(...signed('--request', method, '-H', header, '--data-binary', body, url));
    await send('PUT', 'x-amz-write-offset-bytes: 0', 'abc');
    await send('PUT', 'x-amz-write-offset-bytes: 3', 'def');
    await send('PATCH', 'content-range: bytes 1-2/*', 'XY');
    expect(await curl.run(...signed(url))).toBe('aXYdef');
  });

  test('deletes, and then there is nothing', async () => {
    await curl.run(...signed('--request', 'DELETE', `${base}/digits`));
    const { exitCode, stdout } = await curl.attempt(...signed(`${base}/digits`));
    expect(exitCode).toBe(22);
    expect(stdout).toContain('<Code>NoSuchKey</Code>');
  });

  test('a wrong secret gets nothing', async () => {
    const wrong = signed(`${base}/large`).map((flag) =>
      flag.replace(system.access.secretAccessKey, 'wrong-secret'),
    );
    const { exitCode, stdout } = await curl.attempt(...wrong);
    expect(exitCode).toBe(22);
    expect(stdout).toContain('<Code>SignatureDoesNotMatch</Code>');
  });
});
