/** What is measured: a Tally system of our own, another S3 endpoint, or the floor. */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type S3Access, S3Client } from '../test/support/s3-client.js';
import { TallySystem } from '../test/support/tally-system.js';
import type { MeasuredProcess } from './load.js';
import type { Syncs } from './measurement.js';
import type { SmallOperation } from './suites.js';

export interface BenchTarget {
  readonly name: string;
  readonly access: S3Access;
  readonly syncs: Syncs;
  /** Those on this machine, whose processor time is counted; empty when there are none. */
  readonly processes: readonly MeasuredProcess[];
  readonly serves: (operation: SmallOperation) => boolean;
  readonly dispose: () => Promise<void>;
}

export const BENCH_BUCKET = 'tally-bench';

/** Request logs are part of what is measured in production; here they would measure the terminal. */
const LOG_LEVEL = 'warn';

const servesAll = (): boolean => true;

/** A build of Tally. */
export interface TallyBuild {
  readonly name: string;
  /** Its dist/cli/main.js. */
  readonly entry: string;
}

interface TallyOptions {
  /** A new one; null: a temporary one. */
  readonly folder?: string | null;
  readonly workers?: number;
  /** Default: what was built here. */
  readonly build?: TallyBuild;
}

export async function startTally({
  folder = null,
  workers = 1,
  build,
}: TallyOptions): Promise<BenchTarget & { readonly system: TallySystem }> {
  const system = await TallySystem.start({
    ...(folder !== null && { folder }),
    ...(build !== undefined && { entry: build.entry, hasSockets: true }),
    logLevel: LOG_LEVEL,
    workers,
  });
  await system.s3.createBucket(BENCH_BUCKET);
  return {
    name: build?.name ?? (workers > 1 ? `Tally, ${workers} workers` : 'Tally'),
    access: system.access,
    syncs: 'yes',
    processes: [
      ...system.processes.map(({ name, processId }) => ({ name, processId })),
      ...system.workerProcessIds.map((processId, index) => ({ name: `worker-${index}`, processId })),
    ],
    serves: servesAll,
    system,
    dispose: () => system.dispose(),
  };
}

export async function useEndpoint(
  access: S3Access,
  syncs: Syncs,
  processes: readonly MeasuredProcess[],
): Promise<BenchTarget> {
  const client = new S3Client(access);
  const outcome = await client.attempt({ method: 'PUT', path: `/${BENCH_BUCKET}` });
  await client.close();
  if (outcome.kind !== 'answered') throw new Error(`${access.endpoint}: ${outcome.reason}`);
  if (outcome.reply.status >= 300 && outcome.reply.status !== 409) {
    throw new Error(
      `${access.endpoint}: the bucket can't be made: ${outcome.reply.status} ${outcome.reply.code ?? ''}`,
    );
  }
  return {
    name: access.endpoint,
    access,
    syncs,
    processes,
    serves: servesAll,
    dispose: () => Promise.resolve(),
  };
}

async function startFloorServer(
  place: string,
): Promise<Pick<BenchTarget, 'access' | 'processes' | 'dispose'>> {
  const program = fileURLToPath(new URL('floor-server.js', import.meta.url));
  const child = fork(program, [place], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message)));
    child.once('exit', () => reject(new Error('the floor server ended')));
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    access: {
      endpoint: `http://127.0.0.1:${port}`,
      accessKeyId: 'none',
      secretAccessKey: 'none',
      region: 'none',
    },
    processes: [{ name: 'floor', processId: child.pid ?? 0 }],
    dispose: async () => {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** On the same disk as `besides`, so that both sync the same device. */
export async function startFloor(besides: string | null): Promise<BenchTarget> {
  const folder = mkdtempSync(besides === null ? join(tmpdir(), 'tally-floor-') : `${besides}-floor-`);
  const server = await startFloorServer(folder);
  return {
    ...server,
    name: 'floor',
    syncs: 'yes',
    serves: (operation) => operation !== 'mixed',
    dispose: async () => {
      await server.dispose();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Answers GETs from memory, and stores nothing. */
export async function startMemoryFloor(): Promise<BenchTarget> {
  const server = await startFloorServer('memory');
  return { ...server, name: 'memory floor', syncs: 'no', serves: (operation) => operation === 'get' };
}
