import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem } from '../support/tally-system.js';

const REMOTE = 'tally:rclone-bucket/folder';
const FILES: Readonly<Record<string, number>> = {
  'empty.txt': 0,
  'small.txt': 1234,
  'sub/large.bin': 3_000_000,
  'sub/deep/ümlaut & space.txt': 42,
};

let system: TallySystem;
let rclone: ClientProgram;
let folder: string;

beforeAll(async () => {
  system = await TallySystem.start();
  folder = mkdtempSync(join(tmpdir(), 'tally-rclone-'));
  rclone = new ClientProgram(
    { name: 'rclone', debianPackage: 'rclone' },
    {
      RCLONE_CONFIG: join(folder, 'rclone.conf'),
      RCLONE_CONFIG_TALLY_TYPE: 's3',
      RCLONE_CONFIG_TALLY_PROVIDER: 'Other',
      RCLONE_CONFIG_TALLY_ENDPOINT: system.access.endpoint,
      RCLONE_CONFIG_TALLY_ACCESS_KEY_ID: system.access.accessKeyId,
      RCLONE_CONFIG_TALLY_SECRET_ACCESS_KEY: system.access.secretAccessKey,
      RCLONE_CONFIG_TALLY_REGION: system.access.region,
      RCLONE_RETRIES: '1',
    },
  );
  writeFileSync(join(folder, 'rclone.conf'), '');
  mkdirSync(join(folder, 'in', 'sub', 'deep'), { recursive: true });
  for (const [name, lengthBytes] of Object.entries(FILES)) {
    writeFileSync(join(folder, 'in', name), new SeededRandom(lengthBytes + 9).bytes(lengthBytes));
  }
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await system.dispose();
});

describe('rclone', () => {
  test('copies a folder there, making the bucket', async () => {
    await rclone.run('copy', join(folder, 'in'), REMOTE);
  });

  test('lists it with sizes', async () => {
    const lines = (await rclone.run('ls', REMOTE)).split('\n').map((line) => line.trim());
    const expected = Object.entries(FILES).map(([name, lengthBytes]) => `${lengthBytes} ${name}`);
    expect(lines.filter((line) => line !== '').sort()).toEqual(expected.sort());
  });

  test('checks that both sides are the same', async () => {
    await rclone.run('check', join(folder, 'in'), REMOTE);
  });

  test('copies nothing the second time, since times and sizes are kept', async () => {
    const { stderr, exitCode } = await rclone.attempt(
      'copy',
      '--verbose',
      '--stats-one-line',
      join(folder, 'in'),
      REMOTE,
    );
    expect(exitCode).toBe(0);
    expect(stderr).not.toMatch(/Copied/);
  });

  test('copies the folder back', async () => {
    await rclone.run('copy', REMOTE, join(folder, 'out'));
    for (const name of Object.keys(FILES)) {
      expect(readFileSync(join(folder, 'out', name)).equals(readFileSync(join(folder, 'in', name)))).toBe(
        true,
      );
    }
  });

  test('deletes one file and then all', async () => {
    await rclone.run('deletefile', `${REMOTE}/small.txt`);
    expect(await rclone.run('ls', REMOTE)).not.toContain('small.txt');
    await rclone.run('delete', REMOTE);
    expect(await rclone.run('ls', REMOTE)).toBe('');
  });
});
