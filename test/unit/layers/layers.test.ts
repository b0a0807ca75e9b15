import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { listSourceFiles, readImportGraph } from './import-graph.js';
import type { ImportGraph } from './import-graph.js';
import {
  allowedLayers,
  findCircularImports,
  findForbiddenImports,
  layerOf,
  layers,
  mentionsEnvironment,
} from './layer-rules.js';
import type { ImportEdge } from './layer-rules.js';

const projectRoot = join(import.meta.dirname, '../../..');
const fixturesRoot = join(import.meta.dirname, 'fixtures');
const tsConfigPath = join(projectRoot, 'tsconfig.json');

describe('the layers of src', () => {
  let graph: ImportGraph;

  beforeAll(async () => {
    graph = await readImportGraph(projectRoot, tsConfigPath);
  });

  it('every .ts file under src is in the graph that the rules are held against', () => {
    const files = listSourceFiles(projectRoot);
    expect(files.length).toBeGreaterThan(0);
    expect(graph.files.length).toBe(files.length);
    expect(graph.files).toEqual(files);
  });

  it('every file under src stands in a layer', () => {
    expect(graph.files.filter((file) => layerOf(file) === undefined)).toEqual([]);
  });

  it('imports go down only, and each package stays in its home layer', () => {
    expect(findForbiddenImports(graph.edges)).toEqual([]);
  });

  it('no import is circular', () => {
    expect(findCircularImports(graph.edges)).toEqual([]);
  });

  it('only src/cli reads the environment', () => {
    const readers = listSourceFiles(projectRoot)
      .filter((file) => layerOf(file) !== 'cli')
      .filter((file) => mentionsEnvironment(readFileSync(join(projectRoot, file), 'utf8')));
    expect(readers).toEqual([]);
  });
});

describe('the checker of the layers', () => {
  it('a layer may import only layers below it', () => {
    const upward = layers.flatMap((layer, height) =>
      allowedLayers[layer].filter((target) => layers.indexOf(target) >= height),
    );
    expect(upward).toEqual([]);
  });

  it('real files with forbidden imports are found, and allowed ones are not', async () => {
    const graph = await readImportGraph(fixturesRoot, tsConfigPath);
    expect(graph.files).toEqual(listSourceFiles(fixturesRoot));
    expect(findForbiddenImports(graph.edges).sort()).toEqual([
      'src/cli/server.ts: cli may import only types of the package fastify',
      'src/gateway/reader.ts: gateway may not import store (src/store/disk.ts)',
      'src/protocol/rule.ts: protocol may not import store (src/store/disk.ts)',
      'src/protocol/rule.ts: protocol may not import the builtin path',
      'src/protocol/rule.ts: protocol may not import the package undici',
    ]);
    expect(findCircularImports(graph.edges)).toEqual([
      'src/store/disk.ts -> src/protocol/rule.ts -> src/store/disk.ts',
    ]);
  });

  it.each<[string, ImportEdge]>([
    ['gateway may not import store', importsFile('src/gateway/a.ts', 'src/store/b.ts')],
    ['gateway may not import osd', importsFile('src/gateway/a.ts', 'src/osd/b.ts')],
    ['wire may not import store', importsFile('src/wire/a.ts', 'src/store/b.ts')],
    ['store may not import wire', importsFile('src/store/a.ts', 'src/wire/b.ts')],
    ['console may not import admin', importsFile('src/console/a.tsx', 'src/admin/b.ts')],
    ['console may not import the builtin', importsBuiltin('src/console/a.ts', 'node:fs')],
    ['admin may not import console', importsFile('src/admin/a.ts', 'src/console/b.ts')],
    ['cli may not import the package preact', importsPackage('src/cli/a.ts', 'preact')],
    ['s3 may not import wire', importsFile('src/s3/a.ts', 'src/wire/b.ts')],
    ['s3 may not import admin', importsFile('src/s3/a.ts', 'src/admin/b.ts')],
    ['osd may not import cli', importsFile('src/osd/a.ts', 'src/cli/b.ts')],
    ['stands in no layer', importsFile('src/a.ts', 'src/cli/b.ts')],
    ['stands in no layer', importsFile('src/utils/a.ts', 'src/protocol/b.ts')],
    ['which stands in no layer', importsFile('src/cli/a.ts', 'test/b.ts')],
    ['protocol may not import the builtin', importsBuiltin('src/protocol/a.ts', 'node:crypto')],
    ['protocol may not import the package', importsPackage('src/protocol/a.ts', 'typebox')],
    ['gateway may not import the package undici', importsPackage('src/gateway/a.ts', 'undici')],
    ['osd may not import the package level', importsPackage('src/osd/a.ts', 'level')],
    ['wire may not import the package saxes', importsPackage('src/wire/a.ts', 'saxes')],
    ['s3 may not import the package pino', importsPackage('src/s3/a.ts', 'pino')],
    ['gateway may not import the package fastify', importsPackage('src/gateway/a.ts', 'fastify')],
    ['cli may import only types', importsPackage('src/cli/a.ts', 'fastify')],
    ['has no home layer', importsPackage('src/cli/a.ts', 'left-pad')],
    [
      'is not found',
      { from: 'src/cli/a.ts', to: { kind: 'unresolved', specifier: './b.js' }, typeOnly: false },
    ],
  ])('refuses: %s', (reason, edge) => {
    expect(findForbiddenImports([edge])).toEqual([expect.stringContaining(reason)]);
  });

  it.each<ImportEdge>([
    importsFile('src/wire/a.ts', 'src/protocol/b.ts'),
    importsFile('src/osd/a.ts', 'src/store/b.ts'),
    importsFile('src/s3/a.ts', 'src/s3/b.ts'),
    importsBuiltin('src/store/a.ts', 'node:fs'),
    importsPackage('src/wire/a.ts', 'undici'),
    { ...importsPackage('src/cli/a.ts', 'fastify'), typeOnly: true },
  ])('allows: $from to $to', (edge) => {
    expect(findForbiddenImports([edge])).toEqual([]);
  });

  it('a circle through several files is found', () => {
    const edges = [
      importsFile('src/s3/a.ts', 'src/s3/b.ts'),
      importsFile('src/s3/b.ts', 'src/s3/c.ts'),
      importsFile('src/s3/c.ts', 'src/s3/b.ts'),
    ];
    expect(findCircularImports(edges)).toEqual(['src/s3/b.ts -> src/s3/c.ts -> src/s3/b.ts']);
    expect(findCircularImports(edges.slice(0, 2))).toEqual([]);
  });

  it('every spelling that reads the environment is found', () => {
    expect(mentionsEnvironment('process.env.PORT')).toBe(true);
    expect(mentionsEnvironment("process['env']")).toBe(true);
    expect(mentionsEnvironment('const { env } = process;')).toBe(true);
    expect(mentionsEnvironment("import { env } from 'node:process';")).toBe(true);
    expect(mentionsEnvironment('process.pid; const environment = 1;')).toBe(false);
  });
});

function importsFile(from: string, path: string): ImportEdge {
  return { from, to: { kind: 'file', path }, typeOnly: false };
}

function importsBuiltin(from: string, name: string): ImportEdge {
  return { from, to: { kind: 'builtin', name }, typeOnly: false };
}

function importsPackage(from: string, name: string): ImportEdge {
  return { from, to: { kind: 'package', name }, typeOnly: false };
}
