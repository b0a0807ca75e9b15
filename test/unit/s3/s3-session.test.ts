/** The console's client against the S3 server itself. */
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { S3Session } from '../../../src/s3/session/s3-session.js';
import { KEY, REGION, TestServer } from './harness.js';

const ODD_KEY = "2026/ä b+c(1)'!*~.txt";

let server: TestServer;
let session: S3Session;

beforeEach(async () => {
  server = await TestServer.start();
  session = new S3Session({
    origin: server.url,
    credential: { ...KEY, ownerId: 'owner', displayName: 'Owner' },
    region: REGION,
    clock: Date.now,
  });
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterEach(async () => {
  await server.close();
});

function upload(key: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  return session.upload({
    bucket: 'bucket',
    key,
    contentType: 'text/plain',
    lengthBytes: bytes.length,
    body: Readable.from([bytes]),
  });
}

describe('a session of the S3 endpoint', () => {
  it('lists buckets', async () => {
    const [bucket] = await session.buckets();
    expect(bucket?.name).toBe('bucket');
    expect(bucket?.createdMs).toBeGreaterThan(0);
  });

  it('uploads, lists, links and removes an object with an odd name', async () => {
    await upload(ODD_KEY, 'hello');
    await upload('top', '');
    const top = await session.list('bucket', '', null, 10);
    expect(top).toMatchObject({ folders: ['2026/'], objects: [{ key: 'top', sizeBytes: 0 }], next: null });
    const below = await session.list('bucket', '2026/', null, 10);
    expect(below.objects).toMatchObject([{ key: ODD_KEY, sizeBytes: 5 }]);
    const response = await fetch(session.link(server.url, 'bucket', ODD_KEY, 60));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain');
    expect(response.headers.get('content-disposition')).toContain('attachment');
    expect(await response.text()).toBe('hello');
    await session.remove('bucket', ODD_KEY);
    expect((await session.list('bucket', '2026/', null, 10)).objects).toEqual([]);
  });

  it('pages', async () => {
    for (const key of ['a', 'b', 'c']) await upload(key, key);
    const first = await session.list('bucket', '', null, 2);
    const second = await session.list('bucket', '', first.next, 2);
    expect([...first.objects, ...second.objects].map(({ key }) => key)).toEqual(['a', 'b', 'c']);
    expect(second.next).toBeNull();
  });

  it('a link does not outlive its time, and opens nothing else', async () => {
    await upload('a', 'x');
    await upload('b', 'y');
    const link = session.link(server.url, 'bucket', 'a', 60);
    expect((await fetch(link.replace('/bucket/a?', '/bucket/b?'))).status).toBe(403);
    expect((await fetch(link, { method: 'DELETE' })).status).toBe(403);
  });

  it('a refusal has the code of S3, also when it comes before the body was sent', async () => {
    await expect(session.list('nowhere', '', null, 10)).rejects.toMatchObject({
      code: 'NoSuchBucket',
      status: 404,
    });
    const body = Readable.from([Buffer.alloc(1024)]);
    const wish = { bucket: 'nowhere', key: 'a', contentType: 'text/plain', lengthBytes: 1024, body };
    await expect(session.upload(wish)).rejects.toMatchObject({ code: 'NoSuchBucket' });
  });
});
