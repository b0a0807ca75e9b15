/** Multipart uploads (UserGuide "Uploading and copying objects using multipart upload", and the API reference by action). */
import { createHash } from 'node:crypto';
import { crc32 } from '@node-rs/crc32';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { partObjectId } from '../../../src/s3/multipart/upload-record.js';
import { elements, md5, sha256, TestServer, until } from './harness.js';
import { MultipartClient, PART_BYTES_MIN } from './multipart-rig.js';

const BODIES = ['first part', 'second part', 'end'];

function base64Crc32(data: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(Buffer.from(data)));
  return bytes.toString('base64');
}

function base64Sha256(data: string | Buffer): string {
  return Buffer.from(sha256(data), 'hex').toString('base64');
}

function compositeEtag(bodies: readonly string[]): string {
  const hash = createHash('md5');
  for (const body of bodies) hash.update(Buffer.from(md5(body), 'hex'));
  return `"${hash.digest('hex')}-${bodies.length}"`;
}

describe('multipart uploads', () => {
  let server: TestServer;
  let upload: MultipartClient;

  beforeEach(async () => {
    server = await TestServer.start({ limits: { partBytesMin: PART_BYTES_MIN } });
    await server.send({ method: 'PUT', target: '/photos' });
    upload = new MultipartClient(server, '/photos/big');
  });
  afterEach(() => server.close());

  async function uploadAll(bodies: readonly string[] = BODIES) {
    return Promise.all(bodies.map((body, index) => upload.upload(index + 1, body)));
  }

  async function countEntries(container: string): Promise<number> {
    const page = await server.storage.list({ container, prefix: '', after: '', delimiter: '', limit: 1000 });
    return page.entries.length;
  }

  it('a completed upload is its parts in order, with what the upload was begun with, and the ETag md5-N', async () => {
    await upload.create({ 'content-type': 'text/plain', 'x-amz-meta-colour': 'red' });
    const parts = await uploadAll();
    const answer = await upload.complete(parts);
    expect(answer.status).toBe(200);
    expect(elements(answer.text, 'ETag')).toEqual([compositeEtag(BODIES).replaceAll('"', '&quot;')]);
    const object = await server.send({ target: '/photos/big' });
    expect(object.text).toBe(BODIES.join(''));
    expect(object.headers).toMatchObject({
      etag: compositeEtag(BODIES),
      'content-type': 'text/plain',
      'x-amz-meta-colour': 'red',
    });
  });

  it('an object is not there before its upload is completed', async () => {
    await upload.create();
    await uploadAll();
    expect((await server.send({ target: '/photos/big' })).code).toBe('NoSuchKey');
    expect((await server.send({ target: '/photos?list-type=2' })).text).toContain('<KeyCount>0</KeyCount>');
  });

  it('completing moves no data: nothing is written to a sink after the parts', async () => {
    let written = 0;
    await server.close();
    server = await TestServer.start({
      limits: { partBytesMin: PART_BYTES_MIN },
      storage: {
        beforeEach: (operation) => {
          if (operation === 'write' || operation === 'read-piece') written += 1;
        },
      },
    });
    await server.send({ method: 'PUT', target: '/photos' });
    upload = new MultipartClient(server, '/photos/big');
    await upload.create();
    const parts = await uploadAll();
    const before = written;
    expect((await upload.complete(parts)).status).toBe(200);
    expect(written).toBe(before);
  });

  it('nothing of an upload is left in the store once it is completed or aborted', async () => {
    await upload.create();
    await upload.complete(await uploadAll());
    await upload.create();
    await uploadAll();
    await upload.abort();
    await until(() => server.storage.counters.heldContents === 0);
    for (const container of ['.parts.photos', '.uploads', '.uploads.photos']) {
      await expect.poll(() => countEntries(container)).toBe(0);
    }
  });

  it('a part that is sent again takes the place of the one before (API "UploadPart")', async () => {
    await upload.create();
    const [, ...others] = await uploadAll();
    const again = await upload.upload(1, 'another first');
    await upload.complete([again, ...others]);
    const object = await server.send({ target: '/photos/big' });
    expect(object.text).toBe('another firstsecond partend');
  });

  it('parts that are not named in the completion are not in the object, and numbers may have gaps', async () => {
    await upload.create();
    const first = await upload.upload(3, 'third part');
    await upload.upload(5, 'not wanted');
    const last = await upload.upload(10_000, 'last');
    await upload.complete([first, last]);
    expect((await server.send({ target: '/photos/big' })).text).toBe('third partlast');
  });

  it.each([
    ['parts out of order', [2, 1], 'InvalidPartOrder'],
    ['a part that was not uploaded', [1, 4], 'InvalidPart'],
    ['no parts', [], 'MalformedXML'],
  ])('%s are refused with the code of S3, and the upload stays', async (_name, numbers, code) => {
    await upload.create();
    const parts = await uploadAll();
    const named = numbers.map((number) => ({ number, etag: parts[number - 1]?.etag ?? '"none"' }));
    expect((await upload.complete(named)).code).toBe(code);
    expect((await upload.complete(parts)).status).toBe(200);
  });

  it('InvalidPart: an ETag that is not that of the part', async () => {
    await upload.create();
    const [first] = await uploadAll();
    expect((await upload.complete([{ number: 1, etag: `"${md5('other')}"` }])).code).toBe('InvalidPart');
    expect(first?.etag).toBe(`"${md5(BODIES[0] ?? '')}"`);
  });

  it('EntityTooSmall: a part below 5 MiB that is not the last (UserGuide "qfacts")', async () => {
    await upload.create();
    const parts = await uploadAll(['tiny', 'second part']);
    const answer = await upload.complete(parts);
    expect(answer.code).toBe('EntityTooSmall');
    expect(elements(answer.text, 'PartNumber')).toEqual(['1']);
  });

  it.each(['0', '10001', 'x', '-1', ''])('InvalidArgument: part number "%s"', async (number) => {
    await upload.create();
    const target = `/photos/big?partNumber=${number}&uploadId=${upload.uploadId}`;
    const answer = await server.send({ method: 'PUT', target, body: 'x' });
    expect(answer.code).toBe('InvalidArgument');
  });

  it('NoSuchUpload: for an id of another key, an invented one, and after the abort', async () => {
    await upload.create();
    const other = new MultipartClient(server, '/photos/other');
    other.uploadId = upload.uploadId;
    expect((await other.put(1, 'x')).code).toBe('NoSuchUpload');
    other.uploadId = 'f'.repeat(44);
    expect((await other.put(1, 'x')).code).toBe('NoSuchUpload');
    expect((await other.abort()).code).toBe('NoSuchUpload');
    expect((await upload.abort()).status).toBe(204);
    expect((await upload.put(1, 'x')).code).toBe('NoSuchUpload');
    expect((await upload.abort()).code).toBe('NoSuchUpload');
    expect((await upload.list()).code).toBe('NoSuchUpload');
    expect((await upload.complete([{ number: 1, etag: '"x"' }])).code).toBe('NoSuchUpload');
  });

  it('a completion that is sent again answers as the first one did (API "CompleteMultipartUpload")', async () => {
    await upload.create();
    const parts = await uploadAll();
    const first = await upload.complete(parts, { 'if-none-match': '*' });
    const again = await upload.complete(parts, { 'if-none-match': '*' });
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.text).toBe(first.text);
    expect((await upload.complete(parts.slice(0, 1))).code).toBe('NoSuchUpload');
  });

  it('a completion that is sent again after the object was replaced is NoSuchUpload', async () => {
    await upload.create();
    const parts = await uploadAll();
    await upload.complete(parts);
    await server.send({ method: 'PUT', target: '/photos/big', body: 'newer' });
    expect((await upload.complete(parts)).code).toBe('NoSuchUpload');
    expect((await server.send({ target: '/photos/big' })).text).toBe('newer');
  });

  it('of two completions at once one makes the object and both are answered', async () => {
    await upload.create();
    const parts = await uploadAll();
    const answers = await Promise.all([
      upload.complete(parts),
      upload.complete(parts),
      upload.complete(parts),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('a completion and an abort at once: the object is there, or the upload is gone, never half of it', async () => {
    await upload.create();
    const parts = await uploadAll();
    const [completed, aborted] = await Promise.all([upload.complete(parts), upload.abort()]);
    const object = await server.send({ target: '/photos/big' });
    expect([completed.status, aborted.status, object.status]).toEqual(
      completed.status === 200 ? [200, 404, 200] : [404, 204, 404],
    );
  });

  it('conditional completion: If-None-Match and If-Match judge the present object, and a refusal keeps the upload', async () => {
    const put = await server.send({ method: 'PUT', target: '/photos/big', body: 'present' });
    await upload.create();
    const parts = await uploadAll();
    expect((await upload.complete(parts, { 'if-none-match': '*' })).status).toBe(412);
    expect((await upload.complete(parts, { 'if-match': '"other"' })).status).toBe(412);
    expect((await upload.complete(parts, { 'if-match': String(put.headers.etag) })).status).toBe(200);
  });

  it('x-amz-mp-object-size must be the size of the object', async () => {
    await upload.create();
    const parts = await uploadAll();
    expect((await upload.complete(parts, { 'x-amz-mp-object-size': '5' })).code).toBe('InvalidRequest');
    const size = String(BODIES.join('').length);
    expect((await upload.complete(parts, { 'x-amz-mp-object-size': size })).status).toBe(200);
  });

  it('uploads of one key, and of a key that begins like it, each have their own parts', async () => {
    const uploads: MultipartClient[] = [];
    for (const key of ['a', 'a', 'ab', 'a']) {
      const upload = new MultipartClient(server, `/photos/${key}`);
      await upload.create();
      uploads.push(upload);
    }
    for (const [index, upload] of uploads.entries()) {
      for (let number = 1; number <= index + 1; number += 1)
        await upload.upload(number, `${index}`.repeat(8));
    }
    for (const [index, upload] of uploads.entries()) {
      const numbers = Array.from({ length: index + 1 }, (_, part) => String(part + 1));
      const whole = await upload.list();
      expect(elements(whole.text, 'PartNumber')).toEqual(numbers);
      expect(elements(whole.text, 'IsTruncated')).toEqual(['false']);
    }
  });

  /** As a part was stored before parts lived under their key. */
  async function makeOlder(number: number): Promise<void> {
    const { storage } = server;
    const id = partObjectId({ bucket: 'photos', key: 'big', uploadId: upload.uploadId }, number);
    const head = await storage.head(id);
    if (head === null) throw new Error('there is no such part');
    await storage.replace({
      id: makeObjectId('.parts', `${upload.uploadId}/0000${number}`),
      content: storage.composeContent([{ head, extent: { offset: 0, length: head.sizeBytes } }]),
      attributes: head.attributes,
    });
    await storage.remove({ id });
  }

  it('parts that an earlier release kept elsewhere are listed, paged, replaced, completed and removed with the others', async () => {
    await upload.create();
    const second = await upload.upload(2, 'two of yesterday');
    await upload.upload(3, 'three of yesterday');
    await makeOlder(2);
    await makeOlder(3);
    const first = await upload.upload(1, 'one of today');
    const third = await upload.upload(3, 'three of today');
    expect(elements((await upload.list()).text, 'ETag')).toEqual(
      [first, second, third].map(({ etag }) => etag.replaceAll('"', '&quot;')),
    );
    const page = await upload.list('&max-parts=1&part-number-marker=1');
    expect([elements(page.text, 'PartNumber'), elements(page.text, 'IsTruncated')]).toEqual([
      ['2'],
      ['true'],
    ]);
    expect((await upload.complete([first, second, third])).status).toBe(200);
    const { text } = await server.send({ target: '/photos/big' });
    expect(text).toBe('one of todaytwo of yesterdaythree of today');
    await expect.poll(() => countEntries('.parts')).toBe(0);
  });

  it('ListParts pages by part number', async () => {
    await upload.create();
    await uploadAll();
    const first = await upload.list('&max-parts=2');
    expect(elements(first.text, 'PartNumber')).toEqual(['1', '2']);
    expect(elements(first.text, 'IsTruncated')).toEqual(['true']);
    expect(elements(first.text, 'NextPartNumberMarker')).toEqual(['2']);
    const second = await upload.list('&max-parts=2&part-number-marker=2');
    expect(elements(second.text, 'PartNumber')).toEqual(['3']);
    expect(elements(second.text, 'Size')).toEqual(['3']);
    expect(elements(second.text, 'IsTruncated')).toEqual(['false']);
    expect(elements(second.text, 'NextPartNumberMarker'), 'or paginators would go on for ever').toEqual([]);
  });

  it('ListMultipartUploads lists by key and then by time, pages in between, and groups by delimiter', async () => {
    const ids: string[] = [];
    for (const key of ['b', 'a', 'b', 'dir/1', 'dir/2']) {
      const one = new MultipartClient(server, `/photos/${key}`);
      await one.create();
      ids.push(one.uploadId);
    }
    const all = await server.send({ target: '/photos?uploads' });
    expect(elements(all.text, 'Key')).toEqual(['a', 'b', 'b', 'dir/1', 'dir/2']);
    const [b1 = '', , b2 = ''] = ids;
    const sorted = [b1, b2].sort();
    const first = await server.send({ target: '/photos?uploads&max-uploads=2&delimiter=/' });
    expect(elements(first.text, 'NextKeyMarker')).toEqual(['b']);
    expect(elements(first.text, 'NextUploadIdMarker')).toEqual([sorted[0]]);
    const next = await server.send({
      target: `/photos?uploads&delimiter=/&key-marker=b&upload-id-marker=${sorted[0]}`,
    });
    expect(elements(next.text, 'UploadId')).toEqual([sorted[1]]);
    expect(next.text).toContain('<CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>');
  });

  it('a bucket with uploads in progress can be deleted, and they do not show in the next one of its name', async () => {
    await upload.create();
    await uploadAll();
    expect((await server.send({ method: 'DELETE', target: '/photos' })).status).toBe(204);
    await new Promise((resolve) => setTimeout(resolve, 2));
    await server.send({ method: 'PUT', target: '/photos' });
    expect(elements((await server.send({ target: '/photos?uploads' })).text, 'Upload')).toEqual([]);
    expect((await upload.put(1, 'x')).code).toBe('NoSuchUpload');
  });

  it('GET and HEAD by part number give that part and how many there are (API "GetObject")', async () => {
    await upload.create();
    await upload.complete(await uploadAll());
    const second = await server.send({ target: '/photos/big?partNumber=2' });
    expect(second.status).toBe(206);
    expect(second.text).toBe(BODIES[1]);
    expect(second.headers).toMatchObject({
      'x-amz-mp-parts-count': '3',
      'content-range': 'bytes 10-20/24',
      etag: compositeEtag(BODIES),
    });
    const head = await server.send({ method: 'HEAD', target: '/photos/big?partNumber=3' });
    expect([head.status, head.headers['content-length']]).toEqual([206, '3']);
    expect((await server.send({ target: '/photos/big?partNumber=4' })).code).toBe('InvalidPart');
    const both = await server.send({ target: '/photos/big?partNumber=1', headers: { range: 'bytes=0-1' } });
    expect(both.code).toBe('InvalidRequest');
  });

  it('GetObjectAttributes names the parts by pages', async () => {
    await upload.create({ 'x-amz-checksum-algorithm': 'SHA256' });
    await upload.complete(await uploadAll());
    const answer = await server.send({
      target: '/photos/big?attributes',
      headers: {
        'x-amz-object-attributes': 'ETag,ObjectParts,ObjectSize,Checksum,StorageClass',
        'x-amz-max-parts': '1',
        'x-amz-part-number-marker': '1',
      },
    });
    expect(elements(answer.text, 'PartNumber')).toEqual(['2']);
    expect(elements(answer.text, 'Size')).toEqual(['11']);
    expect(elements(answer.text, 'PartsCount')).toEqual(['3']);
    expect(elements(answer.text, 'IsTruncated')).toEqual(['true']);
    expect(elements(answer.text, 'ObjectSize')).toEqual(['24']);
    expect(elements(answer.text, 'ChecksumSHA256')).toContain(base64Sha256(BODIES[1] ?? ''));
    expect(elements(answer.text, 'ETag')).toEqual([compositeEtag(BODIES).replaceAll('"', '')]);
  });

  it('COMPOSITE: the checksum of the parts’ checksums, with their number (UserGuide "Checking object integrity")', async () => {
    const created = await upload.create({ 'x-amz-checksum-algorithm': 'SHA256' });
    expect(created.headers).toMatchObject({
      'x-amz-checksum-algorithm': 'SHA256',
      'x-amz-checksum-type': 'COMPOSITE',
    });
    const parts = await uploadAll();
    const digests = Buffer.concat(BODIES.map((body) => Buffer.from(sha256(body), 'hex')));
    const expected = `${base64Sha256(digests)}-3`;
    expect((await upload.complete(parts, { 'x-amz-checksum-sha256': 'wrong' })).code).toBe('BadDigest');
    const answer = await upload.complete(parts, { 'x-amz-checksum-sha256': expected });
    expect(elements(answer.text, 'ChecksumSHA256')).toEqual([expected]);
    expect(elements(answer.text, 'ChecksumType')).toEqual(['COMPOSITE']);
    const mode = { 'x-amz-checksum-mode': 'ENABLED' };
    const whole = await server.send({ method: 'HEAD', target: '/photos/big', headers: mode });
    expect(whole.headers['x-amz-checksum-sha256']).toBe(expected);
    const part = await server.send({ target: '/photos/big?partNumber=1', headers: mode });
    expect(part.headers['x-amz-checksum-sha256']).toBe(base64Sha256(BODIES[0] ?? ''));
  });

  it('FULL_OBJECT: a CRC of the whole content comes of those of the parts', async () => {
    await upload.create({ 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'FULL_OBJECT' });
    const answer = await upload.complete(await uploadAll());
    expect(elements(answer.text, 'ChecksumCRC32')).toEqual([base64Crc32(BODIES.join(''))]);
    expect(elements(answer.text, 'ChecksumType')).toEqual(['FULL_OBJECT']);
  });

  it('a part whose checksum is not of the algorithm that the upload was begun with is refused', async () => {
    await upload.create({ 'x-amz-checksum-algorithm': 'SHA256' });
    const answer = await upload.put(1, 'x', { 'x-amz-checksum-crc32': base64Crc32('x') });
    expect(answer.code).toBe('InvalidRequest');
  });

  it('InvalidPart: the completion names another checksum than the part has', async () => {
    await upload.create({ 'x-amz-checksum-algorithm': 'CRC32' });
    const [first] = await uploadAll(['only part']);
    const further = `<ChecksumCRC32>${base64Crc32('another')}</ChecksumCRC32>`;
    expect((await upload.complete([{ number: 1, etag: first?.etag ?? '', further }])).code).toBe(
      'InvalidPart',
    );
  });

  it.each([
    [{ 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'FULL_OBJECT' }],
    [{ 'x-amz-checksum-algorithm': 'CRC64NVME', 'x-amz-checksum-type': 'COMPOSITE' }],
    [{ 'x-amz-checksum-type': 'COMPOSITE' }],
    [{ 'x-amz-checksum-algorithm': 'MD4' }],
  ])('InvalidRequest: an upload with %j', async (headers) => {
    expect((await upload.create(headers)).code).toBe('InvalidRequest');
  });

  it('UploadPartCopy takes a range of an object without a byte being read', async () => {
    await server.send({ method: 'PUT', target: '/photos/source', body: 'abcdefghijklmnopqrstuvwxyz' });
    await upload.create();
    const first = await upload.copyPart(1, '/photos/source', { 'x-amz-copy-source-range': 'bytes=2-12' });
    const second = await upload.copyPart(2, 'photos/source');
    expect([first.status, second.status]).toEqual([200, 200]);
    const parts = [first, second].map(({ text }, index) => ({
      number: index + 1,
      etag: elements(text, 'ETag')[0] ?? '',
    }));
    expect((await upload.complete(parts)).status).toBe(200);
    const object = await server.send({ target: '/photos/big' });
    expect(object.text).toBe('cdefghijklmabcdefghijklmnopqrstuvwxyz');
  });

  it.each([
    ['0-2', 'InvalidArgument'],
    ['bytes=0', 'InvalidArgument'],
    ['bytes=3-1', 'InvalidArgument'],
    ['bytes=0-99', 'InvalidRange'],
  ])('UploadPartCopy refuses the range "%s" with %s', async (range, code) => {
    await server.send({ method: 'PUT', target: '/photos/source', body: 'abc' });
    await upload.create();
    const answer = await upload.copyPart(1, 'photos/source', { 'x-amz-copy-source-range': range });
    expect(answer.code).toBe(code);
  });
});
