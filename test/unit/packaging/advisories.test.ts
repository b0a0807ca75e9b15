/** docs/threat-model.md says since which version each known fault of a package is fixed; what is installed is no older. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../support/repository.js';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>>;
}

const page = readFileSync(join(repositoryRoot, 'docs/threat-model.md'), 'utf8');
const { packages } = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as Lock;
/** Name, major version where several are in use, first version without the faults. */
const ROW = /^\| `([^`]+)`(?: (\d+))? +\| (\d+\.\d+\.\d+) +\|/gm;
const reviewed = [...page.matchAll(ROW)].map(([, name = '', major, fixed = '']) => ({ name, major, fixed }));

function versionsInUse(name: string): string[] {
  return Object.entries(packages).flatMap(([path, { version, dev }]) =>
    dev !== true && path.endsWith(`node_modules/${name}`) ? [version] : [],
  );
}

function isBefore(version: string, other: string): boolean {
  return version.localeCompare(other, 'en', { numeric: true }) < 0;
}

describe('packages of others that run in gateway and OSDs', () => {
  it('are reviewed', () => {
    expect(reviewed.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['fastify', 'undici', 'fast-uri']),
    );
  });

  it.each(reviewed)('$name $major has what $fixed has fixed', ({ name, major, fixed }) => {
    const inUse = versionsInUse(name).filter(
      (version) => version.split('.')[0] === (major ?? version.split('.')[0]),
    );
    expect(inUse).not.toEqual([]);
    for (const version of inUse) expect(isBefore(version, fixed), version).toBe(false);
  });
});
