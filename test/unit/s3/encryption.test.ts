/** Encryption with customers' keys (SSE-C) and with keys of the server (SSE-S3): what is asked, answered, refused, and what lies at rest. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BY_SERVER,
  byNamedKey,
  customerKey,
  masterKeys,
  SAYS_SERVER,
  saysCustomer,
  saysNamed,
  saysOf,
  sourceCustomerKey,
} from './encryption-rig.js';
import { elements, md5, TestServer, type Answer, type Wish } from './harness.js';
import { MultipartClient, PART_BYTES_MIN } from './multipart-rig.js';

const MARKER = 'the plain words that must not be found';
const SMALL = `${MARKER}, small`;
const LARGE = Buffer.concat([Buffer.from(MARKER), randomBytes(200_000), Buffer.from(MARKER)]);
const CHECKSUM = 'x-amz-checksum-crc32';
let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start({
    limits: { partBytesMin: PART_BYTES_MIN },
    options: { encryption: { masterKeys: masterKeys('new', 'old') } },
  });
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterAll(() => server.close());

type Headers = Record<string, string>;

function put(target: string, body: string | Buffer, headers: Headers = {}): Promise<Answer> {
  return server.send({ method: 'PUT', target, body, headers });
}

function get(target: string, headers: Headers = {}, further: Partial<Wish> = {}): Promise<Answer> {
  return server.send({ target, headers, ...further });
}

/** Three ways to be encrypted: what a write says, a read says, and an answer says. */
const KINDS = [
  {
    kind: "a customer's key",
    write: customerKey('mine'),
    read: customerKey('mine'),
    says: saysCustomer('mine'),
  },
  { kind: 'a key of the server', write: BY_SERVER, read: {}, says: SAYS_SERVER },
  { kind: 'a key of the server by its name', write: byNamedKey('old'), read: {}, says: saysNamed('old') },
] as const;

describe.each(KINDS)('with $kind', ({ kind, write, read, says }) => {
  const target = `/bucket/${encodeURIComponent(kind)}`;

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['few bytes', Buffer.from(SMALL)],
    ['many bytes', LARGE],
  ])('%s comes back as it was, and so is told of', async (_size, body) => {
    const stored = await put(target, body, write);
    expect([stored.status, saysOf(stored)]).toEqual([200, says]);
    const answer = await get(target, read);
    expect([answer.status, saysOf(answer), answer.body.equals(body)]).toEqual([200, says, true]);
    expect(answer.headers.etag).toBe(stored.headers.etag);
    const head = await get(target, read, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], saysOf(head)]).toEqual([
      200,
      String(body.length),
      says,
    ]);
    const listed = await get('/bucket?list-type=2&prefix=a');
    expect(elements(listed.text, 'Size')).toContain(String(body.length));
  });

  it.each<[string, number, number]>([
    ['bytes=0-9', 0, 10],
    ['bytes=65530-65545', 65_530, 65_546],
    ['bytes=131072-131072', 131_072, 131_073],
    ['bytes=-40', LARGE.length - 40, LARGE.length],
    ['bytes=70000-', 70_000, LARGE.length],
  ])('a range is read: %s', async (range, from, to) => {
    await put(target, LARGE, write);
    const answer = await get(target, { ...read, range });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${from}-${to - 1}/${LARGE.length}`);
    expect(answer.body.equals(LARGE.subarray(from, to))).toBe(true);
  });

  it('a range past the end is told the size that clients know', async () => {
    await put(target, SMALL, write);
    const answer = await get(target, { ...read, range: 'bytes=1000-' });
    expect([answer.status, answer.headers['content-range']]).toEqual([416, `bytes */${SMALL.length}`]);
  });

  it('checksums are of the plain bytes', async () => {
    expect((await put(target, 'plain', { ...write, [CHECKSUM]: 'AAAAAA==' })).code).toBe('BadDigest');
    expect((await put(target, '123456789', { ...write, [CHECKSUM]: 'y/Q5Jg==' })).status).toBe(200);
    const answer = await get(target, { ...read, 'x-amz-checksum-mode': 'ENABLED' });
    expect([answer.text, answer.headers[CHECKSUM]]).toEqual(['123456789', 'y/Q5Jg==']);
  });

  it('parts are encrypted each for itself, and read as one', async () => {
    const upload = new MultipartClient(server, `${target}-parts`);
    const created = await upload.create(write);
    expect(saysOf(created)).toEqual(says);
    const bodies = [LARGE, Buffer.from(SMALL), randomBytes(70_000)];
    const parts = [];
    for (const [index, body] of bodies.entries()) {
      const answer = await upload.put(index + 2, body, read);
      expect([answer.status, saysOf(answer)]).toEqual([200, says]);
      parts.push({ number: index + 2, etag: String(answer.headers.etag) });
    }
    const listed = await upload.list();
    expect(elements(listed.text, 'Size')).toEqual(bodies.map((body) => String(body.length)));
    const completed = await upload.complete(parts);
    expect([completed.status, elements(completed.text, 'ETag')[0]]).toEqual([
      200,
      expect.stringMatching(/-3/),
    ]);
    const whole = Buffer.concat(bodies);
    const answer = await get(upload.target, read);
    expect([answer.body.equals(whole), saysOf(answer)]).toEqual([true, says]);
    const from = LARGE.length - 10;
    const range = await get(upload.target, { ...read, range: `bytes=${from}-${from + 60}` });
    expect(range.body.equals(whole.subarray(from, from + 61))).toBe(true);
    const second = await get(`${upload.target}?partNumber=2`, read);
    expect([second.status, second.text, second.headers['x-amz-mp-parts-count']]).toEqual([206, SMALL, '3']);
    // Whether there is such a part is told before a key is asked for.
    const fourth = await get(`${upload.target}?partNumber=4`);
    expect([fourth.status, fourth.code]).toEqual([400, 'InvalidPart']);
    const told = await get(`${upload.target}?attributes`, {
      ...read,
      'x-amz-object-attributes': 'ObjectSize,ObjectParts',
    });
    expect(elements(told.text, 'ObjectSize')).toEqual([String(whole.length)]);
  });

  it('an append or a write of a range is refused, and changes nothing', async () => {
    await put(target, SMALL, write);
    const append = await put(target, 'x', { 'x-amz-write-offset-bytes': String(SMALL.length) });
    const patch = await server.send({
      method: 'PATCH',
      target,
      body: 'x',
      headers: { 'content-range': 'bytes 0-0/*' },
    });
    expect([append.code, patch.code]).toEqual(['NotImplemented', 'NotImplemented']);
    expect((await get(target, read)).text).toBe(SMALL);
  });

  it('versions keep their encryption', async () => {
    await server.send({ method: 'PUT', target: '/versions' });
    await put(
      '/versions?versioning',
      '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
    );
    const first = await put(`/versions/${encodeURIComponent(kind)}`, SMALL, write);
    await put(`/versions/${encodeURIComponent(kind)}`, 'plain now');
    const versionId = String(first.headers['x-amz-version-id']);
    const answer = await get(`/versions/${encodeURIComponent(kind)}?versionId=${versionId}`, read);
    expect([answer.text, saysOf(answer)]).toEqual([SMALL, says]);
  });

  it('a form upload is encrypted', async () => {
    const fields = { key: 'form', acl: 'public-read', ...write };
    await put('/bucket?acl', '', { 'x-amz-acl': 'public-read-write' });
    const boundary = 'limit';
    const text = Object.entries(fields).map(
      ([name, value]) =>
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    const file = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n${SMALL}\r\n--${boundary}--\r\n`;
    const answer = await server.sendWith(
      { method: 'POST', target: '/bucket', body: text.join('') + file },
      { host: server.host, 'content-type': `multipart/form-data; boundary=${boundary}` },
    );
    expect([answer.status, saysOf(answer)]).toEqual([204, says]);
    expect((await get('/bucket/form', read)).text).toBe(SMALL);
  });

  it('nothing of the content lies at rest', () => {
    expect(server.storage.bytesAtRest().includes(MARKER)).toBe(false);
  });
});

describe('the ETag', () => {
  it('is the MD5 of the content where the server keeps the key, and tells nothing of it where the customer does', async () => {
    const byServer = await put('/bucket/etag', SMALL, BY_SERVER);
    expect(byServer.headers.etag).toBe(`"${md5(SMALL)}"`);
    const mine = await put('/bucket/etag', SMALL, customerKey('mine'));
    expect(mine.headers.etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(mine.headers.etag).not.toBe(byServer.headers.etag);
    const again = await put('/bucket/etag', SMALL, customerKey('mine'));
    expect(again.headers.etag).not.toBe(mine.headers.etag);
  });
});

describe("what a customer's key opens", () => {
  beforeAll(() => put('/bucket/mine', SMALL, customerKey('mine')));

  it.each<[string, string, Headers, number, string]>([
    ['no key', '/bucket/mine', {}, 400, 'InvalidRequest'],
    ['another key', '/bucket/mine', customerKey('other'), 403, 'AccessDenied'],
    ['a key for what is not encrypted', '/bucket/plain', customerKey('mine'), 400, 'InvalidRequest'],
    ['a key for what the server encrypted', '/bucket/served', customerKey('mine'), 400, 'InvalidRequest'],
    ['a read that names an encryption of the server', '/bucket/served', BY_SERVER, 400, 'InvalidArgument'],
    [
      'a read that names a key of a service',
      '/bucket/served',
      { 'x-amz-server-side-encryption-aws-kms-key-id': 'k' },
      400,
      'InvalidArgument',
    ],
  ])('%s is refused', async (_claim, target, headers, status, code) => {
    await put('/bucket/plain', 'plain');
    await put('/bucket/served', 'served', BY_SERVER);
    const whole = await get(target, headers);
    expect([whole.status, whole.code]).toEqual([status, code]);
    const range = await get(target, { ...headers, range: 'bytes=0-1' });
    expect([range.status, range.code]).toEqual([status, code]);
    expect((await get(target, headers, { method: 'HEAD' })).status).toBe(status);
    if (code !== 'InvalidArgument') {
      const told = await get(`${target}?attributes`, { ...headers, 'x-amz-object-attributes': 'ObjectSize' });
      expect([told.status, told.code]).toEqual([status, code]);
    }
  });
});

const KEY_HEADER = 'x-amz-server-side-encryption-customer-key';
const ALGORITHM_HEADER = 'x-amz-server-side-encryption-customer-algorithm';
const MD5_HEADER = 'x-amz-server-side-encryption-customer-key-MD5';
const without = (headers: Headers, name: string): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([header]) => header !== name));

describe('a write with a key that is none', () => {
  it.each<[string, Headers, string]>([
    ['without an algorithm', without(customerKey('a'), ALGORITHM_HEADER), 'InvalidArgument'],
    [
      'of another algorithm',
      { ...customerKey('a'), [ALGORITHM_HEADER]: 'ROT13' },
      'InvalidEncryptionAlgorithmError',
    ],
    ['without a key', without(customerKey('a'), KEY_HEADER), 'InvalidArgument'],
    ['with a short key', { ...customerKey('a'), [KEY_HEADER]: 'c2hvcnQ=' }, 'InvalidArgument'],
    ['without an MD5', without(customerKey('a'), MD5_HEADER), 'InvalidArgument'],
    [
      'with the MD5 of another key',
      { ...customerKey('a'), [MD5_HEADER]: customerKey('b')[MD5_HEADER] ?? '' },
      'InvalidArgument',
    ],
    ['beside a key of the server', { ...customerKey('a'), ...BY_SERVER }, 'InvalidArgument'],
    ['by a name that no key has', byNamedKey('nobody'), 'KMS.NotFoundException'],
    [
      'by a name, and a context',
      { ...byNamedKey('old'), 'x-amz-server-side-encryption-context': 'e30=' },
      'NotImplemented',
    ],
    ['in two layers', { 'x-amz-server-side-encryption': 'aws:kms:dsse' }, 'NotImplemented'],
    ['of nobody', { 'x-amz-server-side-encryption': 'rot13' }, 'InvalidArgument'],
    [
      'named without such a service',
      { 'x-amz-server-side-encryption-aws-kms-key-id': 'k' },
      'InvalidArgument',
    ],
  ])('%s is refused, and stores nothing', async (_claim, headers, code) => {
    expect((await put('/bucket/bad', 'x', headers)).code).toBe(code);
    expect((await new MultipartClient(server, '/bucket/bad').create(headers)).code).toBe(code);
    expect((await get('/bucket/bad')).status).toBe(404);
  });

  it('is refused on a connection that is not encrypted, where that is the rule', async () => {
    const strict = await TestServer.start({ options: { encryption: { customerKeysOverHttp: 'never' } } });
    await strict.send({ method: 'PUT', target: '/bucket' });
    const wish = { method: 'PUT', target: '/bucket/a', body: 'a', headers: customerKey('a') };
    const answer = await strict.send(wish);
    await strict.close();
    expect([answer.code, answer.text]).toEqual([
      'InvalidRequest',
      expect.stringContaining('secure connection'),
    ]);
  });
});

describe('a part', () => {
  it.each<[string, Headers, Headers, string]>([
    ['without the key of its upload', customerKey('a'), {}, 'InvalidRequest'],
    ['with another key than its upload', customerKey('a'), customerKey('b'), 'InvalidRequest'],
    ['with a key its upload does not have', {}, customerKey('a'), 'InvalidRequest'],
    ['with a key where the server encrypts', BY_SERVER, customerKey('a'), 'InvalidRequest'],
  ])('%s is refused', async (_claim, create, send, code) => {
    const upload = new MultipartClient(server, '/bucket/upload');
    await upload.create(create);
    const answer = await upload.put(1, SMALL, send);
    expect([answer.status, answer.code]).toEqual([400, code]);
    expect((await upload.copyPart(1, '/bucket/plain', send)).status).toBe(400);
    await upload.abort();
  });

  it("of an upload with a checksum is completed with the customer's key only", async () => {
    const upload = new MultipartClient(server, '/bucket/upload');
    await upload.create({ ...customerKey('a'), 'x-amz-checksum-algorithm': 'CRC32' });
    const part = await upload.upload(1, SMALL, customerKey('a'));
    expect((await upload.complete([part])).code).toBe('InvalidRequest');
    expect((await upload.complete([part], customerKey('a'))).status).toBe(200);
  });

  it("may bring the customer's key to the completion, which must be the right one", async () => {
    const upload = new MultipartClient(server, '/bucket/upload');
    await upload.create(customerKey('a'));
    const part = await upload.upload(1, SMALL, customerKey('a'));
    expect((await upload.complete([part], customerKey('b'))).code).toBe('InvalidRequest');
    expect((await upload.complete([part], customerKey('a'))).status).toBe(200);
  });
});

const STATES = [
  { name: 'plain', write: {}, read: {}, source: {}, says: {} },
  {
    name: 'mine',
    write: customerKey('mine'),
    read: customerKey('mine'),
    source: sourceCustomerKey('mine'),
    says: saysCustomer('mine'),
  },
  {
    name: 'yours',
    write: customerKey('yours'),
    read: customerKey('yours'),
    source: sourceCustomerKey('yours'),
    says: saysCustomer('yours'),
  },
  { name: 'served', write: BY_SERVER, read: {}, source: {}, says: SAYS_SERVER },
] as const;
const PAIRS = STATES.flatMap((from) =>
  STATES.map((to) => ({ from, to, pair: `${from.name} to ${to.name}` })),
);

describe.each(PAIRS)('a copy, $pair', ({ from, to }) => {
  const source = `/bucket/from-${from.name}`;
  const target = `/bucket/to-${to.name}`;
  /** What the server encrypted stays so unless another encryption is asked for. */
  const isKept = from.name === 'served' && to.name === 'plain';
  const says = isKept ? SAYS_SERVER : to.says;

  it('has the content, and its encryption', async () => {
    await put(source, LARGE, from.write);
    const isShared = (from.name === 'plain') === (to.name === 'plain') || isKept;
    const before = server.storage.bytesAtRest().length;
    const answer = await put(target, '', { ...to.write, ...from.source, 'x-amz-copy-source': source });
    expect([answer.status, saysOf(answer)]).toEqual([200, says]);
    expect(before).toBeGreaterThan(0);
    const read = await get(target, to.read);
    expect([read.body.equals(LARGE), saysOf(read)]).toEqual([true, says]);
    expect(`&quot;${String(read.headers.etag).slice(1, -1)}&quot;`).toBe(elements(answer.text, 'ETag')[0]);
    const claimsMd5 =
      /^"[0-9a-f]{32}"$/.test(String(read.headers.etag)) && !('sse-customer-algorithm' in says);
    if (claimsMd5) expect(read.headers.etag).toBe(`"${md5(LARGE)}"`);
    // Shared bytes are the same bytes: no piece was sealed anew.
    expect(
      server.storage
        .contentOf('bucket', target.slice(8))
        .equals(server.storage.contentOf('bucket', source.slice(8))),
    ).toBe(isShared);
  });

  it('of a part has the bytes of its range', async () => {
    await put(source, LARGE, from.write);
    const upload = new MultipartClient(server, `${target}-part`);
    await upload.create(to.write);
    const headers = { ...to.read, ...from.source, 'x-amz-copy-source-range': 'bytes=60000-140000' };
    const copied = await upload.copyPart(1, source, headers);
    expect([copied.status, saysOf(copied)]).toEqual([200, to.says]);
    await upload.complete([
      { number: 1, etag: (elements(copied.text, 'ETag')[0] ?? '').replaceAll('&quot;', '"') },
    ]);
    const read = await get(upload.target, to.read);
    expect(read.body.equals(LARGE.subarray(60_000, 140_001))).toBe(true);
  });
});

describe('a copy', () => {
  it('without or with the wrong key of its source is refused', async () => {
    await put('/bucket/mine', SMALL, customerKey('mine'));
    const copy = (headers: Headers): Promise<Answer> =>
      put('/bucket/copy', '', { 'x-amz-copy-source': '/bucket/mine', ...headers });
    expect((await copy({})).code).toBe('InvalidRequest');
    expect((await copy(sourceCustomerKey('other'))).code).toBe('AccessDenied');
    expect((await copy(customerKey('mine'))).code).toBe('InvalidRequest');
  });

  it('onto itself may change the key alone', async () => {
    await put('/bucket/self', SMALL, customerKey('mine'));
    const headers = {
      'x-amz-copy-source': '/bucket/self',
      ...sourceCustomerKey('mine'),
      ...customerKey('next'),
    };
    expect((await put('/bucket/self', '', headers)).status).toBe(200);
    expect((await get('/bucket/self', customerKey('next'))).text).toBe(SMALL);
    expect((await get('/bucket/self', customerKey('mine'))).code).toBe('AccessDenied');
  });
});

describe('the default encryption of a bucket', () => {
  const document = (algorithm: string, further = '', key = ''): string =>
    `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>${algorithm}</SSEAlgorithm>${key}</ApplyServerSideEncryptionByDefault>${further}</Rule></ServerSideEncryptionConfiguration>`;
  const keyElement = (name: string): string => `<KMSMasterKeyID>${name}</KMSMasterKeyID>`;

  it('may name a key', async () => {
    await server.send({ method: 'PUT', target: '/named' });
    expect((await put('/named?encryption', document('aws:kms', '', keyElement('old')))).status).toBe(200);
    const { text } = await get('/named?encryption');
    expect([elements(text, 'SSEAlgorithm'), elements(text, 'KMSMasterKeyID')]).toEqual([
      ['aws:kms'],
      ['old'],
    ]);
    expect(saysOf(await put('/named/a', SMALL))).toEqual(saysNamed('old'));
    expect(saysOf(await put('/named/b', SMALL, BY_SERVER))).toEqual(SAYS_SERVER);
    expect((await put('/named?encryption', document('aws:kms'))).status).toBe(200);
    expect(saysOf(await put('/named/c', SMALL))).toEqual(saysNamed('new'));
  });

  it('is told, kept, and taken back', async () => {
    await server.send({ method: 'PUT', target: '/default' });
    expect((await get('/default?encryption')).code).toBe('ServerSideEncryptionConfigurationNotFoundError');
    expect(
      (await put('/default?encryption', document('AES256', '<BucketKeyEnabled>false</BucketKeyEnabled>')))
        .status,
    ).toBe(200);
    expect(elements((await get('/default?encryption')).text, 'SSEAlgorithm')).toEqual(['AES256']);
    expect(saysOf(await put('/default/a', SMALL))).toEqual(SAYS_SERVER);
    expect(saysOf(await put('/default/b', SMALL, customerKey('mine')))).toEqual(saysCustomer('mine'));
    const upload = new MultipartClient(server, '/default/c');
    expect(saysOf(await upload.create())).toEqual(SAYS_SERVER);
    expect((await put('/default/d', 'x', { 'x-amz-write-offset-bytes': '0' })).code).toBe('NotImplemented');
    expect((await server.send({ method: 'DELETE', target: '/default?encryption' })).status).toBe(204);
    expect((await get('/default?encryption')).code).toBe('ServerSideEncryptionConfigurationNotFoundError');
    expect(saysOf(await put('/default/a', 'plain'))).toEqual({});
  });

  it.each([
    ['by a name that no key has', document('aws:kms', '', keyElement('nobody')), 'KMS.NotFoundException'],
    ['by a name where none is wanted', document('AES256', '', keyElement('old')), 'InvalidArgument'],
    ['in two layers', document('aws:kms:dsse'), 'NotImplemented'],
    ['of nobody', document('ROT13'), 'MalformedXML'],
    ['with bucket keys', document('AES256', '<BucketKeyEnabled>true</BucketKeyEnabled>'), 'NotImplemented'],
    ['of nothing', '<ServerSideEncryptionConfiguration/>', 'MalformedXML'],
  ])('%s is refused', async (_claim, body, code) => {
    expect((await put('/bucket?encryption', body)).code).toBe(code);
  });
});

describe('master keys', () => {
  it('that are older still open what they wrapped; a lost one is named', async () => {
    const { storage } = server;
    const start = (...names: string[]): Promise<TestServer> =>
      TestServer.start({
        options: { storage, ...(names.length > 0 && { encryption: { masterKeys: masterKeys(...names) } }) },
      });
    const [old, both, next, none] = [
      await start('old'),
      await start('next', 'old'),
      await start('next'),
      await start(),
    ];
    try {
      await old.send({ method: 'PUT', target: '/bucket/rotated', body: SMALL, headers: BY_SERVER });
      expect((await both.send({ target: '/bucket/rotated' })).text).toBe(SMALL);
      const lost = await next.send({ target: '/bucket/rotated' });
      expect([lost.status, lost.text]).toEqual([500, expect.stringContaining('master key old')]);
      // A copy onto itself brings it under the newer key.
      const headers = { ...BY_SERVER, 'x-amz-copy-source': '/bucket/rotated' };
      expect((await both.send({ method: 'PUT', target: '/bucket/rotated', headers })).status).toBe(200);
      expect((await next.send({ target: '/bucket/rotated' })).text).toBe(SMALL);
      const refused = await none.send({
        method: 'PUT',
        target: '/bucket/none',
        body: SMALL,
        headers: BY_SERVER,
      });
      expect([refused.status, refused.text]).toEqual([501, expect.stringContaining('no master key')]);
      expect((await none.send({ target: '/bucket/none' })).status).toBe(404);
    } finally {
      await Promise.all([old, both, next, none].map((each) => each.close()));
    }
  });
});
