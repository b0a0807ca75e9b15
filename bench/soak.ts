/**
 * Claim: the memory of every process stays flat over an hour of mixed load: small objects, large ones in one stream and in parts, reads of
 * both, lists, and keys that are overwritten, so that compaction runs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { memoryOf } from '../test/support/process-usage.js';
import { S3Client } from '../test/support/s3-client.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { getStream, putStream } from './large-objects.js';
import { generateLoad, type LoadMethod } from './load.js';
import type { BenchTable } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const MIB = 1024 * 1024;
const LOOK_EVERY_MS = 1000;
/** What comes before this is the processes' growing up. */
const WARM_UP_SHARE = 0.1;
const SMALL_BYTES = 4096;
const SMALL_KEYS = 2000;
const SMALL_CONNECTIONS = 8;
const ROUND_SECONDS = 10;
const LARGE_BYTES = 64 * MIB;
/** Written one after the other, again and again. */
const LARGE_KEYS = 8;
const MIXED: readonly LoadMethod[] = ['GET', 'GET', 'PUT', 'GET', 'GET', 'LIST', 'GET', 'GET', 'PUT', 'GET'];
const ANSWER_MS = 600_000;

/** Resident memory of each process, look by look. */
class MemoryRecord {
  readonly #looks = new Map<string, number[]>();
  readonly #target: BenchTarget;

  constructor(target: BenchTarget) {
    this.#target = target;
  }

  look(): void {
    for (const { name, processId } of this.#target.processes) {
      const looks = this.#looks.get(name) ?? [];
      looks.push(memoryOf(processId).residentBytes / MIB);
      this.#looks.set(name, looks);
    }
  }

  rows(): (readonly [string, ...number[]])[] {
    return [...this.#looks].map(([name, looks]) => {
      const warm = looks.slice(Math.floor(looks.length * WARM_UP_SHARE));
      const quarter = Math.max(1, Math.floor(warm.length / 4));
      const early = mean(warm.slice(0, quarter));
      const late = mean(warm.slice(-quarter));
      const figures = [looks[0] ?? 0, early, late, looks[looks.length - 1] ?? 0, Math.max(...looks)];
      return [name, ...figures.map(Math.round)] as const;
    });
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** Small objects: what is put is removed again round by round, so that the store does not grow with the time. */
async function loadSmall(target: BenchTarget, isOver: () => boolean): Promise<number> {
  const shared = {
    access: target.access,
    bucket: BENCH_BUCKET,
    keyPrefix: 'soak-',
    firstIndex: 0,
    stored: { keyPrefix: 'soak-stored-', keyCount: SMALL_KEYS },
    sizeBytes: SMALL_BYTES,
    connections: SMALL_CONNECTIONS,
    seconds: ROUND_SECONDS,
  };
  await generateLoad({ ...shared, keyPrefix: 'soak-stored-', methods: ['PUT'], amount: SMALL_KEYS });
  let requests = 0;
  while (!isOver()) {
    const mixed = await generateLoad({ ...shared, methods: MIXED, amount: null });
    requests += mixed.requests;
    if (mixed.puts === 0) continue;
    const removed = await generateLoad({ ...shared, methods: ['DELETE'], amount: mixed.puts });
    requests += removed.requests;
    if (mixed.failures + removed.failures > 0) throw new Error('requests of the mixed load failed');
  }
  return requests;
}

/** Large objects: each is written, or written over, and read. */
async function loadLarge(target: BenchTarget, isOver: () => boolean): Promise<number> {
  const piece = new SeededRandom(7).bytes(MIB);
  const client = new Client(target.access.endpoint, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  let count = 0;
  try {
    for (; !isOver(); count += 1) {
      const path = `/${BENCH_BUCKET}/soak-large-${count % LARGE_KEYS}`;
      await putStream(client, target, path, LARGE_BYTES, piece);
      await getStream(client, target, path, LARGE_BYTES);
    }
    return count;
  } finally {
    await client.destroy();
  }
}

/** Middling objects that are packed with others, and written over so that compaction has work. */
async function overwriteMiddling(target: BenchTarget, isOver: () => boolean): Promise<number> {
  const s3 = new S3Client(target.access);
  const random = new SeededRandom(8);
  const bodies = Array.from({ length: 4 }, () => random.bytes(100 * 1024));
  let count = 0;
  try {
    for (; !isOver(); count += 1) {
      const body = bodies[count % bodies.length];
      if (body !== undefined) await s3.put(BENCH_BUCKET, `soak-middling-${count % 64}`, body);
      await sleep(20);
    }
    return count;
  } finally {
    await s3.close();
  }
}

export async function benchSoak(
  target: BenchTarget,
  minutes: number,
  report: (line: string) => void,
): Promise<BenchTable> {
  const record = new MemoryRecord(target);
  const endMs = performance.now() + minutes * 60_000;
  const watch = { hasFailed: false };
  const isOver = (): boolean => watch.hasFailed || performance.now() >= endMs;
  const work = Promise.all([
    loadSmall(target, isOver),
    loadLarge(target, isOver),
    overwriteMiddling(target, isOver),
  ]);
  work.catch(() => {
    watch.hasFailed = true;
  });
  let looks = 0;
  while (!isOver()) {
    record.look();
    looks += 1;
    if (looks % 60 === 0) for (const row of record.rows()) report(`${looks} s  ${row.join('  ')}`);
    await sleep(LOOK_EVERY_MS);
  }
  const [small, large, middling] = await work;
  record.look();
  return {
    title: 'Memory over time',
    note: `${minutes} minutes: ${small} small requests, ${large} objects of ${LARGE_BYTES / MIB} MiB there and back, ${middling} of 100 KiB; resident MiB, every ${LOOK_EVERY_MS} ms. Flat is: "last quarter" is about "first quarter", both without the first tenth.`,
    columns: ['process', 'start', 'first quarter', 'last quarter', 'end', 'most'],
    rows: record.rows(),
  };
}
