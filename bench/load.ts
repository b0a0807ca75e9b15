/** One measurement under load: the generator's figures, and what each measured process spent meanwhile. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { S3Access } from '../test/support/s3-client.js';
import { cpuSecondsOf } from '../test/support/process-usage.js';

/** Sent to the load generator. */
export interface LoadOrder {
  readonly access: S3Access;
  readonly method: 'PUT' | 'GET';
  readonly bucket: string;
  readonly keyPrefix: string;
  /** GET: how many keys there are. */
  readonly keyCount: number;
  readonly firstIndex: number;
  readonly sizeBytes: number;
  readonly connections: number;
  readonly seconds: number;
  /** Requests to make in all, however long that takes; null: as many as come in `seconds`. */
  readonly amount: number | null;
}

/** What the load generator answers. */
export interface LoadFigures {
  readonly requests: number;
  readonly failures: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the generator itself. */
  readonly cpuSeconds: number;
}

export interface MeasuredProcess {
  readonly name: string;
  readonly processId: number;
}

export interface LoadResult extends LoadFigures {
  /** Processor seconds by process. */
  readonly cpu: Readonly<Record<string, number>>;
}

const GENERATOR = fileURLToPath(new URL('load-generator.js', import.meta.url));

function generate(order: LoadOrder): Promise<LoadFigures> {
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

function readCpu(processes: readonly MeasuredProcess[]): Map<string, number> {
  return new Map(processes.map(({ name, processId }) => [name, cpuSecondsOf(processId)]));
}

/** Runs `work` and returns with its result what each process spent. */
export async function measureCpu<Result>(
  processes: readonly MeasuredProcess[],
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly cpu: Record<string, number> }> {
  const before = readCpu(processes);
  const result = await work();
  const after = readCpu(processes);
  const cpu: Record<string, number> = {};
  for (const [name, seconds] of after) cpu[name] = seconds - (before.get(name) ?? 0);
  return { result, cpu };
}

export async function measureLoad(
  order: LoadOrder,
  processes: readonly MeasuredProcess[],
): Promise<LoadResult> {
  const { result, cpu } = await measureCpu(processes, () => generate(order));
  return { ...result, cpu };
}
