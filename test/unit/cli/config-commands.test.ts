import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Compile } from 'typebox/schema';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { HIDDEN, renderConfiguration } from '../../../src/cli/config-commands.js';
import { parseConfiguration } from '../../../src/cli/configuration-file.js';
import { resolveConfiguration } from '../../../src/cli/configuration.js';
import { publishedSchema } from '../../../src/cli/published-schema.js';

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
