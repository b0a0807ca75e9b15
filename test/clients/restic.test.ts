import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { type ClientClaim, testInBothSettings, type Workplace } from './both-settings.js';
import { treeDifferences, writeTree } from './file-tree.js';

const MIB = 1024 * 1024;
const FILES = { 'a.txt': 12, 'large.bin': 9 * MIB, 'sub/b.bin': 700_000, 'sub/ü c.txt': 3 };

interface Restic {
  readonly program: ClientProgram;
  readonly folder: string;
}

function connectRestic({ system, bucket, folder }: Workplace): Restic {
  const { endpoint, accessKeyId, secretAccessKey, region } = system.access;
  const program = new ClientProgram(
    { name: 'restic', debianPackage: 'restic' },
    {
      RESTIC_REPOSITORY: `s3:${endpoint}/${bucket}/backups`,
      RESTIC_PASSWORD: 'a password of the backup',
      RESTIC_CACHE_DIR: join(folder, 'cache'),
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_DEFAULT_REGION: region,
    },
  );
  writeTree(join(folder, 'in'), FILES);
  return { program, folder };
}

const claims: readonly ClientClaim<Restic>[] = [
  {
    name: 'init makes the bucket and a repository in it',
    show: async ({ program }) => {
      await program.run('init');
    },
  },
  {
    name: 'backup stores a folder',
    show: async ({ program, folder }) => {
      await program.run('backup', join(folder, 'in'));
    },
  },
  {
    name: 'a second backup adds to it',
    show: async ({ program, folder }) => {
      writeTree(join(folder, 'in'), { 'new.bin': 2 * MIB });
      unlinkSync(join(folder, 'in', 'a.txt'));
      await program.run('backup', join(folder, 'in'));
      expect(JSON.parse(await program.run('snapshots', '--json'))).toHaveLength(2);
    },
  },
  {
    name: 'check --read-data finds every byte as it was',
    show: async ({ program }) => {
      expect(await program.run('check', '--read-data')).toContain('no errors were found');
    },
  },
  {
    name: 'restore brings the folder back',
    show: async ({ program, folder }) => {
      await program.run('restore', 'latest', '--target', join(folder, 'out'));
      expect(treeDifferences(join(folder, 'in'), join(folder, 'out', folder, 'in'), true)).toEqual([]);
    },
  },
  {
    name: 'forget and prune take the first one away, and what is left is whole',
    show: async ({ program, folder }) => {
      await program.run('forget', '--keep-last', '1', '--prune', '--max-unused', '0');
      expect(JSON.parse(await program.run('snapshots', '--json'))).toHaveLength(1);
      await program.run('check', '--read-data');
      await program.run('restore', 'latest', '--target', join(folder, 'again'));
      expect(treeDifferences(join(folder, 'in'), join(folder, 'again', folder, 'in'), true)).toEqual([]);
    },
  },
];

testInBothSettings({ client: 'restic', connect: connectRestic, startupMs: 800, claims });
