import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseXml } from '../../../src/s3/xml/parse.js';
import { elements, md5, TestServer, type Answer, type Wish } from './harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterAll(async () => {
  await server.close();
});

function put(
  key: string,
  body: string | Buffer = 'content',
  headers: Record<string, string> = {},
): Promise<Answer> {
  return server.send({ method: 'PUT', target: `/bucket/${key}`, body, headers });
}

function get(key: string, headers: Record<string, string> = {}, wish: Partial<Wish> = {}): Promise<Answer> {
  return server.send({ target: `/bucket/${key}`, headers, ...wish });
}

describe('PutObject, GetObject, HeadObject, DeleteObject (S3 API reference)', () => {
  it('what was put is what is got, with its MD5 as ETag', async () => {
    const answer = await put('a', 'hello');
    expect(answer.status).toBe(200);
    expect(answer.headers.etag).toBe(`"${md5('hello')}"`);
    const got = await get('a');
    expect(got.status).toBe(200);
    expect(got.text).toBe('hello');
    expect(got.headers).toMatchObject({
      etag: `"${md5('hello')}"`,
      'content-length': '5',
      'content-type': 'binary/octet-stream',
      'accept-ranges': 'bytes',
    });
    expect(Date.parse(got.headers['last-modified'] ?? '')).toBeGreaterThan(Date.now() - 60_000);
  });

  it('its metadata is what the request brings, and it may say so', async () => {
    const said = { 'x-amz-meta-a': '1', 'x-amz-metadata-directive': 'REPLACE' };
    expect((await put('directive', 'x', said)).status).toBe(200);
    expect((await get('directive')).headers['x-amz-meta-a']).toBe('1');
    const other = await put('directive', 'y', { 'x-amz-metadata-directive': 'COPY' });
    expect([other.status, other.code]).toEqual([400, 'InvalidArgument']);
    expect((await get('directive')).text).toBe('x');
  });

  it('every answer, errors too, has x-amz-request-id and x-amz-id-2', async () => {
    const answers = [await get('a'), await get('absent'), await server.sendWith({ target: '/bucket/a' }, {})];
    for (const { headers } of answers) {
      expect(headers['x-amz-request-id']).toMatch(/^[0-9A-F]{16}$/);
      expect(headers['x-amz-id-2']).toBeDefined();
    }
    expect(new Set(answers.map(({ headers }) => headers['x-amz-request-id'])).size).toBe(3);
    expect(elements(answers[1]!.text, 'RequestId')).toEqual([answers[1]!.headers['x-amz-request-id']]);
  });

  it('standard headers and user metadata come back as they went in', async () => {
    const headers = {
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'max-age=60',
      'Content-Disposition': 'attachment; filename="a b"',
      'Content-Encoding': 'gzip',
      'Content-Language': 'de',
      Expires: 'Thu, 01 Jan 2032 00:00:00 GMT',
      'x-amz-meta-Colour': 'red',
      'x-amz-meta-mime': '=?UTF-8?B?w6Q=?=',
      'x-amz-meta-__proto__': 'kept',
    };
    await put('headers', 'x', headers);
    const { headers: got } = await get('headers');
    for (const [name, value] of Object.entries(headers)) expect(got[name.toLowerCase()]).toBe(value);
  });

  it('metadata beyond ASCII goes out byte for byte as it came in', async () => {
    const bytes = Buffer.from('Grüße', 'utf8').toString('latin1');
    await put('utf8', 'x', { 'x-amz-meta-greeting': bytes });
    expect((await get('utf8')).headers['x-amz-meta-greeting']).toBe(bytes);
  });

  it('more than 2 KB of metadata is MetadataTooLarge and writes nothing', async () => {
    expect((await put('meta-max', 'x', { 'x-amz-meta-a': 'y'.repeat(2047) })).status).toBe(200);
    const answer = await put('meta-over', 'x', { 'x-amz-meta-a': 'y'.repeat(2048) });
    expect([answer.status, answer.code]).toEqual([400, 'MetadataTooLarge']);
    expect((await get('meta-over')).status).toBe(404);
  });

  it('a second PUT replaces headers and metadata too', async () => {
    await put('replaced', 'one', { 'x-amz-meta-a': '1', 'Content-Type': 'text/plain' });
    await put('replaced', 'two');
    const { headers, text } = await get('replaced');
    expect(text).toBe('two');
    expect(headers['x-amz-meta-a']).toBeUndefined();
    expect(headers['content-type']).toBe('binary/octet-stream');
  });

  it('HEAD has the headers of GET and no body, for a missing key too', async () => {
    await put('head', 'hello', { 'x-amz-meta-a': 'b' });
    const [head, got] = [await get('head', {}, { method: 'HEAD' }), await get('head')];
    expect(head.body).toHaveLength(0);
    for (const name of ['etag', 'content-length', 'content-type', 'last-modified', 'x-amz-meta-a']) {
      expect(head.headers[name]).toBe(got.headers[name]);
    }
    const absent = await get('absent', {}, { method: 'HEAD' });
    expect([absent.status, absent.body.length]).toEqual([404, 0]);
  });

  it('a missing key is NoSuchKey and named', async () => {
    const answer = await get('no/such');
    expect([answer.status, answer.code]).toEqual([404, 'NoSuchKey']);
    expect(elements(answer.text, 'Key')).toEqual(['no/such']);
    expect(answer.headers['content-type']).toBe('application/xml');
  });

  it('DELETE answers 204 whether or not there was an object', async () => {
    await put('gone');
    for (let round = 0; round < 2; round += 1) {
      const answer = await get('gone', {}, { method: 'DELETE' });
      expect([answer.status, answer.body.length]).toEqual([204, 0]);
    }
    expect((await get('gone')).status).toBe(404);
  });

  it('an empty object is an object', async () => {
    expect((await put('empty', '')).headers.etag).toBe(`"${md5('')}"`);
    const { status, headers, body } = await get('empty');
    expect([status, headers['content-length'], body.length]).toEqual([200, '0', 0]);
  });

  it('a large object streams in and out byte for byte', async () => {
    const bytes = Buffer.alloc(5 * 1024 * 1024 + 1, 'tally');
    expect((await put('large', bytes)).headers.etag).toBe(`"${md5(bytes)}"`);
    expect((await get('large')).body.equals(bytes)).toBe(true);
  });

  it('versionId=null is the only version, and what is no version id is refused', async () => {
    await put('version');
    expect((await server.send({ target: '/bucket/version?versionId=null' })).status).toBe(200);
    expect((await server.send({ target: '/bucket/version?versionId=abc' })).code).toBe('InvalidArgument');
  });

  it('response-* parameters override headers, and cannot break them', async () => {
    await put('override', 'x', { 'Content-Type': 'text/plain' });
    const target =
      '/bucket/override?response-content-type=a%2Fb&response-content-disposition=attachment%3B%20f%3D%22%C3%A4%22';
    const { headers } = await server.send({ target });
    expect(headers['content-type']).toBe('a/b');
    expect(Buffer.from(headers['content-disposition'] ?? '', 'latin1').toString()).toBe('attachment; f="ä"');
    const split = await server.send({
      target: '/bucket/override?response-content-type=a%0D%0AX-Evil%3A%201',
    });
    expect([split.status, split.code]).toEqual([400, 'InvalidArgument']);
  });

  it('a body that came with GET does not become the next request', async () => {
    expect(
      (await get('a', {}, { body: 'GET /evil HTTP/1.1\r\n\r\n', headers: { 'content-length': '22' } }))
        .status,
    ).toBe(200);
  });
});

describe('ranges (RFC 9110 section 14; GetObject Range)', () => {
  beforeAll(async () => {
    await put('digits', '0123456789');
  });

  it.each([
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=7-100', '789', 'bytes 7-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-30', '0123456789', 'bytes 0-9/10'],
    ['BYTES=1-2', '12', 'bytes 1-2/10'],
    ['bytes=0-99999999999999999999', '0123456789', 'bytes 0-9/10'],
  ])('%s is a part', async (range, text, contentRange) => {
    const answer = await get('digits', { Range: range });
    expect([answer.status, answer.text, answer.headers['content-range']]).toEqual([206, text, contentRange]);
    const head = await get('digits', { Range: range }, { method: 'HEAD' });
    expect([head.status, head.headers['content-length']]).toEqual([206, String(text.length)]);
  });

  it.each(['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=99999999999999999999-'])(
    '%s is InvalidRange',
    async (range) => {
      const answer = await get('digits', { Range: range });
      expect([answer.status, answer.code]).toEqual([416, 'InvalidRange']);
      expect(answer.headers['content-range']).toBe('bytes */10');
      expect(elements(answer.text, 'ActualObjectSize')).toEqual(['10']);
      expect((await get('digits', { Range: range }, { method: 'HEAD' })).status).toBe(416);
    },
  );

  it.each(['bytes=0-1,3-4', 'bytes=5-2', 'bytes=', 'bytes=-', 'bytes=a-b', 'chars=0-1', 'bytes 0-1', '0-1'])(
    '%s is no single range, so the whole object comes',
    async (range) => {
      const answer = await get('digits', { Range: range });
      expect([answer.status, answer.text]).toEqual([200, '0123456789']);
    },
  );

  it('a range of an empty object is not satisfiable', async () => {
    await put('nothing', '');
    expect((await get('nothing', { Range: 'bytes=0-' })).status).toBe(416);
    expect((await get('nothing', { Range: 'bytes=-1' })).status).toBe(416);
  });

  it('If-Range with another ETag or date gives the whole object', async () => {
    const { headers } = await get('digits');
    const matching = [headers.etag ?? '', headers['last-modified'] ?? ''];
    for (const value of matching)
      expect((await get('digits', { Range: 'bytes=0-1', 'If-Range': value })).status).toBe(206);
    for (const value of ['"other"', 'Thu, 01 Jan 1970 00:00:00 GMT']) {
      expect((await get('digits', { Range: 'bytes=0-1', 'If-Range': value })).status).toBe(200);
    }
  });
});

describe('conditional reads (RFC 9110 section 13.2.2; UserGuide, Conditional reads)', () => {
  const past = 'Thu, 01 Jan 2015 00:00:00 GMT';
  const future = 'Thu, 01 Jan 2099 00:00:00 GMT';
  const right = `"${md5('content')}"`;
  const wrong = '"0123"';
  beforeAll(async () => {
    await put('conditional', 'content', { 'Cache-Control': 'max-age=5' });
  });

  it.each<[string, Record<string, string>, number]>([
    ['If-Match with the ETag', { 'If-Match': right }, 200],
    ['If-Match without quotes', { 'If-Match': md5('content') }, 200],
    ['If-Match *', { 'If-Match': '*' }, 200],
    ['If-Match in a list', { 'If-Match': `${wrong}, ${right}` }, 200],
    ['If-Match with another', { 'If-Match': wrong }, 412],
    ['If-None-Match with the ETag', { 'If-None-Match': right }, 304],
    ['If-None-Match weak', { 'If-None-Match': `W/${right}` }, 304],
    ['If-None-Match *', { 'If-None-Match': '*' }, 304],
    ['If-None-Match with another', { 'If-None-Match': wrong }, 200],
    ['If-Modified-Since the past', { 'If-Modified-Since': past }, 200],
    ['If-Modified-Since the future', { 'If-Modified-Since': future }, 304],
    ['If-Modified-Since no date', { 'If-Modified-Since': 'never' }, 200],
    ['If-Unmodified-Since the past', { 'If-Unmodified-Since': past }, 412],
    ['If-Unmodified-Since the future', { 'If-Unmodified-Since': future }, 200],
    ['If-Match wins over If-Unmodified-Since', { 'If-Match': right, 'If-Unmodified-Since': past }, 200],
    [
      'If-None-Match wins over If-Modified-Since',
      { 'If-None-Match': wrong, 'If-Modified-Since': future },
      200,
    ],
    ['If-None-Match and If-Modified-Since', { 'If-None-Match': right, 'If-Modified-Since': past }, 304],
    ['If-Match goes before If-None-Match', { 'If-Match': wrong, 'If-None-Match': right }, 412],
  ])('%s', async (_claim, headers, status) => {
    expect((await get('conditional', headers)).status).toBe(status);
    expect((await get('conditional', headers, { method: 'HEAD' })).status).toBe(status);
  });

  it('304 has the validators and Cache-Control and no body; 412 names the condition', async () => {
    const notModified = await get('conditional', { 'If-None-Match': right });
    expect(notModified.body).toHaveLength(0);
    expect(notModified.headers).toMatchObject({ etag: right, 'cache-control': 'max-age=5' });
    expect(notModified.headers['last-modified']).toBeDefined();
    const failed = await get('conditional', { 'If-Match': wrong });
    expect(elements(failed.text, 'Condition')).toEqual(['If-Match']);
  });
});

describe('conditional writes (UserGuide, Conditional writes)', () => {
  it('If-None-Match * creates once', async () => {
    expect((await put('once', 'first', { 'If-None-Match': '*' })).status).toBe(200);
    const second = await put('once', 'second', { 'If-None-Match': '*' });
    expect([second.status, second.code]).toEqual([412, 'PreconditionFailed']);
    expect((await get('once')).text).toBe('first');
  });

  it('of concurrent If-None-Match * one wins', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => put('contested', `writer ${index}`, { 'If-None-Match': '*' })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(7);
  });

  it('If-Match replaces what is known and nothing else', async () => {
    const { headers } = await put('cas', 'one');
    expect((await put('cas', 'two', { 'If-Match': headers.etag ?? '' })).status).toBe(200);
    expect((await put('cas', 'three', { 'If-Match': headers.etag ?? '' })).status).toBe(412);
    expect((await get('cas')).text).toBe('two');
  });

  it('If-Match on a missing key is NoSuchKey', async () => {
    for (const method of ['PUT', 'DELETE']) {
      const answer = await server.send({
        method,
        target: '/bucket/missing',
        body: '',
        headers: { 'If-Match': '"a"' },
      });
      expect([answer.status, answer.code]).toEqual([404, 'NoSuchKey']);
    }
  });

  it('If-None-Match with an ETag refuses that content and takes another', async () => {
    const { headers } = await put('not-this', 'one');
    expect((await put('not-this', 'two', { 'If-None-Match': headers.etag ?? '' })).status).toBe(412);
    expect((await put('not-this', 'two', { 'If-None-Match': '"other"' })).status).toBe(200);
  });

  it('DELETE with If-Match removes what is known and nothing else', async () => {
    const { headers } = await put('delete-this', 'one');
    const wish = { method: 'DELETE', target: '/bucket/delete-this' };
    expect((await server.send({ ...wish, headers: { 'If-Match': '"other"' } })).status).toBe(412);
    expect((await get('delete-this')).status).toBe(200);
    expect((await server.send({ ...wish, headers: { 'If-Match': headers.etag ?? '' } })).status).toBe(204);
  });

  it('nothing is held after refusals', () => {
    expect(server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0, openReads: 0 });
  });
});

describe('keys (UserGuide, Naming Amazon S3 objects)', () => {
  it('an error about a name that XML can not carry is well-formed (fuzzer, seed 77)', async () => {
    for (const encoded of ['a%EF%BF%BFb', 'a%EF%BF%BEb', 'a%01b']) {
      const { status, text } = await get(encoded);
      expect(status).toBeGreaterThanOrEqual(400);
      const { name, children } = parseXml(Buffer.from(text));
      expect([name, children.find((child) => child.name === 'Key')?.text]).toEqual(['Error', 'a\ufffdb']);
    }
  });

  it('a listing without encoding-type never changes such a name: it is a reference, as S3 writes it', async () => {
    expect((await put('refer%EF%BF%BF%02')).status).toBe(200);
    const { text } = await server.send({ target: '/bucket?list-type=2&prefix=refer' });
    expect(elements(text, 'Key')).toEqual(['refer&#xFFFF;&#x2;']);
  });

  const longest = '\u{1f600}'.repeat(256);
  it.each([
    ['dots are ordinary', '..%2f..%2Fetc%2Fpasswd', '../../etc/passwd'],
    ['dots between slashes', 'a/../b/./c', 'a/../b/./c'],
    ['slashes are ordinary', '/a//b/', '/a//b/'],
    ['plus is a plus', 'a+b%2Bc', 'a+b+c'],
    ['spaces and percent', 'a%20b%25', 'a b%'],
    ['question mark and hash', 'a%3Fb%23c', 'a?b#c'],
    ['1,024 bytes of UTF-8', encodeURIComponent(longest), longest],
    ['control characters', 'a%01b%0Ac%7F', 'a\u0001b\nc\u007f'],
  ])('%s', async (_claim, encoded, key) => {
    expect((await put(encoded, key)).status).toBe(200);
    expect((await get(encoded)).text).toBe(key);
    const prefix = encodeURIComponent(key);
    const list = await server.send({ target: `/bucket?list-type=2&encoding-type=url&prefix=${prefix}` });
    expect(elements(list.text, 'Key').map((text) => decodeURIComponent(text))).toContain(key);
  });

  it('keys that are prefixes of others are keys of their own', async () => {
    for (const key of ['p', 'p/', 'p/q', 'p/q/r']) await put(key, key);
    for (const key of ['p', 'p/', 'p/q', 'p/q/r']) expect((await get(key)).text).toBe(key);
  });

  it.each([
    ['NUL', 'a%00b', 400, 'InvalidArgument'],
    ['1,025 bytes', 'a'.repeat(1025), 400, 'KeyTooLongError'],
    ['1,024 characters that are 3,072 bytes', encodeURIComponent('€'.repeat(1024)), 400, 'KeyTooLongError'],
    ['bytes that are no UTF-8', 'a%ff', 400, 'InvalidURI'],
    ['an encoded surrogate', '%ED%A0%80', 400, 'InvalidURI'],
    ['a broken escape', 'a%zz', 400, 'InvalidURI'],
    ['a cut escape', 'a%2', 400, 'InvalidURI'],
  ])('%s is refused', async (_claim, encoded, status, code) => {
    const before = server.storage.counters.mutations;
    const answer = await put(encoded);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(server.storage.counters.mutations).toBe(before);
  });
});
