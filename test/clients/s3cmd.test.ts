import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { SeededRandom } from '../support/seeded-random.js';
import { type ClientClaim, testInBothSettings, type Workplace } from './both-settings.js';
import { treeDifferences, writeTree } from './file-tree.js';

const LARGE_BYTES = 11 * 1024 * 1024 + 5;
const FILES = { 'a.txt': 12, 'sub/b.bin': 90_000, 'sub/deep/ü & c.txt': 3 };

interface S3cmd {
  readonly run: (...args: readonly string[]) => Promise<string>;
  readonly attempt: ClientProgram['attempt'];
  readonly url: string;
  readonly folder: string;
}

function connectS3cmd({ system, bucket, folder }: Workplace): S3cmd {
  const { endpoint, accessKeyId, secretAccessKey, region } = system.access;
  const { host } = new URL(endpoint);
  const settings = join(folder, 's3cfg');
  const lines = [
    '[default]',
    `access_key = ${accessKeyId}`,
    `secret_key = ${secretAccessKey}`,
    `bucket_location = ${region}`,
    `host_base = ${host}`,
    `host_bucket = ${host}`,
    'use_https = False',
    'signature_v2 = False',
  ];
  writeFileSync(settings, `${lines.join('\n')}\n`);
  mkdirSync(join(folder, 'in'));
  writeTree(join(folder, 'in'), FILES);
  const program = new ClientProgram(
    { name: 's3cmd', debianPackage: 's3cmd' },
    { LC_ALL: 'C.UTF-8', HOME: folder },
  );
  const flags = ['--config', settings, '--no-progress'];
  return {
    run: (...args) => program.run(...flags, ...args),
    attempt: (...args) => program.attempt(...flags, ...args),
    url: `s3://${bucket}`,
    folder,
  };
}

const claims: readonly ClientClaim<S3cmd>[] = [
  {
    name: 'makes a bucket, puts, gets, and tells about an object',
    show: async ({ run, url, folder }) => {
      await run('mb', url);
      const file = join(folder, 'in', 'sub', 'b.bin');
      await run('put', '--add-header', 'x-amz-meta-colour: blue', file, `${url}/put`);
      await run('get', `${url}/put`, join(folder, 'got'));
      expect(readFileSync(join(folder, 'got')).equals(readFileSync(file))).toBe(true);
      const info = await run('info', `${url}/put`);
      expect(info).toMatch(/File size: +90000/);
      expect(info).toMatch(/x-amz-meta-colour: blue/);
      expect(info).toMatch(/ACL: .*FULL_CONTROL/);
    },
  },
  {
    name: 'syncs a folder there, and nothing the second time',
    show: async ({ run, url, folder }) => {
      await run('sync', `${join(folder, 'in')}/`, `${url}/synced/`);
      expect(await run('sync', `${join(folder, 'in')}/`, `${url}/synced/`)).not.toContain('upload:');
    },
  },
  {
    name: 'puts in parts',
    show: async ({ run, url, folder }) => {
      const bytes = new SeededRandom(23).bytes(LARGE_BYTES);
      writeFileSync(join(folder, 'large'), bytes);
      await run('put', '--multipart-chunk-size-mb=5', join(folder, 'large'), `${url}/large`);
      await run('get', `${url}/large`, join(folder, 'large-out'));
      expect(readFileSync(join(folder, 'large-out')).equals(bytes)).toBe(true);
    },
  },
  {
    name: 'lets everybody read one object, and takes it back',
    show: async ({ run, url, folder }) => {
      const endpoint = /^host_base = (.*)$/m.exec(readFileSync(join(folder, 's3cfg'), 'utf8'))?.[1] ?? '';
      const anonymous = async () => (await fetch(`http://${endpoint}/${url.slice(5)}/put`)).status;
      expect(await anonymous()).toBe(403);
      await run('setacl', '--acl-public', `${url}/put`);
      expect(await run('info', `${url}/put`)).toMatch(/ACL: +\*anon\*: READ/);
      expect(await anonymous()).toBe(200);
      await run('setacl', '--acl-private', `${url}/put`);
      expect(await anonymous()).toBe(403);
    },
  },
  {
    name: 'syncs the folder back, whole',
    show: async ({ run, url, folder }) => {
      mkdirSync(join(folder, 'out'));
      await run('sync', `${url}/synced/`, `${join(folder, 'out')}/`);
      expect(treeDifferences(join(folder, 'in'), join(folder, 'out'), true)).toEqual([]);
    },
  },
  {
    name: 'copies, moves and lists on the server',
    show: async ({ run, url }) => {
      await run('cp', `${url}/put`, `${url}/copied`);
      await run('mv', `${url}/copied`, `${url}/moved ü`);
      const listing = await run('ls', url);
      expect(listing).toContain(`${url}/moved ü`);
      expect(listing).not.toContain(`${url}/copied`);
      expect(await run('du', url)).toMatch(/^ *\d+ +\d+ objects/);
    },
  },
  {
    name: 'sync --delete-removed removes there what is gone here',
    show: async ({ run, url, folder }) => {
      await run('sync', '--delete-removed', `${join(folder, 'in', 'sub')}/`, `${url}/synced/`);
      expect(await run('ls', '--recursive', `${url}/synced/`)).not.toContain('a.txt');
    },
  },
  {
    name: 'del --recursive removes all, and rb the bucket',
    show: async ({ run, attempt, url }) => {
      await run('del', '--recursive', '--force', `${url}/`);
      expect(await run('ls', '--recursive', url)).toBe('');
      await run('rb', url);
      expect((await attempt('ls', url)).stderr).toContain('NoSuchBucket');
    },
  },
];

testInBothSettings({ client: 's3cmd', connect: connectS3cmd, startupMs: 250, claims });
