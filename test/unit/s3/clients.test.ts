/** Real clients with their default settings: the AWS SDK for JavaScript v3, and curl --aws-sigv4 where there is one. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import {
  ChecksumAlgorithm,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEY, REGION, TestServer } from './harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server.close();
});

describe('AWS SDK for JavaScript v3, default settings', () => {
  const Bucket = 'sdk-bucket';
  const content = Buffer.alloc(300_000, 'content');
  let client: S3Client;
  beforeAll(async () => {
    client = new S3Client({
      endpoint: server.url,
      region: REGION,
      forcePathStyle: true,
      credentials: { accessKeyId: KEY.accessKeyId, secretAccessKey: KEY.secretAccessKey },
      maxAttempts: 1,
    });
    await client.send(new CreateBucketCommand({ Bucket }));
  });
  afterAll(() => {
    client.destroy();
  });

  async function read(Key: string): Promise<Buffer> {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from(await Body!.transformToByteArray());
  }

  async function put(Key: string, input: Partial<PutObjectCommandInput>): Promise<string | undefined> {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key, ...input }));
    return ETag;
  }

  it.each(['plain', 'a b+c/é/../x', 'q?#&=%', "quote'()*!", '\u{1f600}', '//slashes//'])(
    'puts and gets a buffer (CRC32 header) under the key %s',
    async (Key) => {
      await put(Key, { Body: content, Metadata: { colour: 'red' } });
      expect((await read(Key)).equals(content)).toBe(true);
      const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
      expect(head).toMatchObject({
        ContentLength: content.length,
        Metadata: { colour: 'red' },
        ChecksumType: 'FULL_OBJECT',
      });
      expect(head.ChecksumCRC32).toBeDefined();
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
      await expect(read(Key)).rejects.toMatchObject({ name: 'NoSuchKey' });
    },
  );

  it('puts a stream (aws-chunked with a checksum trailer)', async () => {
    const pieces = Array.from({ length: 30 }, (_, index) =>
      content.subarray(index * 10_000, (index + 1) * 10_000),
    );
    await put('stream', { Body: Readable.from(pieces), ContentLength: content.length });
    expect((await read('stream')).equals(content)).toBe(true);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'stream' }));
    expect(head.ContentEncoding).toBeUndefined();
  });

  it.each([
    ChecksumAlgorithm.CRC32,
    ChecksumAlgorithm.CRC32C,
    ChecksumAlgorithm.CRC64NVME,
    ChecksumAlgorithm.SHA1,
    ChecksumAlgorithm.SHA256,
  ])('puts a buffer and a stream with %s, and verifies what it gets', async (algorithm) => {
    await put('sum-buffer', { Body: content, ChecksumAlgorithm: algorithm });
    await put('sum-stream', {
      Body: Readable.from([content]),
      ContentLength: content.length,
      ChecksumAlgorithm: algorithm,
    });
    for (const Key of ['sum-buffer', 'sum-stream']) expect((await read(Key)).equals(content)).toBe(true);
  });

  it('lists with pages, both versions', async () => {
    for (const Key of ['list/a', 'list/b', 'list/c/d']) await put(Key, { Body: Key });
    const keys: (string | undefined)[] = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Prefix: 'list/' })) {
      keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
    }
    expect(keys).toEqual(['list/a', 'list/b', 'list/c/d']);
    const first = await client.send(new ListObjectsCommand({ Bucket, Prefix: 'list/', Delimiter: '/' }));
    expect(first.CommonPrefixes).toEqual([{ Prefix: 'list/c/' }]);
    expect(first.Contents?.[0]?.ETag).toMatch(/^"[0-9a-f]{32}"$/);
  });

  it('appends with WriteOffsetBytes', async () => {
    await put('log', { Body: 'hello', WriteOffsetBytes: 0 });
    const answer = await client.send(
      new PutObjectCommand({ Bucket, Key: 'log', Body: ' world', WriteOffsetBytes: 5 }),
    );
    expect(answer.Size).toBe(11);
    expect((await read('log')).toString()).toBe('hello world');
    await expect(put('log', { Body: '!', WriteOffsetBytes: 5 })).rejects.toMatchObject({
      name: 'InvalidWriteOffset',
    });
  });

  it('writes and reads on conditions', async () => {
    const etag = await put('condition', { Body: 'one' });
    await expect(put('condition', { Body: 'two', IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'PreconditionFailed',
    });
    await put('condition', { Body: 'two', IfMatch: etag });
    const stale = new GetObjectCommand({ Bucket, Key: 'condition', IfMatch: etag });
    await expect(client.send(stale)).rejects.toMatchObject({ $metadata: { httpStatusCode: 412 } });
  });

  it('deletes several objects, and the bucket in the end', async () => {
    const { Buckets } = await client.send(new ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toContain(Bucket);
    await expect(client.send(new DeleteBucketCommand({ Bucket }))).rejects.toMatchObject({
      name: 'BucketNotEmpty',
    });
    const { Contents } = await client.send(new ListObjectsCommand({ Bucket }));
    const Objects = (Contents ?? []).map(({ Key }) => ({ Key }));
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    await client.send(new DeleteBucketCommand({ Bucket }));
    await expect(client.send(new HeadBucketCommand({ Bucket }))).rejects.toMatchObject({ name: 'NotFound' });
  });
});

function hasCurl(): boolean {
  try {
    return execFileSync('curl', ['--help', 'all'], { encoding: 'utf8' }).includes('--aws-sigv4');
  } catch {
    return false;
  }
}

describe.runIf(hasCurl())('curl --aws-sigv4 (7.88 leaves x-amz-content-sha256 out)', () => {
  const run = promisify(execFile);
  let directory: string;
  let file: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tally-s3-'));
    file = join(directory, 'file');
    writeFileSync(file, 'the content of a file\n');
    await curl('-X', 'PUT', `${server.url}/curl`);
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  async function curl(...args: string[]): Promise<string> {
    const user = `${KEY.accessKeyId}:${KEY.secretAccessKey}`;
    const common = [
      '-sS',
      '--max-time',
      '10',
      '--path-as-is',
      '--aws-sigv4',
      'aws:amz:us-east-1:s3',
      '--user',
      user,
    ];
    const { stdout } = await run('curl', [...common, '-w', '\n%{http_code}', ...args]);
    return stdout;
  }

  it.each(['file', 'a%20b', 'a+b', '../dots/../x', 'é', 'a//b'])(
    'uploads with -T and downloads the key %s',
    async (key) => {
      const url = `${server.url}/curl/${key}`;
      expect(await curl('-T', file, url)).toBe('\n200');
      expect(await curl(url)).toBe('the content of a file\n\n200');
    },
  );

  it('uploads with --data-binary, with a stated payload, and from a pipe', async () => {
    expect(await curl('-X', 'PUT', '--data-binary', `@${file}`, `${server.url}/curl/data`)).toBe('\n200');
    expect(
      await curl('-T', file, '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', `${server.url}/curl/stated`),
    ).toBe('\n200');
    expect(await curl(`${server.url}/curl/data`)).toBe('the content of a file\n\n200');
  });

  it('sends metadata, ranges, appends and patches', async () => {
    const url = `${server.url}/curl/many`;
    expect(await curl('-T', file, '-H', 'x-amz-meta-colour: deep  red', url)).toBe('\n200');
    expect(await curl('-I', url)).toContain('x-amz-meta-colour: deep  red\r\n');
    expect(await curl('-r', '4-10', url)).toBe('content\n206');
    expect(await curl('-T', file, '-H', 'x-amz-write-offset-bytes: 22', url)).toBe('\n200');
    expect(
      await curl('-X', 'PATCH', '-H', 'Content-Range: bytes 4-10/*', '--data-binary', 'CONTENT', url),
    ).toMatch(/<PatchObjectResult.*\n200$/s);
    expect(await curl('-r', '0-25', url)).toBe('the CONTENT of a file\nthe \n206');
  });

  it('lists, with parameters in any order, and deletes', async () => {
    expect(await curl(`${server.url}/curl?list-type=2&prefix=a%20b`)).toContain('<Key>a b</Key>');
    expect(await curl(`${server.url}/curl?prefix=a%2Bb&list-type=2&delimiter=/`)).toContain('<Key>a+b</Key>');
    expect(await curl('-X', 'DELETE', `${server.url}/curl/data`)).toBe('\n204');
    expect(await curl(`${server.url}/curl/data`)).toMatch(/<Code>NoSuchKey<.*\n404$/s);
  });

  it('is refused with a wrong secret, for a small body, a large one and none', async () => {
    const wrong = ['--user', `${KEY.accessKeyId}:wrong`];
    expect(await curl(...wrong, `${server.url}/curl/file`)).toMatch(/SignatureDoesNotMatch.*\n403$/s);
    expect(await curl(...wrong, '-T', file, `${server.url}/curl/file`)).toMatch(
      /SignatureDoesNotMatch.*\n403$/s,
    );
    const large = join(directory, 'large');
    writeFileSync(large, Buffer.alloc(3_000_000));
    expect(await curl(...wrong, '-T', large, `${server.url}/curl/file`)).toMatch(/InvalidRequest.*\n400$/s);
  });
});
