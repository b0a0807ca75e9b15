import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elements, TestServer, type Answer, type Wish } from './harness.js';

let server: TestServer;
let count = 0;

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server.close();
});

const send = (method: string, target: string, wish: Partial<Wish> = {}): Promise<Answer> =>
  server.send({ method, target, ...wish });

async function setVersioning(bucket: string, status: 'Enabled' | 'Suspended'): Promise<void> {
  const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
  expect((await send('PUT', `${bucket}?versioning`, { body })).status).toBe(200);
}

async function makeBucket(status?: 'Enabled' | 'Suspended'): Promise<string> {
  count += 1;
  const bucket = `/versioning-${count}`;
  await send('PUT', bucket);
  if (status !== undefined) await setVersioning(bucket, status);
  return bucket;
}

async function put(target: string, body: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await send('PUT', target, { body, headers });
  expect(answer.status).toBe(200);
  return String(answer.headers['x-amz-version-id']);
}

interface ListedVersions {
  readonly keys: string[];
  readonly ids: string[];
  readonly text: string;
}

async function listVersions(bucket: string, query = ''): Promise<ListedVersions> {
  const { text, status } = await send('GET', `${bucket}?versions${query}`);
  expect(status).toBe(200);
  return { keys: elements(text, 'Key'), ids: elements(text, 'VersionId'), text };
}

describe('versioning of a bucket (API_PutBucketVersioning)', () => {
  it('a bucket begins without, can be enabled and suspended, and says which', async () => {
    const bucket = await makeBucket();
    expect(elements((await send('GET', `${bucket}?versioning`)).text, 'Status')).toEqual([]);
    for (const status of ['Enabled', 'Suspended', 'Enabled'] as const) {
      await setVersioning(bucket, status);
      expect(elements((await send('GET', `${bucket}?versioning`)).text, 'Status')).toEqual([status]);
    }
  });

  it.each([
    ['no status', '<VersioningConfiguration/>', 'IllegalVersioningConfigurationException'],
    [
      'another status',
      '<VersioningConfiguration><Status>On</Status></VersioningConfiguration>',
      'MalformedXML',
    ],
    ['another document', '<Versioning><Status>Enabled</Status></Versioning>', 'MalformedXML'],
    [
      'MFA delete',
      '<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>',
      'NotImplemented',
    ],
  ])('a configuration with %s is refused', async (_claim, body, code) => {
    const bucket = await makeBucket();
    expect((await send('PUT', `${bucket}?versioning`, { body })).code).toBe(code);
  });
});

describe('versions of an object (UserGuide "Retaining multiple versions of objects")', () => {
  it('every write makes a version of its own, and each can be read and asked about', async () => {
    const bucket = await makeBucket('Enabled');
    const ids = [
      await put(`${bucket}/a`, 'one'),
      await put(`${bucket}/a`, 'two'),
      await put(`${bucket}/a`, 'three'),
    ];
    expect(new Set(ids).size).toBe(3);
    const current = await send('GET', `${bucket}/a`);
    expect([current.text, current.headers['x-amz-version-id']]).toEqual(['three', ids[2]]);
    for (const [index, text] of ['one', 'two', 'three'].entries()) {
      const got = await send('GET', `${bucket}/a?versionId=${ids[index]}`);
      expect([got.text, got.headers['x-amz-version-id']]).toEqual([text, ids[index]]);
      const head = await send('HEAD', `${bucket}/a?versionId=${ids[index]}`);
      expect(head.headers['content-length']).toBe(String(text.length));
    }
    expect((await listVersions(bucket)).ids).toEqual(ids.toReversed());
  });

  it('what was there before versioning is the null version, and stays', async () => {
    const bucket = await makeBucket();
    const plain = await send('PUT', `${bucket}/a`, { body: 'plain' });
    expect(plain.headers['x-amz-version-id']).toBeUndefined();
    await setVersioning(bucket, 'Enabled');
    expect((await send('GET', `${bucket}/a`)).headers['x-amz-version-id']).toBe('null');
    const id = await put(`${bucket}/a`, 'second');
    expect((await send('GET', `${bucket}/a?versionId=null`)).text).toBe('plain');
    expect((await listVersions(bucket)).ids).toEqual([id, 'null']);
  });

  it('a suspended bucket has one null version, which each write replaces', async () => {
    const bucket = await makeBucket('Enabled');
    const id = await put(`${bucket}/a`, 'kept');
    await setVersioning(bucket, 'Suspended');
    for (const text of ['x', 'y']) await send('PUT', `${bucket}/a`, { body: text });
    expect((await listVersions(bucket)).ids).toEqual(['null', id]);
    await setVersioning(bucket, 'Enabled');
    const newest = await put(`${bucket}/a`, 'z');
    expect((await listVersions(bucket)).ids).toEqual([newest, 'null', id]);
    await setVersioning(bucket, 'Suspended');
    await send('PUT', `${bucket}/a`, { body: 'w' });
    expect((await listVersions(bucket)).ids).toEqual(['null', newest, id]);
    expect((await send('GET', `${bucket}/a?versionId=null`)).text).toBe('w');
  });

  it('a version that never was is not found, and what is no version id is refused', async () => {
    const bucket = await makeBucket('Enabled');
    const id = await put(`${bucket}/a`, 'one');
    await put(`${bucket}/b`, 'two');
    expect((await send('GET', `${bucket}/b?versionId=${id}`)).code).toBe('NoSuchVersion');
    expect((await send('GET', `${bucket}/a?versionId=null`)).code).toBe('NoSuchVersion');
    expect((await send('GET', `${bucket}/a?versionId=%2e%2e`)).code).toBe('InvalidArgument');
    expect((await send('GET', `${bucket}/a?versionId=`)).code).toBe('InvalidArgument');
  });

  it('an append and a PATCH make new versions, and the old ones stay as they were', async () => {
    const bucket = await makeBucket('Enabled');
    const first = await put(`${bucket}/a`, 'abcdef');
    const second = await put(`${bucket}/a`, 'ghi', { 'x-amz-write-offset-bytes': '6' });
    const patched = await send('PATCH', `${bucket}/a`, {
      body: 'XY',
      headers: { 'content-range': 'bytes 0-1/*' },
    });
    const third = String(patched.headers['x-amz-version-id']);
    expect((await listVersions(bucket)).ids).toEqual([third, second, first]);
    const texts = [first, second, third].map(
      async (id) => (await send('GET', `${bucket}/a?versionId=${id}`)).text,
    );
    expect(await Promise.all(texts)).toEqual(['abcdef', 'abcdefghi', 'XYcdefghi']);
  });

  it('conditions are judged against the current version, and a delete marker is none', async () => {
    const bucket = await makeBucket('Enabled');
    const headers = { 'if-none-match': '*' };
    await put(`${bucket}/a`, 'one', headers);
    expect((await send('PUT', `${bucket}/a`, { body: 'two', headers })).code).toBe('PreconditionFailed');
    await send('DELETE', `${bucket}/a`);
    await put(`${bucket}/a`, 'three', headers);
    expect((await listVersions(bucket)).ids.length).toBe(3);
  });

  it('writes at the same time all become versions, and the listing has each once', async () => {
    const bucket = await makeBucket('Enabled');
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, index) => put(`${bucket}/a`, `text ${index}`)),
    );
    const listed = await listVersions(bucket);
    expect(listed.ids.toSorted()).toEqual(ids.toSorted());
    await Promise.all(ids.map((id) => send('DELETE', `${bucket}/a?versionId=${id}`)));
    expect((await listVersions(bucket)).ids).toEqual([]);
    expect((await send('DELETE', bucket)).status).toBe(204);
  });
});

describe('delete markers (UserGuide "Working with delete markers")', () => {
  it('a delete hides the object behind a marker, and taking the marker off brings it back', async () => {
    const bucket = await makeBucket('Enabled');
    const id = await put(`${bucket}/a`, 'one');
    const deleted = await send('DELETE', `${bucket}/a`);
    expect([deleted.status, deleted.headers['x-amz-delete-marker']]).toEqual([204, 'true']);
    const marker = String(deleted.headers['x-amz-version-id']);
    const gone = await send('GET', `${bucket}/a`);
    expect([gone.status, gone.code]).toEqual([404, 'NoSuchKey']);
    expect([gone.headers['x-amz-delete-marker'], gone.headers['x-amz-version-id']]).toEqual(['true', marker]);
    const read = await send('GET', `${bucket}/a?versionId=${marker}`);
    expect([read.status, read.code, read.headers.allow]).toEqual([405, 'MethodNotAllowed', 'DELETE']);
    expect(elements((await listVersions(bucket)).text, 'IsLatest')).toEqual(['true', 'false']);
    expect((await send('DELETE', bucket)).code).toBe('BucketNotEmpty');
    const undone = await send('DELETE', `${bucket}/a?versionId=${marker}`);
    expect([undone.headers['x-amz-delete-marker'], undone.headers['x-amz-version-id']]).toEqual([
      'true',
      marker,
    ]);
    expect((await send('GET', `${bucket}/a`)).headers['x-amz-version-id']).toBe(id);
  });

  it('a delete of what is not there makes a marker all the same', async () => {
    const bucket = await makeBucket('Enabled');
    expect((await send('DELETE', `${bucket}/never`)).headers['x-amz-delete-marker']).toBe('true');
    expect((await listVersions(bucket)).keys).toEqual(['never']);
  });

  it('listings of objects show neither markers nor common prefixes that have only such, and pages stay full', async () => {
    const bucket = await makeBucket('Enabled');
    for (const key of ['a', 'b/1', 'b/2', 'c', 'd/1', 'e']) await put(`${bucket}/${key}`, 'x');
    for (const key of ['b/1', 'b/2', 'c', 'e']) await send('DELETE', `${bucket}/${key}`);
    const rolled = await send('GET', `${bucket}?list-type=2&delimiter=/`);
    expect(elements(rolled.text, 'Key')).toEqual(['a']);
    expect(elements(rolled.text, 'Prefix')).toEqual(['', 'd/']);
    const page = await send('GET', `${bucket}?list-type=2&max-keys=2`);
    expect([elements(page.text, 'Key'), elements(page.text, 'IsTruncated')]).toEqual([
      ['a', 'd/1'],
      ['false'],
    ]);
    const first = await send('GET', `${bucket}?max-keys=1`);
    expect([elements(first.text, 'Key'), elements(first.text, 'IsTruncated')]).toEqual([['a'], ['true']]);
  });
});

describe('DeleteObjects with versions (API_DeleteObjects)', () => {
  it('removes versions, and makes and removes markers, each told by its id', async () => {
    const bucket = await makeBucket('Enabled');
    const a = await put(`${bucket}/a`, 'a');
    await put(`${bucket}/b`, 'b');
    const marker = String((await send('DELETE', `${bucket}/c`)).headers['x-amz-version-id']);
    const object = (key: string, id = ''): string =>
      `<Object><Key>${key}</Key>${id === '' ? '' : `<VersionId>${id}</VersionId>`}</Object>`;
    const body = `<Delete>${object('a', a)}${object('b')}${object('c', marker)}${object('d', 'no-id')}</Delete>`;
    const { text } = await send('POST', `${bucket}?delete`, { body });
    expect(elements(text, 'DeleteMarker')).toEqual(['true', 'true']);
    expect(elements(text, 'DeleteMarkerVersionId')[1]).toBe(marker);
    expect(elements(text, 'Code')).toEqual(['InvalidArgument']);
    expect((await listVersions(bucket)).keys).toEqual(['b', 'b']);
  });
});

describe('ListObjectVersions (API_ListObjectVersions)', () => {
  it.each([1, 2, 3, 100])(
    'pages of %i join without gap or repetition, with and without delimiter',
    async (limit) => {
      const bucket = await makeBucket();
      for (const key of ['a', 'b/1', 'b/2', 'c']) await send('PUT', `${bucket}/${key}`, { body: 'null' });
      await setVersioning(bucket, 'Enabled');
      for (let round = 0; round < 3; round += 1) {
        for (const key of ['a', 'b/1', 'd', 'é'])
          await put(`${bucket}/${encodeURIComponent(key)}`, String(round));
      }
      await send('DELETE', `${bucket}/a`);
      for (const delimiter of ['', '&delimiter=/']) {
        const whole = await listVersions(bucket, delimiter);
        const keys: string[] = [];
        const ids: string[] = [];
        const prefixes: string[] = [];
        let place = '';
        for (;;) {
          const page = await listVersions(bucket, `${delimiter}&max-keys=${limit}${place}`);
          keys.push(...page.keys);
          ids.push(...page.ids);
          prefixes.push(...elements(page.text, 'Prefix').slice(1));
          if (elements(page.text, 'IsTruncated')[0] !== 'true') break;
          const [key = ''] = elements(page.text, 'NextKeyMarker');
          const [id] = elements(page.text, 'NextVersionIdMarker');
          place = `&key-marker=${encodeURIComponent(key)}${id === undefined ? '' : `&version-id-marker=${id}`}`;
        }
        expect([keys, ids, prefixes]).toEqual([
          whole.keys,
          whole.ids,
          elements(whole.text, 'Prefix').slice(1),
        ]);
      }
    },
  );

  it('a version-id marker goes with a key marker', async () => {
    const bucket = await makeBucket('Enabled');
    expect((await send('GET', `${bucket}?versions&version-id-marker=null`)).code).toBe('InvalidArgument');
  });

  it('more versions of a key than a page of the store has are all there, and come back one after another', async () => {
    const bucket = await makeBucket('Enabled');
    const ids: string[] = [];
    for (let index = 0; index < 1005; index += 1) ids.unshift(await put(`${bucket}/a`, String(index)));
    const first = await listVersions(bucket);
    expect(first.ids).toEqual(ids.slice(0, 1000));
    const rest = await listVersions(bucket, `&key-marker=a&version-id-marker=${first.ids[999]}`);
    expect(rest.ids).toEqual(ids.slice(1000));
  }, 60_000);
});
