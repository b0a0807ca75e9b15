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

async function makeBucket(headers: Record<string, string> = {}): Promise<string> {
  count += 1;
  await send('PUT', `/annotated-${count}`, { headers });
  return `/annotated-${count}`;
}

const lockedBucket = (): Promise<string> => makeBucket({ 'x-amz-bucket-object-lock-enabled': 'true' });

function tagging(tags: readonly (readonly [string, string])[]): string {
  const items = tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`);
  return `<Tagging><TagSet>${items.join('')}</TagSet></Tagging>`;
}

function numbered(length: number): [string, string][] {
  return Array.from({ length }, (_, index) => [`k${index}`, 'v']);
}

async function tagsOf(target: string): Promise<Record<string, string>> {
  const { text } = await send('GET', `${target}${target.includes('?') ? '&' : '?'}tagging`);
  const values = elements(text, 'Value');
  return Object.fromEntries(elements(text, 'Key').map((key, index) => [key, values[index] ?? '']));
}

describe('object tagging (UserGuide "Categorizing your storage using tags")', () => {
  it('tags come with a PUT, are replaced and removed, and are counted, and the content stays', async () => {
    const bucket = await makeBucket();
    const target = `${bucket}/a`;
    await send('PUT', target, { body: 'text', headers: { 'x-amz-tagging': 'b%20c=1+2&a=' } });
    expect(await tagsOf(target)).toEqual({ a: '', 'b c': '1 2' });
    const head = await send('HEAD', target);
    expect(head.headers['x-amz-tagging-count']).toBe('2');
    expect((await send('PUT', `${target}?tagging`, { body: tagging([['only', 'one']]) })).status).toBe(200);
    expect(await tagsOf(target)).toEqual({ only: 'one' });
    expect((await send('DELETE', `${target}?tagging`)).status).toBe(204);
    expect(await tagsOf(target)).toEqual({});
    const got = await send('GET', target);
    expect([got.text, got.headers['x-amz-tagging-count']]).toEqual(['text', undefined]);
    expect(got.headers['last-modified']).toBe(head.headers['last-modified']);
  });

  it.each([
    ['eleven tags', tagging(numbered(11)), 'InvalidTag'],
    ['a key of 129 characters', tagging([['k'.repeat(129), 'v']]), 'InvalidTag'],
    ['a value of 257 characters', tagging([['k', 'v'.repeat(257)]]), 'InvalidTag'],
    ['no key', tagging([['', 'v']]), 'InvalidTag'],
    [
      'a key twice',
      tagging([
        ['k', '1'],
        ['k', '2'],
      ]),
      'InvalidTag',
    ],
    ['a tag without value', '<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>', 'MalformedXML'],
    ['no tag set', '<Tagging/>', 'MalformedXML'],
  ])('a tag set with %s is refused and changes nothing', async (_claim, body, code) => {
    const bucket = await makeBucket();
    await send('PUT', `${bucket}/a`, { headers: { 'x-amz-tagging': 'k=v' } });
    expect((await send('PUT', `${bucket}/a?tagging`, { body })).code).toBe(code);
    expect(await tagsOf(`${bucket}/a`)).toEqual({ k: 'v' });
  });

  it('ten tags of the largest size fit, in any script', async () => {
    const bucket = await makeBucket();
    await send('PUT', `${bucket}/a`);
    const tags = Array.from({ length: 10 }, (_, index): [string, string] => [
      `${index}${'語'.repeat(127)}`,
      '値'.repeat(256),
    ]);
    expect((await send('PUT', `${bucket}/a?tagging`, { body: tagging(tags) })).status).toBe(200);
    expect(await tagsOf(`${bucket}/a`)).toEqual(Object.fromEntries(tags));
  });

  it('each version has its own tags', async () => {
    const bucket = await lockedBucket();
    const first = (await send('PUT', `${bucket}/a`)).headers['x-amz-version-id'];
    await send('PUT', `${bucket}/a`, { headers: { 'x-amz-tagging': 'v=2' } });
    await send('PUT', `${bucket}/a?tagging&versionId=${String(first)}`, { body: tagging([['v', '1']]) });
    expect(await tagsOf(`${bucket}/a`)).toEqual({ v: '2' });
    expect(await tagsOf(`${bucket}/a?versionId=${String(first)}`)).toEqual({ v: '1' });
  });

  it('a bucket has tags of its own, fifty at the most', async () => {
    const bucket = await makeBucket();
    expect((await send('GET', `${bucket}?tagging`)).code).toBe('NoSuchTagSet');
    expect((await send('PUT', `${bucket}?tagging`, { body: tagging(numbered(51)) })).code).toBe('InvalidTag');
    expect((await send('PUT', `${bucket}?tagging`, { body: tagging(numbered(50)) })).status).toBe(204);
    expect(Object.keys(await tagsOf(bucket)).length).toBe(50);
    expect((await send('DELETE', `${bucket}?tagging`)).status).toBe(204);
    expect((await send('GET', `${bucket}?tagging`)).code).toBe('NoSuchTagSet');
  });
});

const soon = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();

function retention(mode: string, days: number): string {
  return `<Retention><Mode>${mode}</Mode><RetainUntilDate>${soon(days)}</RetainUntilDate></Retention>`;
}

async function putLocked(target: string, mode: string): Promise<string> {
  const headers = { 'x-amz-object-lock-mode': mode, 'x-amz-object-lock-retain-until-date': soon(10) };
  const answer = await send('PUT', target, { body: 'x', headers });
  expect(answer.status).toBe(200);
  return `${target}?versionId=${String(answer.headers['x-amz-version-id'])}`;
}

const BYPASS = { 'x-amz-bypass-governance-retention': 'true' };

describe('object lock (UserGuide "Locking objects with Object Lock")', () => {
  it('GOVERNANCE keeps a version from removal but for a bypass; COMPLIANCE from that too', async () => {
    const bucket = await lockedBucket();
    const governed = await putLocked(`${bucket}/a`, 'GOVERNANCE');
    expect((await send('DELETE', governed)).code).toBe('AccessDenied');
    expect((await send('DELETE', governed, { headers: BYPASS })).status).toBe(204);
    const strict = await putLocked(`${bucket}/a`, 'COMPLIANCE');
    expect((await send('DELETE', strict, { headers: BYPASS })).code).toBe('AccessDenied');
    expect((await send('DELETE', `${bucket}/a`)).status).toBe(204);
    expect((await send('DELETE', strict, { headers: BYPASS })).code).toBe('AccessDenied');
    expect((await send('GET', strict)).text).toBe('x');
  });

  it('DeleteObjects is held to it version by version', async () => {
    const bucket = await lockedBucket();
    const locked = await putLocked(`${bucket}/a`, 'GOVERNANCE');
    const free = String((await send('PUT', `${bucket}/b`)).headers['x-amz-version-id']);
    const id = locked.slice(locked.indexOf('=') + 1);
    const body = `<Delete><Object><Key>a</Key><VersionId>${id}</VersionId></Object><Object><Key>b</Key><VersionId>${free}</VersionId></Object></Delete>`;
    const { text } = await send('POST', `${bucket}?delete`, { body });
    expect(elements(text, 'Code')).toEqual(['AccessDenied']);
    expect(elements(text, 'VersionId')).toEqual([id, free]);
  });

  it('a legal hold holds until it is taken off', async () => {
    const bucket = await lockedBucket();
    const headers = { 'x-amz-object-lock-legal-hold': 'ON' };
    const id = String((await send('PUT', `${bucket}/a`, { headers })).headers['x-amz-version-id']);
    const target = `${bucket}/a?versionId=${id}`;
    expect((await send('DELETE', target, { headers: BYPASS })).code).toBe('AccessDenied');
    expect((await send('HEAD', target)).headers['x-amz-object-lock-legal-hold']).toBe('ON');
    const body = '<LegalHold><Status>OFF</Status></LegalHold>';
    expect((await send('PUT', `${target}&legal-hold`, { body })).status).toBe(200);
    expect(elements((await send('GET', `${target}&legal-hold`)).text, 'Status')).toEqual(['OFF']);
    expect((await send('DELETE', target)).status).toBe(204);
  });

  it.each([
    ['GOVERNANCE', 'GOVERNANCE', 20, 200, 200],
    ['GOVERNANCE', 'GOVERNANCE', 5, 403, 200],
    ['GOVERNANCE', 'COMPLIANCE', 20, 403, 200],
    ['COMPLIANCE', 'COMPLIANCE', 20, 200, 200],
    ['COMPLIANCE', 'COMPLIANCE', 5, 403, 403],
    ['COMPLIANCE', 'GOVERNANCE', 20, 403, 403],
  ])(
    '%s for 10 days becomes %s for %i: %i, with a bypass %i',
    async (before, after, days, plain, bypassed) => {
      const bucket = await lockedBucket();
      const first = await putLocked(`${bucket}/a`, before);
      expect((await send('PUT', `${first}&retention`, { body: retention(after, days) })).status).toBe(plain);
      const second = await putLocked(`${bucket}/b`, before);
      const wish = { body: retention(after, days), headers: BYPASS };
      expect((await send('PUT', `${second}&retention`, wish)).status).toBe(bypassed);
    },
  );

  it('the default retention of the bucket is that of new versions, unless they bring their own', async () => {
    const bucket = await lockedBucket();
    const rule = '<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>3</Days></DefaultRetention></Rule>';
    const body = `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
    expect((await send('PUT', `${bucket}?object-lock`, { body })).status).toBe(200);
    expect((await send('GET', `${bucket}?object-lock`)).text).toContain(rule);
    await send('PUT', `${bucket}/a`);
    const { headers } = await send('HEAD', `${bucket}/a`);
    expect(headers['x-amz-object-lock-mode']).toBe('COMPLIANCE');
    const until = Date.parse(String(headers['x-amz-object-lock-retain-until-date']));
    expect(Math.abs(until - Date.now() - 3 * 86_400_000)).toBeLessThan(60_000);
    await putLocked(`${bucket}/b`, 'GOVERNANCE');
    expect((await send('HEAD', `${bucket}/b`)).headers['x-amz-object-lock-mode']).toBe('GOVERNANCE');
  });

  it('versioning of a bucket with object lock can not be suspended', async () => {
    const bucket = await lockedBucket();
    const body = '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>';
    expect((await send('PUT', `${bucket}?versioning`, { body })).code).toBe('InvalidBucketState');
  });

  it('a bucket without object lock has nothing of it', async () => {
    const bucket = await makeBucket();
    await send('PUT', `${bucket}/a`);
    expect((await send('GET', `${bucket}?object-lock`)).code).toBe('ObjectLockConfigurationNotFoundError');
    expect((await send('GET', `${bucket}/a?retention`)).code).toBe('InvalidRequest');
    expect((await send('PUT', `${bucket}/a?retention`, { body: retention('GOVERNANCE', 1) })).code).toBe(
      'InvalidRequest',
    );
    const headers = { 'x-amz-object-lock-legal-hold': 'ON' };
    expect((await send('PUT', `${bucket}/a`, { headers })).code).toBe('InvalidRequest');
    const body =
      '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>';
    expect((await send('PUT', `${bucket}?object-lock`, { body })).code).toBe('InvalidBucketState');
  });
});
