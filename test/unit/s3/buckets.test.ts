import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_BUCKET_CONFIGURATION } from '../../../src/s3/bucket-configuration.js';
import { BucketDirectory } from '../../../src/s3/buckets.js';
import { MemoryObjectStorage } from '../../fakes/memory-object-storage.js';
import { elements, KEY, OTHER_KEY, TestServer, until, type Answer, type Wish } from './harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server.close();
});

function bucket(method: string, name: string, wish: Partial<Wish> = {}): Promise<Answer> {
  return server.send({ method, target: `/${name}`, ...wish });
}

function configuration(content: string): string {
  return `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</CreateBucketConfiguration>`;
}

describe('buckets (S3 API reference)', () => {
  it('a bucket is created once, is there, and is deleted', async () => {
    const created = await bucket('PUT', 'life');
    expect([created.status, created.headers.location]).toEqual([200, '/life']);
    // In us-east-1 that is no error (API_CreateBucket, "BucketAlreadyOwnedByYou").
    expect((await bucket('PUT', 'life')).status).toBe(200);
    const head = await bucket('HEAD', 'life');
    expect([head.status, head.headers['x-amz-bucket-region']]).toEqual([200, 'us-east-1']);
    expect((await bucket('DELETE', 'life')).status).toBe(204);
    const gone = await bucket('HEAD', 'life');
    expect([gone.status, gone.body.length]).toEqual([404, 0]);
    expect((await bucket('DELETE', 'life')).code).toBe('NoSuchBucket');
    expect((await bucket('PUT', 'life')).status).toBe(200);
  });

  it('DeleteBucket refuses a bucket that is not empty', async () => {
    await bucket('PUT', 'full');
    await server.send({ method: 'PUT', target: '/full/a', body: 'x' });
    const answer = await bucket('DELETE', 'full');
    expect([answer.status, answer.code]).toEqual([409, 'BucketNotEmpty']);
    await server.send({ method: 'DELETE', target: '/full/a' });
    expect((await bucket('DELETE', 'full')).status).toBe(204);
  });

  it('nothing gets into a bucket that is not there', async () => {
    const answer = await server.send({ method: 'PUT', target: '/nowhere/a', body: 'x' });
    expect([answer.status, answer.code]).toEqual([404, 'NoSuchBucket']);
    expect(elements(answer.text, 'BucketName')).toEqual(['nowhere']);
  });

  it.each([
    'ab',
    'a'.repeat(64),
    'Upper',
    'under_score',
    '-a-b',
    'a-b-',
    '.abc',
    'a..b',
    'a-.b',
    'a.-b',
    '192.168.5.4',
    'xn--abc',
    'sthree-a',
    'abc-s3alias',
    'abc--x-s3',
    'ä%C3%A4%C3%A4',
    '.buckets',
  ])('the name %s is InvalidBucketName (General purpose bucket naming rules)', async (name) => {
    const answer = await bucket('PUT', encodeURI(decodeURI(name)));
    expect([answer.status, answer.code]).toEqual([400, 'InvalidBucketName']);
  });

  it.each(['abc', 'a'.repeat(63), '0.1-2.b', 'my.bucket-1'])('the name %s is good', async (name) => {
    expect((await bucket('PUT', name)).status).toBe(200);
  });

  it('LocationConstraint must be the region of this server', async () => {
    const right = configuration('<LocationConstraint>us-east-1</LocationConstraint>');
    expect((await bucket('PUT', 'located', { body: right })).status).toBe(200);
    expect((await bucket('PUT', 'located-empty', { body: configuration('') })).status).toBe(200);
    const wrong = configuration('<LocationConstraint>eu-west-9</LocationConstraint>');
    expect((await bucket('PUT', 'elsewhere', { body: wrong })).code).toBe('InvalidLocationConstraint');
    expect((await bucket('HEAD', 'elsewhere')).status).toBe(404);
  });

  it('GetBucketLocation of us-east-1 is empty', async () => {
    const answer = await server.send({ target: '/located?location' });
    expect(answer.text).toContain(
      '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>',
    );
  });

  it('GetBucketVersioning of a bucket without versions is empty', async () => {
    const answer = await server.send({ target: '/located?versioning' });
    expect(answer.text).toMatch(/<VersioningConfiguration [^>]*><\/VersioningConfiguration>$/);
  });

  it.each([
    ['no XML', 'LocationConstraint'],
    ['cut XML', '<CreateBucketConfiguration><LocationConstraint>us-east-1'],
    ['another root', '<Delete></Delete>'],
    ['an unknown element', configuration('<Colour>red</Colour>')],
    ['an element twice', configuration('<LocationConstraint>us-east-1</LocationConstraint>'.repeat(2))],
    [
      'a document type',
      `<!DOCTYPE a [<!ENTITY e "x">]>${configuration('<LocationConstraint>&e;</LocationConstraint>')}`,
    ],
    ['an unknown entity', configuration('<LocationConstraint>&e;</LocationConstraint>')],
    ['an external entity', `<!DOCTYPE a SYSTEM "file:///etc/passwd">${configuration('')}`],
    ['a thousand levels', '<a>'.repeat(1000) + '</a>'.repeat(1000)],
    ['bytes that are no UTF-8', Buffer.from([0x3c, 0xff, 0xfe, 0x3e])],
    ['control characters', configuration('<LocationConstraint>\u0001</LocationConstraint>')],
  ])('a configuration with %s is MalformedXML and makes no bucket', async (_claim, body) => {
    const answer = await bucket('PUT', 'malformed', { body });
    expect([answer.status, answer.code]).toEqual([400, 'MalformedXML']);
    expect((await bucket('HEAD', 'malformed')).status).toBe(404);
  });

  it('tags and directory buckets in the configuration are refused, not passed over', async () => {
    const answer = await bucket('PUT', 'tagged', {
      body: configuration('<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>'),
    });
    expect(answer.code).toBe('NotImplemented');
  });

  it('a body larger than a document may be is MaxMessageLengthExceeded', async () => {
    const small = await TestServer.start({ limits: { xmlBytesMax: 1000 } });
    const answer = await small.send({
      method: 'PUT',
      target: '/bucket',
      body: configuration(' '.repeat(1000)),
    });
    expect([answer.status, answer.code]).toEqual([400, 'MaxMessageLengthExceeded']);
    await small.close();
  });
});

describe('owners', () => {
  it("another account's bucket is closed: 403 for its content, 409 for its name", async () => {
    await bucket('PUT', 'mine');
    await server.send({ method: 'PUT', target: '/mine/a', body: 'x' });
    const wishes: Wish[] = [
      { target: '/mine/a' },
      { target: '/mine?list-type=2' },
      { method: 'HEAD', target: '/mine' },
      { method: 'PUT', target: '/mine/a', body: 'y' },
      { method: 'DELETE', target: '/mine/a' },
      { method: 'DELETE', target: '/mine' },
    ];
    for (const wish of wishes) expect((await server.send({ ...wish, key: OTHER_KEY })).status).toBe(403);
    expect((await bucket('PUT', 'mine', { key: OTHER_KEY })).code).toBe('BucketAlreadyExists');
    expect((await server.send({ target: '/mine/a' })).text).toBe('x');
  });

  it('x-amz-expected-bucket-owner is held to', async () => {
    const wish: Wish = { target: '/mine/a' };
    const header = 'x-amz-expected-bucket-owner';
    expect((await server.send({ ...wish, headers: { [header]: KEY.ownerId } })).status).toBe(200);
    expect((await server.send({ ...wish, headers: { [header]: 'someone' } })).code).toBe('AccessDenied');
  });

  it('ListBuckets lists the caller’s buckets, in pages when asked', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) await bucket('PUT', name, { key: OTHER_KEY });
    const all = await server.send({ target: '/', key: OTHER_KEY });
    expect(elements(all.text, 'Name')).toEqual(['page-a', 'page-b', 'page-c']);
    expect(elements(all.text, 'ID')).toEqual([OTHER_KEY.ownerId]);
    const first = await server.send({ target: '/?max-buckets=2&prefix=page', key: OTHER_KEY });
    expect(elements(first.text, 'Name')).toEqual(['page-a', 'page-b']);
    const [token = ''] = elements(first.text, 'ContinuationToken');
    const second = await server.send({ target: `/?continuation-token=${token}`, key: OTHER_KEY });
    expect(elements(second.text, 'Name')).toEqual(['page-c']);
    expect(elements(second.text, 'ContinuationToken')).toEqual([]);
  });
});

describe('BucketDirectory', () => {
  const attributes = {
    createdMs: 1,
    ownerId: 'o',
    ownerName: 'O',
    region: 'r',
    configuration: DEFAULT_BUCKET_CONFIGURATION,
  };

  it('a PutObject that arrives while its bucket is deleted does not get in', async () => {
    const waiting: (() => void)[] = [];
    let isSlow = false;
    const storage = new MemoryObjectStorage({
      beforeEach: async (operation) => {
        if (isSlow && operation === 'list') await new Promise<void>((resolve) => waiting.push(resolve));
      },
    });
    const directory = new BucketDirectory(storage, 10);
    await directory.create({ name: 'racing', ...attributes });
    const found = await directory.get('racing');
    isSlow = true;
    const removal = directory.remove('racing');
    await until(() => waiting.length === 1);
    const events: string[] = [];
    const write = directory.withBucket(found, async () => {
      events.push('written');
    });
    waiting.forEach((resume) => resume());
    await removal;
    await expect(write).rejects.toMatchObject({ code: 'NoSuchBucket' });
    expect(events).toEqual([]);
  });

  it('a DeleteBucket waits for the writes that are under way, and then sees what they wrote', async () => {
    const storage = new MemoryObjectStorage();
    const directory = new BucketDirectory(storage, 10);
    await directory.create({ name: 'racing', ...attributes });
    const found = await directory.get('racing');
    let finish = (): void => {};
    const events: string[] = [];
    const write = directory.withBucket(found, async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      events.push('written');
    });
    const removal = directory.remove('racing').then(() => events.push('removed'));
    finish();
    await Promise.all([write, removal]);
    expect(events).toEqual(['written', 'removed']);
  });

  it('a bucket that was made again is another bucket', async () => {
    const directory = new BucketDirectory(new MemoryObjectStorage(), 10);
    await directory.create({ name: 'again', ...attributes });
    const first = await directory.get('again');
    await directory.remove('again');
    await directory.create({ name: 'again', ...attributes, createdMs: 2 });
    await expect(directory.withBucket(first, () => Promise.resolve())).rejects.toMatchObject({
      code: 'NoSuchBucket',
    });
  });

  it('asks the store once, until it is invalidated; its memory is bounded', async () => {
    let heads = 0;
    const storage = new MemoryObjectStorage({
      beforeEach: (operation) => {
        if (operation === 'head') heads += 1;
      },
    });
    const directory = new BucketDirectory(storage, 2);
    for (const name of ['one', 'two', 'three']) await directory.create({ name, ...attributes });
    heads = 0;
    await directory.get('one');
    await directory.get('one');
    expect(heads).toBe(1);
    directory.invalidate();
    await directory.get('one');
    expect(heads).toBe(2);
    await directory.get('two');
    await directory.get('three');
    await directory.get('one');
    expect(heads).toBe(5);
  });
});
