/** Versions, tags and copies through the AWS SDK, and its paginators. */
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  paginateListObjectsV2,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import type { ClientClaim } from './both-settings.js';
import { getBytes, putText, type Sdk, statusOf } from './sdk.js';

function versioned({ client, bucket }: Sdk): Sdk {
  return { client, bucket: `${bucket}-versions` };
}

async function textOf({ client, bucket }: Sdk, key: string, versionId: string | undefined): Promise<string> {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId }),
  );
  return (await Body?.transformToString()) ?? '';
}

export const versionClaims: readonly ClientClaim<Sdk>[] = [
  {
    name: 'keeps every version once it is told to, and a delete marker on top',
    show: async (sdk) => {
      const kept = versioned(sdk);
      const { client, bucket: Bucket } = kept;
      await client.send(new CreateBucketCommand({ Bucket }));
      await client.send(
        new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
      );
      const ids: (string | undefined)[] = [];
      for (const Body of ['one', 'two', 'three'])
        ids.push((await client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body }))).VersionId);
      expect(new Set(ids).size).toBe(3);
      const { DeleteMarker } = await client.send(new DeleteObjectCommand({ Bucket, Key: 'kept' }));
      expect(DeleteMarker).toBe(true);
      expect(await statusOf(getBytes(kept, 'kept'))).toBe(404);
      expect(await Promise.all(ids.map((id) => textOf(kept, 'kept', id)))).toEqual(['one', 'two', 'three']);
      const { Versions, DeleteMarkers } = await client.send(new ListObjectVersionsCommand({ Bucket }));
      expect(Versions?.map(({ VersionId }) => VersionId)).toEqual([...ids].reverse());
      expect(DeleteMarkers).toHaveLength(1);
      await client.send(
        new DeleteObjectCommand({ Bucket, Key: 'kept', VersionId: DeleteMarkers?.[0]?.VersionId }),
      );
      expect((await getBytes(kept, 'kept')).toString()).toBe('three');
    },
  },
  {
    name: 'removes every version at once, and then the bucket',
    show: async (sdk) => {
      const { client, bucket: Bucket } = versioned(sdk);
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
      const Objects = Versions.map(({ Key = '', VersionId }) => ({ Key, VersionId }));
      const { Deleted, Errors } = await client.send(
        new DeleteObjectsCommand({ Bucket, Delete: { Objects } }),
      );
      expect(Errors ?? []).toEqual([]);
      expect(Deleted).toHaveLength(Objects.length);
      await client.send(new DeleteBucketCommand({ Bucket }));
    },
  },
  {
    name: 'tags an object, with the write and afterwards',
    show: async ({ client, bucket }) => {
      const target = { Bucket: bucket, Key: 'tagged' };
      const tags = async () => (await client.send(new GetObjectTaggingCommand(target))).TagSet;
      await client.send(new PutObjectCommand({ ...target, Body: 'tagged', Tagging: 'a=1&b=two%20words' }));
      expect(await tags()).toEqual([
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: 'two words' },
      ]);
      const TagSet = [{ Key: 'ü', Value: '=' }];
      await client.send(new PutObjectTaggingCommand({ ...target, Tagging: { TagSet } }));
      expect(await tags()).toEqual(TagSet);
      await client.send(new DeleteObjectTaggingCommand(target));
      expect(await tags()).toEqual([]);
    },
  },
  {
    name: 'copies with and without new metadata, and under a condition',
    show: async (sdk) => {
      const { client, bucket: Bucket } = sdk;
      const source = { Bucket, Key: 'copy/from ü' };
      const { ETag } = await client.send(
        new PutObjectCommand({ ...source, Body: 'to be copied', Metadata: { age: 'old' } }),
      );
      const CopySource = encodeURI(`${Bucket}/${source.Key}`);
      await client.send(new CopyObjectCommand({ Bucket, Key: 'copy/same', CopySource }));
      await client.send(
        new CopyObjectCommand({
          Bucket,
          Key: 'copy/new',
          CopySource,
          MetadataDirective: 'REPLACE',
          Metadata: { age: 'new' },
          CopySourceIfMatch: ETag,
        }),
      );
      const metadata = async (Key: string) =>
        (await client.send(new HeadObjectCommand({ Bucket, Key }))).Metadata;
      expect(await metadata('copy/same')).toEqual({ age: 'old' });
      expect(await metadata('copy/new')).toEqual({ age: 'new' });
      expect((await getBytes(sdk, 'copy/new')).toString()).toBe('to be copied');
      const refused = new CopyObjectCommand({
        Bucket,
        Key: 'copy/no',
        CopySource,
        CopySourceIfNoneMatch: ETag,
      });
      expect(await statusOf(client.send(refused))).toBe(412);
      expect(await statusOf(getBytes(sdk, 'copy/no'))).toBe(404);
    },
  },
  {
    name: 'deletes under a condition',
    show: async (sdk) => {
      const { client, bucket } = sdk;
      const ETag = await putText(sdk, 'delete-me', 'one');
      const remove = (IfMatch: string | undefined) =>
        statusOf(client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'delete-me', IfMatch })));
      expect(await remove('"other"')).toBe(412);
      expect(await remove(ETag)).toBeUndefined();
    },
  },
  {
    name: 'the paginator lists every key once, whatever the page',
    show: async (sdk) => {
      const names = Array.from({ length: 23 }, (_, index) => `pages/${String(index).padStart(3, '0')}`);
      await Promise.all(names.map((name) => putText(sdk, name, name)));
      for (const pageSize of [1, 7, 1000]) {
        const seen: (string | undefined)[] = [];
        const pages = paginateListObjectsV2(
          { client: sdk.client, pageSize },
          { Bucket: sdk.bucket, Prefix: 'pages/' },
        );
        for await (const { Contents = [] } of pages) seen.push(...Contents.map(({ Key }) => Key));
        expect(seen).toEqual(names);
      }
    },
  },
];
