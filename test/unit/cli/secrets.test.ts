import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../../src/cli/configuration-file.js';
import { type Configuration, resolveConfiguration } from '../../../src/cli/configuration.js';
import { mergeLayers } from '../../../src/cli/configuration-layers.js';
import { readEnvironment } from '../../../src/cli/environment.js';
import {
  createMissingSecrets,
  formatCredentialsFile,
  makeS3Keys,
  parseCredentialsFile,
  readAdminToken,
  readAdminTokens,
  readMasterKeys,
  readS3Keys,
  readSetSecrets,
} from '../../../src/cli/secrets.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

function configure(): Configuration {
  return resolveConfiguration({ data: join(temporary(), 'data') });
}

/** Root may read everything, so it steps down for the moment. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

describe('master keys', () => {
  it('are made at the first start, and never again', async () => {
    const configuration = configure();
    expect(await readMasterKeys(configuration)).toBeNull();
    await createMissingSecrets(configuration);
    const made = await readMasterKeys(configuration);
    await createMissingSecrets(configuration);
    expect(await readMasterKeys(configuration)).toEqual(made);
  });

  it('that somebody asked for must be there, and be keys', async () => {
    const path = join(temporary(), 'keys');
    const configuration = resolveConfiguration({ data: temporary(), s3: { masterKeyFile: path } });
    await createMissingSecrets(configuration);
    await expect(readMasterKeys(configuration)).rejects.toMatchObject({ code: 'secret-missing' });
    await writeFile(path, 'key-1 c2VjcmV0\n');
    await expect(readMasterKeys(configuration)).rejects.toMatchObject({
      code: 'bad-master-keys',
      message: expect.not.stringContaining('c2VjcmV0') as unknown,
    });
  });
});

describe('secrets of the first start', () => {
  it('are in files that only their owner can read', async () => {
    const configuration = configure();
    await createMissingSecrets(configuration);
    const folder = join(configuration.dataFolder, 'secrets');
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    for (const name of ['credentials', 'admin-token', 'osd-secret', 'master-keys']) {
      expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o600);
    }
  });

  it('are made at random, and made once', async () => {
    const configuration = configure();
    await createMissingSecrets(configuration);
    const read = () =>
      Promise.all([
        readS3Keys(configuration),
        readAdminToken(configuration),
        readSetSecrets(configuration.mirrorSet.secret),
      ]);
    const first = await read();
    await createMissingSecrets(configuration);
    expect(await read()).toEqual(first);
    expect(new Set([first[1], first[2][0], first[0].secretKey]).size).toBe(3);
    expect(first[0].accessKey).toMatch(/^TALLY[A-Z2-7]{15}$/);
    expect(first[0].secretKey).toMatch(/^[A-Za-z0-9]{40}$/);
  });

  it('are not made in place of a file that somebody asked for', async () => {
    const path = join(temporary(), 'mine');
    const configuration = resolveConfiguration({ data: temporary(), mirrorSet: { secretFile: path } });
    await createMissingSecrets(configuration);
    await expect(readSetSecrets(configuration.mirrorSet.secret)).rejects.toThrow(
      `There is no shared secret of the mirror set: ${path} does not exist.`,
    );
  });
});

describe('a secret', () => {
  it.each(['too short', 'has a space in the middle of it', 'x'.repeat(257), 'ends-with-umlaut-ä'])(
    'is refused: %s',
    async (secret) => {
      const configuration = resolveConfiguration({ mirrorSet: { secret } });
      await expect(readSetSecrets(configuration.mirrorSet.secret)).rejects.toThrow('16 to 256 characters');
    },
  );

  it('may end in a line break in its file', async () => {
    const path = join(temporary(), 'secret');
    await writeFile(path, 'sixteen-characters\n');
    expect(
      await readSetSecrets(resolveConfiguration({ mirrorSet: { secretFile: path } }).mirrorSet.secret),
    ).toEqual(['sixteen-characters']);
  });

  it('that may not be read is named in one sentence', async () => {
    const path = join(temporary(), 'secret');
    await writeFile(path, 'sixteen-characters\n');
    await chmod(path, 0o000);
    const configuration = resolveConfiguration({ admin: { tokenFile: path } });
    await asNobody(() => expect(readAdminToken(configuration)).rejects.toThrow('no permission'));
  });
});

describe('tokens of the admin API', () => {
  it('are the first one, which operates, and those that were given a role; from files and the environment', async () => {
    await writeFile(join(temporary(), 'alice'), 'the-token-of-alice\n');
    const file = parseConfiguration(
      'admin: { token: the-first-token-here, tokens: [{ name: alice, role: operate, tokenFile: alice }] }\nmetrics: { token: the-token-of-metrics }',
      join(temporary(), 'tally.yaml'),
    );
    const environment = readEnvironment({ TALLY_ADMIN_READ_TOKEN: 'a-token-that-may-look' });
    expect(await readAdminTokens(resolveConfiguration(mergeLayers(file, environment)))).toEqual([
      { name: 'admin', role: 'operate', token: 'the-first-token-here' },
      { name: 'read', role: 'read', token: 'a-token-that-may-look' },
      { name: 'alice', role: 'operate', token: 'the-token-of-alice' },
      { name: 'metrics', role: 'metrics', token: 'the-token-of-metrics' },
    ]);
  });

  it('that are the same, or have the same name, or no secret at all, are refused', async () => {
    const admin = { token: 'one-and-the-same-token', readToken: 'one-and-the-same-token' };
    await expect(readAdminTokens(resolveConfiguration({ admin }))).rejects.toThrow(
      'The tokens "admin" and "read" of the admin API are the same',
    );
    const twice = [{ name: 'admin', role: 'read' as const, token: 'some-other-token-here' }];
    expect(() => resolveConfiguration({ admin: { tokens: twice } })).toThrow('the same name');
    const none = [{ name: 'bob', role: 'read' as const }];
    expect(() => resolveConfiguration({ admin: { tokens: none } })).toThrow('admin.tokens, bob: give either');
  });
});

describe('the credentials file', () => {
  it('is what the AWS tools read, and reads back', () => {
    const keys = makeS3Keys();
    const text = formatCredentialsFile(keys);
    expect(text).toContain('[default]\naws_access_key_id = ');
    expect(parseCredentialsFile(text)).toEqual(keys);
  });

  it('other sections and comments are passed over', () => {
    const text =
      '# a\n[other]\naws_access_key_id=NO\naws_secret_access_key=NO\n[default]\naws_access_key_id=YES\naws_secret_access_key=se/c+ret==\n';
    expect(parseCredentialsFile(text)).toEqual({ accessKey: 'YES', secretKey: 'se/c+ret==' });
  });

  it('without keys is an error that says so', async () => {
    const file = join(temporary(), 'credentials');
    await writeFile(file, '[default]\n');
    await expect(readS3Keys(resolveConfiguration({ credentials: { file } }))).rejects.toThrow(
      'has no aws_access_key_id',
    );
    expect(await readFile(file, 'utf8')).toBe('[default]\n');
  });
});
