/** Measurements under load: what the generator sees, and what each measured process spends meanwhile. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { S3Access } from '../test/support/s3-client.js';
import { cpuSecondsOf, diskBytesWrittenBy } from '../test/support/process-usage.js';
import type { Usage } from './measurement.js';

export type LoadMethod = 'PUT' | 'GET' | 'HEAD' | 'DELETE' | 'LIST';

/** Sent to the load generator. */
export interface LoadOrder {
  readonly access: S3Access;
  /** In turn, on every connection. */
  readonly methods: readonly LoadMethod[];
  readonly bucket: string;
  /** PUT and DELETE: keys `<prefix><n>`, each used once, from `firstIndex` on. */
  readonly keyPrefix: string;
  readonly firstIndex: number;
  /** GET, HEAD and LIST: the keys `<prefix><0 to count>` that are there, in turn. */
  readonly stored: { readonly keyPrefix: string; readonly keyCount: number };
  readonly sizeBytes: number;
  readonly connections: number;
  readonly seconds: number;
  /** Requests to make in all, however long that takes; null: as many as come in `seconds`. */
  readonly amount: number | null;
}

/** What the load generator answers. */
export interface LoadFigures {
  /** Those that succeeded. */
  readonly requests: number;
  /** Of those, the PUTs. */
  readonly puts: number;
  readonly failures: number;
  readonly seconds: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** Of the generator itself. */
  readonly cpuSeconds: number;
}

export interface MeasuredProcess {
  readonly name: string;
  readonly processId: number;
}

const GENERATOR = fileURLToPath(new URL('load-generator.js', import.meta.url));

/** Runs a load in a process of its own. */
export function generateLoad(order: LoadOrder): Promise<LoadFigures> {
  return new Promise((resolve, reject) => {
    const child = fork(GENERATOR, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.once('message', (figures) => resolve(figures as LoadFigures));
    child.once('error', reject);
    child.once('exit', (code) => {
      // After its message this changes nothing any more.
      reject(new Error(`the load generator ended with code ${code ?? 'none'}`));
    });
    child.send(order);
  });
}

/** Runs `work` and returns with its result what the processes spent. */
export async function measureUsage<Result>(
  processes: readonly MeasuredProcess[],
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly usage: Usage }> {
  const look = () =>
    processes.map(({ name, processId }) => ({
      name,
      cpu: cpuSecondsOf(processId),
      disk: diskBytesWrittenBy(processId),
    }));
  const before = look();
  const result = await work();
  const after = look();
  const cpuSeconds: Record<string, number> = {};
  let diskBytes = 0;
  for (const [index, { name, cpu, disk }] of after.entries()) {
    cpuSeconds[name] = cpu - (before[index]?.cpu ?? 0);
    diskBytes += disk - (before[index]?.disk ?? 0);
  }
  return { result, usage: { cpuSeconds, diskBytes } };
}
