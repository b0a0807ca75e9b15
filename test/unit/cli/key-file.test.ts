import { chmod, chown, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { editKeyFile, type FileKey, parseKeyFile, readKeyFile } from '../../../src/cli/key-file.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

const SECRET = 'a-secret-that-nobody-may-see';

function makeKey(accessKeyId: string, more: Partial<FileKey> = {}): FileKey {
  return { accessKeyId, secret: SECRET, ...more };
}

describe('the file of keys', () => {
  it('is for its owner only, and gives back what was put in', async () => {
    const path = join(temporary(), 'secrets', 'keys.yaml');
    const keys = [
      makeKey('ONE'),
      makeKey('TWO', {
        access: 'read-only',
        buckets: ['photos', 'films'],
        ownerId: 'alice',
        displayName: 'A: #',
      }),
    ];
    expect(await readKeyFile(path)).toBeNull();
    await editKeyFile(path, () => keys);
    expect(await readKeyFile(path)).toEqual(keys);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(path, '..'))).toEqual(['keys.yaml']);
  });

  it('of edits at once none is lost', async () => {
    const path = join(temporary(), 'keys.yaml');
    const names = ['A-1', 'A-2', 'A-3', 'A-4', 'A-5', 'A-6'];
    await Promise.all(names.map((name) => editKeyFile(path, (keys) => [...keys, makeKey(name)])));
    const ids = ((await readKeyFile(path)) ?? []).map(({ accessKeyId }) => accessKeyId);
    expect(ids.toSorted()).toEqual(names);
  });

  it('stays as it was when an edit is refused, or when it is broken', async () => {
    const path = join(temporary(), 'keys.yaml');
    await editKeyFile(path, () => [makeKey('ONE')]);
    const before = await readFile(path, 'utf8');
    const refuse = () => {
      throw new RangeError('no');
    };
    await expect(editKeyFile(path, refuse)).rejects.toThrow('no');
    expect(await readFile(path, 'utf8')).toBe(before);
    await writeFile(path, 'keys: [');
    await expect(editKeyFile(path, (keys) => keys)).rejects.toMatchObject({ code: 'bad-key-file' });
    expect(await readFile(path, 'utf8')).toBe('keys: [');
  });

  it('belongs to the owner of its folder, also when root writes it', async () => {
    const isRoot = process.geteuid?.() === 0;
    await chmod(temporary(), 0o700);
    if (isRoot) await chown(temporary(), 65_534, 65_534);
    const path = join(temporary(), 'keys.yaml');
    await editKeyFile(path, () => [makeKey('ONE')]);
    const owner = (await stat(temporary())).uid;
    if (isRoot) expect(owner).toBe(65_534);
    expect((await stat(path)).uid).toBe(owner);
  });

  it.each([
    ['another version', 'formatVersion: 2\nkeys: []'],
    ['an unknown field', `formatVersion: 1\nkeys: [{ accessKeyId: ONE, secret: ${SECRET}, colour: red }]`],
    ['a secret elsewhere', 'formatVersion: 1\nkeys: [{ accessKeyId: ONE, file: /etc/one }]'],
    ['a short secret', 'formatVersion: 1\nkeys: [{ accessKeyId: ONE, secret: hunter2 }]'],
    [
      'an id twice',
      `formatVersion: 1\nkeys: [{ accessKeyId: ONE, secret: ${SECRET} }, { accessKeyId: ONE, secret: ${SECRET} }]`,
    ],
    ['no list', `formatVersion: 1\nkeys: ${SECRET}`],
    ['no YAML', `formatVersion: 1\nkeys: [ {secret: ${SECRET}`],
    ['half a file', `formatVersion: 1\nkeys:\n  - accessKeyId: ONE\n    secret: "${SECRET}`],
    ['an alias', `formatVersion: 1\nkeys: &k [{ accessKeyId: ONE, secret: ${SECRET} }, *k]`],
    ['nothing', ''],
  ])('is refused with %s, and the message has no secret', (_what, text) => {
    let thrown: unknown = null;
    try {
      parseKeyFile(text, '/keys.yaml');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'bad-key-file', exitCode: 78 });
    const { message, cause } = thrown as Error;
    expect(cause).toBeUndefined();
    expect(message).toMatch(/^\/keys\.yaml/);
    expect(message).not.toMatch(/nobody|hunter2/);
  });
});
