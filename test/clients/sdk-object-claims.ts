/** What the AWS SDK for JavaScript v3 with its default settings is promised of plain objects. Its other claims stand in the files beside. */
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
} from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { SeededRandom } from '../support/seeded-random.js';
import type { ClientClaim } from './both-settings.js';
import { getBytes, putText, type Sdk, statusOf } from './sdk.js';

const random = new SeededRandom(3);

async function listAll({ client, bucket }: Sdk, prefix: string, delimiter?: string) {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let pages = 0;
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
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

export const objectClaims: readonly ClientClaim<Sdk>[] = [
  {
    name: 'makes a bucket and finds it',
    show: async ({ client, bucket }) => {
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      await client.send(new HeadBucketCommand({ Bucket: bucket }));
      await expect(client.send(new HeadBucketCommand({ Bucket: 'no-such-bucket' }))).rejects.toBeInstanceOf(
        NotFound,
      );
    },
  },
  {
    name: 'puts a buffer with metadata and gets all of it back',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      const body = random.bytes(70_000);
      await client.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: 'buffer',
          Body: body,
          ContentType: 'application/x-test',
          CacheControl: 'max-age=60',
          Metadata: { colour: 'blue' },
        }),
      );
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'buffer' }));
      expect(head).toMatchObject({
        ContentLength: body.length,
        ContentType: 'application/x-test',
        CacheControl: 'max-age=60',
        Metadata: { colour: 'blue' },
      });
      expect((await getBytes(sdk, 'buffer')).equals(body)).toBe(true);
    },
  },
  {
    name: 'puts a stream whose checksum comes in the trailer',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      const pieces = Array.from({ length: 20 }, () => random.bytes(100_000));
      const body = Buffer.concat(pieces);
      await client.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: 'stream',
          Body: Readable.from(pieces),
          ContentLength: body.length,
        }),
      );
      expect((await getBytes(sdk, 'stream')).equals(body)).toBe(true);
    },
  },
  {
    name: 'gets ranges from the front, the middle and the end',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      await putText(sdk, 'range', '0123456789');
      expect((await getBytes(sdk, 'range', 'bytes=0-2')).toString()).toBe('012');
      expect((await getBytes(sdk, 'range', 'bytes=4-')).toString()).toBe('456789');
      expect((await getBytes(sdk, 'range', 'bytes=-3')).toString()).toBe('789');
      const past = client.send(new GetObjectCommand({ Bucket: bucket, Key: 'range', Range: 'bytes=10-' }));
      expect(await statusOf(past)).toBe(416);
    },
  },
  {
    name: 'says which key is not there',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      await expect(getBytes(sdk, 'nothing')).rejects.toBeInstanceOf(NoSuchKey);
      const head = client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'nothing' }));
      expect(await statusOf(head)).toBe(404);
    },
  },
  {
    name: 'lists in pages, and by delimiter',
    show: async (sdk) => {
      const names = Array.from({ length: 25 }, (_, index) => `list/${String(index).padStart(2, '0')}`);
      await Promise.all(names.map((key) => putText(sdk, key, key)));
      await putText(sdk, 'list/deep/one', '1');
      await putText(sdk, 'list/deep/two & more/ü', '2');
      const flat = await listAll(sdk, 'list/');
      expect(flat.keys).toEqual([...names, 'list/deep/one', 'list/deep/two & more/ü']);
      expect(flat.pages).toBe(3);
      const folded = await listAll(sdk, 'list/', '/');
      expect(folded.keys).toEqual(names);
      expect(folded.prefixes).toEqual(['list/deep/']);
    },
  },
  {
    name: 'reads under a condition',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      const etag = (await putText(sdk, 'conditional', 'one')) ?? '';
      const get = (condition: { IfMatch?: string; IfNoneMatch?: string }) =>
        client.send(new GetObjectCommand({ Bucket: bucket, Key: 'conditional', ...condition }));
      expect(await statusOf(get({ IfMatch: etag }))).toBeUndefined();
      expect(await statusOf(get({ IfMatch: '"other"' }))).toBe(412);
      expect(await statusOf(get({ IfNoneMatch: etag }))).toBe(304);
    },
  },
  {
    name: 'writes under a condition',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      const put = (condition: { IfMatch?: string; IfNoneMatch?: string }, key = 'conditional') =>
        client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'two', ...condition }));
      const { ETag = '' } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'conditional' }));
      expect(await statusOf(put({ IfNoneMatch: '*' }))).toBe(412);
      expect(await statusOf(put({ IfNoneMatch: '*' }, 'conditional-new'))).toBeUndefined();
      expect(await statusOf(put({ IfMatch: '"other"' }))).toBe(412);
      expect(await statusOf(put({ IfMatch: ETag }))).toBeUndefined();
      expect(await statusOf(put({ IfMatch: ETag }))).toBe(412);
      expect((await getBytes(sdk, 'conditional')).toString()).toBe('two');
    },
  },
  {
    name: 'of ten that create one object at once, one succeeds',
    show: async ({ client, bucket }) => {
      const attempts = Array.from({ length: 10 }, (_, index) =>
        statusOf(
          client.send(
            new PutObjectCommand({ Bucket: bucket, Key: 'race', Body: `racer ${index}`, IfNoneMatch: '*' }),
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
    show: async (sdk) => {
      const { client, bucket } = sdk;
      const append = (offset: number, text: string) =>
        client.send(
          new PutObjectCommand({ Bucket: bucket, Key: 'appended', Body: text, WriteOffsetBytes: offset }),
        );
      await append(0, 'one,');
      const { Size } = await append(4, 'two,');
      expect(Size).toBe(8);
      expect(await statusOf(append(4, 'again,'))).toBe(400);
      await append(8, 'three');
      expect((await getBytes(sdk, 'appended')).toString()).toBe('one,two,three');
    },
  },
  {
    name: 'removes objects, and the bucket once it is empty',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      expect(await statusOf(client.send(new DeleteBucketCommand({ Bucket: bucket })))).toBe(409);
      const { keys } = await listAll(sdk, '');
      for (const key of keys) await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'never-there' }));
      expect((await listAll(sdk, '')).keys).toEqual([]);
      await client.send(new DeleteBucketCommand({ Bucket: bucket }));
      expect(await statusOf(client.send(new HeadBucketCommand({ Bucket: bucket })))).toBe(404);
    },
  },
];
