/** Claim: what a process needs does not follow the size or the number of the uploads that run through it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { memoryOf } from '../test/support/process-usage.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { putStream } from './large-objects.js';
import type { BenchTable } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const MIB = 1024 * 1024;
const LOOK_EVERY_MS = 100;
const ANSWER_MS = 600_000;

export interface MemoryOptions {
  /** At once. */
  readonly uploads: number;
  readonly sizeBytes: number;
}

/** The most that each process was seen with while `work` ran, in bytes. */
async function watchMemory(target: BenchTarget, work: Promise<unknown>): Promise<Map<string, number>> {
  const most = new Map<string, number>();
  const watch = { isOver: false };
  const over = work.finally(() => {
    watch.isOver = true;
  });
  while (!watch.isOver) {
    for (const { name, processId } of target.processes) {
      most.set(name, Math.max(most.get(name) ?? 0, memoryOf(processId).residentBytes));
    }
    await Promise.race([sleep(LOOK_EVERY_MS), over]);
  }
  await over;
  return most;
}

async function uploadOne(
  target: BenchTarget,
  index: number,
  sizeBytes: number,
  piece: Buffer,
): Promise<void> {
  const client = new Client(target.access.endpoint, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  try {
    await putStream(client, target, `/${BENCH_BUCKET}/memory-${index}`, sizeBytes, piece);
  } finally {
    await client.destroy();
  }
}

export async function benchMemory(
  target: BenchTarget,
  { uploads, sizeBytes }: MemoryOptions,
  report: (line: string) => void,
): Promise<BenchTable> {
  const piece = new SeededRandom(5).bytes(MIB);
  const before = new Map(
    target.processes.map(({ name, processId }) => [name, memoryOf(processId).residentBytes]),
  );
  const work = Promise.all(
    Array.from({ length: uploads }, (_, index) => uploadOne(target, index, sizeBytes, piece)),
  );
  const most = await watchMemory(target, work);
  const rows = [...most].map(([name, bytes]) => [
    name,
    Math.round((before.get(name) ?? 0) / MIB),
    Math.round(bytes / MIB),
  ]);
  for (const row of rows) report(row.join('  '));
  return {
    title: 'Memory',
    note: `${uploads} uploads of ${sizeBytes / MIB} MiB at once; resident memory of each process, looked at every ${LOOK_EVERY_MS} ms.`,
    columns: ['process', 'before MiB', 'most MiB'],
    rows,
  };
}
