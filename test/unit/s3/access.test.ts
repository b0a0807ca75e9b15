/** Who may do what: ACLs, ownership, bucket policies, public access blocks, keys with limits, anonymous callers. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fixedCredentials, NO_LIMITS } from '../../../src/s3/auth/credentials.js';
import { OPERATION_NAMES } from '../../../src/s3/operations/names.js';
import { ACCESS_RULES } from '../../../src/s3/access/rules.js';
import { elements, KEY, OTHER_KEY, TestServer, type Answer, type Wish } from './harness.js';

const READER = { ...KEY, accessKeyId: 'READER', limits: { ...NO_LIMITS, isReadOnly: true } };
const NARROW = { ...KEY, accessKeyId: 'NARROW', limits: { ...NO_LIMITS, buckets: ['narrow'] } };
const ALL_USERS = 'http://acs.amazonaws.com/groups/global/AllUsers';

let server: TestServer;
let count = 0;
let name = '';
beforeAll(async () => {
  const credentials = fixedCredentials([KEY, { ...OTHER_KEY, email: 'two@example.com' }, READER, NARROW]);
  server = await TestServer.start({ options: { credentials } });
});
afterAll(async () => {
  await server.close();
});

type Who = 'owner' | 'other' | 'nobody' | typeof READER;

function ask(who: Who, wish: Wish): Promise<Answer> {
  if (who === 'nobody') return server.sendWith(wish, { host: server.host, ...wish.headers });
  return server.send({ ...wish, key: who === 'owner' ? KEY : who === 'other' ? OTHER_KEY : who });
}

function owner(method: string, target: string, wish: Partial<Wish> = {}): Promise<Answer> {
  return ask('owner', { method, target: `/${name}${target}`, ...wish });
}

async function status(who: Who, method: string, target: string, wish: Partial<Wish> = {}): Promise<number> {
  const body = method === 'PUT' && wish.body === undefined ? { body: 'x' } : {};
  return (await ask(who, { method, target: `/${name}${target}`, ...body, ...wish })).status;
}

function putPolicy(...statements: object[]): Promise<Answer> {
  return owner('PUT', '?policy', { body: JSON.stringify({ Version: '2012-10-17', Statement: statements }) });
}

function statement(action: string | string[], further: object = {}): object {
  const resources = [`arn:aws:s3:::${name}`, `arn:aws:s3:::${name}/*`];
  return { Effect: 'Allow', Principal: '*', Action: action, Resource: resources, ...further };
}

function blocks(...on: string[]): string {
  const all = ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'];
  const content = all.map((block) => `<${block}>${on.includes(block)}</${block}>`).join('');
  return `<PublicAccessBlockConfiguration>${content}</PublicAccessBlockConfiguration>`;
}

function ownership(rule: string): string {
  return `<OwnershipControls><Rule><ObjectOwnership>${rule}</ObjectOwnership></Rule></OwnershipControls>`;
}

beforeEach(async () => {
  count += 1;
  name = `access-${count}`;
  await owner('PUT', '');
  await owner('PUT', '/key', { body: 'content' });
});

describe('by default', () => {
  it.each<Who>(['other', 'nobody'])('a bucket is nothing to %s', async (who) => {
    for (const [method, target] of [
      ['GET', '/key'],
      ['HEAD', '/key'],
      ['GET', '/missing'],
      ['PUT', '/new'],
      ['DELETE', '/key'],
      ['GET', ''],
      ['GET', '?acl'],
      ['GET', '/key?acl'],
      ['GET', '?policy'],
      ['PUT', '?policy'],
      ['DELETE', ''],
      ['GET', '?versions'],
      ['POST', '/key?uploads'],
    ] as const) {
      expect([method, target, await status(who, method, target)]).toEqual([method, target, 403]);
    }
    expect((await owner('GET', '/key')).text).toBe('content');
  });

  it('every operation has a rule', () => {
    expect(OPERATION_NAMES.filter((operation) => !ACCESS_RULES[operation].action.startsWith('s3:'))).toEqual(
      [],
    );
  });

  it('nobody has no buckets and makes none', async () => {
    const list = await ask('nobody', { target: '/' });
    expect([list.status, elements(list.text, 'Name')]).toEqual([200, []]);
    expect((await ask('nobody', { method: 'PUT', target: '/by-nobody' })).status).toBe(403);
  });

  it('DeleteObjects by another account deletes nothing', async () => {
    const body = '<Delete><Object><Key>key</Key></Object></Delete>';
    const answer = await ask('other', { method: 'POST', target: `/${name}?delete`, body });
    expect([answer.status, elements(answer.text, 'Code')]).toEqual([200, ['AccessDenied']]);
    expect(await status('owner', 'GET', '/key')).toBe(200);
  });

  it('a copy needs to read its source', async () => {
    await ask('other', { method: 'PUT', target: `/other-${name}` });
    const copy = await ask('other', {
      method: 'PUT',
      target: `/other-${name}/copy`,
      headers: { 'x-amz-copy-source': `/${name}/key` },
    });
    expect(copy.status).toBe(403);
  });
});

describe('canned ACLs (UserGuide "Canned ACL")', () => {
  it.each([
    ['private', { list: 403, put: 403 }, { list: 403, put: 403 }],
    ['public-read', { list: 200, put: 403 }, { list: 200, put: 403 }],
    ['public-read-write', { list: 200, put: 200 }, { list: 200, put: 200 }],
    ['authenticated-read', { list: 200, put: 403 }, { list: 403, put: 403 }],
  ])('%s on a bucket', async (acl, other, nobody) => {
    expect((await owner('PUT', '?acl', { headers: { 'x-amz-acl': acl } })).status).toBe(200);
    for (const [who, expected] of [
      ['other', other],
      ['nobody', nobody],
    ] as const) {
      expect({ list: await status(who, 'GET', ''), put: await status(who, 'PUT', '/new') }).toEqual(expected);
    }
    expect(await status('nobody', 'GET', '/key')).toBe(403);
  });

  it.each([
    ['private', 403, 403],
    ['public-read', 200, 200],
    ['authenticated-read', 200, 403],
  ])('%s on an object', async (acl, other, nobody) => {
    await owner('PUT', '/new', { body: 'x', headers: { 'x-amz-acl': acl } });
    expect([await status('other', 'GET', '/new'), await status('nobody', 'GET', '/new')]).toEqual([
      other,
      nobody,
    ]);
    await owner('PUT', '/key?acl', { headers: { 'x-amz-acl': acl } });
    expect([await status('other', 'GET', '/key'), await status('nobody', 'HEAD', '/key')]).toEqual([
      other,
      nobody,
    ]);
  });

  it('a changed ACL changes neither content nor Last-Modified', async () => {
    const before = await owner('HEAD', '/key');
    await owner('PUT', '/key?acl', { headers: { 'x-amz-acl': 'public-read' } });
    const after = await owner('GET', '/key');
    expect([after.text, after.headers['last-modified'], after.headers.etag]).toEqual([
      'content',
      before.headers['last-modified'],
      before.headers.etag,
    ]);
  });

  it('a new content has a new ACL', async () => {
    await owner('PUT', '/key?acl', { headers: { 'x-amz-acl': 'public-read' } });
    await owner('PUT', '/key', { body: 'new' });
    expect(await status('nobody', 'GET', '/key')).toBe(403);
  });

  it('an unknown one is InvalidArgument, one beside grants InvalidRequest', async () => {
    expect((await owner('PUT', '?acl', { headers: { 'x-amz-acl': 'free-for-all' } })).code).toBe(
      'InvalidArgument',
    );
    const both = { 'x-amz-acl': 'private', 'x-amz-grant-read': `id="${OTHER_KEY.ownerId}"` };
    expect((await owner('PUT', '?acl', { headers: both })).code).toBe('InvalidRequest');
  });
});

describe('explicit ACLs', () => {
  function document(...grants: string[]): string {
    return `<AccessControlPolicy><Owner><ID>${KEY.ownerId}</ID></Owner><AccessControlList>${grants.join('')}</AccessControlList></AccessControlPolicy>`;
  }
  function grant(grantee: string, permission: string): string {
    return `<Grant><Grantee>${grantee}</Grantee><Permission>${permission}</Permission></Grant>`;
  }

  it.each([
    ['READ', [200, 403, 403, 403]],
    ['WRITE', [403, 200, 403, 403]],
    ['READ_ACP', [403, 403, 200, 403]],
    ['WRITE_ACP', [403, 403, 403, 200]],
    ['FULL_CONTROL', [200, 200, 200, 200]],
  ])('%s on a bucket gives just that', async (permission, expected) => {
    const body = document(grant(`<ID>${OTHER_KEY.ownerId}</ID>`, permission));
    expect((await owner('PUT', '?acl', { body })).status).toBe(200);
    const results = [
      await status('other', 'GET', ''),
      await status('other', 'PUT', '/new'),
      await status('other', 'GET', '?acl'),
      await status('other', 'PUT', '?acl', { body, headers: {} }),
    ];
    expect(results).toEqual(expected);
    expect(await status('nobody', 'GET', '')).toBe(403);
  });

  it('comes back as it was put, with names', async () => {
    const group = grant(`<URI>${ALL_USERS}</URI>`, 'READ');
    await owner('PUT', '?acl', {
      body: document(grant('<EmailAddress>Two@example.com</EmailAddress>', 'WRITE'), group),
    });
    const { text } = await owner('GET', '?acl');
    expect([elements(text, 'ID'), elements(text, 'URI'), elements(text, 'Permission')]).toEqual([
      [KEY.ownerId, OTHER_KEY.ownerId],
      [ALL_USERS],
      ['READ', 'WRITE'],
    ]);
    expect(elements(text, 'DisplayName')).toEqual(['One', 'Two']);
  });

  it('headers grant too', async () => {
    const headers = { 'x-amz-grant-read': `id=${OTHER_KEY.ownerId}, uri="${ALL_USERS}"` };
    await owner('PUT', '/key?acl', { headers });
    expect([await status('other', 'GET', '/key'), await status('nobody', 'GET', '/key')]).toEqual([200, 200]);
  });

  it.each([
    ['<ID>nobody-at-all</ID>', 'READ', 'InvalidArgument'],
    ['<EmailAddress>a@b</EmailAddress>', 'READ', 'UnresolvableGrantByEmailAddress'],
    ['<URI>http://example.com</URI>', 'READ', 'InvalidArgument'],
    [`<ID>${KEY.ownerId}</ID>`, 'EVERYTHING', 'MalformedACLError'],
    ['', 'READ', 'MalformedACLError'],
  ])('a grant to %s of %s is %s', async (grantee, permission, code) => {
    expect((await owner('PUT', '?acl', { body: document(grant(grantee, permission)) })).code).toBe(code);
  });

  it('the owner can give everything away and take it back', async () => {
    await owner('PUT', '?acl', { body: document() });
    expect(elements((await owner('GET', '?acl')).text, 'Permission')).toEqual([]);
    expect((await owner('PUT', '?acl', { headers: { 'x-amz-acl': 'private' } })).status).toBe(200);
  });

  it('an ACL does not name another owner', async () => {
    const body = document().replace(KEY.ownerId, OTHER_KEY.ownerId);
    expect((await owner('PUT', '?acl', { body })).code).toBe('AccessDenied');
  });
});

describe('object ownership (UserGuide "Controlling ownership of objects")', () => {
  beforeEach(async () => {
    await owner('PUT', '?acl', { headers: { 'x-amz-acl': 'public-read-write' } });
  });

  it('what another account writes is that account’s, unless it gives the object to the bucket’s owner', async () => {
    await ask('other', { method: 'PUT', target: `/${name}/theirs`, body: 'x' });
    expect([await status('owner', 'GET', '/theirs'), await status('other', 'GET', '/theirs')]).toEqual([
      403, 200,
    ]);
    expect(await status('owner', 'GET', '/theirs?acl')).toBe(403);
    expect(elements((await owner('GET', '')).text, 'ID')).toEqual([KEY.ownerId, OTHER_KEY.ownerId]);
    const headers = { 'x-amz-acl': 'bucket-owner-full-control' };
    await ask('other', { method: 'PUT', target: `/${name}/given`, body: 'x', headers });
    expect(await status('owner', 'GET', '/given')).toBe(200);
    expect(await status('owner', 'DELETE', '/theirs')).toBe(204);
  });

  it('stays so when the ACL is taken back', async () => {
    await ask('other', { method: 'PUT', target: `/${name}/theirs`, body: 'x' });
    await owner('PUT', '?acl', { headers: { 'x-amz-acl': 'private' } });
    expect([await status('owner', 'GET', '/theirs'), await status('other', 'GET', '/theirs')]).toEqual([
      403, 200,
    ]);
  });

  it('BucketOwnerPreferred makes bucket-owner-full-control a gift', async () => {
    await owner('PUT', '?ownershipControls', { body: ownership('BucketOwnerPreferred') });
    const headers = { 'x-amz-acl': 'bucket-owner-full-control' };
    await ask('other', { method: 'PUT', target: `/${name}/given`, body: 'x', headers });
    expect(elements((await owner('GET', '/given?acl')).text, 'ID')).toEqual([KEY.ownerId, KEY.ownerId]);
  });

  it('BucketOwnerEnforced turns ACLs off, and needs a bucket that has none', async () => {
    const enforce = (): Promise<Answer> =>
      owner('PUT', '?ownershipControls', { body: ownership('BucketOwnerEnforced') });
    await ask('other', { method: 'PUT', target: `/${name}/theirs`, body: 'x' });
    expect((await enforce()).code).toBe('InvalidBucketAclWithObjectOwnership');
    await owner('PUT', '/key?acl', { headers: { 'x-amz-acl': 'public-read' } });
    await owner('PUT', '?acl', { headers: { 'x-amz-acl': 'private' } });
    expect((await enforce()).status).toBe(200);
    expect(elements((await owner('GET', '?ownershipControls')).text, 'ObjectOwnership')).toEqual([
      'BucketOwnerEnforced',
    ]);
    expect([await status('owner', 'GET', '/theirs'), await status('other', 'GET', '/theirs')]).toEqual([
      200, 403,
    ]);
    expect(await status('nobody', 'GET', '/key')).toBe(403);
    const acl = (value: string): Promise<Answer> =>
      owner('PUT', '/new', { body: 'x', headers: { 'x-amz-acl': value } });
    expect((await acl('public-read')).code).toBe('AccessControlListNotSupported');
    expect((await acl('bucket-owner-full-control')).status).toBe(200);
    expect((await owner('PUT', '/key?acl', { headers: { 'x-amz-acl': 'private' } })).code).toBe(
      'AccessControlListNotSupported',
    );
  });

  it('is not there until it is put', async () => {
    expect((await owner('GET', '?ownershipControls')).code).toBe('OwnershipControlsNotFoundError');
    await owner('PUT', '?ownershipControls', { body: ownership('ObjectWriter') });
    expect((await owner('DELETE', '?ownershipControls')).status).toBe(204);
    expect((await owner('GET', '?ownershipControls')).code).toBe('OwnershipControlsNotFoundError');
    expect((await owner('PUT', '?ownershipControls', { body: ownership('Mine') })).code).toBe('MalformedXML');
  });
});

describe('bucket policies', () => {
  it('come back as they were put, and are not there before and after', async () => {
    expect((await owner('GET', '?policy')).code).toBe('NoSuchBucketPolicy');
    const text = ` ${JSON.stringify({ Statement: statement('s3:GetObject') })}\n`;
    expect((await owner('PUT', '?policy', { body: text.trim() })).status).toBe(204);
    expect((await owner('GET', '?policy')).text).toBe(text.trim());
    expect((await owner('DELETE', '?policy')).status).toBe(204);
    expect((await owner('GET', '?policy')).code).toBe('NoSuchBucketPolicy');
    expect((await owner('PUT', '?policy', { body: 'no' })).code).toBe('MalformedPolicy');
  });

  it('let strangers in', async () => {
    await putPolicy(statement(['s3:GetObject', 's3:ListBucket']));
    expect([await status('nobody', 'GET', '/key'), await status('nobody', 'GET', '')]).toEqual([200, 200]);
    expect(await status('nobody', 'PUT', '/key')).toBe(403);
    await owner('DELETE', '?policy');
    expect(await status('nobody', 'GET', '/key')).toBe(403);
  });

  it('shut owners out, but never from the policy', async () => {
    await putPolicy(statement('s3:*', { Effect: 'Deny' }));
    expect([await status('owner', 'GET', '/key'), await status('owner', 'GET', '')]).toEqual([403, 403]);
    expect([await status('owner', 'GET', '?policy'), await status('owner', 'DELETE', '?policy')]).toEqual([
      200, 204,
    ]);
    expect(await status('owner', 'GET', '/key')).toBe(200);
  });

  it('that a key is not there is for those to know who may list', async () => {
    await putPolicy(statement('s3:GetObject'));
    expect((await ask('other', { target: `/${name}/missing` })).code).toBe('AccessDenied');
    const prefixed = { Condition: { StringLike: { 's3:prefix': 'public/*' } } };
    await putPolicy(statement('s3:GetObject'), statement('s3:ListBucket', prefixed));
    expect((await ask('other', { target: `/${name}/missing` })).code).toBe('AccessDenied');
    expect((await ask('other', { target: `/${name}/public/missing` })).code).toBe('NoSuchKey');
  });

  it('see headers, the address and the tags of the object', async () => {
    await putPolicy(
      statement('s3:PutObject'),
      statement('s3:PutObject', { Effect: 'Deny', Condition: { StringLike: { 's3:x-amz-acl': 'public*' } } }),
      statement('s3:GetObject', { Condition: { StringEquals: { 's3:ExistingObjectTag/open': 'yes' } } }),
      statement('s3:ListBucket', { Condition: { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } } }),
    );
    expect(await status('other', 'PUT', '/new', { headers: { 'x-amz-acl': 'public-read' } })).toBe(403);
    expect(await status('other', 'PUT', '/new')).toBe(200);
    expect(await status('other', 'GET', '')).toBe(200);
    await owner('PUT', '/open', { body: 'x', headers: { 'x-amz-tagging': 'open=yes' } });
    expect([await status('other', 'GET', '/open'), await status('other', 'GET', '/key')]).toEqual([200, 403]);
  });

  it('judge each key of DeleteObjects by itself', async () => {
    await owner('PUT', '/tmp/a', { body: 'x' });
    await putPolicy(statement('s3:DeleteObject', { Resource: `arn:aws:s3:::${name}/tmp/*` }));
    const body = '<Delete><Object><Key>key</Key></Object><Object><Key>tmp/a</Key></Object></Delete>';
    const answer = await ask('other', { method: 'POST', target: `/${name}?delete`, body });
    expect([elements(answer.text, 'Code'), answer.text.includes('<Deleted><Key>tmp/a</Key>')]).toEqual([
      ['AccessDenied'],
      true,
    ]);
    expect(await status('owner', 'GET', '/key')).toBe(200);
  });

  it('have a status', async () => {
    const isPublic = async (): Promise<string[]> =>
      elements((await owner('GET', '?policyStatus')).text, 'IsPublic');
    expect(await isPublic()).toEqual(['false']);
    await putPolicy(statement('s3:GetObject', { Principal: { AWS: OTHER_KEY.ownerId } }));
    expect(await isPublic()).toEqual(['false']);
    await putPolicy(statement('s3:GetObject'));
    expect(await isPublic()).toEqual(['true']);
  });

  it('do not outlive their bucket', async () => {
    await putPolicy(statement('s3:*'));
    await owner('DELETE', '/key');
    expect((await owner('DELETE', '')).status).toBe(204);
    await owner('PUT', '');
    expect([await status('nobody', 'GET', ''), (await owner('GET', '?policy')).code]).toEqual([
      403,
      'NoSuchBucketPolicy',
    ]);
  });
});

describe('public access blocks (UserGuide "Blocking public access")', () => {
  const block = (...on: string[]): Promise<Answer> =>
    owner('PUT', '?publicAccessBlock', { body: blocks(...on) });

  it('come back, and are not there before and after', async () => {
    expect((await owner('GET', '?publicAccessBlock')).code).toBe('NoSuchPublicAccessBlockConfiguration');
    await block('BlockPublicAcls');
    const { text } = await owner('GET', '?publicAccessBlock');
    expect([elements(text, 'BlockPublicAcls'), elements(text, 'IgnorePublicAcls')]).toEqual([
      ['true'],
      ['false'],
    ]);
    expect((await owner('DELETE', '?publicAccessBlock')).status).toBe(204);
    expect((await owner('GET', '?publicAccessBlock')).code).toBe('NoSuchPublicAccessBlockConfiguration');
  });

  it('BlockPublicAcls refuses public ACLs', async () => {
    await block('BlockPublicAcls');
    const headers = { 'x-amz-acl': 'public-read' };
    expect(await status('owner', 'PUT', '?acl', { body: '', headers })).toBe(403);
    expect(await status('owner', 'PUT', '/key?acl', { body: '', headers })).toBe(403);
    expect(await status('owner', 'PUT', '/new', { headers })).toBe(403);
    expect(await status('owner', 'PUT', '/new', { headers: { 'x-amz-acl': 'private' } })).toBe(200);
  });

  it('IgnorePublicAcls takes them for nothing', async () => {
    await owner('PUT', '?acl', { headers: { 'x-amz-acl': 'public-read' } });
    await owner('PUT', '/key?acl', { headers: { 'x-amz-acl': 'public-read' } });
    expect([await status('nobody', 'GET', ''), await status('nobody', 'GET', '/key')]).toEqual([200, 200]);
    await block('IgnorePublicAcls');
    expect([await status('nobody', 'GET', ''), await status('nobody', 'GET', '/key')]).toEqual([403, 403]);
  });

  it('BlockPublicPolicy refuses public policies, and no others', async () => {
    await block('BlockPublicPolicy');
    expect((await putPolicy(statement('s3:GetObject'))).code).toBe('AccessDenied');
    expect((await putPolicy(statement('s3:GetObject', { Principal: { AWS: 'x' } }))).status).toBe(204);
  });

  it('RestrictPublicBuckets leaves a public policy to the owner', async () => {
    await putPolicy(statement('s3:GetObject'));
    expect(await status('nobody', 'GET', '/key')).toBe(200);
    await block('RestrictPublicBuckets');
    expect([await status('nobody', 'GET', '/key'), await status('other', 'GET', '/key')]).toEqual([403, 403]);
    expect(await status('owner', 'GET', '/key')).toBe(200);
  });
});

describe('keys with limits', () => {
  it('a read-only key reads and changes nothing, whatever a policy says', async () => {
    await putPolicy(statement('s3:*'));
    expect([await status(READER, 'GET', '/key'), await status(READER, 'GET', '')]).toEqual([200, 200]);
    for (const [method, target] of [
      ['PUT', '/key'],
      ['DELETE', '/key'],
      ['POST', '/key?uploads'],
      ['PUT', '?acl'],
      ['PUT', '?policy'],
      ['DELETE', ''],
    ] as const) {
      expect([method, target, await status(READER, method, target)]).toEqual([method, target, 403]);
    }
    expect((await ask(READER, { method: 'PUT', target: '/by-reader' })).status).toBe(403);
    const body = '<Delete><Object><Key>key</Key></Object></Delete>';
    const answer = await ask(READER, { method: 'POST', target: `/${name}?delete`, body });
    expect(elements(answer.text, 'Code')).toEqual(['AccessDenied']);
  });

  it('a key for named buckets knows no others', async () => {
    expect((await ask(NARROW, { method: 'PUT', target: '/narrow' })).status).toBe(200);
    expect((await ask(NARROW, { method: 'PUT', target: '/narrow/key', body: 'x' })).status).toBe(200);
    expect([await status(NARROW, 'GET', '/key'), await status(NARROW, 'HEAD', '')]).toEqual([403, 403]);
    expect(elements((await ask(NARROW, { target: '/' })).text, 'Name')).toEqual(['narrow']);
    const copy = { method: 'PUT', target: '/narrow/copy', headers: { 'x-amz-copy-source': `/${name}/key` } };
    expect((await ask(NARROW, copy)).status).toBe(403);
  });
});

describe('what a bucket was never told', () => {
  it.each([
    ['encryption', 'ServerSideEncryptionConfigurationNotFoundError'],
    ['website', 'NoSuchWebsiteConfiguration'],
    ['replication', 'ReplicationConfigurationNotFoundError'],
    ['policy', 'NoSuchBucketPolicy'],
    ['cors', 'NoSuchCORSConfiguration'],
    ['publicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
    ['ownershipControls', 'OwnershipControlsNotFoundError'],
    ['tagging', 'NoSuchTagSet'],
    ['lifecycle', 'NoSuchLifecycleConfiguration'],
    ['object-lock', 'ObjectLockConfigurationNotFoundError'],
  ])('GET ?%s is 404 %s, and what is not there is deleted at once', async (query, code) => {
    const answer = await owner('GET', `?${query}`);
    expect([answer.status, answer.code]).toEqual([404, code]);
    if (query !== 'object-lock') expect((await owner('DELETE', `?${query}`)).status).toBe(204);
  });

  it.each(['logging', 'notification', 'accelerate', 'requestPayment'])('GET ?%s says so', async (query) => {
    expect((await owner('GET', `?${query}`)).status).toBe(200);
  });
});
