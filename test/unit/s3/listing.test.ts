import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elements, KEY, TestServer } from './harness.js';

const KEYS = ['a', 'b/1', 'b/2', 'b/c/3', 'c', 'd&<e>', 'é', '\u{1f600}'];
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await server.send({ method: 'PUT', target: '/list' });
  await server.send({ method: 'PUT', target: '/empty' });
  for (const key of KEYS)
    await server.send({ method: 'PUT', target: `/list/${encodeURIComponent(key)}`, body: key });
});
afterAll(async () => {
  await server.close();
});

async function list(query: string, bucket = 'list'): Promise<string> {
  const { status, text } = await server.send({ target: `/${bucket}?${query}` });
  expect(status).toBe(200);
  return text;
}

function unescape(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function keys(xml: string): string[] {
  return elements(xml, 'Key').map(unescape);
}

function prefixes(xml: string): string[] {
  return Array.from(xml.matchAll(/<CommonPrefixes><Prefix>([^<]*)/g), (found) => found[1] ?? '');
}

describe('ListObjectsV2 (S3 API reference)', () => {
  it('lists all keys in the order of their UTF-8 bytes, escaped', async () => {
    const xml = await list('list-type=2');
    expect(keys(xml)).toEqual(KEYS);
    expect(elements(xml, 'KeyCount')).toEqual([String(KEYS.length)]);
    expect(elements(xml, 'IsTruncated')).toEqual(['false']);
    expect(elements(xml, 'Size')).toEqual(KEYS.map((key) => String(Buffer.byteLength(key))));
    expect(xml).not.toContain('<Owner>');
  });

  it('groups by prefix and delimiter, of any length', async () => {
    const grouped = await list('list-type=2&delimiter=/');
    expect(keys(grouped)).toEqual(KEYS.filter((key) => !key.includes('/')));
    expect(prefixes(grouped)).toEqual(['b/']);
    const inside = await list('list-type=2&delimiter=/&prefix=b/');
    expect([keys(inside), prefixes(inside)]).toEqual([['b/1', 'b/2'], ['b/c/']]);
    const long = await list('list-type=2&delimiter=/c/');
    expect(prefixes(long)).toEqual(['b/c/']);
  });

  it.each([1, 2, 3, 7])('pages of %i join to the whole, with delimiter and without', async (size) => {
    for (const delimiter of ['', '&delimiter=/']) {
      const whole = await list(`list-type=2${delimiter}`);
      const joined: string[] = [];
      let token = '';
      for (;;) {
        const xml = await list(`list-type=2&max-keys=${size}${delimiter}${token}`);
        const names = [...prefixes(xml), ...keys(xml)];
        expect(elements(xml, 'KeyCount')).toEqual([String(names.length)]);
        expect(names.length).toBeLessThanOrEqual(size);
        joined.push(...names);
        const [next] = elements(xml, 'NextContinuationToken');
        expect(elements(xml, 'IsTruncated')).toEqual([String(next !== undefined)]);
        if (next === undefined) break;
        token = `&continuation-token=${next}`;
      }
      expect(joined.sort()).toEqual([...prefixes(whole), ...keys(whole)].sort());
    }
  });

  it('start-after begins behind a key; a continuation token wins over it', async () => {
    expect(keys(await list('list-type=2&start-after=c'))).toEqual(KEYS.slice(5));
    const [token = ''] = elements(await list('list-type=2&max-keys=1'), 'NextContinuationToken');
    expect(keys(await list(`list-type=2&start-after=c&continuation-token=${token}`))).toEqual(KEYS.slice(1));
  });

  it('a token is opaque and tells the key to nobody but us', async () => {
    const [token = ''] = elements(await list('list-type=2&max-keys=2'), 'NextContinuationToken');
    expect(token).not.toContain('b/1');
  });

  it.each(['abc', '', '!!', 'MQ==', 'x'.repeat(5000)])(
    'the token %j is not one of ours: InvalidArgument',
    async (token) => {
      const answer = await server.send({ target: `/list?list-type=2&continuation-token=${token}` });
      expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
    },
  );

  it('max-keys=0 is an empty page, more than 1000 counts as 1000', async () => {
    const none = await list('list-type=2&max-keys=0');
    expect([keys(none), elements(none, 'IsTruncated'), elements(none, 'MaxKeys')]).toEqual([
      [],
      ['false'],
      ['0'],
    ]);
    expect(elements(await list('list-type=2&max-keys=5000'), 'MaxKeys')).toEqual(['1000']);
  });

  it.each([
    'max-keys=-1',
    'max-keys=ten',
    'max-keys=1e3',
    'max-keys=99999999999',
    'encoding-type=base64',
    'prefix=a&prefix=b',
    'allow-unordered=true&delimiter=/',
  ])('%s is InvalidArgument', async (query) => {
    const answer = await server.send({ target: `/list?list-type=2&${query}` });
    expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
  });

  it('NUL and length in prefix, start and delimiter are taken at their word', async () => {
    expect(keys(await list('list-type=2&prefix=a%00'))).toEqual([]);
    expect(keys(await list(`list-type=2&prefix=${'a'.repeat(1025)}`))).toEqual([]);
    expect(keys(await list('list-type=2&start-after=c%00%00'))).toEqual(KEYS.slice(5));
    expect(keys(await list('list-type=2&delimiter=%00'))).toEqual(KEYS);
    const answer = await server.send({ target: `/list?list-type=2&start-after=${'a'.repeat(1025)}` });
    expect(answer.code).toBe('InvalidArgument');
  });

  it('encoding-type=url encodes keys, prefixes and delimiter, and says so', async () => {
    const xml = await list('list-type=2&encoding-type=url&delimiter=%26&prefix=d');
    expect(elements(xml, 'EncodingType')).toEqual(['url']);
    expect(elements(xml, 'Delimiter')).toEqual(['%26']);
    expect(prefixes(xml)).toEqual(['d%26']);
    expect(elements(await list('list-type=2&encoding-type=url&prefix=%C3%A9'), 'Key')).toEqual(['%C3%A9']);
  });

  it('fetch-owner=true names the owner', async () => {
    const xml = await list('list-type=2&fetch-owner=true&max-keys=1');
    expect(elements(xml, 'ID')).toEqual([KEY.ownerId]);
    expect(elements(xml, 'DisplayName')).toEqual([KEY.displayName]);
  });

  it('whoever takes any order (allow-unordered, of Ceph) gets ours', async () => {
    expect(keys(await list('list-type=2&allow-unordered=true'))).toEqual(KEYS);
    expect(keys(await list('allow-unordered=true'))).toEqual(KEYS);
  });

  it('an empty bucket lists nothing', async () => {
    const xml = await list('list-type=2', 'empty');
    expect([keys(xml), elements(xml, 'KeyCount')]).toEqual([[], ['0']]);
  });
});

describe('ListObjects (S3 API reference, version 1; rclone and s3cmd use it)', () => {
  it('lists with marker, and gives NextMarker when there is a delimiter', async () => {
    expect(keys(await list(''))).toEqual(KEYS);
    expect(keys(await list('marker=c'))).toEqual(KEYS.slice(5));
    const first = await list('delimiter=/&max-keys=2');
    expect([keys(first), prefixes(first), elements(first, 'NextMarker')]).toEqual([['a'], ['b/'], ['b/']]);
    const second = await list('delimiter=/&max-keys=2&marker=b/');
    expect(keys(second)).toEqual(['c', 'd&<e>']);
    expect(elements(await list('max-keys=2'), 'NextMarker')).toEqual([]);
  });

  it('always names the owner', async () => {
    expect(elements(await list('max-keys=1'), 'ID')).toEqual([KEY.ownerId]);
  });

  it('does not know the parameters of version 2', async () => {
    expect((await server.send({ target: '/list?start-after=a' })).code).toBe('NotImplemented');
  });
});

describe('DeleteObjects (S3 API reference)', () => {
  function deletion(content: string): { method: string; target: string; body: string } {
    return {
      method: 'POST',
      target: '/many?delete',
      body: `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</Delete>`,
    };
  }
  beforeAll(async () => {
    await server.send({ method: 'PUT', target: '/many' });
  });

  it('removes the named keys, and says which; quietly only errors', async () => {
    for (const key of ['a', 'b', 'c'])
      await server.send({ method: 'PUT', target: `/many/${key}`, body: 'x' });
    const loud = await server.send(
      deletion('<Object><Key>a</Key></Object><Object><Key>absent</Key><VersionId>null</VersionId></Object>'),
    );
    expect(elements(loud.text, 'Key')).toEqual(['a', 'absent']);
    const quiet = await server.send(
      deletion(
        '<Quiet>true</Quiet><Object><Key>b</Key></Object><Object><Key>c</Key><ETag>"other"</ETag></Object>',
      ),
    );
    expect([elements(quiet.text, 'Key'), elements(quiet.text, 'Code')]).toEqual([
      ['c'],
      ['PreconditionFailed'],
    ]);
    expect(keys(await list('', 'many'))).toEqual(['c']);
  });

  it('takes 1,000 keys and not 1,001', async () => {
    const keyElements = (count: number): string =>
      Array.from({ length: count }, (_, index) => `<Object><Key>k${index}</Key></Object>`).join('');
    const answer = await server.send(deletion(keyElements(1000)));
    expect(elements(answer.text, 'Key')).toHaveLength(1000);
    expect((await server.send(deletion(keyElements(1001)))).code).toBe('MalformedXML');
  });

  it.each([
    ['no object', '', 'MalformedXML'],
    ['an empty key', '<Object><Key></Key></Object>', 'MalformedXML'],
    ['a key twice', '<Object><Key>a</Key><Key>b</Key></Object>', 'MalformedXML'],
    ['an unknown element', '<Object><Key>a</Key><Colour/></Object>', 'MalformedXML'],
  ])('with %s is refused', async (_claim, content, code) => {
    expect((await server.send(deletion(content))).code).toBe(code);
  });

  it('a body whose Content-MD5 is another is BadDigest, and removes nothing', async () => {
    await server.send({ method: 'PUT', target: '/many/kept', body: 'x' });
    const wish = deletion('<Object><Key>kept</Key></Object>');
    const answer = await server.send({ ...wish, headers: { 'Content-MD5': '1B2M2Y8AsgTpgAmY7PhCfg==' } });
    expect(answer.code).toBe('BadDigest');
    expect((await server.send({ target: '/many/kept' })).status).toBe(200);
  });
});
