/** URLs that s3-request-presigner signs work for whoever has them: here fetch, which knows nothing of S3. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect } from 'vitest';
import type { ClientClaim } from './both-settings.js';
import { getBytes, putText, type Sdk, statusOf } from './sdk.js';

const EXPIRES = { expiresIn: 300 };

export const presignedClaims: readonly ClientClaim<Sdk>[] = [
  {
    name: 'presigned URLs put, head, get and delete an object',
    show: async ({ client, bucket }) => {
      const target = { Bucket: bucket, Key: 'presigned/ä & b?c' };
      const put = await getSignedUrl(client, new PutObjectCommand(target), EXPIRES);
      expect((await fetch(put, { method: 'PUT', body: 'by URL' })).status).toBe(200);
      const head = await getSignedUrl(client, new HeadObjectCommand(target), EXPIRES);
      expect((await fetch(head, { method: 'HEAD' })).headers.get('content-length')).toBe('6');
      const get = await getSignedUrl(
        client,
        new GetObjectCommand({ ...target, ResponseContentType: 'text/x-told' }),
        EXPIRES,
      );
      const got = await fetch(get);
      expect(got.headers.get('content-type')).toBe('text/x-told');
      expect(await got.text()).toBe('by URL');
      expect((await fetch(get, { headers: { range: 'bytes=3-' } })).status).toBe(206);
      const remove = await getSignedUrl(client, new DeleteObjectCommand(target), EXPIRES);
      expect((await fetch(remove, { method: 'DELETE' })).status).toBe(204);
      expect((await fetch(get)).status).toBe(404);
    },
  },
  {
    name: 'presigned URLs upload the parts of a multipart upload',
    show: async ({ client, bucket }) => {
      const target = { Bucket: bucket, Key: 'presigned/parts' };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
      const url = await getSignedUrl(
        client,
        new UploadPartCommand({ ...target, UploadId, PartNumber: 1 }),
        EXPIRES,
      );
      const reply = await fetch(url, { method: 'PUT', body: 'the only part' });
      expect(reply.status).toBe(200);
      const Parts = [{ PartNumber: 1, ETag: reply.headers.get('etag') ?? '' }];
      await client.send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }),
      );
      expect((await getBytes({ client, bucket }, target.Key)).toString()).toBe('the only part');
      const abort = client.send(new AbortMultipartUploadCommand({ ...target, UploadId }));
      expect([undefined, 404]).toContain(await statusOf(abort));
    },
  },
  {
    name: 'a presigned URL is good for its method, its key and its time alone',
    show: async (sdk) => {
      const target = { Bucket: sdk.bucket, Key: 'presigned/bound' };
      await putText(sdk, target.Key, 'bound');
      const get = await getSignedUrl(sdk.client, new GetObjectCommand(target), EXPIRES);
      expect((await fetch(get, { method: 'DELETE' })).status).toBe(403);
      expect((await fetch(get.replace('bound', 'other'))).status).toBe(403);
      const signingDate = new Date(Date.now() - 60_000);
      const late = await getSignedUrl(sdk.client, new GetObjectCommand(target), {
        expiresIn: 30,
        signingDate,
      });
      const refused = await fetch(late);
      expect(refused.status).toBe(403);
      expect(await refused.text()).toContain('<Code>AccessDenied</Code>');
      expect((await getBytes(sdk, target.Key)).toString()).toBe('bound');
    },
  },
];
