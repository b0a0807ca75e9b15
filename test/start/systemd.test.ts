/** The units of packaging/systemd, as systemd itself sees them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const units = join(import.meta.dirname, '../../packaging/systemd');
/** Of 100; a service without any hardening has 96. */
const EXPOSURE_MAX = '20';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tally-units-'));
  for (const name of readdirSync(units).filter((file) => file.endsWith('.service'))) {
    // Tally itself need not be installed here.
    const text = readFileSync(join(units, name), 'utf8').replace('ExecStart=tally ', 'ExecStart=/bin/true ');
    writeFileSync(join(folder, name.replace('@', '@osd-0')), text);
  }
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function analyze(...args: string[]) {
  const ran = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status: ran.status, output: `${ran.error?.message ?? ''}${ran.stderr}` };
}

describe.each(['tally-gateway.service', 'tally-osd@osd-0.service'])('%s', (name) => {
  it('is a unit without a complaint', () => {
    expect(analyze('verify', '--man=no', join(folder, name))).toEqual({ status: 0, output: '' });
  });

  it('is hardened', () => {
    const { status } = analyze(
      'security',
      '--offline=true',
      `--threshold=${EXPOSURE_MAX}`,
      join(folder, name),
    );
    expect(status).toBe(0);
  });
});
