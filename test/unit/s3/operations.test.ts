/** The operation table, and that nothing that S3 means something by is passed over. */
import * as sdk from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPERATION_NAMES } from '../../../src/s3/operations/names.js';
import { describeOperations } from '../../../src/s3/operations/table.js';
import { elements, TestServer, type Wish } from './harness.js';

const IMPLEMENTED = [
  'AbortMultipartUpload',
  'AppendObject',
  'CompleteMultipartUpload',
  'CopyObject',
  'CreateBucket',
  'CreateMultipartUpload',
  'DeleteBucket',
  'DeleteBucketCors',
  'DeleteBucketEncryption',
  'DeleteBucketLifecycle',
  'DeleteBucketOwnershipControls',
  'DeleteBucketPolicy',
  'DeleteBucketReplication',
  'DeleteBucketTagging',
  'DeleteBucketWebsite',
  'DeleteObject',
  'DeleteObjectTagging',
  'DeleteObjects',
  'DeletePublicAccessBlock',
  'GetBucketAccelerateConfiguration',
  'GetBucketAcl',
  'GetBucketCors',
  'GetBucketEncryption',
  'GetBucketLifecycleConfiguration',
  'GetBucketLocation',
  'GetBucketLogging',
  'GetBucketNotificationConfiguration',
  'GetBucketOwnershipControls',
  'GetBucketPolicy',
  'GetBucketPolicyStatus',
  'GetBucketReplication',
  'GetBucketRequestPayment',
  'GetBucketTagging',
  'GetBucketVersioning',
  'GetBucketWebsite',
  'GetObject',
  'GetObjectAcl',
  'GetObjectAttributes',
  'GetObjectLegalHold',
  'GetObjectLockConfiguration',
  'GetObjectRetention',
  'GetObjectTagging',
  'GetPublicAccessBlock',
  'HeadBucket',
  'HeadObject',
  'ListBuckets',
  'ListMultipartUploads',
  'ListObjectVersions',
  'ListObjects',
  'ListObjectsV2',
  'ListParts',
  'PatchObject',
  'PostObject',
  'PreflightRequest',
  'PutBucketAcl',
  'PutBucketCors',
  'PutBucketEncryption',
  'PutBucketLifecycleConfiguration',
  'PutBucketOwnershipControls',
  'PutBucketPolicy',
  'PutBucketTagging',
  'PutBucketVersioning',
  'PutObject',
  'PutObjectAcl',
  'PutObjectLegalHold',
  'PutObjectLockConfiguration',
  'PutObjectRetention',
  'PutObjectTagging',
  'PutPublicAccessBlock',
  'RenameObject',
  'UploadPart',
  'UploadPartCopy',
];

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterAll(async () => {
  await server.close();
});

describe('the operation table', () => {
  it('knows every operation of the AWS SDK by its name', () => {
    const names = Object.keys(sdk)
      .filter((name) => name.endsWith('Command') && name !== '$Command')
      .map((name) => name.slice(0, -'Command'.length));
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter((name) => !OPERATION_NAMES.some((known) => known === name))).toEqual([]);
  });

  it('describes itself, and says what is implemented', () => {
    const rows = describeOperations();
    expect(rows.map(({ name }) => name)).toEqual([...OPERATION_NAMES]);
    expect(rows.filter(({ isImplemented }) => isImplemented).map(({ name }) => name)).toEqual(IMPLEMENTED);
  });

  it.each(describeOperations().filter(({ isImplemented }) => !isImplemented))(
    '$name is recognized and answers 501 NotImplemented',
    async ({ name, method, level, query, header }) => {
      const path = { service: '/', bucket: '/bucket', object: '/bucket/key' }[level];
      const target = query.length === 0 ? path : `${path}?${query.join('&')}`;
      const headers: Record<string, string> = header === null ? {} : { [header]: 'value' };
      const answer = await server.send({ method, target, headers });
      expect([answer.status, answer.code, elements(answer.text, 'Operation')]).toEqual([
        501,
        'NotImplemented',
        [name],
      ]);
    },
  );

  it('what is not implemented is not told to strangers', async () => {
    const answer = await server.sendWith({ target: '/bucket?acl' }, { host: server.host });
    expect([answer.status, answer.code]).toEqual([403, 'AccessDenied']);
  });

  it.each([
    ['POST', '/bucket/key'],
    ['PUT', '/'],
    ['DELETE', '/'],
    ['HEAD', '/'],
    ['PATCH', '/bucket'],
    ['PROPFIND', '/bucket'],
    ['TRACE', '/bucket'],
    ['LOCK', '/bucket/key'],
  ])('%s %s is MethodNotAllowed', async (method, target) => {
    const answer = await server.send({ method, target });
    expect(answer.status).toBe(405);
    if (method !== 'HEAD') expect(answer.code).toBe('MethodNotAllowed');
  });
});

describe('a header or parameter that Tally does not honour is refused', () => {
  it.each([
    ['x-amz-server-side-encryption-context', 'e30='],
    ['x-amz-server-side-encryption-bucket-key-enabled', 'true'],
    ['x-amz-website-redirect-location', '/'],
    ['x-amz-storage-class', 'GLACIER'],
    ['x-amz-something-new', '1'],
  ])('PutObject with %s: %s is NotImplemented, and writes nothing', async (header, value) => {
    const answer = await server.send({
      method: 'PUT',
      target: '/bucket/refused',
      body: 'x',
      headers: { [header]: value },
    });
    expect([answer.status, answer.code, elements(answer.text, 'Header')]).toEqual([
      501,
      'NotImplemented',
      [header],
    ]);
    expect((await server.send({ target: '/bucket/refused' })).status).toBe(404);
  });

  it.each([
    ['x-amz-acl', 'private'],
    ['x-amz-acl', 'bucket-owner-full-control'],
    ['x-amz-storage-class', 'STANDARD'],
    ['x-amz-request-payer', 'requester'],
  ])('PutObject with %s: %s says what Tally does anyway', async (header, value) => {
    const answer = await server.send({
      method: 'PUT',
      target: '/bucket/fine',
      body: 'x',
      headers: { [header]: value },
    });
    expect(answer.status).toBe(200);
  });

  it.each<[string, Wish]>([
    ['GetObject with an unknown parameter', { target: '/bucket/key?colour=red' }],
    ['GetObject with metadata', { target: '/bucket/key', headers: { 'x-amz-meta-a': 'b' } }],
    [
      'PATCH with metadata',
      {
        method: 'PATCH',
        target: '/bucket/key',
        body: 'x',
        headers: { 'x-amz-meta-a': 'b', 'content-range': 'bytes 0-0/*' },
      },
    ],
    [
      'ListObjectsV2 with optional attributes',
      { target: '/bucket?list-type=2', headers: { 'x-amz-optional-object-attributes': 'RestoreStatus' } },
    ],
  ])('%s', async (_claim, wish) => {
    const answer = await server.send(wish);
    expect([answer.status, answer.code]).toEqual([501, 'NotImplemented']);
  });
});
