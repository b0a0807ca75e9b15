/** Append (S3 Express PutObject, x-amz-write-offset-bytes) and range overwrite (Yandex Object Storage, patch). */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elements, md5, TestServer, type Answer } from './harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits: { objectBytesMax: 1000 } });
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterAll(async () => {
  await server.close();
});

function put(key: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return server.send({ method: 'PUT', target: `/bucket/${key}`, body, headers });
}

function append(
  key: string,
  offset: number | string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return put(key, body, { 'x-amz-write-offset-bytes': String(offset), ...headers });
}

function patch(
  key: string,
  range: string | null,
  body: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const all = range === null ? headers : { 'Content-Range': range, ...headers };
  return server.send({ method: 'PATCH', target: `/bucket/${key}`, body, headers: all });
}

async function content(key: string): Promise<string> {
  return (await server.send({ target: `/bucket/${key}` })).text;
}

describe('append', () => {
  it('offset 0 creates an object that is not there, and answers its size', async () => {
    const answer = await append('log', 0, 'hello', { 'Content-Type': 'text/plain', 'x-amz-meta-a': 'b' });
    expect([answer.status, answer.headers['x-amz-object-size']]).toEqual([200, '5']);
    expect(answer.headers.etag).toBe(`"${md5('hello')}"`);
  });

  it('at the size it extends; headers and metadata stay, the ETag is no MD5 and a new one each time', async () => {
    const etags = new Set<string>();
    for (let length = 5; length < 20; length += 5) {
      const answer = await append('log', length, '+more');
      expect(answer.headers['x-amz-object-size']).toBe(String(length + 5));
      expect(answer.headers.etag).toMatch(/^"[0-9a-f]{32}-\d+"$/);
      etags.add(answer.headers.etag ?? '');
    }
    expect(etags.size).toBe(3);
    const got = await server.send({ target: '/bucket/log' });
    expect(got.text).toBe('hello+more+more+more');
    expect(got.headers).toMatchObject({ 'content-type': 'text/plain', 'x-amz-meta-a': 'b' });
    expect(etags.has(got.headers.etag ?? '')).toBe(true);
  });

  it('to an empty object at offset 0 extends it', async () => {
    await put('empty', '', { 'x-amz-meta-a': 'b' });
    expect((await append('empty', 0, 'x')).headers['x-amz-object-size']).toBe('1');
    expect((await server.send({ target: '/bucket/empty' })).headers['x-amz-meta-a']).toBe('b');
  });

  it.each([0, 4, 6, 9_000_000_000_000_000])(
    'at %i of 5 bytes is InvalidWriteOffset, and changes nothing',
    async (offset) => {
      await put('five', '12345');
      const answer = await append('five', offset, 'x');
      expect([answer.status, answer.code]).toEqual([400, 'InvalidWriteOffset']);
      expect(elements(answer.text, 'ObjectSize')).toEqual(['5']);
      expect(await content('five')).toBe('12345');
    },
  );

  it('at an offset to an object that is not there is InvalidWriteOffset', async () => {
    expect((await append('absent', 5, 'x')).code).toBe('InvalidWriteOffset');
    expect((await server.send({ target: '/bucket/absent' })).status).toBe(404);
  });

  it.each(['', '-1', '1.5', '0x5', 'five', '99999999999999999'])(
    'the offset %j is InvalidArgument',
    async (offset) => {
      expect((await append('five', offset, 'x')).code).toBe('InvalidArgument');
    },
  );

  it('of nothing is InvalidRequest', async () => {
    expect((await append('five', 5, '')).code).toBe('InvalidRequest');
  });

  it('with metadata to an object that is there is InvalidRequest', async () => {
    await put('meta', '12345');
    expect((await append('meta', 5, 'x', { 'x-amz-meta-a': 'b' })).code).toBe('InvalidRequest');
  });

  it('past the largest object is EntityTooLarge', async () => {
    await put('full', 'x'.repeat(999));
    expect((await append('full', 999, 'xx')).code).toBe('EntityTooLarge');
    expect((await append('full', 999, 'x')).status).toBe(200);
  });

  it('forgets the checksum of the whole, for nobody knows it any more', async () => {
    await put('summed', 'hello', { 'x-amz-checksum-crc32': 'NhCmhg==' });
    await append('summed', 5, '!');
    const head = await server.send({
      method: 'HEAD',
      target: '/bucket/summed',
      headers: { 'x-amz-checksum-mode': 'ENABLED' },
    });
    expect(head.headers['x-amz-checksum-crc32']).toBeUndefined();
  });

  it('of concurrent appends at one offset one wins, the others are told the size', async () => {
    await put('race', '');
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => append('race', 0, `<${index}>`)),
    );
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners).toHaveLength(1);
    expect(answers.filter(({ code }) => code === 'InvalidWriteOffset')).toHaveLength(7);
    expect(await content('race')).toMatch(/^<\d>$/);
  });

  it('of concurrent creations by append at offset 0 one wins', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => append('creation', 0, `<${index}>`)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await content('creation')).toMatch(/^<\d>$/);
  });

  it('If-Match is judged with the append', async () => {
    const { headers } = await put('cas', 'one');
    expect((await append('cas', 3, '!', { 'If-Match': '"other"' })).code).toBe('PreconditionFailed');
    expect((await append('cas', 3, '!', { 'If-Match': headers.etag ?? '' })).status).toBe(200);
    expect((await append('not-there', 0, '!', { 'If-Match': '"other"' })).code).toBe('NoSuchKey');
    expect((await append('cas', 4, '!', { 'If-None-Match': '*' })).code).toBe('PreconditionFailed');
  });
});

describe('PATCH', () => {
  it('overwrites inside, answers the new ETag and time, and moves Last-Modified and ETag', async () => {
    const before = await put('doc', '0123456789');
    const answer = await patch('doc', 'bytes 2-4/*', 'abc');
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('<PatchObjectResult');
    expect(elements(answer.text, 'ETag')).toEqual([answer.headers.etag?.replaceAll('"', '&quot;')]);
    expect(Date.parse(elements(answer.text, 'LastModified')[0] ?? '')).toBeGreaterThan(0);
    expect(answer.headers.etag).not.toBe(before.headers.etag);
    expect(await content('doc')).toBe('01abc56789');
  });

  it('the same bytes at the same place give another ETag', async () => {
    const first = await patch('doc', 'bytes 0-0/*', 'x');
    const second = await patch('doc', 'bytes 0-0/*', 'x');
    expect(first.headers.etag).not.toBe(second.headers.etag);
  });

  it('passing the end overwrites and extends; at the end it extends', async () => {
    await put('grow', '01234');
    expect((await patch('grow', 'bytes 3-6/*', 'abcd')).headers['x-amz-object-size']).toBe('7');
    expect(await content('grow')).toBe('012abcd');
    expect((await patch('grow', 'bytes 7-7/*', '!')).status).toBe(200);
    expect(await content('grow')).toBe('012abcd!');
  });

  it('beyond the end is InvalidRange, and changes nothing', async () => {
    await put('short', '01234');
    const answer = await patch('short', 'bytes 6-6/*', 'x');
    expect([answer.status, answer.code]).toEqual([416, 'InvalidRange']);
    expect(answer.headers['content-range']).toBe('bytes */5');
    expect(await content('short')).toBe('01234');
  });

  it('of an object that is not there is NoSuchKey', async () => {
    const answer = await patch('absent', 'bytes 0-0/*', 'x');
    expect([answer.status, answer.code]).toEqual([404, 'NoSuchKey']);
  });

  it('without Content-Range is MissingContentRange', async () => {
    expect((await patch('doc', null, 'x')).code).toBe('MissingContentRange');
  });

  it.each([
    'bytes 1-0/*',
    'bytes -1/*',
    'bytes 0-/*',
    'bytes 0-0/1',
    'bytes=0-0/*',
    'bytes a-b/*',
    'bytes */*',
    '0-0',
    'bytes 0-99999999999999999/*',
    '',
  ])('Content-Range %j is InvalidArgument', async (range) => {
    expect((await patch('doc', range, 'x')).code).toBe('InvalidArgument');
  });

  it.each(['', 'ab', 'abcd'])(
    'a body %j of another length than the range is InvalidRequest',
    async (body) => {
      await put('length', '01234');
      expect((await patch('length', 'bytes 0-2/*', body)).code).toBe('InvalidRequest');
      const chunked = {
        method: 'PATCH',
        target: '/bucket/length',
        body,
        payload: 'UNSIGNED-PAYLOAD',
        unsigned: { 'transfer-encoding': 'chunked' },
      };
      expect((await server.send({ ...chunked, headers: { 'Content-Range': 'bytes 0-2/*' } })).code).toBe(
        'InvalidRequest',
      );
      expect(await content('length')).toBe('01234');
    },
  );

  it('If-Match and If-Unmodified-Since are judged with the write', async () => {
    const { headers } = await put('cas', '01234');
    const past = 'Thu, 01 Jan 2015 00:00:00 GMT';
    expect((await patch('cas', 'bytes 0-0/*', 'x', { 'If-Match': '"other"' })).status).toBe(412);
    expect((await patch('cas', 'bytes 0-0/*', 'x', { 'If-Unmodified-Since': past })).status).toBe(412);
    expect((await patch('cas', 'bytes 0-0/*', 'x', { 'If-Match': headers.etag ?? '' })).status).toBe(200);
    expect((await patch('cas', 'bytes 0-0/*', 'x', { 'If-Match': headers.etag ?? '' })).status).toBe(412);
  });

  it('any sequence of PUT, append and PATCH leaves what a buffer would hold', async () => {
    const step = fc.record({
      kind: fc.constantFrom('put', 'append', 'patch'),
      offset: fc.nat({ max: 60 }),
      text: fc.stringMatching(/^[a-z]{1,20}$/),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        let model = 'start';
        await put('model', model);
        for (const { kind, offset, text } of steps) {
          if (kind === 'put') {
            await put('model', text);
            model = text;
          } else if (kind === 'append') {
            await append('model', model.length, text);
            model += text;
          } else {
            const end = offset + text.length;
            const { status } = await patch('model', `bytes ${offset}-${end - 1}/*`, text);
            expect(status).toBe(offset > model.length ? 416 : 200);
            if (status === 200) model = model.slice(0, offset) + text + model.slice(end);
          }
        }
        expect(await content('model')).toBe(model);
      }),
      { numRuns: 30 },
    );
  });

  it('nothing is held after refusals', () => {
    expect(server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0, openReads: 0 });
  });
});
