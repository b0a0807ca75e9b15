import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { type Configuration, resolveConfiguration } from '../../../src/cli/configuration.js';
import { editKeyFile, type FileKey } from '../../../src/cli/key-file.js';
import { S3Keyring } from '../../../src/cli/s3-keyring.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

const SECRET = 'a-secret-that-nobody-may-see';

function configure(): Configuration {
  return resolveConfiguration({
    data: temporary(),
    credentials: {
      accessKey: 'FIRST',
      secretKey: 'secret-of-first',
      keys: [{ accessKeyId: 'SECOND', secret: 'secret-of-second' }],
      keysFile: join(temporary(), 'keys.yaml'),
    },
  });
}

async function open(): Promise<{
  keyring: S3Keyring;
  path: string;
  logged: () => string;
  ids: () => string[];
}> {
  const configuration = configure();
  let text = '';
  const logger = pino({ level: 'info' }, { write: (line: string) => (text += line) });
  const keyring = await S3Keyring.open({ configuration, setId: 'main', logger });
  return {
    keyring,
    path: configuration.keysFile.path,
    logged: () => text,
    ids: () => keyring.all.map(({ accessKeyId }) => accessKeyId),
  };
}

function key(accessKeyId: string, more: Partial<FileKey> = {}): FileKey {
  return { accessKeyId, secret: SECRET, ...more };
}

describe('the keys of a running gateway', () => {
  it('are those of the configuration and those of the file', async () => {
    const limited = key('THIRD', {
      access: 'read-only',
      buckets: ['photos'],
      ownerId: 'alice',
      email: 'a@b.example',
    });
    await editKeyFile(configure().keysFile.path, () => [limited]);
    const { keyring, ids } = await open();
    expect(ids()).toEqual(['FIRST', 'SECOND', 'THIRD']);
    expect(keyring.store.lookup('THIRD')).toMatchObject({
      secretAccessKey: SECRET,
      ownerId: 'alice',
      displayName: 'alice',
      limits: { isReadOnly: true, buckets: ['photos'] },
    });
    expect(keyring.store.accounts.findByEmail('A@B.example')?.ownerId).toBe('alice');
    expect(keyring.store.lookup('SECOND')?.ownerId).toBe(keyring.store.lookup('FIRST')?.ownerId);
  });

  it('come and go with the file, and the log says which, without secrets', async () => {
    const { keyring, path, logged } = await open();
    await editKeyFile(path, () => [key('THIRD'), key('FOURTH')]);
    expect(keyring.store.lookup('THIRD')).toBeNull();
    await keyring.look();
    expect(keyring.store.lookup('THIRD')?.secretAccessKey).toBe(SECRET);
    await editKeyFile(path, () => [key('FOURTH', { secret: 'another-secret' })]);
    await keyring.look();
    expect(keyring.store.lookup('THIRD')).toBeNull();
    expect(keyring.store.lookup('FOURTH')?.secretAccessKey).toBe('another-secret');
    expect(logged()).toContain('"added":["THIRD","FOURTH"],"removed":[]');
    expect(logged()).toContain('"added":[],"removed":["THIRD"]');
    expect(logged()).not.toMatch(/nobody-may-see|another-secret/);
  });

  it.each([
    ['broken', (path: string) => writeFile(path, 'formatVersion: 1\nkeys: [')],
    ['gone', (path: string) => rm(path)],
    ['with an id of the configuration', (path: string) => editKeyFile(path, () => [key('SECOND')])],
    ['with the id of the first key', (path: string) => editKeyFile(path, () => [key('FIRST')])],
  ])(
    'stay as they were when the file is %s; one line says so, and the next good file is taken',
    async (_what, spoil) => {
      await editKeyFile(configure().keysFile.path, () => [key('THIRD')]);
      const { keyring, path, logged, ids } = await open();
      await spoil(path);
      await keyring.look();
      await keyring.look();
      expect(ids()).toEqual(['FIRST', 'SECOND', 'THIRD']);
      expect(logged().match(/stay as they are/g)).toHaveLength(1);
      await rm(path, { force: true });
      await editKeyFile(path, () => [key('FOURTH')]);
      await keyring.look();
      expect(ids()).toEqual(['FIRST', 'SECOND', 'FOURTH']);
    },
  );

  it('are looked after until it stops', async () => {
    const { keyring, path, ids } = await open();
    keyring.watch(5);
    await editKeyFile(path, () => [key('THIRD')]);
    await expect.poll(ids).toEqual(['FIRST', 'SECOND', 'THIRD']);
    await keyring.stop();
    await editKeyFile(path, () => []);
    expect(ids()).toEqual(['FIRST', 'SECOND', 'THIRD']);
  });

  it('a gateway does not start with a key twice, or with a broken file', async () => {
    const { path } = configure().keysFile;
    await editKeyFile(path, () => [key('SECOND')]);
    await expect(open()).rejects.toMatchObject({ code: 'duplicate-key', exitCode: 78 });
    await writeFile(path, '{');
    await expect(open()).rejects.toMatchObject({ code: 'bad-key-file', exitCode: 78 });
  });
});
