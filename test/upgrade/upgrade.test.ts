/**
 * A data folder as an earlier release left it when the plug was pulled (make-fixture.sh), under this one: everything in it is there, what
 * one mirror missed is copied, what was begun is finished, and both stores have the present format.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FORMAT_VERSION } from '../../src/store/superblock.js';
import { S3Client } from '../support/s3-client.js';
import { Playground, RunningTally, runTally } from '../start/running-tally.js';

const READY = 'Ctrl-C stops everything.';
const IN_SYNC_WITHIN_MS = 60_000;

let playground: Playground;
let tally: RunningTally;
let s3: S3Client;

beforeEach(async () => {
  playground = await Playground.make();
  const archive = join(import.meta.dirname, 'data-format-1.tgz');
  const { status, stderr } = spawnSync('tar', ['-C', playground.folder, '-xzf', archive], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  tally = RunningTally.start(['up', ...playground.flags]);
  await tally.waitFor(READY);
  const text = readFileSync(join(playground.dataFolder, 'secrets/credentials'), 'utf8');
  const [accessKeyId = '', secretAccessKey = ''] = [...text.matchAll(/^aws_\w+ = (\S+)$/gm)].map(
    ([, value = '']) => value,
  );
  const endpoint = `http://127.0.0.1:${playground.ports.s3}`;
  s3 = new S3Client({ endpoint, accessKeyId, secretAccessKey, region: 'us-east-1' });
});

afterEach(async () => {
  await s3.close();
  await tally.end('SIGINT');
  await playground.remove();
});

/** As `long` of make-fixture.sh. */
function long(word: string, lengthBytes: number): string {
  let text = '';
  for (let number = 1; text.length < lengthBytes; number += 1)
    text += `${word} ${String(number).padStart(6, '0')}\n`;
  return text.slice(0, lengthBytes);
}

async function contentOf(bucket: string, key: string): Promise<string | undefined> {
  return (await s3.get(bucket, key))?.toString();
}

function patched(): string {
  const text = long('patched', 30_000);
  return text.slice(0, 10_000) + long('piece', 5_000) + text.slice(15_000);
}

/** Every object of the bucket `plain`, but for the upload. */
function expectedContents(): Map<string, string> {
  const contents = new Map([
    ['appended', long('first', 20_000) + long('second', 20_000)],
    ['described', 'described'],
    ['large', long('large', 60_000)],
    ['large-while-away', long('away', 40_000)],
    ['patched', patched()],
    ['small-2', 'small 2, again'],
  ]);
  for (let number = 3; number <= 20; number += 1) contents.set(`small-${number}`, `small ${number}`);
  for (let number = 1; number <= 10; number += 1)
    contents.set(`while-away-${number}`, `while away ${number}`);
  return contents;
}

async function expectAllContents(): Promise<void> {
  const expected = expectedContents();
  const listed = await s3.listKeys('plain');
  expect(listed.filter((key) => key !== 'uploaded')).toEqual([...expected.keys()].sort());
  for (const [key, content] of expected) expect(await contentOf('plain', key), key).toBe(content);
}

it('everything of an earlier release is read, completed, reconciled, and becomes the present format', async () => {
  await expectAllContents();
  const described = await s3.request({ method: 'GET', path: '/plain/described' });
  expect(described.headers).toMatchObject({ 'x-amz-meta-colour': 'green', 'x-amz-tagging-count': '1' });

  expect(await contentOf('versioned', 'document')).toBe('version two');
  expect(await contentOf('versioned', 'gone')).toBeUndefined();
  const versions = await s3.request({ method: 'GET', path: '/versioned', query: { versions: '' } });
  const ids = [...String(versions.body).matchAll(/<VersionId>([^<]+)<\/VersionId>/g)].map(
    ([, id = '']) => id,
  );
  expect(ids).toHaveLength(4);
  const [, older = ''] = ids;
  const first = await s3.request({ method: 'GET', path: '/versioned/document', query: { versionId: older } });
  expect(String(first.body)).toBe('version one');

  const { uploadId, partETag } = JSON.parse(
    readFileSync(join(playground.dataFolder, 'expected.json'), 'utf8'),
  ) as { readonly uploadId: string; readonly partETag: string };
  const part = `<Part><PartNumber>1</PartNumber><ETag>"${partETag}"</ETag></Part>`;
  await s3.request({
    method: 'POST',
    path: '/plain/uploaded',
    query: { uploadId },
    body: Buffer.from(`<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`),
  });
  expect(await contentOf('plain', 'uploaded')).toBe(long('part', 30_000));

  const data = ['--data', playground.dataFolder];
  await expect.poll(() => runTally(['status', ...data]).exitCode, { timeout: IN_SYNC_WITHIN_MS }).toBe(0);
  const verified = runTally(['verify', '--wait', ...data]);
  expect(verified.exitCode, verified.stdout + verified.stderr).toBe(0);
  for (const osd of ['osd-0', 'osd-1']) {
    const superblock = readFileSync(join(playground.dataFolder, osd, 'store.json'), 'utf8');
    expect(JSON.parse(superblock)).toMatchObject({ formatVersion: FORMAT_VERSION });
  }

  // The one that missed writes has them all: it serves alone.
  process.kill(tally.processIdOf('osd-0'), 'SIGKILL');
  await expectAllContents();
});
