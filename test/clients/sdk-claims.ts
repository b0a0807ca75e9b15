/** What the AWS SDK for JavaScript v3 with its default settings is promised, as steps which run on any system, whole or degraded. */
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  NotFound,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import type { S3Access } from '../support/s3-client.js';
import { SeededRandom } from '../support/seeded-random.js';

const BUCKET = 'sdk-bucket';
const random = new SeededRandom(3);

export interface SdkClaim {
  readonly name: string;
  readonly show: (client: S3Client) => Promise<void>;
}

/** Default settings: only where the endpoint is and who we are. Path style, because loopback has no bucket names in DNS. */
export function connectSdk({ endpoint, region, accessKeyId, secretAccessKey }: S3Access): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}

async function getBytes(client: S3Client, key: string, range?: string): Promise<Buffer> {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket: BUCKET, Key: key, ...(range !== undefined && { Range: range }) }),
  );
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function putText(client: S3Client, key: string, text: string): Promise<string | undefined> {
  const { ETag } = await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: text }));
  return ETag;
}

/** The HTTP status that a command fails with. */
async function statusOf(sent: Promise<unknown>): Promise<number | undefined> {
  try {
    await sent;
    return undefined;
  } catch (error) {
    if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode;
    throw error;
  }
}

async function listAll(client: S3Client, prefix: string, delimiter?: string) {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let pages = 0;
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: BUCKET,
        Prefix: prefix,
        MaxKeys: 10,
        ...(delimiter !== undefined && { Delimiter: delimiter }),
        ...(token !== undefined && { ContinuationToken: token }),
      }),
    );
    pages += 1;
    keys.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
    prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return { keys, prefixes, pages };
}

export const sdkClaims: readonly SdkClaim[] = [
  {
    name: 'makes a bucket and finds it',
    show: async (client) => {
      await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
      await client.send(new HeadBucketCommand({ Bucket: BUCKET }));
      await expect(client.send(new HeadBucketCommand({ Bucket: 'no-such-bucket' }))).rejects.toBeInstanceOf(
        NotFound,
      );
    },
  },
  {
    name: 'puts a buffer with metadata and gets all of it back',
    show: async (client) => {
      const body = random.bytes(70_000);
      await client.send(
        new PutObjectCommand({
          Bucket: BUCKET,
          Key: 'buffer',
          Body: body,
          ContentType: 'application/x-test',
          CacheControl: 'max-age=60',
          Metadata: { colour: 'blue' },
        }),
      );
      const head = await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'buffer' }));
      expect(head).toMatchObject({
        ContentLength: body.length,
        ContentType: 'application/x-test',
        CacheControl: 'max-age=60',
        Metadata: { colour: 'blue' },
      });
      expect((await getBytes(client, 'buffer')).equals(body)).toBe(true);
    },
  },
  {
    name: 'puts a stream whose checksum comes in the trailer',
    show: async (client) => {
      const pieces = Array.from({ length: 20 }, () => random.bytes(100_000));
      const body = Buffer.concat(pieces);
      await client.send(
        new PutObjectCommand({
          Bucket: BUCKET,
          Key: 'stream',
          Body: Readable.from(pieces),
          ContentLength: body.length,
        }),
      );
      expect((await getBytes(client, 'stream')).equals(body)).toBe(true);
    },
  },
  {
    name: 'gets ranges from the front, the middle and the end',
    show: async (client) => {
      await putText(client, 'range', '0123456789');
      expect((await getBytes(client, 'range', 'bytes=0-2')).toString()).toBe('012');
      expect((await getBytes(client, 'range', 'bytes=4-')).toString()).toBe('456789');
      expect((await getBytes(client, 'range', 'bytes=-3')).toString()).toBe('789');
      const past = client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'range', Range: 'bytes=10-' }));
      expect(await statusOf(past)).toBe(416);
    },
  },
  {
    name: 'says which key is not there',
    show: async (client) => {
      await expect(getBytes(client, 'nothing')).rejects.toBeInstanceOf(NoSuchKey);
      const head = client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'nothing' }));
      expect(await statusOf(head)).toBe(404);
    },
  },
  {
    name: 'lists in pages, and by delimiter',
    show: async (client) => {
      const names = Array.from({ length: 25 }, (_, index) => `list/${String(index).padStart(2, '0')}`);
      await Promise.all(names.map((key) => putText(client, key, key)));
      await putText(client, 'list/deep/one', '1');
      await putText(client, 'list/deep/two & more/ü', '2');
      const flat = await listAll(client, 'list/');
      expect(flat.keys).toEqual([...names, 'list/deep/one', 'list/deep/two & more/ü']);
      expect(flat.pages).toBe(3);
      const folded = await listAll(client, 'list/', '/');
      expect(folded.keys).toEqual(names);
      expect(folded.prefixes).toEqual(['list/deep/']);
    },
  },
  {
    name: 'reads under a condition',
    show: async (client) => {
      const etag = (await putText(client, 'conditional', 'one')) ?? '';
      const get = (condition: { IfMatch?: string; IfNoneMatch?: string }) =>
        client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'conditional', ...condition }));
      expect(await statusOf(get({ IfMatch: etag }))).toBeUndefined();
      expect(await statusOf(get({ IfMatch: '"other"' }))).toBe(412);
      expect(await statusOf(get({ IfNoneMatch: etag }))).toBe(304);
    },
  },
  {
    name: 'writes under a condition',
    show: async (client) => {
      const put = (condition: { IfMatch?: string; IfNoneMatch?: string }, key = 'conditional') =>
        client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: 'two', ...condition }));
      const { ETag = '' } = await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'conditional' }));
      expect(await statusOf(put({ IfNoneMatch: '*' }))).toBe(412);
      expect(await statusOf(put({ IfNoneMatch: '*' }, 'conditional-new'))).toBeUndefined();
      expect(await statusOf(put({ IfMatch: '"other"' }))).toBe(412);
      expect(await statusOf(put({ IfMatch: ETag }))).toBeUndefined();
      expect(await statusOf(put({ IfMatch: ETag }))).toBe(412);
      expect((await getBytes(client, 'conditional')).toString()).toBe('two');
    },
  },
  {
    name: 'of ten that create one object at once, one succeeds',
    show: async (client) => {
      const attempts = Array.from({ length: 10 }, (_, index) =>
        statusOf(
          client.send(
            new PutObjectCommand({ Bucket: BUCKET, Key: 'race', Body: `racer ${index}`, IfNoneMatch: '*' }),
          ),
        ),
      );
      const statuses = await Promise.all(attempts);
      expect(statuses.filter((status) => status === undefined)).toHaveLength(1);
      expect(statuses.every((status) => status === undefined || status === 412 || status === 409)).toBe(true);
    },
  },
  {
    name: 'appends where the object ends, and nowhere else',
    show: async (client) => {
      const append = (offset: number, text: string) =>
        client.send(
          new PutObjectCommand({ Bucket: BUCKET, Key: 'appended', Body: text, WriteOffsetBytes: offset }),
        );
      await append(0, 'one,');
      const { Size } = await append(4, 'two,');
      expect(Size).toBe(8);
      expect(await statusOf(append(4, 'again,'))).toBe(400);
      await append(8, 'three');
      expect((await getBytes(client, 'appended')).toString()).toBe('one,two,three');
    },
  },
  {
    name: 'removes objects, and the bucket once it is empty',
    show: async (client) => {
      expect(await statusOf(client.send(new DeleteBucketCommand({ Bucket: BUCKET })))).toBe(409);
      const { keys } = await listAll(client, '');
      for (const key of keys) await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
      await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'never-there' }));
      expect((await listAll(client, '')).keys).toEqual([]);
      await client.send(new DeleteBucketCommand({ Bucket: BUCKET }));
      expect(await statusOf(client.send(new HeadBucketCommand({ Bucket: BUCKET })))).toBe(404);
    },
  },
];
