/** RenameObject: what it changes, what it refuses, and what is left by a crash at each of its steps. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ObjectStorageError } from '../../../src/gateway/object-storage.js';
import { customerKey } from './encryption-rig.js';
import { OTHER_KEY, TestServer, type Answer, type Wish } from './harness.js';
import { MultipartClient, PART_BYTES_MIN } from './multipart-rig.js';

const BUCKET = '/bucket';
const MUTATIONS = new Set(['replace', 'remove']);
type Headers = Record<string, string>;

function renameWish(source: string, target: string, headers: Headers = {}): Wish {
  return {
    method: 'PUT',
    target: `${BUCKET}/${target}?renameObject`,
    headers: { 'x-amz-rename-source': source, ...headers },
  };
}

describe('a rename', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ limits: { partBytesMin: PART_BYTES_MIN } });
    await server.send({ method: 'PUT', target: BUCKET });
  });
  afterAll(() => server.close());

  const put = (key: string, body: string, headers: Headers = {}): Promise<Answer> =>
    server.send({ method: 'PUT', target: `${BUCKET}/${key}`, body, headers });
  const get = (key: string, headers: Headers = {}): Promise<Answer> =>
    server.send({ target: `${BUCKET}/${key}`, headers });
  const rename = (source: string, target: string, headers: Headers = {}): Promise<Answer> =>
    server.send(renameWish(source, target, headers));

  it('moves an object with all that it has, and none of its bytes', async () => {
    await put('a', 'content', {
      'x-amz-meta-colour': 'red',
      'content-type': 'text/plain',
      'x-amz-tagging': 'k=v',
    });
    const before = await get('a');
    expect((await rename('a', 'b/c')).status).toBe(200);
    const after = await get('b/c');
    expect([(await get('a')).status, after.text]).toEqual([404, 'content']);
    const names = ['etag', 'last-modified', 'x-amz-meta-colour', 'content-type', 'x-amz-tagging-count'];
    for (const name of names) expect(after.headers[name], name).toBe(before.headers[name]);
    expect(server.storage.names('.renames')).toEqual([]);
  });

  it.each([
    ['a name that must be encoded', 'x%20%2B%2F%C3%A4', 'x%20%2B/%C3%A4'],
    ['bucket and name', '/bucket/plain', 'plain'],
  ])('takes %s', async (_claim, header, key) => {
    await put(key, 'here');
    expect((await rename(header, 'taken')).status).toBe(200);
    expect([(await get('taken')).text, (await get(key)).status]).toEqual(['here', 404]);
  });

  it('takes what is empty, encrypted, or uploaded in parts', async () => {
    await put('empty', '');
    await put('sealed', 'sealed', customerKey('k'));
    const upload = new MultipartClient(server, `${BUCKET}/parts`);
    await upload.create();
    await upload.complete([await upload.upload(1, 'part number one'), await upload.upload(2, 'two')]);
    for (const key of ['empty', 'sealed', 'parts'])
      expect((await rename(key, `new-${key}`)).status).toBe(200);
    expect((await get('new-empty')).text).toBe('');
    expect((await get('new-sealed', customerKey('k'))).text).toBe('sealed');
    expect((await get('new-parts?partNumber=2')).text).toBe('two');
  });

  it('writes over its target, unless a condition says otherwise', async () => {
    const target = await put('target', 'old');
    const etag = String(target.headers.etag);
    await put('source', 'new');
    expect((await rename('source', 'target', { 'if-none-match': '*' })).code).toBe('PreconditionFailed');
    expect((await rename('source', 'target', { 'if-match': '"other"' })).code).toBe('PreconditionFailed');
    expect((await rename('source', 'target', { 'x-amz-rename-source-if-match': etag })).code).toBe(
      'PreconditionFailed',
    );
    expect((await rename('source', 'target', { 'x-amz-rename-source-if-none-match': '*' })).code).toBe(
      'PreconditionFailed',
    );
    expect((await rename('source', 'nothing', { 'if-match': etag })).code).toBe('NoSuchKey');
    expect([(await get('source')).text, (await get('target')).text]).toEqual(['new', 'old']);
    expect(server.storage.names('.renames')).toEqual([]);
    expect((await rename('source', 'target', { 'if-match': etag })).status).toBe(200);
    expect([(await get('source')).status, (await get('target')).text]).toEqual([404, 'new']);
  });

  it.each<[string, Wish, string]>([
    ['of nothing', renameWish('nothing', 'b'), 'NoSuchKey'],
    ['onto itself', renameWish('self', 'self'), 'InvalidRequest'],
    ['without a source', renameWish('', 'b'), 'InvalidArgument'],
    [
      'with a token that is none',
      renameWish('self', 'b', { 'x-amz-client-token': 'a b' }),
      'InvalidArgument',
    ],
    ['by somebody else', { ...renameWish('self', 'b'), key: OTHER_KEY }, 'AccessDenied'],
  ])('%s is refused', async (_claim, wish, code) => {
    await put('self', 'self');
    expect((await server.send(wish)).code).toBe(code);
    expect((await get('self')).text).toBe('self');
  });

  it('is refused in a bucket with versioning', async () => {
    await server.send({ method: 'PUT', target: '/versions' });
    const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
    await server.send({ method: 'PUT', target: '/versions?versioning', body });
    await server.send({ method: 'PUT', target: '/versions/a', body: 'a' });
    const answer = await server.send({ ...renameWish('a', 'b'), target: '/versions/b?renameObject' });
    expect(answer.code).toBe('NotImplemented');
  });

  it('that is sent again with its token is done once', async () => {
    const token = { 'x-amz-client-token': 'once' };
    await put('first', 'one');
    expect((await rename('first', 'second', token)).status).toBe(200);
    await put('first', 'another');
    expect((await rename('first', 'second', token)).status).toBe(200);
    expect([(await get('first')).text, (await get('second')).text]).toEqual(['another', 'one']);
    expect((await rename('elsewhere', 'second', token)).code).toBe('IdempotencyParameterMismatch');
  });

  it('of one object to two names at once happens once', async () => {
    await put('shared', 'content');
    const answers = await Promise.all([rename('shared', 'left'), rename('shared', 'right')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404]);
    const found = await Promise.all([get('left'), get('right')]);
    expect(found.map(({ status }) => status).sort()).toEqual([200, 404]);
  });
});

/** The mutation at which the process dies: before it takes effect. 1 intent, 2 target, 3 source, 4 intent. */
const STEPS = [1, 2, 3, 4];

interface Crashed {
  readonly restart: () => Promise<TestServer>;
  readonly storage: TestServer['storage'];
}

async function crashAt(step: number, headers: Headers): Promise<Crashed> {
  const fault = { countdown: 0 };
  const server = await TestServer.start({
    limits: { renameSweepIntervalMs: 3_600_000 },
    storage: {
      beforeEach: (operation) => {
        if (!MUTATIONS.has(operation) || fault.countdown === 0) return;
        fault.countdown -= 1;
        if (fault.countdown > 0) return;
        // From here on the process is dead.
        fault.countdown = 1;
        throw new ObjectStorageError('unavailable', 'the crash of this test');
      },
    },
  });
  await server.send({ method: 'PUT', target: BUCKET });
  await server.send({ method: 'PUT', target: `${BUCKET}/old`, body: 'content' });
  await server.send({ method: 'PUT', target: `${BUCKET}/new`, body: 'before' });
  fault.countdown = step;
  await server.send(renameWish('old', 'new', headers));
  await server.close();
  fault.countdown = 0;
  const { storage } = server;
  const restart = (): Promise<TestServer> =>
    TestServer.start({ options: { storage }, limits: { renameSweepIntervalMs: 5 } });
  return { restart, storage };
}

async function untilSettled(storage: TestServer['storage']): Promise<void> {
  while (storage.names('.renames').length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function readBoth(server: TestServer): Promise<readonly (string | null)[]> {
  const answers = await Promise.all(['old', 'new'].map((key) => server.send({ target: `${BUCKET}/${key}` })));
  return answers.map(({ status, text }) => (status === 404 ? null : text));
}

describe.each(STEPS)('a crash before mutation %i of a rename', (step) => {
  const before = ['content', 'before'];
  const after = [null, 'content'];
  const outcome = step <= 2 ? before : after;

  it('leaves it done or not done, once the next start has settled it', async () => {
    const { restart, storage } = await crashAt(step, {});
    const server = await restart();
    await untilSettled(storage);
    expect(await readBoth(server)).toEqual(outcome);
    await server.close();
  });

  it('never leaves the object without a name', async () => {
    const { storage } = await crashAt(step, {});
    const contents = storage.names('bucket').map((name) => storage.contentOf('bucket', name).toString());
    expect(contents).toContain('content');
  });

  it('is made good by the client that sends it again with its token', async () => {
    const token = { 'x-amz-client-token': 'again' };
    const { restart, storage } = await crashAt(step, token);
    const server = await restart();
    expect((await server.send(renameWish('old', 'new', token))).status).toBe(200);
    expect(await readBoth(server)).toEqual(after);
    await untilSettled(storage);
    await server.close();
  });

  it('takes nothing away that was written afterwards', async () => {
    const { restart, storage } = await crashAt(step, {});
    const server = await TestServer.start({
      options: { storage },
      limits: { renameSweepIntervalMs: 3_600_000 },
    });
    await server.send({ method: 'PUT', target: `${BUCKET}/old`, body: 'later' });
    await server.close();
    const swept = await restart();
    await untilSettled(storage);
    expect((await readBoth(swept))[0]).toBe('later');
    await swept.close();
  });

  it('keeps the source when the target was written over before it was settled', async () => {
    const { restart, storage } = await crashAt(step, {});
    const server = await TestServer.start({
      options: { storage },
      limits: { renameSweepIntervalMs: 3_600_000 },
    });
    await server.send({ method: 'PUT', target: `${BUCKET}/new`, body: 'later' });
    await server.close();
    const swept = await restart();
    await untilSettled(storage);
    expect(await readBoth(swept)).toEqual([step === 4 ? null : 'content', 'later']);
    await swept.close();
  });
});
