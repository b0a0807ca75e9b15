/** Presigned URLs (S3 API reference "Authenticating Requests: Using Query Parameters") and virtual-host style addresses. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKSUM_ALGORITHMS, CHECKSUMS } from '../../../src/s3/payload/checksums.js';
import { KEY, OTHER_KEY, sha256, TestServer, type Answer } from './harness.js';
import { presign, type PresignWish } from './presign.js';

const HOUR_MS = 60 * 60 * 1000;
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ options: { domains: ['s3.example.test'] } });
  await server.send({ method: 'PUT', target: '/bucket' });
  await server.send({ method: 'PUT', target: '/bucket/key', body: 'content' });
});
afterAll(async () => {
  await server.close();
});

interface Use {
  readonly body?: string;
  readonly sent?: Readonly<Record<string, string>>;
  /** Changes the target after it was signed. */
  readonly change?: (target: string) => string;
}

function use(
  wish: Omit<PresignWish, 'host'> & { host?: string },
  { body, sent, change }: Use = {},
): Promise<Answer> {
  const host = wish.host ?? server.host;
  const target = presign({ ...wish, host });
  return server.sendWith(
    { method: wish.method ?? 'GET', target: change?.(target) ?? target, ...(body !== undefined && { body }) },
    { host, ...wish.headers, ...sent },
  );
}

describe('a presigned URL', () => {
  it('serves GET, HEAD, PUT and DELETE', async () => {
    expect((await use({ path: '/bucket/key' })).text).toBe('content');
    expect((await use({ method: 'HEAD', path: '/bucket/key' })).status).toBe(200);
    expect((await use({ method: 'PUT', path: '/bucket/put' }, { body: 'put' })).status).toBe(200);
    expect((await use({ path: '/bucket/put' })).text).toBe('put');
    expect((await use({ method: 'DELETE', path: '/bucket/put' })).status).toBe(204);
    expect((await use({ path: '/bucket/put' })).code).toBe('NoSuchKey');
  });

  it('lists with its query parameters under the signature', async () => {
    const listed = await use({ path: '/bucket', query: { 'list-type': '2', prefix: 'k' } });
    expect([listed.status, listed.text.includes('<Key>key</Key>')]).toEqual([200, true]);
  });

  it('serves the parts of an upload', async () => {
    const begun = await use({ method: 'POST', path: '/bucket/parts', query: { uploads: '' } });
    const uploadId = /<UploadId>([^<]*)/.exec(begun.text)?.[1] ?? '';
    const part = await use(
      { method: 'PUT', path: '/bucket/parts', query: { partNumber: '1', uploadId } },
      { body: 'part' },
    );
    expect([begun.status, part.status]).toEqual([200, 200]);
  });

  it.each(['1', '604800'])('is good for %s seconds', async (expires) => {
    expect((await use({ path: '/bucket/key', expires })).status).toBe(200);
  });

  it.each([
    ['0', 403, 'AccessDenied'],
    ['-1', 403, 'AccessDenied'],
    ['604801', 403, 'AccessDenied'],
    ['soon', 400, 'AuthorizationQueryParametersError'],
  ])('with an expiry of %s is %i %s', async (expires, status, code) => {
    const answer = await use({ path: '/bucket/key', expires });
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it('is refused once it has expired', async () => {
    const answer = await use({ path: '/bucket/key', timeMs: Date.now() - HOUR_MS, expires: '3599' });
    expect([answer.status, answer.code, answer.text]).toEqual([
      403,
      'AccessDenied',
      expect.stringContaining('Request has expired'),
    ]);
    expect((await use({ path: '/bucket/key', timeMs: Date.now() - HOUR_MS, expires: '3700' })).status).toBe(
      200,
    );
  });

  it('may be signed by a clock that is fast by 14 minutes, not by 16', async () => {
    const ahead = (minutes: number): Promise<Answer> =>
      use({ path: '/bucket/key', timeMs: Date.now() + minutes * 60_000 });
    expect((await ahead(14)).status).toBe(200);
    expect((await ahead(16)).code).toBe('AccessDenied');
  });

  it.each<[string, Use]>([
    ['another key', { change: (target) => target.replace('/bucket/key', '/bucket/kez') }],
    ['another parameter', { change: (target) => `${target}&response-expires=0` }],
    ['a longer life', { change: (target) => target.replace('X-Amz-Expires=600', 'X-Amz-Expires=601') }],
    ['a stated payload', { sent: { 'x-amz-content-sha256': sha256('') } }],
  ])('does not serve %s', async (_claim, how) => {
    expect((await use({ path: '/bucket/key' }, how)).code).toBe('SignatureDoesNotMatch');
  });

  it('does not serve another method', async () => {
    const target = presign({ host: server.host, path: '/bucket/key' });
    const answer = await server.sendWith({ method: 'DELETE', target }, { host: server.host });
    expect(answer.code).toBe('SignatureDoesNotMatch');
  });

  it.each(['x-amz-copy-source', 'x-amz-acl', 'x-amz-meta-a', 'x-amz-tagging'])(
    'refuses %s as a header that is not signed',
    async (name) => {
      const answer = await use(
        { method: 'PUT', path: '/bucket/unsigned' },
        { body: 'x', sent: { [name]: 'v' } },
      );
      expect([answer.status, answer.code]).toEqual([403, 'AccessDenied']);
      expect((await use({ path: '/bucket/unsigned' })).code).toBe('NoSuchKey');
    },
  );

  it('takes x-amz-* parameters for the headers of that name', async () => {
    const stored = await use(
      { method: 'PUT', path: '/bucket/meta', query: { 'x-amz-meta-colour': 'red' } },
      { body: 'x' },
    );
    expect(stored.status).toBe(200);
    expect((await use({ method: 'HEAD', path: '/bucket/meta' })).headers['x-amz-meta-colour']).toBe('red');
  });

  it.each(CHECKSUM_ALGORITHMS)(
    'passes over the %s of no body, and holds the body to any other',
    async (name) => {
      const { header, emptyBase64, open } = CHECKSUMS[name];
      const put = (base64: string, body: string): Promise<Answer> =>
        use(
          {
            method: 'PUT',
            path: `/bucket/${name}`,
            query: { [header]: base64, 'x-amz-sdk-checksum-algorithm': name },
          },
          { body },
        );
      const checksum = await open();
      checksum.update(Buffer.from('content'));
      const right = checksum.digestBase64();
      const nothing = await open();
      expect(nothing.digestBase64()).toBe(emptyBase64);
      expect((await put(emptyBase64, 'content')).status).toBe(200);
      expect((await put(emptyBase64, '')).status).toBe(200);
      expect((await put(right, 'content')).status).toBe(200);
      expect((await put(right, 'other')).code).toBe('BadDigest');
      expect((await put(right, '')).code).toBe('BadDigest');
    },
  );

  it('holds the body to X-Amz-Content-Sha256 when that is a hash', async () => {
    const payloadHash = sha256('right');
    const wish = {
      method: 'PUT',
      path: '/bucket/hash',
      payloadHash,
      query: { 'X-Amz-Content-Sha256': payloadHash },
    };
    expect((await use(wish, { body: 'wrong' })).code).toBe('XAmzContentSHA256Mismatch');
    expect((await use(wish, { body: 'right' })).status).toBe(200);
  });

  it.each(['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Expires', 'X-Amz-SignedHeaders'])(
    'without %s is AuthorizationQueryParametersError',
    async (name) => {
      const answer = await use(
        { path: '/bucket/key' },
        { change: (target) => target.replace(new RegExp(`${name}=[^&]*&?`), '') },
      );
      expect([answer.status, answer.code]).toEqual([400, 'AuthorizationQueryParametersError']);
    },
  );

  it('of an unknown key is InvalidAccessKeyId, beside an Authorization header InvalidArgument', async () => {
    const key = { accessKeyId: 'NOBODY', secretAccessKey: 'secret' };
    expect((await use({ path: '/bucket/key', key })).code).toBe('InvalidAccessKeyId');
    expect((await use({ path: '/bucket/key' }, { sent: { authorization: 'AWS x:y' } })).code).toBe(
      'InvalidArgument',
    );
  });

  it('gives no more than its key may', async () => {
    expect((await use({ path: '/bucket/key', key: OTHER_KEY })).code).toBe('AccessDenied');
  });

  it('of SigV2 is refused in so many words', async () => {
    const target = `/bucket/key?AWSAccessKeyId=${KEY.accessKeyId}&Expires=1&Signature=b`;
    const answer = await server.sendWith({ target }, { host: server.host });
    expect([answer.code, answer.text.includes('AWS4-HMAC-SHA256')]).toEqual(['InvalidRequest', true]);
  });
});

describe('virtual-host style (UserGuide "Virtual hosting of general purpose buckets")', () => {
  it.each(['bucket.s3.example.test', 'bucket.s3.example.test:9000', 'BUCKET.S3.example.test'])(
    'the bucket is in the host %s',
    async (host) => {
      expect((await use({ host, path: '/key' })).text).toBe('content');
      expect((await use({ host, path: '/' })).text).toContain('<Name>bucket</Name>');
    },
  );

  it.each(['s3.example.test', 'elsewhere.test'])(
    'with the host %s the bucket is in the path',
    async (host) => {
      expect((await use({ host, path: '/bucket/key' })).text).toBe('content');
    },
  );

  it('a key keeps its slashes', async () => {
    const host = 'bucket.s3.example.test';
    await use({ host, method: 'PUT', path: '/bucket/inner' }, { body: 'inner' });
    expect((await use({ path: '/bucket/bucket/inner' })).text).toBe('inner');
  });
});
