/**
 * Claim: what a mirror costs that was away follows the writes it missed, not the objects that are stored.
 *
 * One system grows. At each size an OSD is killed, misses N writes, and comes back.
 */
import { memoryOf } from '../test/support/process-usage.js';
import type { TallySystem } from '../test/support/tally-system.js';
import { generateLoad } from './load.js';
import type { BenchTable } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const OBJECT_BYTES = 1024;
const CONNECTIONS = 32;
const EXCLUDED_WITHIN_MS = 30_000;
const IN_SYNC_WITHIN_MS = 600_000;
const MIB = 1024 * 1024;
const KEYS_MEANWHILE = 1000;

/** Stored objects, and writes missed at that size. */
const STEPS: readonly { readonly stored: number; readonly missed: number }[] = [
  { stored: 1000, missed: 1000 },
  { stored: 10_000, missed: 1000 },
  { stored: 100_000, missed: 1000 },
  { stored: 100_000, missed: 100 },
  { stored: 100_000, missed: 10_000 },
];

async function write(target: BenchTarget, fields: { firstIndex: number; amount: number }): Promise<void> {
  const { failures } = await generateLoad({
    access: target.access,
    methods: ['PUT'],
    bucket: BENCH_BUCKET,
    keyPrefix: 'reconciled-',
    stored: { keyPrefix: 'reconciled-', keyCount: 0 },
    sizeBytes: OBJECT_BYTES,
    connections: CONNECTIONS,
    seconds: 0,
    ...fields,
  });
  if (failures > 0) throw new Error(`${failures} writes failed`);
}

/** One client that writes on, one object after the other, while the mirror is brought back. */
function writeOn(system: TallySystem) {
  const stop = new AbortController();
  let longestMs = 0;
  let count = 0;
  const startMs = performance.now();
  const body = Buffer.alloc(OBJECT_BYTES, 'w');
  const ended = (async () => {
    while (!stop.signal.aborted) {
      const sentMs = performance.now();
      await system.s3.put(BENCH_BUCKET, `meanwhile-${count % KEYS_MEANWHILE}`, body);
      longestMs = Math.max(longestMs, performance.now() - sentMs);
      count += 1;
    }
  })();
  return {
    stop: async () => {
      stop.abort();
      await ended;
      return { longestMs, writesPerSecond: (count * 1000) / (performance.now() - startMs) };
    },
  };
}

async function measureReturn(system: TallySystem, target: BenchTarget, missed: number) {
  const [, osd] = system.osds;
  await system.untilTablesEmpty(EXCLUDED_WITHIN_MS);
  await osd.process.kill();
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  const { epoch } = await system.admin.status();
  await write(target, { firstIndex: 0, amount: missed });
  const startMs = performance.now();
  osd.process.start();
  const client = writeOn(system);
  await system.untilInSync(IN_SYNC_WITHIN_MS);
  const { longestMs, writesPerSecond } = await client.stop();
  const backAfterSeconds = (performance.now() - startMs) / 1000;
  const operation = (await system.admin.operations()).find((candidate) => candidate.epoch > epoch);
  const progress = operation?.progress ?? null;
  if (operation === undefined || progress === null)
    throw new Error('the mirror came back without a reconciliation');
  const { startedMs, endedMs } = operation;
  const seconds = ((endedMs ?? startedMs) - startedMs) / 1000;
  const residentBytes = memoryOf(system.gateway.processId).residentBytes;
  return { progress, seconds, backAfterSeconds, residentBytes, longestMs, writesPerSecond };
}

export async function benchReconcile(
  system: TallySystem,
  target: BenchTarget,
  report: (line: string) => void,
): Promise<BenchTable> {
  const rows: (string | number)[][] = [];
  let stored = 0;
  for (const step of STEPS) {
    if (step.stored > stored) {
      await write(target, { firstIndex: stored, amount: step.stored - stored });
      ({ stored } = step);
    }
    const { progress, seconds, backAfterSeconds, residentBytes, longestMs, writesPerSecond } =
      await measureReturn(system, target, step.missed);
    const row = [
      stored,
      step.missed,
      progress.rowsUnmatched,
      progress.bytesUnmatched,
      progress.bytesCopied,
      seconds.toFixed(2),
      ((seconds * 1e6) / step.missed).toFixed(0),
      backAfterSeconds.toFixed(2),
      Math.round(residentBytes / MIB),
      longestMs.toFixed(0),
      writesPerSecond.toFixed(0),
    ];
    report(row.join('  '));
    rows.push(row);
  }
  return {
    title: 'Bringing a mirror back',
    note: `Objects of ${OBJECT_BYTES} bytes. "Reconciled" is the operation from its start to the activation, of which only the end is under the fence; one client writes on meanwhile, and its longest write is told; "back" counts from the start of the OSD's process, so it has its start and the gateway's next look in it.`,
    columns: [
      'objects stored',
      'writes missed',
      'rows unmatched',
      'bytes unmatched',
      'bytes copied',
      'reconciled s',
      'µs/write',
      'back s',
      'gateway MiB',
      'longest write ms',
      'writes/s meanwhile',
    ],
    rows,
  };
}
