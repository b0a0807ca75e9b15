import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { type ClientClaim, testInBothSettings, type Workplace } from './both-settings.js';
import { treeDifferences, writeTree } from './file-tree.js';

const FILES = { 'a.txt': 12, 'sub/b.bin': 2_500_000, 'sub/ü c.txt': 3 };

interface Duplicity {
  /** It keeps what it knows of a backup in `archive`. */
  readonly run: (archive: string, ...args: readonly string[]) => Promise<string>;
  /** It makes none by itself. */
  readonly makeBucket: () => Promise<void>;
  readonly url: string;
  readonly folder: string;
}

function connectDuplicity({ system, bucket, folder }: Workplace): Duplicity {
  const { endpoint, accessKeyId, secretAccessKey, region } = system.access;
  const program = new ClientProgram(
    { name: 'duplicity', debianPackage: 'duplicity' },
    {
      HOME: folder,
      LC_ALL: 'C.UTF-8',
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
  );
  const flags = [
    '--no-encryption',
    ...['--volsize', '1', '--s3-endpoint-url', endpoint, '--s3-region-name', region],
  ];
  writeTree(join(folder, 'in'), FILES);
  mkdirSync(join(folder, 'out'));
  return {
    run: (archive, ...args) => program.run(...args, '--archive-dir', join(folder, archive), ...flags),
    makeBucket: () => system.s3.createBucket(bucket),
    url: `boto3+s3://${bucket}/backups`,
    folder,
  };
}

const claims: readonly ClientClaim<Duplicity>[] = [
  {
    name: 'makes a full backup in several volumes',
    show: async ({ run, makeBucket, url, folder }) => {
      await makeBucket();
      expect(await run('archive', 'full', join(folder, 'in'), url)).toContain('Errors 0');
    },
  },
  {
    name: 'adds a difference to it',
    show: async ({ run, url, folder }) => {
      appendFileSync(join(folder, 'in', 'a.txt'), 'more');
      await run('archive', 'incremental', join(folder, 'in'), url);
      expect(await run('archive', 'collection-status', url)).toMatch(/Number of contained backup sets: 2/);
    },
  },
  {
    name: 'restores the folder, from the bucket alone',
    show: async ({ run, url, folder }) => {
      await run(
        'restore',
        '--force',
        url,
        join(folder, 'out'),
        '--archive-dir',
        join(folder, 'other-archive'),
      );
      expect(treeDifferences(join(folder, 'in'), join(folder, 'out'), true)).toEqual([]);
    },
  },
];

testInBothSettings({ client: 'duplicity', connect: connectDuplicity, startupMs: 900, claims });
