import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { type ClientClaim, testInBothSettings, type Workplace } from './both-settings.js';
import { treeDifferences, writeTree } from './file-tree.js';

const MIB = 1024 * 1024;
const FILES = {
  'empty.txt': 0,
  'small.txt': 1234,
  'sub/large.bin': 3_000_000,
  'sub/in-parts.bin': 11 * MIB + 7,
  'sub/deep/ümlaut & space.txt': 42,
};

interface Rclone {
  readonly program: ClientProgram;
  readonly remote: string;
  readonly folder: string;
}

function connectRclone({ system, bucket, folder }: Workplace): Rclone {
  const { endpoint, accessKeyId, secretAccessKey, region } = system.access;
  const program = new ClientProgram(
    { name: 'rclone', debianPackage: 'rclone' },
    {
      RCLONE_CONFIG: join(folder, 'rclone.conf'),
      RCLONE_CONFIG_TALLY_TYPE: 's3',
      RCLONE_CONFIG_TALLY_PROVIDER: 'Other',
      RCLONE_CONFIG_TALLY_ENDPOINT: endpoint,
      RCLONE_CONFIG_TALLY_ACCESS_KEY_ID: accessKeyId,
      RCLONE_CONFIG_TALLY_SECRET_ACCESS_KEY: secretAccessKey,
      RCLONE_CONFIG_TALLY_REGION: region,
      RCLONE_RETRIES: '1',
      RCLONE_S3_UPLOAD_CUTOFF: '5Mi',
      RCLONE_S3_CHUNK_SIZE: '5Mi',
    },
  );
  writeFileSync(join(folder, 'rclone.conf'), '');
  writeTree(join(folder, 'in'), FILES);
  return { program, remote: `tally:${bucket}/folder`, folder };
}

const claims: readonly ClientClaim<Rclone>[] = [
  {
    name: 'copies a folder there, making the bucket',
    show: async ({ program, remote, folder }) => {
      await program.run('copy', join(folder, 'in'), remote);
    },
  },
  {
    name: 'lists it with sizes',
    show: async ({ program, remote }) => {
      const lines = (await program.run('ls', remote)).split('\n').map((line) => line.trim());
      const expected = Object.entries(FILES).map(([name, lengthBytes]) => `${lengthBytes} ${name}`);
      expect(lines.filter((line) => line !== '').sort()).toEqual(expected.sort());
    },
  },
  {
    name: 'copies nothing the second time, since times and sizes are kept',
    show: async ({ program, remote, folder }) => {
      const { stderr, exitCode } = await program.attempt('copy', '--verbose', join(folder, 'in'), remote);
      expect(exitCode).toBe(0);
      expect(stderr).not.toMatch(/Copied/);
    },
  },
  {
    name: 'copies on the server, with metadata and times',
    show: async ({ program, remote }) => {
      await program.run('copy', '--metadata', `${remote}/sub`, `${remote}-copy`);
      const times = async (path: string) =>
        (
          JSON.parse(await program.run('lsjson', '--recursive', '--files-only', path)) as {
            Path: string;
            ModTime: string;
          }[]
        )
          .map(({ Path, ModTime }) => `${Path} ${ModTime}`)
          .sort();
      expect(await times(`${remote}-copy`)).toEqual(await times(`${remote}/sub`));
    },
  },
  {
    name: 'copies the folder back, whole and with its times',
    show: async ({ program, remote, folder }) => {
      await program.run('copy', remote, join(folder, 'out'));
      expect(treeDifferences(join(folder, 'in'), join(folder, 'out'), true)).toEqual([]);
    },
  },
  {
    name: 'sync removes there what is gone here, and sends what is new',
    show: async ({ program, remote, folder }) => {
      writeFileSync(join(folder, 'in', 'small.txt'), 'now another');
      writeFileSync(join(folder, 'in', 'new.txt'), 'new');
      await program.run('sync', '--exclude', 'empty.txt', '--delete-excluded', join(folder, 'in'), remote);
      expect(await program.run('cat', `${remote}/small.txt`)).toBe('now another');
      expect(await program.run('ls', remote)).not.toContain('empty.txt');
    },
  },
  {
    name: 'checks that both sides are the same, by hash and by content',
    show: async ({ program, remote, folder }) => {
      await program.run('check', '--exclude', 'empty.txt', join(folder, 'in'), remote);
      await program.run('check', '--download', '--exclude', 'empty.txt', join(folder, 'in'), remote);
      writeFileSync(join(folder, 'in', 'new.txt'), 'old');
      expect((await program.attempt('check', join(folder, 'in'), remote)).exitCode).toBe(1);
    },
  },
  {
    name: 'purges the folder and the bucket',
    show: async ({ program, remote }) => {
      await program.run('deletefile', `${remote}/small.txt`);
      const bucket = remote.slice(0, remote.indexOf('/'));
      await program.run('purge', bucket);
      expect(await program.run('lsd', 'tally:')).toBe('');
    },
  },
];

testInBothSettings({ client: 'rclone', connect: connectRclone, startupMs: 60, claims });
