/** CopyObject (S3 API reference "CopyObject"). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { elements, OTHER_KEY, sha256, TestServer } from './harness.js';

const SOURCE = { 'x-amz-copy-source': '/photos/source' };

describe('CopyObject', () => {
  let server: TestServer;
  let etag: string;
  let written = 0;

  beforeEach(async () => {
    server = await TestServer.start({
      storage: {
        beforeEach: (operation) => {
          if (operation === 'write' || operation === 'read-piece') written += 1;
        },
      },
    });
    await server.send({ method: 'PUT', target: '/photos' });
    const put = await server.send({
      method: 'PUT',
      target: '/photos/source',
      body: 'the content',
      headers: { 'content-type': 'text/plain', 'x-amz-meta-colour': 'red', 'cache-control': 'no-store' },
    });
    etag = String(put.headers.etag);
    written = 0;
  });
  afterEach(() => server.close());

  function copy(headers: Record<string, string>, target = '/photos/copy') {
    return server.send({ method: 'PUT', target, headers });
  }

  it('a copy has the content, the headers and the metadata of its source, and no byte was moved', async () => {
    const answer = await copy(SOURCE);
    expect(answer.status).toBe(200);
    expect(elements(answer.text, 'ETag')).toEqual([etag.replaceAll('"', '&quot;')]);
    expect(written).toBe(0);
    const object = await server.send({ target: '/photos/copy' });
    expect(object.text).toBe('the content');
    expect(object.headers).toMatchObject({
      etag,
      'content-type': 'text/plain',
      'cache-control': 'no-store',
      'x-amz-meta-colour': 'red',
    });
  });

  it('REPLACE: the headers and the metadata are those of the request', async () => {
    await copy({ ...SOURCE, 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-shape': 'round' });
    const { headers } = await server.send({ method: 'HEAD', target: '/photos/copy' });
    expect(headers).toMatchObject({ 'content-type': 'binary/octet-stream', 'x-amz-meta-shape': 'round' });
    expect(headers['x-amz-meta-colour']).toBeUndefined();
  });

  it('COPY: metadata of the request is passed over', async () => {
    await copy({ ...SOURCE, 'x-amz-metadata-directive': 'COPY', 'x-amz-meta-shape': 'round' });
    const { headers } = await server.send({ method: 'HEAD', target: '/photos/copy' });
    expect(headers['x-amz-meta-shape']).toBeUndefined();
    expect(headers['x-amz-meta-colour']).toBe('red');
  });

  it('an object can be copied onto itself only with something new', async () => {
    expect((await copy(SOURCE, '/photos/source')).code).toBe('InvalidRequest');
    const headers = { ...SOURCE, 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-colour': 'blue' };
    expect((await copy(headers, '/photos/source')).status).toBe(200);
    const object = await server.send({ target: '/photos/source' });
    expect([object.text, object.headers['x-amz-meta-colour']]).toEqual(['the content', 'blue']);
  });

  it('a later change of the source does not show in the copy', async () => {
    await copy(SOURCE);
    await server.send({ method: 'PUT', target: '/photos/source', body: 'changed' });
    await server.send({ method: 'DELETE', target: '/photos/source' });
    expect((await server.send({ target: '/photos/copy' })).text).toBe('the content');
  });

  it('the source is named percent-encoded, with or without a slash before it', async () => {
    await server.send({ method: 'PUT', target: '/photos/a%20b%3Fc%C3%A4', body: 'odd name' });
    for (const source of ['photos/a%20b%3Fc%C3%A4', '/photos/a%20b%3Fc%C3%A4', 'photos%2Fa%20b%3Fc%C3%A4']) {
      await copy({ 'x-amz-copy-source': source });
      expect((await server.send({ target: '/photos/copy' })).text).toBe('odd name');
    }
  });

  it.each([
    ['photos', 'InvalidArgument'],
    ['photos/', 'InvalidArgument'],
    ['/', 'InvalidArgument'],
    ['photos/nothing', 'NoSuchKey'],
    ['nowhere/source', 'NoSuchBucket'],
  ])('the source "%s" is refused with %s', async (source, code) => {
    expect((await copy({ 'x-amz-copy-source': source })).code).toBe(code);
  });

  it('AccessDenied: a source in somebody else’s bucket', async () => {
    await server.send({ method: 'PUT', target: '/others', key: OTHER_KEY });
    const answer = await server.send({
      method: 'PUT',
      target: '/others/copy',
      headers: SOURCE,
      key: OTHER_KEY,
    });
    expect(answer.code).toBe('AccessDenied');
  });

  const past = 'Mon, 01 Jan 2001 00:00:00 GMT';
  const future = 'Fri, 01 Jan 2100 00:00:00 GMT';
  it.each([
    ['if-match holds', { 'if-match': 'ETAG' }, 200],
    ['if-match does not hold', { 'if-match': '"x"' }, 412],
    ['if-none-match holds', { 'if-none-match': '"x"' }, 200],
    ['if-none-match does not hold', { 'if-none-match': 'ETAG' }, 412],
    ['if-modified-since holds', { 'if-modified-since': past }, 200],
    ['if-unmodified-since does not hold', { 'if-unmodified-since': past }, 412],
    [
      'if-match holds, which settles if-unmodified-since',
      { 'if-match': 'ETAG', 'if-unmodified-since': past },
      200,
    ],
    [
      'if-none-match does not hold, whatever if-modified-since says',
      { 'if-none-match': 'ETAG', 'if-modified-since': past },
      412,
    ],
    ['if-unmodified-since holds', { 'if-unmodified-since': future }, 200],
  ])('x-amz-copy-source-%s', async (_name, conditions, status) => {
    const headers: Record<string, string> = { ...SOURCE };
    for (const [name, value] of Object.entries(conditions)) {
      headers[`x-amz-copy-source-${name}`] = value.replace('ETAG', etag);
    }
    expect((await copy(headers)).status).toBe(status);
  });

  it('If-None-Match and If-Match judge the object that would be replaced', async () => {
    expect((await copy({ ...SOURCE, 'if-none-match': '*' })).status).toBe(200);
    expect((await copy({ ...SOURCE, 'if-none-match': '*' })).status).toBe(412);
    expect((await copy({ ...SOURCE, 'if-match': '"x"' })).status).toBe(412);
  });

  it('the checksum of the source goes along; another algorithm is computed', async () => {
    const base64 = Buffer.from(sha256('the content'), 'hex').toString('base64');
    const asked = await copy({ ...SOURCE, 'x-amz-checksum-algorithm': 'SHA256' });
    expect(elements(asked.text, 'ChecksumSHA256')).toEqual([base64]);
    written = 0;
    const answer = await copy({ 'x-amz-copy-source': 'photos/copy' }, '/photos/copy-of-copy');
    expect(elements(answer.text, 'ChecksumSHA256')).toEqual([base64]);
    expect(written).toBe(0);
  });

  it('an unknown directive is refused', async () => {
    expect((await copy({ ...SOURCE, 'x-amz-metadata-directive': 'MERGE' })).code).toBe('InvalidArgument');
  });
});
