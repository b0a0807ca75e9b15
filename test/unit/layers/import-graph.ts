import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { IDependency } from 'dependency-cruiser';
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import type { ImportEdge, ImportTarget } from './layer-rules.js';

export type ImportGraph = { readonly files: readonly string[]; readonly edges: readonly ImportEdge[] };

/** @returns every .ts file under `<root>/src`, as the file system has it, relative to root and sorted. */
export function listSourceFiles(root: string): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join('src', name))
    .sort();
}

/** Cruises `<root>/src`, type imports included. `tsConfigPath` is absolute. */
export async function readImportGraph(root: string, tsConfigPath: string): Promise<ImportGraph> {
  const { output } = await cruise(
    ['src'],
    {
      baseDir: root,
      doNotFollow: { path: 'node_modules' },
      parser: 'tsc',
      tsPreCompilationDeps: true,
      tsConfig: { fileName: tsConfigPath },
      enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types'] },
    },
    undefined,
    { tsConfig: extractTsConfig(tsConfigPath) },
  );
  if (typeof output === 'string') throw new Error('dependency-cruiser returned text instead of a graph');
  const modules = output.modules.filter(({ source }) => source.startsWith('src/') && /\.tsx?$/.test(source));
  return {
    files: modules.map(({ source }) => source).sort(),
    edges: modules.flatMap(({ source, dependencies }) =>
      dependencies.map((dependency) => ({
        from: source,
        to: targetOf(dependency),
        typeOnly: dependency.dependencyTypes.includes('type-only'),
      })),
    ),
  };
}

function targetOf(dependency: IDependency): ImportTarget {
  const { module: specifier, resolved } = dependency;
  if (dependency.coreModule) return { kind: 'builtin', name: specifier };
  if (!specifier.startsWith('.')) return { kind: 'package', name: packageNameOf(specifier) };
  if (dependency.couldNotResolve) return { kind: 'unresolved', specifier };
  return { kind: 'file', path: resolved };
}

function packageNameOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
