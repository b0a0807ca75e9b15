/** docs/two-machines.md and the README against what they speak of. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfiguration } from '../../../src/cli/configuration-file.js';
import { resolveConfiguration } from '../../../src/cli/configuration.js';
import { placeOfOsd } from '../../../src/cli/osd-place.js';

function read(path: string): string {
  return readFileSync(join(import.meta.dirname, '../../..', path), 'utf8');
}

/** Those blocks of YAML that have this at the beginning of a line. */
function yamlBlocks(path: string, start: string): string[] {
  const blocks = [...read(path).matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
  return blocks.filter((text) => text.split('\n').some((line) => line.startsWith(start)));
}

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
}

describe('the guide for two machines', () => {
  it('says what to do when an alert fires, for each of them', () => {
    const alerts = parse(read('docker/prometheus/alerts.yaml')) as Alerts;
    const fired = alerts.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    const told = [...read('docs/two-machines.md').matchAll(/^### (Tally\w+)$/gm)].map(([, name]) => name);
    expect(told).toEqual(fired);
  });

  it('has a configuration that each service takes', () => {
    const [text = '', ...more] = yamlBlocks('docs/two-machines.md', 'mirrorSet:');
    expect(more).toEqual([]);
    const configuration = resolveConfiguration(parseConfiguration(text, '/etc/tally/tally.yaml'));
    const osd = { ...configuration.osd, name: 'osd-1' };
    expect(placeOfOsd({ ...configuration, osd })).toEqual({
      name: 'osd-1',
      storeFolder: '/var/lib/tally/osd-1',
      listen: { host: '10.0.0.2', port: 9010 },
    });
    expect(configuration.tls.osd?.caFile).toBe('/etc/tally/ca.pem');
  });
});

describe('the README', () => {
  it('has configurations that can be used', () => {
    const blocks = yamlBlocks('README.md', 'mirrorSet:');
    expect(blocks.length).toBeGreaterThan(1);
    for (const text of blocks)
      expect(() => resolveConfiguration(parseConfiguration(text, '/etc/tally/tally.yaml'))).not.toThrow();
  });
});
