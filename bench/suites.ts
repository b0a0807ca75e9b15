/** What can be measured, by name. */
const KIB = 1024;
const MIB = 1024 * KIB;

const SMALL_OPERATIONS = ['put', 'get', 'head', 'delete', 'mixed'] as const;
export type SmallOperation = (typeof SMALL_OPERATIONS)[number];

const SIZES: Readonly<Record<string, number>> = {
  '1k': KIB,
  '4k': 4 * KIB,
  '64k': 64 * KIB,
  '1m': MIB,
};
const STREAM_SIZES: Readonly<Record<string, number>> = {
  '64m': 64 * MIB,
  '256m': 256 * MIB,
  '1g': 1024 * MIB,
};

export type Suite = { readonly name: string } & (
  | { readonly kind: 'small'; readonly operation: SmallOperation; readonly sizeBytes: number }
  | { readonly kind: 'list' }
  | { readonly kind: 'stream'; readonly sizeBytes: number }
  | { readonly kind: 'multipart' }
  | { readonly kind: 'pointers' }
  | { readonly kind: 'memory' }
  | { readonly kind: 'soak' }
  | { readonly kind: 'tail' }
  | { readonly kind: 'recovery' }
  | { readonly kind: 'store' }
);

function smallSuites(): Suite[] {
  return SMALL_OPERATIONS.flatMap((operation) =>
    Object.entries(SIZES).map(([label, sizeBytes]): Suite => ({
      name: `${operation}-${label}`,
      kind: 'small',
      operation,
      sizeBytes,
    })),
  );
}

const ALL: readonly Suite[] = [
  ...smallSuites(),
  { name: 'list', kind: 'list' },
  ...Object.entries(STREAM_SIZES).map(([label, sizeBytes]): Suite => ({
    name: `stream-${label}`,
    kind: 'stream',
    sizeBytes,
  })),
  { name: 'multipart', kind: 'multipart' },
  { name: 'pointers', kind: 'pointers' },
  { name: 'memory', kind: 'memory' },
  { name: 'soak', kind: 'soak' },
  { name: 'tail', kind: 'tail' },
  { name: 'recovery', kind: 'recovery' },
  { name: 'store', kind: 'store' },
];

export const SUITE_NAMES: readonly string[] = ALL.map(({ name }) => name);

/** Short enough for every day. */
export const DEFAULT_SUITES = 'put-4k,get-4k,head-4k,put-1m,get-1m,list,stream-64m,multipart,pointers';

/** Throws RangeError for a name that is none. `all` is everything. */
export function findSuites(names: string): readonly Suite[] {
  if (names === 'all') return ALL;
  return names.split(',').map((name) => {
    const suite = ALL.find((candidate) => candidate.name === name);
    if (suite !== undefined) return suite;
    throw new RangeError(`--suite is of: all, ${SUITE_NAMES.join(', ')}`);
  });
}
