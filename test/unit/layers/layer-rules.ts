/**
 * The rules of DESIGN.md section 8 as data, and a pure check of one list of imports against them.
 * Both tables are closed: an unknown layer and an unknown package are violations, not exceptions.
 */

/** Low to high. An import goes to the same layer, or to one that the table below names. */
export const layers = [
  'api',
  'tls',
  'metrics',
  'tracing',
  'protocol',
  'wire',
  'writer',
  'store',
  'osd',
  'gateway',
  's3',
  'admin',
  'cli',
  'console',
] as const;

export type Layer = (typeof layers)[number];

export const allowedLayers: Readonly<Record<Layer, readonly Layer[]>> = {
  /** Types alone, made of openapi/admin.yaml. */
  api: [],
  tls: [],
  metrics: [],
  tracing: [],
  protocol: [],
  wire: ['tls', 'protocol'],
  writer: ['protocol', 'wire'],
  store: ['protocol'],
  osd: ['tls', 'metrics', 'protocol', 'wire', 'writer', 'store'],
  gateway: ['protocol', 'wire', 'writer'],
  s3: ['tls', 'protocol', 'gateway'],
  admin: ['tls', 'metrics', 'protocol', 'wire', 'gateway'],
  /** Runs in a browser: all that it has of the server is what openapi/admin.yaml says. */
  console: ['api'],
  cli: ['api', 'tls', 'metrics', 'tracing', 'protocol', 'wire', 'store', 'osd', 'gateway', 's3', 'admin'],
};

const NO_BUILTINS: readonly Layer[] = ['protocol', 'console'];

type Home = { readonly layers: readonly Layer[]; readonly typesOnly?: readonly Layer[] };

/** Where each third-party package may be imported; `typesOnly` layers may import nothing but its types. */
const packageHomes: ReadonlyMap<string, Home> = new Map<string, Home>([
  ['level', { layers: ['store'] }],
  ['classic-level', { layers: ['store'] }],
  ['undici', { layers: ['wire'] }],
  ['saxes', { layers: ['s3'] }],
  ['fastify', { layers: ['osd', 's3', 'admin'], typesOnly: ['cli'] }],
  ['@fastify/busboy', { layers: ['s3'] }],
  ['@fastify/type-provider-typebox', { layers: ['osd', 's3', 'admin'] }],
  ['typebox', { layers: ['wire', 'osd', 's3', 'admin', 'cli'] }],
  ['@node-rs/crc32', { layers: ['wire', 'store', 'gateway', 's3'] }],
  ['hash-wasm', { layers: ['gateway', 's3'] }],
  ['prom-client', { layers: ['metrics'] }],
  ['preact', { layers: ['console'] }],
  ['uplot', { layers: ['console'] }],
  ['openapi-fetch', { layers: ['cli', 'console'] }],
  ['vite', { layers: ['console'] }],
  ['pino', { layers: ['cli'] }],
  ['commander', { layers: ['cli'] }],
  ['picocolors', { layers: ['cli'] }],
  ['yaml', { layers: ['cli'] }],
  ['cli-progress', { layers: ['cli'] }],
  ['close-with-grace', { layers: ['cli'] }],
]);

export type ImportTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'builtin'; readonly name: string }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'unresolved'; readonly specifier: string };

/** One import of one file. Paths are relative to the project and start with `src/`. */
export type ImportEdge = {
  readonly from: string;
  readonly to: ImportTarget;
  readonly typeOnly: boolean;
};

/** @returns the layer of `src/<layer>/…`, or undefined for a file outside every layer. */
export function layerOf(path: string): Layer | undefined {
  const folder = /^src\/([^/]+)\//.exec(path)?.[1];
  return layers.find((layer) => layer === folder);
}

/** @returns one sentence for each import that breaks a rule. */
export function findForbiddenImports(edges: readonly ImportEdge[]): string[] {
  return edges.flatMap((edge) => {
    const reason = explainForbidden(edge);
    return reason === undefined ? [] : [`${edge.from}: ${reason}`];
  });
}

function explainForbidden({ from, to, typeOnly }: ImportEdge): string | undefined {
  const layer = layerOf(from);
  if (layer === undefined) return 'stands in no layer';
  switch (to.kind) {
    case 'unresolved':
      return `imports ${to.specifier}, which is not found`;
    case 'builtin':
      return NO_BUILTINS.includes(layer) ? `${layer} may not import the builtin ${to.name}` : undefined;
    case 'package':
      return explainForbiddenPackage(layer, to.name, typeOnly);
    case 'file': {
      const target = layerOf(to.path);
      if (target === undefined) return `imports ${to.path}, which stands in no layer`;
      if (target === layer || allowedLayers[layer].includes(target)) return undefined;
      return `${layer} may not import ${target} (${to.path})`;
    }
  }
}

function explainForbiddenPackage(layer: Layer, name: string, typeOnly: boolean): string | undefined {
  if (layer === 'protocol') return `protocol may not import the package ${name}`;
  const home = packageHomes.get(name);
  if (home === undefined) return `the package ${name} has no home layer`;
  if (home.layers.includes(layer)) return undefined;
  if (home.typesOnly?.includes(layer) !== true) return `${layer} may not import the package ${name}`;
  return typeOnly ? undefined : `${layer} may import only types of the package ${name}`;
}

/** @returns every circle of imports that a depth-first walk meets, written `a -> b -> a`. Types count. */
export function findCircularImports(edges: readonly ImportEdge[]): string[] {
  const targets = new Map<string, Set<string>>();
  for (const { from, to } of edges) {
    if (to.kind === 'file') targets.set(from, (targets.get(from) ?? new Set()).add(to.path));
  }
  const circles: string[] = [];
  const finished = new Set<string>();
  const walk = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start !== -1) {
      circles.push([...trail.slice(start), file].join(' -> '));
      return;
    }
    if (finished.has(file)) return;
    for (const next of targets.get(file) ?? []) walk(next, [...trail, file]);
    finished.add(file);
  };
  for (const file of [...targets.keys()].sort()) walk(file, []);
  return circles;
}

/** @returns true if the source text reads the environment, by whichever spelling. */
export function mentionsEnvironment(sourceText: string): boolean {
  return (
    /\bprocess\s*(\?\.|\.)\s*env\b/.test(sourceText) ||
    /\bprocess\s*(\?\.)?\[\s*['"`]env['"`]/.test(sourceText) ||
    /\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/.test(sourceText) ||
    /\{[^}]*\benv\b[^}]*\}\s*from\s*['"](node:)?process['"]/.test(sourceText)
  );
}
