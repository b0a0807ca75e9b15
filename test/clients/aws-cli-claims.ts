/** What `aws` (version 2) is promised: its high-level commands and its bare ones. Each run of it takes most of a second, so the claims are few. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { SeededRandom } from '../support/seeded-random.js';
import type { ClientClaim, Workplace } from './both-settings.js';

const MIB = 1024 * 1024;
/** Over the 8 MiB at which it goes over to parts. */
const LARGE_BYTES = 17 * MIB;
const FILES: Readonly<Record<string, number>> = { 'a.txt': 10, 'sub/b.bin': 70_000, 'sub/deep/ü & c': 0 };

export class AwsCli {
  readonly bucket: string;
  readonly #program: ClientProgram;
  readonly #endpoint: string;
  readonly #folder: string;

  constructor({ system, bucket, folder }: Workplace) {
    const { accessKeyId, secretAccessKey, region, endpoint } = system.access;
    this.bucket = bucket;
    this.#endpoint = endpoint;
    this.#folder = folder;
    this.#program = new ClientProgram(
      { name: 'aws', debianPackage: 'awscli', version: /aws-cli\/2\./ },
      {
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_DEFAULT_REGION: region,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_PAGER: '',
      },
    );
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  url(key: string): string {
    return `s3://${this.bucket}/${key}`;
  }

  write(name: string, bytes: Buffer): string {
    mkdirSync(dirname(this.file(name)), { recursive: true });
    writeFileSync(this.file(name), bytes);
    return this.file(name);
  }

  s3(...args: string[]): Promise<string> {
    return this.#program.run('--endpoint-url', this.#endpoint, 's3', ...args);
  }

  /** A bare command on the bucket. */
  async api(command: string, ...args: string[]): Promise<Record<string, unknown>> {
    const target = ['s3api', command, '--bucket', this.bucket, ...args];
    const text = await this.#program.run('--endpoint-url', this.#endpoint, '--output', 'json', ...target);
    return (text.trim() === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  }
}

export const awsCliClaims: readonly ClientClaim<AwsCli>[] = [
  {
    name: 'mb makes a bucket, and sync fills it',
    show: async (aws) => {
      await aws.s3('mb', `s3://${aws.bucket}`);
      for (const [name, lengthBytes] of Object.entries(FILES))
        aws.write(`in/${name}`, new SeededRandom(lengthBytes + 1).bytes(lengthBytes));
      await aws.s3('sync', aws.file('in'), aws.url('synced'));
      expect(await aws.s3('sync', aws.file('in'), aws.url('synced'))).toBe('');
    },
  },
  {
    name: 'ls shows names, sizes and folders',
    show: async (aws) => {
      const listing = await aws.s3('ls', '--recursive', aws.url('synced/'));
      for (const [name, lengthBytes] of Object.entries(FILES))
        expect(listing).toMatch(new RegExp(` ${lengthBytes} synced/${name}$`, 'm'));
      expect(await aws.s3('ls', aws.url(''))).toContain('PRE synced/');
    },
  },
  {
    name: 'put-object with metadata and a checksum; get-object of a range checks it',
    show: async (aws) => {
      const body = aws.write('api', Buffer.from('the body'));
      const key = ['--key', 'api'];
      const how = ['--metadata', 'colour=blue', '--checksum-algorithm', 'SHA256'];
      const { ChecksumSHA256 } = await aws.api('put-object', ...key, '--body', body, ...how);
      const head = await aws.api('head-object', ...key, '--checksum-mode', 'ENABLED');
      expect(head).toMatchObject({ ContentLength: 8, Metadata: { colour: 'blue' }, ChecksumSHA256 });
      await aws.api('get-object', ...key, '--range', 'bytes=4-7', aws.file('api-out'));
      expect(readFileSync(aws.file('api-out'), 'utf8')).toBe('body');
    },
  },
  {
    name: 'cp there and back in parts',
    show: async (aws) => {
      const bytes = new SeededRandom(5).bytes(LARGE_BYTES);
      await aws.s3('cp', '--no-progress', aws.write('large', bytes), aws.url('large'));
      await aws.s3('cp', '--no-progress', aws.url('large'), aws.file('large-out'));
      expect(readFileSync(aws.file('large-out')).equals(bytes)).toBe(true);
    },
  },
  {
    name: 'mv of a large object copies its parts on the server',
    show: async (aws) => {
      await aws.s3('mv', '--no-progress', aws.url('large'), aws.url('moved'));
      const { ContentLength } = await aws.api('head-object', '--key', 'moved');
      expect(ContentLength).toBe(LARGE_BYTES);
      expect(await aws.s3('ls', aws.url(''))).not.toContain(' large');
    },
  },
  {
    name: 'presign makes a URL for everyone',
    show: async (aws) => {
      const url = await aws.s3('presign', aws.url('api'), '--expires-in', '60');
      expect(await (await fetch(url.trim())).text()).toBe('the body');
    },
  },
  {
    name: 'list-objects-v2 goes through pages',
    show: async (aws) => {
      const { Contents } = await aws.api('list-objects-v2', '--prefix', 'synced/', '--page-size', '1');
      expect(Contents).toHaveLength(Object.keys(FILES).length);
    },
  },
  {
    name: 'sync --delete brings a folder to what the bucket has',
    show: async (aws) => {
      await aws.s3('rm', aws.url('synced/a.txt'));
      await aws.s3('sync', '--delete', aws.url('synced'), aws.file('in'));
      expect(() => readFileSync(aws.file('in/a.txt'))).toThrow();
      expect(readFileSync(aws.file('in/sub/b.bin'))).toHaveLength(70_000);
    },
  },
  {
    name: 'rm --recursive and rb leave nothing',
    show: async (aws) => {
      await aws.s3('rb', '--force', `s3://${aws.bucket}`);
      expect(await aws.s3('ls')).not.toContain(aws.bucket);
    },
  },
];
