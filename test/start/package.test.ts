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

/** Packages that the built servers import. */
function importedPackages(): string[] {
  const folder = join(root, 'dist');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.js') && !name.startsWith('console/'),
  );
  const specifiers = files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/\bfrom '([^'.][^']*)';$/gm)].map(
      ([, specifier = '']) => specifier,
    ),
  );
  const names = specifiers.map((text) =>
    text
      .split('/')
      .slice(0, text.startsWith('@') ? 2 : 1)
      .join('/'),
  );
  return [...new Set(names)].filter((name) => !name.startsWith('node:') && !builtinModules.includes(name));
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
      /^(?:package\.json|README\.md|LICENSE|dist\/.*(?<!\.map|\.d\.ts|\.test\.js|\.tsbuildinfo)|openapi\/\w+\.yaml|schema\/tally\.schema\.json|packaging\/systemd\/[\w@.-]+)$/;
    expect(paths.filter((path) => !needed.test(path))).toEqual([]);
  });

  it('names each package that it imports as a dependency', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const imported = importedPackages();
    expect(imported).toContain('fastify');
    expect(imported.filter((name) => !(name in dependencies))).toEqual([]);
  });
});
