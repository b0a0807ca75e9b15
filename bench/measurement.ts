/** One measurement, and how it stands in a table beside the floor of the same run. */
import type { Cell, BenchTable } from './table.js';

export interface Usage {
  /** Processor seconds, user and system, by process. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  /** Bytes that all of them sent to the disk; 0 on a file system in memory. */
  readonly diskBytes: number;
}

export interface Measurement {
  readonly suite: string;
  readonly operation: string;
  readonly target: string;
  /** Whether a write is on disk before its answer. */
  readonly syncs: Syncs;
  readonly connections: number;
  readonly requests: number;
  readonly failures: number;
  readonly seconds: number;
  /** Bytes of content that went one way or the other. */
  readonly contentBytes: number;
  /** Of those, the ones that were stored. */
  readonly storedBytes: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  readonly usage: Usage;
  /** Processor seconds of the load generator. */
  readonly generatorCpuSeconds: number;
}

export type Syncs = 'yes' | 'no' | 'unknown';

/** The targets that everything else is compared with. */
const FLOOR_NAMES: readonly string[] = ['floor', 'memory floor'];

const COLUMNS: readonly string[] = [
  'operation',
  'target',
  'connections',
  'requests/s',
  'MB/s',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'CPU µs/request',
  'by process',
  'disk bytes/byte',
  'syncs',
  '× floor',
  'generator µs',
  'failed',
];

export function rateOf({ requests, seconds }: Measurement): number {
  return requests / seconds;
}

export function microseconds(seconds: number, requests: number): number {
  return Math.round((seconds * 1e6) / Math.max(1, requests));
}

export function cpuMicrosecondsOf({ usage, requests }: Measurement): number {
  return microseconds(
    Object.values(usage.cpuSeconds).reduce((sum, seconds) => sum + seconds, 0),
    requests,
  );
}

/** How often it is as fast as each floor of the same run, operation and connections. */
function ratioCell(measurement: Measurement, all: readonly Measurement[]): string {
  if (FLOOR_NAMES.includes(measurement.target)) return '-';
  const ratios = FLOOR_NAMES.flatMap((name) => {
    const floor = all.find(
      ({ target, operation, connections }) =>
        target === name && operation === measurement.operation && connections === measurement.connections,
    );
    if (floor === undefined) return [];
    return [`${(rateOf(measurement) / rateOf(floor)).toFixed(2)}${name === 'floor' ? '' : ' (memory)'}`];
  });
  return ratios.length === 0 ? '-' : ratios.join(', ');
}

function processCell({ usage, requests }: Measurement): string {
  const parts = Object.entries(usage.cpuSeconds).map(
    ([name, seconds]) => `${name} ${microseconds(seconds, requests)}`,
  );
  return parts.length === 0 ? '-' : parts.join(', ');
}

function cellsOf(measurement: Measurement, all: readonly Measurement[]): Cell[] {
  const { operation, target, connections, seconds, contentBytes, storedBytes, latencyMs, usage } =
    measurement;
  const isMeasured = Object.keys(usage.cpuSeconds).length > 0;
  return [
    operation,
    target,
    connections,
    rateOf(measurement).toFixed(rateOf(measurement) < 100 ? 1 : 0),
    (contentBytes / seconds / 1e6).toFixed(1),
    latencyMs.p50.toFixed(1),
    latencyMs.p99.toFixed(1),
    latencyMs.p999.toFixed(1),
    isMeasured ? cpuMicrosecondsOf(measurement) : '-',
    processCell(measurement),
    storedBytes === 0 || usage.diskBytes === 0 ? '-' : (usage.diskBytes / storedBytes).toFixed(2),
    measurement.syncs,
    ratioCell(measurement, all),
    microseconds(measurement.generatorCpuSeconds, measurement.requests),
    measurement.failures,
  ];
}

export function tableOf(title: string, note: string, measurements: readonly Measurement[]): BenchTable {
  return { title, note, columns: COLUMNS, rows: measurements.map((one) => cellsOf(one, measurements)) };
}

/** Of a sorted list; 0 for an empty one. */
export function percentile(sorted: ArrayLike<number>, fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
}
