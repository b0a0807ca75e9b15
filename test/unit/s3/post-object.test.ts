/** Form uploads (S3 API reference "POST Object", "Creating a POST Policy"). */
import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elements, KEY, REGION, TestServer, type Answer } from './harness.js';
import { signingKey, timestampOf } from './presign.js';

const BOUNDARY = 'a-boundary';
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await server.send({ method: 'PUT', target: '/bucket' });
  await server.send({ method: 'PUT', target: '/open', headers: { 'x-amz-acl': 'public-read-write' } });
});
afterAll(async () => {
  expect(server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0 });
  await server.close();
});

type Fields = Readonly<Record<string, string>>;

interface FormWish {
  readonly bucket?: string;
  readonly fields: Fields;
  readonly file?: string | Buffer;
  readonly fileName?: string;
  /** After the file. */
  readonly after?: Fields;
  readonly cut?: number;
}

function part(name: string, content: string | Buffer, fileName?: string): Buffer {
  const file = fileName === undefined ? '' : `; filename="${fileName}"`;
  return Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
}

function post({
  bucket = 'bucket',
  fields,
  file = 'content',
  fileName = 'a.txt',
  after = {},
  cut = 0,
}: FormWish): Promise<Answer> {
  const body = Buffer.concat([
    ...Object.entries(fields).map(([name, value]) => part(name, value)),
    part('file', file, fileName),
    ...Object.entries(after).map(([name, value]) => part(name, value)),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);
  return server.sendWith(
    { method: 'POST', target: `/${bucket}`, body: body.subarray(0, body.length - cut) },
    { host: server.host, 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
  );
}

interface PolicyWish {
  readonly conditions?: readonly unknown[];
  readonly expiresMs?: number;
  readonly document?: object;
}

/** The fields of a policy that is signed, with conditions for what a signer puts there. */
function signed(wish: PolicyWish = {}): Fields {
  const timestamp = timestampOf(Date.now());
  const date = timestamp.slice(0, 8);
  const credential = `${KEY.accessKeyId}/${date}/${REGION}/s3/aws4_request`;
  const document = wish.document ?? {
    expiration: new Date(wish.expiresMs ?? Date.now() + 60_000).toISOString(),
    conditions: [
      { bucket: 'bucket' },
      ['starts-with', '$key', 'up/'],
      { 'x-amz-algorithm': 'AWS4-HMAC-SHA256' },
      { 'x-amz-credential': credential },
      { 'x-amz-date': timestamp },
      ...(wish.conditions ?? []),
    ],
  };
  const policy = Buffer.from(JSON.stringify(document)).toString('base64');
  return {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': credential,
    'x-amz-date': timestamp,
    policy,
    'x-amz-signature': createHmac('sha256', signingKey(KEY.secretAccessKey, date))
      .update(policy)
      .digest('hex'),
  };
}

async function read(key: string, bucket = 'bucket'): Promise<Answer> {
  return server.send({ target: `/${bucket}/${key}` });
}

describe('a signed form', () => {
  it('stores its file, whatever its size', async () => {
    const file = randomBytes(3_000_000);
    const answer = await post({ fields: { key: 'up/large', ...signed() }, file });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await read('up/large')).body.equals(file)).toBe(true);
    expect((await post({ fields: { key: 'up/none', ...signed() }, file: '' })).status).toBe(204);
    expect((await read('up/none')).headers['content-length']).toBe('0');
  });

  it('says what the object is, in fields of any case', async () => {
    const conditions = [
      ['starts-with', '$Content-Type', 'text/'],
      ['eq', '$x-amz-meta-Colour', 'grün'],
      { acl: 'public-read' },
      { tagging: '<Tagging><TagSet><Tag><Key>a</Key><Value>b &amp; c</Value></Tag></TagSet></Tagging>' },
      ['starts-with', '$Cache-Control', ''],
    ];
    const fields = {
      KEY: 'up/${filename}',
      'Content-Type': 'text/plain',
      'X-Amz-Meta-Colour': 'grün',
      acl: 'public-read',
      tagging: '<Tagging><TagSet><Tag><Key>a</Key><Value>b &amp; c</Value></Tag></TagSet></Tagging>',
      'Cache-Control': 'no-store',
      'x-ignore-this': 'ignored',
      ...signed({ conditions }),
    };
    expect((await post({ fields, fileName: 'C:\\pictures\\cat.txt' })).status).toBe(204);
    const answer = await server.sendWith({ target: '/bucket/up/cat.txt' }, { host: server.host });
    expect([answer.text, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
      'content',
      'text/plain',
      'no-store',
    ]);
    expect(Buffer.from(String(answer.headers['x-amz-meta-colour']), 'latin1').toString()).toBe('grün');
    const tags = await server.send({ target: '/bucket/up/cat.txt?tagging' });
    expect(tags.text).toContain('<Key>a</Key><Value>b &amp; c</Value>');
  });

  it('takes fields that come with a file name too, and drops what follows the file', async () => {
    const answer = await post({
      fields: { key: 'up/after', ...signed() },
      after: { key: 'up/other', acl: 'public-read' },
    });
    expect([answer.status, (await read('up/after')).text]).toEqual([204, 'content']);
    expect((await read('up/other')).code).toBe('NoSuchKey');
  });

  it('holds the file to a checksum', async () => {
    const checksum = { 'x-amz-checksum-sha256': 'aTL9MeXa9HObn6eP93eygxsJlcwdCwCTysgGAZAgE7w=' };
    const answer = await post({ fields: { key: 'up/checked', ...checksum, ...signed() } });
    expect([answer.status, answer.code, (await read('up/checked')).code]).toEqual([
      400,
      'BadDigest',
      'NoSuchKey',
    ]);
  });

  it('signed the old way (HMAC-SHA1) is as good', async () => {
    const { policy = '' } = signed({
      document: {
        expiration: new Date(Date.now() + 60_000).toISOString(),
        conditions: [{ bucket: 'bucket' }, ['starts-with', '$key', 'up/']],
      },
    });
    const signature = createHmac('sha1', KEY.secretAccessKey).update(policy).digest('base64');
    const fields = { key: 'up/old', AWSAccessKeyId: KEY.accessKeyId, policy, signature };
    expect((await post({ fields })).status).toBe(204);
    const forged = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect((await post({ fields: { ...fields, signature: forged } })).code).toBe('SignatureDoesNotMatch');
  });
});

describe('the answer', () => {
  it.each([
    ['200', 200],
    ['204', 204],
    ['404', 204],
  ])('success_action_status %s is %i', async (value, status) => {
    const answer = await post({ bucket: 'open', fields: { key: 'answer', success_action_status: value } });
    expect([answer.status, answer.text, answer.headers.etag]).toEqual([
      status,
      '',
      '"9a0364b9e99bb480dd25e1f0284c8555"',
    ]);
  });

  it('success_action_status 201 is a document', async () => {
    const answer = await post({ bucket: 'open', fields: { key: 'a b', success_action_status: '201' } });
    expect([answer.status, elements(answer.text, 'Key'), elements(answer.text, 'Location')]).toEqual([
      201,
      ['a b'],
      [`http://${server.host}/open/a%20b`],
    ]);
  });

  it('success_action_redirect leads away with bucket, key and etag', async () => {
    const fields = { key: 'a b', success_action_redirect: 'http://done.test/page?x=1' };
    const answer = await post({ bucket: 'open', fields });
    expect([answer.status, answer.headers.location]).toEqual([
      303,
      'http://done.test/page?x=1&bucket=open&key=a%20b&etag=%229a0364b9e99bb480dd25e1f0284c8555%22',
    ]);
    const script = { key: 'a', success_action_redirect: 'javascript:alert(1)' };
    expect((await post({ bucket: 'open', fields: script })).status).toBe(204);
  });
});

describe('a policy', () => {
  it.each<[string, PolicyWish, Fields, number, string]>([
    ['expired', { expiresMs: Date.now() - 1000 }, {}, 403, 'AccessDenied'],
    ['without a field of the form', {}, { 'x-amz-meta-a': 'b' }, 403, 'AccessDenied'],
    ['for another value', { conditions: [{ acl: 'private' }] }, { acl: 'public-read' }, 403, 'AccessDenied'],
    [
      'for a value that is not there',
      { conditions: [{ 'content-type': 'text/plain' }] },
      {},
      403,
      'AccessDenied',
    ],
    ['for another key', {}, { key: 'down/key' }, 403, 'AccessDenied'],
    ['for a smaller file', { conditions: [['content-length-range', 0, 6]] }, {}, 400, 'EntityTooLarge'],
    ['for a larger file', { conditions: [['content-length-range', 8, 100]] }, {}, 400, 'EntityTooSmall'],
    ['with half a range', { conditions: [['content-length-range', 8]] }, {}, 400, 'InvalidPolicyDocument'],
    [
      'with a range of words',
      { conditions: [['content-length-range', 'a', 'b']] },
      {},
      400,
      'InvalidPolicyDocument',
    ],
    ['with an unknown condition', { conditions: [['like', '$key', 'a']] }, {}, 400, 'InvalidPolicyDocument'],
    ['with an empty condition', { conditions: [{}] }, {}, 400, 'InvalidPolicyDocument'],
    ['without an expiration', { document: { conditions: [] } }, {}, 400, 'InvalidPolicyDocument'],
    [
      'without conditions',
      { document: { expiration: '2099-01-01T00:00:00Z' } },
      {},
      400,
      'InvalidPolicyDocument',
    ],
    [
      'with another date',
      { document: { expiration: '2099-01-01 00:00', conditions: [] } },
      {},
      400,
      'InvalidPolicyDocument',
    ],
    [
      'for another bucket',
      {
        document: {
          expiration: '2099-01-01T00:00:00Z',
          conditions: [{ bucket: 'open' }, ['starts-with', '$key', '']],
        },
      },
      {},
      403,
      'AccessDenied',
    ],
  ])('%s stores nothing', async (_claim, wish, fields, status, code) => {
    const answer = await post({ fields: { key: 'up/refused', ...fields, ...signed(wish) } });
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect((await read('up/refused')).code).toBe('NoSuchKey');
  });

  it('that was tampered with, or signed by nobody, is refused', async () => {
    const fields: Record<string, string> = { key: 'up/refused', ...signed() };
    const policy = Buffer.from('{}').toString('base64');
    expect((await post({ fields: { ...fields, policy } })).code).toBe('SignatureDoesNotMatch');
    const credential = fields['x-amz-credential']?.replace(KEY.accessKeyId, 'NOBODY') ?? '';
    expect((await post({ fields: { ...fields, 'x-amz-credential': credential } })).code).toBe(
      'InvalidAccessKeyId',
    );
    const { 'x-amz-signature': _s, ...unsigned } = signed();
    expect((await post({ fields: { key: 'up/refused', ...unsigned } })).code).toBe('InvalidArgument');
  });
});

describe('a form of nobody', () => {
  it('is taken by a bucket that takes anything, and by no other', async () => {
    expect((await post({ bucket: 'open', fields: { key: 'anonymous' } })).status).toBe(204);
    expect((await post({ fields: { key: 'anonymous' } })).code).toBe('AccessDenied');
    expect((await post({ bucket: 'missing', fields: { key: 'anonymous' } })).code).toBe('NoSuchBucket');
  });
});

describe('a form that is none', () => {
  it.each<[string, Fields, string]>([
    ['without a key', {}, 'InvalidArgument'],
    ['with an empty key', { key: '' }, 'UserKeyMustBeSpecified'],
    [
      'with fields that are too large',
      { key: 'a', 'x-amz-meta-a': 'b'.repeat(30_000) },
      'MaxPostPreDataLengthExceeded',
    ],
    ['that asks for encryption', { key: 'a', 'x-amz-server-side-encryption': 'AES256' }, 'NotImplemented'],
    ['with a line break in a header', { key: 'a', 'content-type': 'a\nb' }, 'InvalidArgument'],
  ])('%s is %s', async (_claim, fields, code) => {
    expect((await post({ bucket: 'open', fields })).code).toBe(code);
  });

  it.each([10, 30, 150])('cut short by %i bytes stores nothing', async (cut) => {
    const answer = await post({ bucket: 'open', fields: { key: 'cut' }, cut });
    expect([answer.status, (await read('cut', 'open')).code]).toEqual([400, 'NoSuchKey']);
  });

  it('without a file, or of another kind, is refused', async () => {
    const send = (body: string, type: string): Promise<Answer> =>
      server.sendWith({ method: 'POST', target: '/open', body }, { host: server.host, 'content-type': type });
    const noFile = `${part('key', 'a').toString()}--${BOUNDARY}--\r\n`;
    expect((await send(noFile, `multipart/form-data; boundary=${BOUNDARY}`)).code).toBe(
      'IncorrectNumberOfFilesInPostRequest',
    );
    expect((await send('key=a', 'application/x-www-form-urlencoded')).code).toBe('PreconditionFailed');
    expect((await send('x', 'multipart/form-data; charset=a')).code).toBe('MalformedPOSTRequest');
    expect((await send('x', `multipart/form-data; boundary=${BOUNDARY}`)).status).toBe(400);
  });
});
