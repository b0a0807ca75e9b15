/** What somebody gets who installs the package, without this repository: its tarball, in an empty folder, from a registry's dependencies. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { repositoryRoot } from '../support/repository.js';
import { isAlive, paste, plainEnvironment, Playground, RunningTally } from './running-tally.js';

const INSTALL_MS_MAX = 120_000;
/** Most of it is the registry. */
const TEST_MS_MAX = 300_000;
const STOPPED_WITHIN_MS = 30_000;

let playground: Playground;
let tally: RunningTally | null = null;

beforeEach(async () => {
  playground = await Playground.make();
});

afterEach(async () => {
  await tally?.end('SIGKILL');
  await playground.remove();
});

/** What it said of its warnings. */
function npm(folder: string, ...args: string[]): string {
  const ran = spawnSync('npm', args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: INSTALL_MS_MAX,
    env: plainEnvironment(),
  });
  expect(ran.status, `npm ${args.join(' ')}\n${ran.stdout}${ran.stderr}${ran.error?.message ?? ''}`).toBe(0);
  return ran.stderr;
}

it(
  'npm install of the tarball, then npx tally up: a bucket, an object, its bytes, and Ctrl-C',
  async () => {
    const { folder } = playground;
    npm(repositoryRoot, 'run', 'sbom');
    npm(repositoryRoot, 'pack', '--ignore-scripts', '--pack-destination', folder);
    const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
    const place = join(folder, 'place');
    mkdirSync(place);
    writeFileSync(join(place, 'package.json'), '{ "private": true }');
    const warnings = npm(place, 'install', '--no-audit', '--no-fund', join('..', tarball));
    // Overrides do not travel with a package: what it depends on must run on Node 20 by itself.
    expect(warnings).not.toContain('EBADENGINE');

    tally = RunningTally.startInstalled(place, ['up', ...playground.flags]);
    await tally.waitFor('Ctrl-C stops everything.');
    expect(paste(tally.line('make a bucket'), place).stdout).toBe('200\n');
    expect(paste(tally.line('put a file'), place).stdout).toBe('200\n');
    expect(paste(tally.line('get it back'), place).stdout).toBe('the same bytes\n');
    expect(paste(tally.line('look at the mirrors'), place).stdout).toContain('All mirrors are in sync.');
    const services = ['gateway', 'osd-0', 'osd-1'].map((name) => tally!.processIdOf(name));
    await tally.end('SIGINT');
    await expect.poll(() => services.filter(isAlive), { timeout: STOPPED_WITHIN_MS }).toEqual([]);
    const sbom = JSON.parse(readFileSync(join(place, 'node_modules/tally/dist/sbom.cdx.json'), 'utf8')) as {
      readonly bomFormat: string;
      readonly components: readonly { readonly name: string }[];
    };
    expect(sbom.bomFormat).toBe('CycloneDX');
    expect(sbom.components.map(({ name }) => name)).toContain('classic-level');
  },
  TEST_MS_MAX,
);
