/** How a body may come, and that a wrong one writes nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKSUM_ALGORITHMS, CHECKSUMS } from '../../../src/s3/payload/checksums.js';
import { encodeAwsChunked } from './chunk-encoder.js';
import { md5, sha256, TestServer, type Answer } from './harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({
    limits: { singlePutBytesMax: 2_000_000, unstatedPayloadBytesMax: 1_000 },
  });
  await server.send({ method: 'PUT', target: '/bucket' });
});
afterAll(async () => {
  await server.close();
});

const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const CONTENT = Buffer.alloc(100_000, 'some content ');

interface Upload {
  readonly payload: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly trailers?: readonly (readonly [string, string])[];
  readonly tamper?: (body: Buffer) => Buffer;
  readonly chunkBytes?: number;
}

let count = 0;

/** Puts CONTENT as aws-chunked and tells what became of it. */
async function upload({
  payload,
  headers = {},
  trailers,
  tamper = (body) => body,
  chunkBytes = 8192,
}: Upload): Promise<Answer & { stored: Buffer | null }> {
  count += 1;
  const target = `/bucket/upload-${count}`;
  const length = {
    'x-amz-decoded-content-length': String(CONTENT.length),
    'content-encoding': 'aws-chunked',
  };
  const wish = { method: 'PUT', target, payload, headers: { ...length, ...headers } };
  const signed = server.sign(wish);
  const chunks: Buffer[] = [];
  for (let offset = 0; offset < CONTENT.length; offset += chunkBytes)
    chunks.push(CONTENT.subarray(offset, offset + chunkBytes));
  const seed = payload === UNSIGNED_TRAILER ? null : signed.seed;
  const body = encodeAwsChunked(chunks, { seed, trailers: payload === SIGNED ? null : (trailers ?? []) });
  const answer = await server.sendWith({ ...wish, body: tamper(body) }, signed.headers);
  const got = await server.send({ target });
  return { ...answer, stored: got.status === 200 ? got.body : null };
}

async function base64Of(algorithm: (typeof CHECKSUM_ALGORITHMS)[number], content: Buffer): Promise<string> {
  const checksum = await CHECKSUMS[algorithm].open();
  checksum.update(content);
  return checksum.digestBase64();
}

function flipInData(body: Buffer): Buffer {
  const changed = Buffer.from(body);
  const at = changed.indexOf('some content') + 50_000;
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

describe('the memory of a long body', () => {
  let freedBytes: number;
  let freeing: TestServer;
  beforeAll(async () => {
    freeing = await TestServer.start({
      options: {
        freeBytes: (bytes) => {
          // A piece that shares its memory with others is not its own to give back.
          expect(bytes.length).toBe(bytes.buffer.byteLength);
          freedBytes += bytes.length;
          bytes.fill(0xff);
        },
      },
    });
    await freeing.send({ method: 'PUT', target: '/bucket' });
  });
  afterAll(async () => {
    await freeing.close();
  });

  it.each(['UNSIGNED-PAYLOAD', SIGNED, UNSIGNED_TRAILER])(
    '%s: is given back once the store has it, but for the first piece',
    async (payload) => {
      const content = Buffer.alloc(1_500_000, 'some other content ');
      freedBytes = 0;
      const isChunked = payload !== 'UNSIGNED-PAYLOAD';
      const wish = {
        ...{ method: 'PUT', target: '/bucket/long', payload },
        headers: isChunked ? { 'x-amz-decoded-content-length': String(content.length) } : {},
      };
      const signed = freeing.sign(wish);
      const chunks = Array.from({ length: 15 }, (_, index) =>
        content.subarray(index * 100_000, (index + 1) * 100_000),
      );
      const seed = payload === SIGNED ? signed.seed : null;
      const trailers = payload === SIGNED ? null : [];
      const body = isChunked ? encodeAwsChunked(chunks, { seed, trailers }) : content;
      const answer = await freeing.sendWith({ ...wish, body }, signed.headers);
      expect(answer.headers.etag).toBe(`"${md5(content)}"`);
      expect((await freeing.send({ target: '/bucket/long' })).body.equals(content)).toBe(true);
      const pieceBytesMax = 64 * 1024;
      expect(freedBytes).toBeGreaterThanOrEqual(body.length - 2 * pieceBytesMax);
      expect(freedBytes).toBeLessThan(body.length);
    },
  );

  it('stays when it is one piece', async () => {
    freedBytes = 0;
    await freeing.send({ method: 'PUT', target: '/bucket/short', body: 'short' });
    expect((await freeing.send({ target: '/bucket/short' })).text).toBe('short');
    expect(freedBytes).toBe(0);
  });
});

describe('payload modes (x-amz-content-sha256)', () => {
  it.each([SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])(
    '%s: the decoded content is stored, aws-chunked is not',
    async (payload) => {
      for (const chunkBytes of [1_000, 65_536, 200_000]) {
        const { status, headers, stored } = await upload({ payload, chunkBytes });
        expect(status).toBe(200);
        expect(headers.etag).toBe(`"${md5(CONTENT)}"`);
        expect(stored?.equals(CONTENT)).toBe(true);
      }
      const got = await server.send({ target: `/bucket/upload-${count}` });
      expect(got.headers['content-encoding']).toBeUndefined();
    },
  );

  it('aws-chunked leaves other codings in Content-Encoding', async () => {
    await upload({ payload: SIGNED, headers: { 'content-encoding': 'aws-chunked, gzip' } });
    expect((await server.send({ target: `/bucket/upload-${count}` })).headers['content-encoding']).toBe(
      'gzip',
    );
  });

  it('UNSIGNED-PAYLOAD takes any body', async () => {
    const wish = { method: 'PUT', target: '/bucket/unsigned', payload: 'UNSIGNED-PAYLOAD', body: 'anything' };
    expect((await server.send(wish)).status).toBe(200);
    expect((await server.send({ target: '/bucket/unsigned' })).text).toBe('anything');
  });

  it('another body than the signed hash is XAmzContentSHA256Mismatch, and nothing is written', async () => {
    const wish = { method: 'PUT', target: '/bucket/mismatch', payload: sha256('expected'), body: 'tampered' };
    const answer = await server.send(wish);
    expect([answer.status, answer.code]).toEqual([400, 'XAmzContentSHA256Mismatch']);
    expect(answer.text).toContain(`<S3ComputedContentSHA256>${sha256('tampered')}</S3ComputedContentSHA256>`);
    expect((await server.send({ target: '/bucket/mismatch' })).status).toBe(404);
  });

  it.each(['', 'unsigned', 'STREAMING-SOMETHING', 'e3b0'])(
    'the mode %j is InvalidArgument',
    async (payload) => {
      const answer = await server.send({ method: 'PUT', target: '/bucket/mode', payload, body: 'x' });
      expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
    },
  );

  it('without x-amz-content-sha256 a signature over the hash of the body is good, one over another is not', async () => {
    const target = '/bucket/unstated';
    const body = 'small body';
    const right = server.sign({ method: 'PUT', target, payload: sha256(body) }).headers;
    // The header is signed there, so taking it away breaks the signature.
    const stripped = Object.fromEntries(
      Object.entries(right).filter(([name]) => name !== 'x-amz-content-sha256'),
    );
    expect((await server.sendWith({ method: 'PUT', target, body }, stripped)).code).toBe(
      'SignatureDoesNotMatch',
    );
    const nothing = server.sign({ method: 'PUT', target, payload: null }).headers;
    expect((await server.sendWith({ method: 'PUT', target, body }, nothing)).status).toBe(200);
    const large = await server.sendWith({ method: 'PUT', target, body: 'x'.repeat(1001) }, stripped);
    expect([large.code, large.text.includes('x-amz-content-sha256')]).toEqual(['InvalidRequest', true]);
  });

  it('without x-amz-content-sha256 a document is not taken on the word of nobody', async () => {
    const target = '/unstated-bucket';
    const { headers } = server.sign({ method: 'PUT', target, payload: null });
    expect((await server.sendWith({ method: 'PUT', target, body: '<a/>' }, headers)).code).toBe(
      'InvalidRequest',
    );
    expect((await server.sendWith({ method: 'PUT', target }, headers)).status).toBe(200);
  });
});

describe('a damaged aws-chunked body is refused, and nothing is written', () => {
  it.each<[string, Upload, number, string]>([
    ['changed data, signed', { payload: SIGNED, tamper: flipInData }, 403, 'SignatureDoesNotMatch'],
    [
      'changed data, signed with a trailer',
      { payload: SIGNED_TRAILER, tamper: flipInData },
      403,
      'SignatureDoesNotMatch',
    ],
    ['a cut body', { payload: SIGNED, tamper: (body) => body.subarray(0, 70_000) }, 400, 'IncompleteBody'],
    [
      'no last chunk',
      { payload: UNSIGNED_TRAILER, tamper: (body) => body.subarray(0, body.length - 5) },
      400,
      'IncompleteBody',
    ],
    [
      'more than its decoded length',
      { payload: SIGNED, headers: { 'x-amz-decoded-content-length': '99999' } },
      400,
      'IncompleteBody',
    ],
    [
      'less than its decoded length',
      { payload: SIGNED, headers: { 'x-amz-decoded-content-length': '100001' } },
      400,
      'IncompleteBody',
    ],
    [
      'no number as decoded length',
      { payload: SIGNED, headers: { 'x-amz-decoded-content-length': '1e5' } },
      400,
      'InvalidArgument',
    ],
    [
      'a body that is not chunked at all',
      { payload: UNSIGNED_TRAILER, tamper: () => CONTENT },
      400,
      'InvalidChunkSizeError',
    ],
    [
      'a size line without end',
      { payload: UNSIGNED_TRAILER, tamper: () => Buffer.alloc(10_000, '1') },
      400,
      'InvalidChunkSizeError',
    ],
    [
      'an unannounced trailer',
      { payload: UNSIGNED_TRAILER, trailers: [['x-amz-checksum-crc32', 'AAAAAA==']] },
      400,
      'MalformedTrailerError',
    ],
    [
      'an announced trailer that is missing',
      { payload: UNSIGNED_TRAILER, headers: { 'x-amz-trailer': 'x-amz-checksum-crc32' } },
      400,
      'MalformedTrailerError',
    ],
    [
      'a trailer nobody knows',
      { payload: UNSIGNED_TRAILER, headers: { 'x-amz-trailer': 'x-amz-meta-a' } },
      400,
      'InvalidRequest',
    ],
    [
      'a trailer without its mode',
      { payload: SIGNED, headers: { 'x-amz-trailer': 'x-amz-checksum-crc32' } },
      400,
      'InvalidRequest',
    ],
  ])('%s', async (_claim, wish, status, code) => {
    const answer = await upload(wish);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.stored).toBeNull();
  });

  it('without x-amz-decoded-content-length it is MissingContentLength', async () => {
    const answer = await server.send({
      method: 'PUT',
      target: '/bucket/nolength',
      payload: SIGNED,
      body: 'x',
    });
    expect([answer.status, answer.code]).toEqual([411, 'MissingContentLength']);
  });

  it('nothing is held after all of this', () => {
    expect(server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0, openReads: 0 });
  });
});

describe('checksums (UserGuide, Checking object integrity)', () => {
  it.each(CHECKSUM_ALGORITHMS)('%s in a header is verified, stored and returned', async (algorithm) => {
    const { header } = CHECKSUMS[algorithm];
    const target = `/bucket/checksum-${algorithm}`;
    const value = await base64Of(algorithm, CONTENT);
    const wish = { method: 'PUT', target, body: CONTENT };
    const put = await server.send({
      ...wish,
      headers: { [header]: value, 'x-amz-sdk-checksum-algorithm': algorithm },
    });
    expect([put.status, put.headers[header], put.headers['x-amz-checksum-type']]).toEqual([
      200,
      value,
      'FULL_OBJECT',
    ]);
    for (const method of ['GET', 'HEAD']) {
      const asked = await server.send({ method, target, headers: { 'x-amz-checksum-mode': 'ENABLED' } });
      expect([asked.headers[header], asked.headers['x-amz-checksum-type']]).toEqual([value, 'FULL_OBJECT']);
      expect((await server.send({ method, target })).headers[header]).toBeUndefined();
    }
    const part = await server.send({
      target,
      headers: { 'x-amz-checksum-mode': 'ENABLED', Range: 'bytes=0-9' },
    });
    expect(part.headers[header]).toBeUndefined();
    const other = await base64Of(algorithm, Buffer.from('other'));
    const wrong = await server.send({ ...wish, target: `${target}-wrong`, headers: { [header]: other } });
    expect([wrong.status, wrong.code]).toEqual([400, 'BadDigest']);
    expect((await server.send({ target: `${target}-wrong` })).status).toBe(404);
  });

  it.each(CHECKSUM_ALGORITHMS)(
    '%s in a trailer is verified, stored and returned, signed and unsigned',
    async (algorithm) => {
      const { header } = CHECKSUMS[algorithm];
      const value = await base64Of(algorithm, CONTENT);
      const wrong = await base64Of(algorithm, Buffer.from('other'));
      for (const payload of [SIGNED_TRAILER, UNSIGNED_TRAILER]) {
        const headers = { 'x-amz-trailer': header, 'x-amz-sdk-checksum-algorithm': algorithm };
        const good = await upload({ payload, headers, trailers: [[header, value]] });
        expect([good.status, good.headers[header]]).toEqual([200, value]);
        const bad = await upload({ payload, headers, trailers: [[header, wrong]] });
        expect([bad.status, bad.code, bad.stored]).toEqual([400, 'BadDigest', null]);
      }
    },
  );

  it('the checksum in the trailer protects unsigned chunks', async () => {
    const value = await base64Of('CRC32', CONTENT);
    const headers = { 'x-amz-trailer': 'x-amz-checksum-crc32' };
    const answer = await upload({
      payload: UNSIGNED_TRAILER,
      headers,
      trailers: [['x-amz-checksum-crc32', value]],
      tamper: flipInData,
    });
    expect([answer.code, answer.stored]).toEqual(['BadDigest', null]);
  });

  it.each<[string, Record<string, string>, string]>([
    ['a Content-MD5 that is no MD5', { 'Content-MD5': 'abc' }, 'InvalidDigest'],
    ['an empty Content-MD5', { 'Content-MD5': '' }, 'InvalidDigest'],
    [
      'another Content-MD5',
      { 'Content-MD5': Buffer.from(md5('other'), 'hex').toString('base64') },
      'BadDigest',
    ],
    ['a checksum of the wrong length', { 'x-amz-checksum-crc32': 'AAAA' }, 'InvalidRequest'],
    [
      'two checksums',
      { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' },
      'InvalidRequest',
    ],
    ['an algorithm and no checksum', { 'x-amz-sdk-checksum-algorithm': 'CRC32' }, 'InvalidRequest'],
    [
      'an algorithm and the checksum of another',
      { 'x-amz-sdk-checksum-algorithm': 'SHA1', 'x-amz-checksum-crc32': 'AAAAAA==' },
      'InvalidRequest',
    ],
    ['an algorithm that nobody knows', { 'x-amz-checksum-xxhash3': 'AAAAAA==' }, 'NotImplemented'],
  ])('%s is refused', async (_claim, headers, code) => {
    const answer = await server.send({ method: 'PUT', target: '/bucket/digest', body: 'content', headers });
    expect(answer.code).toBe(code);
    expect((await server.send({ target: '/bucket/digest' })).status).toBe(404);
  });

  it('the right Content-MD5 is accepted', async () => {
    const headers = { 'Content-MD5': Buffer.from(md5('content'), 'hex').toString('base64') };
    expect(
      (await server.send({ method: 'PUT', target: '/bucket/md5', body: 'content', headers })).status,
    ).toBe(200);
  });
});

describe('length', () => {
  it('a PutObject larger than the limit is EntityTooLarge before its body is read', async () => {
    const { headers } = server.sign({ method: 'PUT', target: '/bucket/huge', payload: 'UNSIGNED-PAYLOAD' });
    const answer = await server.sendRaw(
      `PUT /bucket/huge HTTP/1.1\r\n${Object.entries({
        ...headers,
        'content-length': '2000001',
        connection: 'close',
      })
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 [^]*<Code>EntityTooLarge<\/Code>[^]*<ProposedSize>2000001</);
  });

  it('a chunked transfer larger than the limit is EntityTooLarge while it comes', async () => {
    const wish = {
      method: 'PUT',
      target: '/bucket/huge',
      payload: 'UNSIGNED-PAYLOAD',
      headers: {},
      unsigned: { 'transfer-encoding': 'chunked' },
    };
    const answer = await server.send({ ...wish, body: [Buffer.alloc(1_500_000), Buffer.alloc(1_500_000)] });
    expect(answer.code).toBe('EntityTooLarge');
    expect((await server.send({ target: '/bucket/huge' })).status).toBe(404);
  });

  it('a body of unknown length is stored', async () => {
    const wish = {
      method: 'PUT',
      target: '/bucket/unknown',
      payload: 'UNSIGNED-PAYLOAD',
      unsigned: { 'transfer-encoding': 'chunked' },
    };
    expect((await server.send({ ...wish, body: ['abc', 'def'] })).status).toBe(200);
    expect((await server.send({ target: '/bucket/unknown' })).text).toBe('abcdef');
  });

  it('PutObject with no length at all is MissingContentLength', async () => {
    const answer = await server.sendRaw(
      server.head({ method: 'PUT', target: '/bucket/none' }, { connection: 'close' }),
    );
    expect(answer).toMatch(/^HTTP\/1.1 411 [^]*<Code>MissingContentLength</);
  });
});
