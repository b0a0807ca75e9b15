/**
 * Claim: p99 of PUT at 64 connections stays under 10 x p50 while compaction and reconciliation run.
 *
 * The same keys are written over and over, so most of each segment is dead and compaction never rests. In the middle one OSD is killed,
 * and started again some seconds later: it is left out, catches up beside the writes, and is let in under the fence.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client } from '../test/support/s3-client.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import type { TallySystem } from '../test/support/tally-system.js';
import { percentile } from './measurement.js';
import type { BenchTable, Cell } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const CONNECTIONS = 64;
const KEYS = 2000;
const BODY_BYTES = 16 * 1024;
const IN_SYNC_WITHIN_MS = 600_000;

const PHASES = ['both mirrors', 'one killed', 'it catches up', 'both again'] as const;
type Phase = (typeof PHASES)[number];

/** Latencies of the PUTs by the phase in which they were sent. */
class TailRecord {
  phase: Phase = 'both mirrors';
  failures = 0;
  readonly #latenciesMs = new Map<Phase, number[]>(PHASES.map((phase) => [phase, []]));
  readonly #seconds = new Map<Phase, number>();
  #phaseStartMs = performance.now();

  enter(phase: Phase): void {
    this.end();
    this.phase = phase;
  }

  end(): void {
    const nowMs = performance.now();
    this.#seconds.set(this.phase, (nowMs - this.#phaseStartMs) / 1000);
    this.#phaseStartMs = nowMs;
  }

  take(phase: Phase, latencyMs: number): void {
    this.#latenciesMs.get(phase)?.push(latencyMs);
  }

  rows(): Cell[][] {
    return PHASES.map((phase) => {
      const sorted = Float64Array.from(this.#latenciesMs.get(phase) ?? []).sort();
      const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => percentile(sorted, share));
      const seconds = this.#seconds.get(phase) ?? 0;
      return [
        phase,
        seconds.toFixed(1),
        Math.round(sorted.length / Math.max(seconds, 0.001)),
        (p50 ?? 0).toFixed(1),
        (p99 ?? 0).toFixed(1),
        (p999 ?? 0).toFixed(1),
        (sorted[sorted.length - 1] ?? 0).toFixed(1),
        ((p99 ?? 0) / Math.max(p50 ?? 0, 0.001)).toFixed(1),
      ];
    });
  }
}

async function keepWriting(target: BenchTarget, record: TailRecord, isOver: () => boolean): Promise<void> {
  const s3 = new S3Client(target.access);
  const random = new SeededRandom(9);
  const bodies = Array.from({ length: 8 }, () => random.bytes(BODY_BYTES));
  const write = async (): Promise<void> => {
    while (!isOver()) {
      const key = Math.floor(random.fraction() * KEYS);
      const body = bodies[key % bodies.length];
      if (body === undefined) return;
      const { phase } = record;
      const sentMs = performance.now();
      const outcome = await s3.attempt({ method: 'PUT', path: `/${BENCH_BUCKET}/tail-${key}`, body });
      if (outcome.kind === 'answered' && outcome.reply.status === 200)
        record.take(phase, performance.now() - sentMs);
      else record.failures += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, write));
  } finally {
    await s3.close();
  }
}

export async function benchTail(
  system: TallySystem,
  target: BenchTarget,
  seconds: number,
  report: (line: string) => void,
): Promise<BenchTable> {
  const record = new TailRecord();
  const watch = { isOver: false };
  const writing = keepWriting(target, record, () => watch.isOver);
  const [, osd] = system.osds;
  try {
    await sleep(seconds * 1000);
    record.enter('one killed');
    await osd.process.kill();
    await sleep(seconds * 1000);
    record.enter('it catches up');
    osd.process.start();
    await system.untilInSync(IN_SYNC_WITHIN_MS);
    record.enter('both again');
    await sleep(seconds * 1000);
  } finally {
    record.end();
    watch.isOver = true;
    await writing;
  }
  const rows = record.rows();
  for (const row of rows) report(row.join('  '));
  return {
    title: 'Tail of PUT',
    note: `${CONNECTIONS} at once write ${KEYS} keys of ${BODY_BYTES / 1024} KiB over and over, so compaction runs; an OSD is killed and comes back. ${record.failures} PUTs failed (those of the moment of the kill are to be repeated by clients).`,
    columns: ['phase', 'seconds', 'PUT/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'longest ms', 'p99/p50'],
    rows,
  };
}
