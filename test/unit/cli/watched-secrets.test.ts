import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { readSetSecrets } from '../../../src/cli/secrets.js';
import { WatchedSecret } from '../../../src/cli/watched-secrets.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

const OLD = 'the-secret-of-before';
const NEW = 'the-secret-of-after-it';

async function watch(text: string) {
  const path = join(temporary(), 'secret');
  await writeFile(path, text);
  const source = { kind: 'file', path, isDefault: false } as const;
  const audited: object[] = [];
  let logged = '';
  const logger = pino({ level: 'info' }, { write: (line: string) => (logged += line) });
  const watched = await WatchedSecret.open(
    {
      what: 'the secret',
      sources: [source, null],
      read: () => readSetSecrets(source),
      describe: (before, after) => ({ before: before.length, after: after.length }),
    },
    { logger, audit: (facts, message) => audited.push({ ...facts, message }) },
  );
  return {
    watched,
    path,
    audited,
    logged: () => logged,
    lookTwice: async () => {
      await watched.look();
      await watched.look();
    },
  };
}

describe('a secret that is in use', () => {
  it('is read again when its file has changed and is still, and that is on record without it', async () => {
    const { watched, path, audited, lookTwice, logged } = await watch(`${OLD}\n`);
    await lookTwice();
    expect(watched.current).toEqual([OLD]);
    await writeFile(path, `${OLD}\n${NEW}\n`);
    await watched.look();
    expect(watched.current).toEqual([OLD]);
    await watched.look();
    expect(watched.current).toEqual([OLD, NEW]);
    await lookTwice();
    expect(audited).toEqual([
      { what: 'the secret', before: 1, after: 2, message: 'the secret: read again, and in use' },
    ]);
    expect(logged()).toBe('');
  });

  it.each([
    ['is none', 'too short'],
    ['has too many lines', `${OLD}\n${NEW}\nand-a-third-one-is-too-many`],
  ])('stays when the new one %s, and the log says so without it', async (_, text) => {
    const { watched, path, audited, lookTwice, logged } = await watch(OLD);
    await writeFile(path, text);
    await lookTwice();
    expect(watched.current).toEqual([OLD]);
    expect(logged()).toContain('the secret: the new one is refused, the one before stays in use.');
    for (const line of text.split('\n')) expect(logged()).not.toContain(line);
    expect(audited).toEqual([]);
    await writeFile(path, NEW);
    await lookTwice();
    expect(watched.current).toEqual([NEW]);
  });

  it('stays when its file is gone', async () => {
    const { watched, path, lookTwice, logged } = await watch(OLD);
    await rm(path);
    await lookTwice();
    expect(watched.current).toEqual([OLD]);
    expect(logged()).toContain('does not exist');
  });
});
