import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BucketDirectory } from '../../../src/s3/buckets.js';
import { DAY_MS, dueMs } from '../../../src/s3/lifecycle/rules.js';
import { LifecycleWorker } from '../../../src/s3/lifecycle/worker.js';
import { UploadDirectory } from '../../../src/s3/multipart/upload-directory.js';
import { VersionedObjects } from '../../../src/s3/versions/versioned-objects.js';
import { elements, TestServer, type Answer, type Wish } from './harness.js';

const BUCKET = '/lifecycle';
let server: TestServer;

beforeEach(async () => {
  server = await TestServer.start();
  await send('PUT', BUCKET);
});
afterEach(async () => {
  await server.close();
});

const send = (method: string, target: string, wish: Partial<Wish> = {}): Promise<Answer> =>
  server.send({ method, target, ...wish });

function rule(content: string, filter = '<Filter/>', id = 'rule'): string {
  return `<Rule><ID>${id}</ID><Status>Enabled</Status>${filter}${content}</Rule>`;
}

const DAYS_1 = '<Expiration><Days>1</Days></Expiration>';
const putRules = (...rules: string[]): Promise<Answer> =>
  send('PUT', `${BUCKET}?lifecycle`, {
    body: `<LifecycleConfiguration>${rules.join('')}</LifecycleConfiguration>`,
  });

/** One round of the rules, that many days from now. */
async function roundIn(days: number): Promise<void> {
  const { storage } = server;
  const worker = new LifecycleWorker({
    storage,
    buckets: new BucketDirectory(storage, 10),
    versions: new VersionedObjects(storage),
    uploads: new UploadDirectory(storage),
    clock: () => Date.now() + days * DAY_MS,
    dayMs: DAY_MS,
    onFailure: (error) => {
      throw error;
    },
    onInvariantViolation: (violation) => {
      throw violation;
    },
  });
  await worker.round();
}

async function keys(): Promise<string[]> {
  return elements((await send('GET', `${BUCKET}?list-type=2`)).text, 'Key');
}

async function versionIds(): Promise<string[]> {
  return elements((await send('GET', `${BUCKET}?versions`)).text, 'VersionId');
}

async function enableVersioning(): Promise<void> {
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
  await send('PUT', `${BUCKET}?versioning`, { body });
}

async function put(key: string, wish: Partial<Wish> = {}): Promise<string> {
  return String(
    (await send('PUT', `${BUCKET}/${key}`, { body: 'text', ...wish })).headers['x-amz-version-id'],
  );
}

describe('lifecycle configurations (API_PutBucketLifecycleConfiguration)', () => {
  it('are kept as they were given, until they are removed', async () => {
    expect((await send('GET', `${BUCKET}?lifecycle`)).code).toBe('NoSuchLifecycleConfiguration');
    const rules = [
      '<Rule><ID>old</ID><Prefix>logs/</Prefix><Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration></Rule>',
      '<Rule><ID>new</ID><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>',
      '<Rule><ID>rest</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><NoncurrentVersionExpiration><NewerNoncurrentVersions>2</NewerNoncurrentVersions><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>',
    ];
    expect((await putRules(...rules)).status).toBe(200);
    expect((await send('GET', `${BUCKET}?lifecycle`)).text).toContain(rules.join(''));
    expect((await send('DELETE', `${BUCKET}?lifecycle`)).status).toBe(204);
    expect((await send('GET', `${BUCKET}?lifecycle`)).code).toBe('NoSuchLifecycleConfiguration');
  });

  it('do not outlive their bucket', async () => {
    await putRules(rule(DAYS_1));
    await send('DELETE', BUCKET);
    await send('PUT', BUCKET);
    expect((await send('GET', `${BUCKET}?lifecycle`)).code).toBe('NoSuchLifecycleConfiguration');
  });

  it.each([
    ['no rule', '', 'MalformedXML'],
    ['no action', rule(''), 'InvalidRequest'],
    ['no filter', rule(DAYS_1, ''), 'MalformedXML'],
    ['both forms of filter', rule(DAYS_1, '<Filter/><Prefix/>'), 'MalformedXML'],
    ['another status', rule(DAYS_1).replace('Enabled', 'enabled'), 'MalformedXML'],
    ['an id twice', rule(DAYS_1) + rule(DAYS_1), 'InvalidArgument'],
    ['an id of 256 characters', rule(DAYS_1, '<Filter/>', 'i'.repeat(256)), 'InvalidArgument'],
    ['no days', rule('<Expiration><Days>0</Days></Expiration>'), 'InvalidArgument'],
    ['half a day', rule('<Expiration><Days>0.5</Days></Expiration>'), 'MalformedXML'],
    ['a date at noon', rule('<Expiration><Date>2030-01-01T12:00:00Z</Date></Expiration>'), 'InvalidArgument'],
    ['a date that is none', rule('<Expiration><Date>20300101</Date></Expiration>'), 'MalformedXML'],
    [
      'two expirations',
      rule('<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>'),
      'MalformedXML',
    ],
    [
      'markers of some tag',
      rule(
        '<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>',
        '<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>',
      ),
      'InvalidRequest',
    ],
    [
      'a transition',
      rule('<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>'),
      'NotImplemented',
    ],
  ])('with %s are refused', async (_claim, rules, code) => {
    expect((await putRules(rules)).code).toBe(code);
  });
});

describe('lifecycle rules at work (UserGuide "Lifecycle configuration elements")', () => {
  it('days end at midnight UTC, as AWS counts them', () => {
    const noon = Date.UTC(2026, 0, 15, 12);
    expect(new Date(dueMs(noon, 3, DAY_MS)).toISOString()).toBe('2026-01-19T00:00:00.000Z');
    expect(dueMs(noon, 3, 10)).toBe(noon + 30);
  });

  it('objects expire by age under their prefix, with their tags, within their sizes, and no others', async () => {
    await putRules(
      rule(DAYS_1, '<Filter><Prefix>old/</Prefix></Filter>', 'a'),
      rule(DAYS_1, '<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>', 'b'),
      rule(DAYS_1, '<Filter><ObjectSizeGreaterThan>100</ObjectSizeGreaterThan></Filter>', 'c'),
      rule(DAYS_1, '<Filter><Prefix>off/</Prefix></Filter>', 'd').replace('Enabled', 'Disabled'),
    );
    for (const key of ['old/1', 'old/2', 'new/1', 'off/1']) await put(key);
    await put('tagged', { headers: { 'x-amz-tagging': 'k=v' } });
    await put('other', { headers: { 'x-amz-tagging': 'k=w' } });
    await put('large', { body: 'x'.repeat(101) });
    const head = await send('HEAD', `${BUCKET}/old/1`);
    expect(head.headers['x-amz-expiration']).toMatch(/^expiry-date=".* 00:00:00 GMT", rule-id="a"$/);
    await roundIn(0);
    expect((await keys()).length).toBe(7);
    await roundIn(3);
    expect(await keys()).toEqual(['new/1', 'off/1', 'other']);
  });

  it('objects expire by date', async () => {
    await put('a');
    await putRules(
      rule(
        `<Expiration><Date>${new Date(Math.ceil(Date.now() / DAY_MS + 1) * DAY_MS).toISOString()}</Date></Expiration>`,
      ),
    );
    await roundIn(0);
    expect(await keys()).toEqual(['a']);
    await roundIn(3);
    expect(await keys()).toEqual([]);
  });

  it('with versioning a current version expires behind a delete marker', async () => {
    await enableVersioning();
    const id = await put('a');
    await putRules(rule(DAYS_1));
    await roundIn(3);
    expect(await keys()).toEqual([]);
    expect((await versionIds()).length).toBe(2);
    expect((await send('GET', `${BUCKET}/a?versionId=${id}`)).text).toBe('text');
    await roundIn(3);
    expect((await versionIds()).length).toBe(2);
  });

  it('older versions expire, but for as many as are to be kept, and locked ones stay', async () => {
    await enableVersioning();
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) ids.unshift(await put('a'));
    const keep = '<NewerNoncurrentVersions>1</NewerNoncurrentVersions>';
    await putRules(
      rule(
        `<NoncurrentVersionExpiration>${keep}<NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>`,
      ),
    );
    const lock =
      '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>';
    expect((await send('PUT', `${BUCKET}?object-lock`, { body: lock })).status).toBe(200);
    const hold = '<LegalHold><Status>ON</Status></LegalHold>';
    await send('PUT', `${BUCKET}/a?legal-hold&versionId=${ids[3]}`, { body: hold });
    await roundIn(0);
    expect(await versionIds()).toEqual(ids);
    await roundIn(3);
    expect(await versionIds()).toEqual([ids[0], ids[1], ids[3]]);
  });

  it('a delete marker that has no versions left goes, and one that has stays', async () => {
    await enableVersioning();
    await put('kept');
    for (const key of ['kept', 'lone']) await send('DELETE', `${BUCKET}/${key}`);
    await putRules(
      rule('<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>'),
    );
    await roundIn(0);
    expect(elements((await send('GET', `${BUCKET}?versions`)).text, 'Key')).toEqual(['kept', 'kept']);
  });

  it('incomplete multipart uploads are aborted', async () => {
    for (const key of ['a/1', 'b/1']) await send('POST', `${BUCKET}/${key}?uploads`);
    await putRules(
      rule(
        '<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>',
        '<Filter><Prefix>a/</Prefix></Filter>',
      ),
    );
    await roundIn(1);
    expect(elements((await send('GET', `${BUCKET}?uploads`)).text, 'Key')).toEqual(['a/1', 'b/1']);
    await roundIn(4);
    expect(elements((await send('GET', `${BUCKET}?uploads`)).text, 'Key')).toEqual(['b/1']);
  });

  it('thousands of keys expire page by page', async () => {
    await putRules(rule(DAYS_1, '<Filter><Prefix>x</Prefix></Filter>'));
    await put('seed');
    const { storage } = server;
    const seed = await storage.list({
      container: 'lifecycle',
      prefix: '',
      after: '',
      delimiter: '',
      limit: 1,
    });
    const [entry] = seed.entries;
    const attributes = entry?.kind === 'object' ? entry.head.attributes : '';
    const { makeObjectId } = await import('../../../src/protocol/object-id.js');
    for (let index = 0; index < 2_500; index += 1) {
      const content = await storage.openContent().finish();
      await storage.replace({ id: makeObjectId('lifecycle', `x${index}`), content, attributes });
      content.discard();
    }
    await roundIn(3);
    expect(await keys()).toEqual(['seed']);
  });
});
