/** What `npm pack` makes of a build. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

interface Packed {
  readonly files: readonly { readonly path: string }[];
}

function packedPaths(): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = spawnSync('npm', args, { cwd: root, encoding: 'utf8' });
  const [packed] = JSON.parse(stdout) as Packed[];
  return (packed?.files ?? []).map(({ path }) => path);
}

function builtTexts(): string[] {
  const folder = join(root, 'dist/cli');
  return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
}

function matchesIn(texts: readonly string[], pattern: RegExp): string[] {
  return [...new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([, name = '']) => name)))];
}

/** Packages that the built program loads where it runs. */
function loadedPackages(): string[] {
  const names = matchesIn(
    builtTexts(),
    /(?:^import .*from |\bimport\(|\b__require\()"((?:@[^"/]+\/)?[^"./][^"/]*)[^"]*"/gm,
  );
  return names.filter((name) => !name.startsWith('node:') && !builtinModules.includes(name));
}

/** Packages that are in the built program: a comment says where each part comes from. */
function includedPackages(): string[] {
  return matchesIn(builtTexts(), /^\/\/ (?:.*\/)?node_modules\/((?:@[^/\n]+\/)?[^/\n]+)/gm);
}

/** Packages that come with this one. Their licences ask to travel with them, so what is built in is among these. */
function shippedPackages(): ReadonlySet<string> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  const paths = Object.entries(packages).flatMap(([path, { dev }]) => (dev === true ? [] : [path]));
  return new Set(paths.map((path) => path.replace(/^.*node_modules\//, '')));
}

describe('the build', () => {
  it('leaves a program that can be run: npx marks it as one only when it meets a folder for the first time', () => {
    expect(() => {
      accessSync(join(root, 'dist/cli/main.js'), constants.X_OK);
    }).not.toThrow();
  });
});

describe('the package', () => {
  it('has all that runs, and nothing else', () => {
    const paths = packedPaths();
    expect(paths).toEqual(
      expect.arrayContaining([
        ...['package.json', 'README.md', 'LICENSE', 'dist/cli/main.js', 'dist/console/index.html'],
        ...['openapi/admin.yaml', 'openapi/osd.yaml', 'schema/tally.schema.json'],
        ...['packaging/systemd/tally-osd@.service', 'packaging/systemd/tally-gateway.service'],
      ]),
    );
    const needed =
      /^(?:package\.json|README\.md|LICENSE|dist\/(?:sbom\.cdx\.json|cli\/[\w.-]+\.js|console\/.*)|openapi\/\w+\.yaml|schema\/tally\.schema\.json|packaging\/systemd\/[\w@.-]+)$/;
    expect(paths.filter((path) => !needed.test(path))).toEqual([]);
  });

  it('names each package that it loads as a dependency', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const loaded = loadedPackages();
    expect(loaded).toContain('classic-level');
    expect(loaded.filter((name) => !(name in dependencies))).toEqual([]);
  });

  it('has nothing built in but packages that it brings along, with their licences', () => {
    const included = includedPackages();
    const shipped = shippedPackages();
    expect(included).toContain('fastify');
    expect(included.filter((name) => !shipped.has(name))).toEqual([]);
  });
});
