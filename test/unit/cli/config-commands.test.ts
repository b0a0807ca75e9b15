import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Compile } from 'typebox/schema';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { HIDDEN, renderConfiguration } from '../../../src/cli/config-commands.js';
import { parseConfiguration } from '../../../src/cli/configuration-file.js';
import { missingFiles } from '../../../src/cli/configured-files.js';
import { resolveConfiguration } from '../../../src/cli/configuration.js';
import { publishedSchema } from '../../../src/cli/published-schema.js';
import { TestAuthority } from '../../support/certificates.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();
const root = join(import.meta.dirname, '../../..');

const WITH_SECRETS = `mirrorSet: { secret: hidden-secret-of-the-set }
admin: { token: hidden-token-of-the-admin, readToken: hidden-read-token, tokens: [{ name: bob, role: read, token: hidden-of-bob }] }
metrics: { token: hidden-token-of-metrics }
credentials:
  accessKey: FIRST
  secretKey: hidden-secret-key
  keys: [{ accessKeyId: SECOND, secret: hidden-further-key }]
`;

describe('tally config show', () => {
  it.each([true, false])('shows every setting and no secret (JSON: %s)', (isJson) => {
    const configuration = resolveConfiguration(parseConfiguration(WITH_SECRETS, '/etc/tally.yaml'));
    const text = renderConfiguration(configuration, isJson);
    expect(text).not.toContain('hidden-');
    expect(text.split(HIDDEN)).toHaveLength(8);
    expect(parse(text)).toMatchObject({ s3: { region: 'us-east-1' }, credentials: { accessKey: 'FIRST' } });
  });
});

describe('the files that a configuration names', () => {
  const resolveIn = (text: string) =>
    resolveConfiguration(parseConfiguration(text, join(temporary(), 'tally.yaml')));

  it('are told when they are not there: another machine may have them; but not those that the first start makes', async () => {
    const text = `data: d
mirrorSet: { secretFile: set-secret }
admin: { tls: { certFile: a.pem, keyFile: a.key } }
credentials: { file: keys }
`;
    expect(await missingFiles(resolveIn(text))).toEqual([
      expect.stringContaining(`${temporary()}/set-secret does not exist`),
      expect.stringContaining(`${temporary()}/keys does not exist`),
      expect.stringMatching(/^admin\.tls: .*a\.pem can't be read/),
    ]);
    expect(await missingFiles(resolveIn('data: d'))).toEqual([]);
  });

  it.each([
    ['mirrorSet: { secretFile: f }', 'short', '16 to 256 characters'],
    ['mirrorSet: { secret: short }', '', '16 to 256 characters'],
    ['credentials: { file: f }', '[default]', 'no aws_access_key_id'],
    ['s3: { tls: { certFile: f, keyFile: f } }', 'no PEM', 's3.tls: '],
    ['s3: { masterKeyFile: f }', 'no key', '/f: '],
  ])('are no good: %s, with %j', async (text, content, message) => {
    await writeFile(join(temporary(), 'f'), content);
    await expect(missingFiles(resolveIn(text))).rejects.toThrow(message);
  });

  it('are good, and a certificate has not expired', async () => {
    const authority = new TestAuthority(temporary(), 'authority');
    const good = authority.issue('good');
    const old = authority.issue('old', { days: -1 });
    const text = ({ certFile, keyFile }: typeof good) =>
      `osd: { tls: { certFile: ${certFile}, keyFile: ${keyFile} } }`;
    expect(await missingFiles(resolveIn(text(good)))).toEqual([]);
    await expect(missingFiles(resolveIn(text(old)))).rejects.toThrow(/osd\.tls: .* has expired/);
  });
});

describe('the published schema', () => {
  it('is the one of the code', () => {
    const published = readFileSync(join(root, 'schema/tally.schema.json'), 'utf8');
    expect(published, 'tally config schema > schema/tally.schema.json').toBe(publishedSchema());
  });

  it('accepts a configuration and refuses a setting that there is not, also for others than us', () => {
    const validator = Compile(JSON.parse(publishedSchema()) as object);
    expect(validator.Check(parse(WITH_SECRETS))).toBe(true);
    expect(validator.Check({ s3: { colour: 'red' } })).toBe(false);
  });
});
