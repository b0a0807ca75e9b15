import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem } from '../support/tally-system.js';

const BUCKET = 'aws-cli-bucket';
/** Below the 8 MiB at which `aws s3 cp` goes over to multipart uploads, which are another issue. */
const LARGE_BYTES = 7 * 1024 * 1024;

let system: TallySystem;
let aws: ClientProgram;
let folder: string;

beforeAll(async () => {
  system = await TallySystem.start();
  folder = mkdtempSync(join(tmpdir(), 'tally-aws-'));
  aws = new ClientProgram(
    { name: 'aws', debianPackage: 'awscli', version: /aws-cli\/2\./ },
    {
      AWS_ACCESS_KEY_ID: system.access.accessKeyId,
      AWS_SECRET_ACCESS_KEY: system.access.secretAccessKey,
      AWS_DEFAULT_REGION: system.access.region,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_PAGER: '',
    },
  );
  await s3('mb', `s3://${BUCKET}`);
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await system.dispose();
});

const s3 = (...args: string[]) => aws.run('--endpoint-url', system.access.endpoint, 's3', ...args);
const s3api = async (...args: string[]) => {
  const text = await aws.run('--endpoint-url', system.access.endpoint, '--output', 'json', 's3api', ...args);
  return (text.trim() === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
};

describe('aws (awscli 2)', () => {
  test('s3 cp there and back, small and large', async () => {
    for (const lengthBytes of [0, 2000, LARGE_BYTES]) {
      const [file, copy] = [join(folder, 'in'), join(folder, 'out')];
      const bytes = new SeededRandom(lengthBytes + 1).bytes(lengthBytes);
      writeFileSync(file, bytes);
      await s3('cp', file, `s3://${BUCKET}/copied/${lengthBytes}`);
      await s3('cp', `s3://${BUCKET}/copied/${lengthBytes}`, copy);
      expect(readFileSync(copy).equals(bytes)).toBe(true);
    }
  });

  test('s3 ls shows names, sizes and folders', async () => {
    expect(await s3('ls', `s3://${BUCKET}/`)).toContain('PRE copied/');
    const listing = await s3('ls', `s3://${BUCKET}/copied/`);
    expect(listing).toMatch(new RegExp(`${LARGE_BYTES} ${LARGE_BYTES}$`, 'm'));
  });

  test('s3api put-object, head-object, get-object with metadata and a checksum', async () => {
    const [file, copy] = [join(folder, 'api'), join(folder, 'api-out')];
    writeFileSync(file, 'the body');
    const target = ['--bucket', BUCKET, '--key', 'api'];
    await s3api(
      'put-object',
      ...target,
      '--body',
      file,
      '--metadata',
      'colour=blue',
      '--checksum-algorithm',
      'SHA256',
    );
    expect(await s3api('head-object', ...target)).toMatchObject({
      ContentLength: 8,
      Metadata: { colour: 'blue' },
    });
    await s3api('get-object', ...target, '--range', 'bytes=4-7', copy);
    expect(readFileSync(copy, 'utf8')).toBe('body');
  });

  test('s3api list-objects-v2 goes through pages', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await system.s3.put(BUCKET, `paged/${name}`, Buffer.from(name));
    }
    const { Contents } = await s3api(
      'list-objects-v2',
      '--bucket',
      BUCKET,
      '--prefix',
      'paged/',
      '--page-size',
      '2',
    );
    expect(Contents).toHaveLength(5);
  });

  test('s3 rm removes one', async () => {
    await s3('rm', `s3://${BUCKET}/api`);
    expect(await s3('ls', `s3://${BUCKET}/`)).not.toMatch(/ api$/m);
  });

  test('s3 rb removes the empty bucket', async () => {
    for (const key of await system.s3.listKeys(BUCKET))
      await s3api('delete-object', '--bucket', BUCKET, '--key', key);
    await s3('rb', `s3://${BUCKET}`);
  });
});
