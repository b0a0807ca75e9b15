/** Uploads as lib-storage makes them, and multipart uploads by hand: streams of unknown length, parts, and every checksum. */
import {
  ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  paginateListParts,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { SeededRandom } from '../support/seeded-random.js';
import type { ClientClaim } from './both-settings.js';
import { getBytes, type Sdk, statusOf } from './sdk.js';

const MIB = 1024 * 1024;
const PART_BYTES = 5 * MIB;
const random = new SeededRandom(17);
/** Not what the SDK can make by itself: it needs another package for it. */
const BY_ITSELF = Object.values(ChecksumAlgorithm).filter((name) =>
  ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'].includes(name),
);

export const uploadClaims: readonly ClientClaim<Sdk>[] = [
  {
    name: 'Upload sends a stream of unknown length in parts',
    show: async ({ client, bucket }) => {
      const bytes = random.bytes(2 * PART_BYTES + 4321);
      const pieces = Readable.from([bytes.subarray(0, 100), bytes.subarray(100, MIB), bytes.subarray(MIB)]);
      const upload = new Upload({
        client,
        params: { Bucket: bucket, Key: 'upload/large', Body: pieces, Metadata: { kind: 'stream' } },
        partSize: PART_BYTES,
      });
      const { ETag } = await upload.done();
      expect(ETag).toMatch(/-3"$/);
      expect((await getBytes({ client, bucket }, 'upload/large')).equals(bytes)).toBe(true);
      const head = await client.send(
        new HeadObjectCommand({ Bucket: bucket, Key: 'upload/large', PartNumber: 3 }),
      );
      expect(head).toMatchObject({ ContentLength: 4321, PartsCount: 3, Metadata: { kind: 'stream' } });
    },
  },
  {
    name: 'Upload sends a short stream as one object',
    show: async ({ client, bucket }) => {
      const body = Readable.from([Buffer.from('a short '), Buffer.from('stream')]);
      await new Upload({ client, params: { Bucket: bucket, Key: 'upload/short', Body: body } }).done();
      expect((await getBytes({ client, bucket }, 'upload/short')).toString()).toBe('a short stream');
    },
  },
  {
    name: 'an Upload that is aborted leaves nothing',
    show: async ({ client, bucket }) => {
      const stuck = new Readable({ read: () => undefined });
      stuck.push(random.bytes(PART_BYTES + 1));
      const upload = new Upload({ client, params: { Bucket: bucket, Key: 'upload/aborted', Body: stuck } });
      const outcome = upload.done().catch((error: unknown) => error);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await upload.abort();
      stuck.destroy();
      expect(await outcome).toBeInstanceOf(Error);
      expect(await statusOf(getBytes({ client, bucket }, 'upload/aborted'))).toBe(404);
    },
  },
  {
    name: 'keeps and gives back a checksum of every algorithm, and refuses a wrong one',
    show: async ({ client, bucket }) => {
      expect(BY_ITSELF).toHaveLength(5);
      for (const algorithm of BY_ITSELF) {
        const target = { Bucket: bucket, Key: `checksum/${algorithm}` };
        const put = await client.send(
          new PutObjectCommand({ ...target, Body: `body of ${algorithm}`, ChecksumAlgorithm: algorithm }),
        );
        const field = `Checksum${algorithm}` as const;
        const got = await client.send(new GetObjectCommand({ ...target, ChecksumMode: 'ENABLED' }));
        expect(await got.Body?.transformToString()).toBe(`body of ${algorithm}`);
        expect(got).toMatchObject({
          [field]: expect.stringMatching(/=$/) as string,
          ChecksumType: 'FULL_OBJECT',
        });
        expect(put).toMatchObject({ [field]: got[field as keyof typeof got] });
        const wrong = new PutObjectCommand({
          ...target,
          Body: 'another body',
          [field]: got[field as keyof typeof got],
        });
        expect(await statusOf(client.send(wrong))).toBe(400);
        expect((await getBytes({ client, bucket }, target.Key)).toString()).toBe(`body of ${algorithm}`);
      }
    },
  },
  {
    name: 'puts parts by hand, with checksums, copies one, and lists them in pages',
    show: async ({ client, bucket }) => {
      const target = { Bucket: bucket, Key: 'upload/by-hand' };
      const { UploadId } = await client.send(
        new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'SHA256' }),
      );
      const first = random.bytes(PART_BYTES);
      const part = { ...target, UploadId };
      const uploaded = await client.send(
        new UploadPartCommand({ ...part, PartNumber: 1, Body: first, ChecksumAlgorithm: 'SHA256' }),
      );
      const { CopyPartResult } = await client.send(
        new UploadPartCopyCommand({
          ...part,
          PartNumber: 2,
          CopySource: `${bucket}/upload/large`,
          CopySourceRange: 'bytes=0-999',
        }),
      );
      const numbers: (number | undefined)[] = [];
      for await (const page of paginateListParts({ client, pageSize: 1 }, part))
        numbers.push(...(page.Parts ?? []).map(({ PartNumber }) => PartNumber));
      expect(numbers).toEqual([1, 2]);
      const { ChecksumAlgorithm: told } = await client.send(new ListPartsCommand(part));
      expect(told).toBe('SHA256');
      const Parts = [uploaded, CopyPartResult].map((made, index) => ({
        PartNumber: index + 1,
        ETag: made?.ETag,
        ChecksumSHA256: made?.ChecksumSHA256,
      }));
      const complete = (order: typeof Parts) =>
        client.send(new CompleteMultipartUploadCommand({ ...part, MultipartUpload: { Parts: order } }));
      expect(await statusOf(complete([...Parts].reverse()))).toBe(400);
      const done = await complete(Parts);
      expect(done.ETag).toMatch(/-2"$/);
      expect(done.ChecksumSHA256).toMatch(/=-2$/);
      const whole = await getBytes({ client, bucket }, 'upload/large');
      const expected = Buffer.concat([first, whole.subarray(0, 1000)]);
      expect((await getBytes({ client, bucket }, target.Key)).equals(expected)).toBe(true);
      const attributes = await client.send(
        new GetObjectAttributesCommand({
          ...target,
          ObjectAttributes: ['ETag', 'ObjectParts', 'ObjectSize'],
        }),
      );
      expect(attributes).toMatchObject({
        ObjectSize: PART_BYTES + 1000,
        ObjectParts: { TotalPartsCount: 2, Parts: [{ Size: PART_BYTES }, { Size: 1000 }] },
      });
    },
  },
];
