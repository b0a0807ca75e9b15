/** Claim: many small and middling PUTs and GETs at once, every PUT synced on both mirrors before its answer. */
import { type LoadOrder, type LoadResult, measureLoad } from './load.js';
import { type BenchTable, megabytesPerSecond, perSecond } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const KIB = 1024;
const SIZES: readonly { readonly label: string; readonly sizeBytes: number; readonly keyCount: number }[] = [
  { label: '4 KiB', sizeBytes: 4 * KIB, keyCount: 2000 },
  { label: '1 MiB', sizeBytes: 1024 * KIB, keyCount: 100 },
];
const FILL_CONNECTIONS = 16;
const WARM_UP_SECONDS = 2;

export interface PutGetOptions {
  readonly seconds: number;
  readonly connections: readonly number[];
}

function microsecondsPerRequest(result: LoadResult): string {
  const parts = Object.entries(result.cpu).map(
    ([name, seconds]) => `${name} ${Math.round((seconds * 1e6) / Math.max(1, result.requests))}`,
  );
  return parts.length === 0 ? '-' : parts.join(', ');
}

function rowOf(target: BenchTarget, order: LoadOrder, label: string, result: LoadResult) {
  return [
    `${order.method} ${label}`,
    target.name,
    order.connections,
    perSecond(result.requests, result.seconds),
    megabytesPerSecond(result.requests * order.sizeBytes, result.seconds),
    result.p50Ms.toFixed(1),
    result.p99Ms.toFixed(1),
    microsecondsPerRequest(result),
    Math.round((result.cpuSeconds * 1e6) / Math.max(1, result.requests)),
    result.failures,
  ];
}

async function measureTarget(
  target: BenchTarget,
  { seconds, connections }: PutGetOptions,
  report: (line: string) => void,
): Promise<(string | number)[][]> {
  const rows: (string | number)[][] = [];
  const shared = { access: target.access, bucket: BENCH_BUCKET, firstIndex: 0 };
  for (const { label, sizeBytes, keyCount } of SIZES) {
    const fill = { ...shared, keyPrefix: `get-${sizeBytes}-`, keyCount, sizeBytes };
    await measureLoad(
      { ...fill, method: 'PUT', connections: FILL_CONNECTIONS, seconds: 0, amount: keyCount },
      [],
    );
    for (const count of connections) {
      const base = { ...shared, keyCount, sizeBytes, connections: count, amount: null };
      const put: LoadOrder = { ...base, method: 'PUT', keyPrefix: `put-${sizeBytes}-${count}-`, seconds };
      const get: LoadOrder = { ...base, method: 'GET', keyPrefix: fill.keyPrefix, seconds };
      for (const order of [put, get]) {
        const warmUp = { ...order, keyPrefix: order.method === 'PUT' ? 'warm-up-' : order.keyPrefix };
        await measureLoad({ ...warmUp, seconds: WARM_UP_SECONDS }, []);
        const result = await measureLoad(order, target.processes);
        const row = rowOf(target, order, label, result);
        report(row.join('  '));
        rows.push(row);
      }
    }
  }
  return rows;
}

/** One after the other, so that they don't share the processors. */
export async function benchPutGet(
  targets: readonly BenchTarget[],
  options: PutGetOptions,
  report: (line: string) => void,
): Promise<BenchTable> {
  const rows: (string | number)[][] = [];
  for (const target of targets) rows.push(...(await measureTarget(target, options, report)));
  return {
    title: 'PUT and GET',
    note: `autocannon for ${options.seconds} s each on this machine, every request signed and with a key of its own; GETs read what the page cache has. The floor is a bare node:http server that writes one file and syncs it, once. MB = 10^6 bytes.`,
    columns: [
      'operation',
      'target',
      'connections',
      'requests/s',
      'MB/s',
      'p50 ms',
      'p99 ms',
      'CPU µs/request',
      'generator µs',
      'failed',
    ],
    rows,
  };
}
