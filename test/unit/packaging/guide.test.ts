/** docs/two-machines.md and the README against what they speak of. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfiguration } from '../../../src/cli/configuration-file.js';
import { resolveConfiguration } from '../../../src/cli/configuration.js';
import { placeOfOsd } from '../../../src/cli/osd-place.js';
import { readGuide, textFor } from '../../guide/guide-steps.js';

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

  it('says of every block of commands on which machine it is typed (npm run test:guide does so)', () => {
    const steps = readGuide(read('docs/two-machines.md'));
    expect(steps.filter(({ on }) => on !== 'none').length).toBeGreaterThan(20);
    expect(steps.filter(({ on }) => on === 'none').map(({ section }) => section)).toEqual([
      'When an alert fires',
    ]);
    expect(() => readGuide('# A\n\n```sh\ntrue\n```\n')).toThrow('does not say where');
  });

  it('has lines that are others on the second machine', () => {
    const text = 'osd=osd-0     # on the second machine: osd=osd-1\nformat $osd\n';
    expect(textFor('first', text)).toBe('osd=osd-0\nformat $osd\n');
    expect(textFor('second', text)).toBe('osd=osd-1\nformat $osd\n');
  });

  it('has a configuration that each service takes', () => {
    const [text = '', ...more] = yamlBlocks('docs/two-machines.md', 'mirrorSet:');
    expect(more).toEqual([]);
    const configuration = resolveConfiguration(parseConfiguration(text, '/etc/tally/tally.yaml'));
    const osd = { ...configuration.osd, name: 'osd-1' };
    expect(placeOfOsd({ ...configuration, osd })).toEqual({
      name: 'osd-1',
      storeFolder: '/var/lib/tally/osd-1',
      socketPath: null,
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
