/** A mirror that was away, misses so many writes (or has lost its disk), and comes back: what that costs. */
import type { AdminOperation } from '../src/admin/schemas.js';
import type { OsdHandle, TallySystem } from '../test/support/tally-system.js';
import { generateLoad } from './load.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

export const OBJECT_BYTES = 1024;
const CONNECTIONS = 64;
const EXCLUDED_WITHIN_MS = 30_000;
const IN_SYNC_WITHIN_MS = 3_600_000;
/** Of the objects that a mirror misses, and that are there before. */
export const STORED_PREFIX = 'stored-';

/** Puts the objects `<prefix><firstIndex>` and so on. */
export async function putObjects(
  target: BenchTarget,
  fields: { readonly firstIndex: number; readonly amount: number },
): Promise<void> {
  if (fields.amount === 0) return;
  const { failures } = await generateLoad({
    access: target.access,
    methods: ['PUT'],
    bucket: BENCH_BUCKET,
    keyPrefix: STORED_PREFIX,
    stored: { keyPrefix: STORED_PREFIX, keyCount: 0 },
    sizeBytes: OBJECT_BYTES,
    connections: Math.min(CONNECTIONS, fields.amount),
    seconds: 0,
    ...fields,
  });
  if (failures > 0) throw new Error(`${failures} writes failed`);
}

/** One client that writes on, one object after the other, while the mirror is brought back. */
function writeOn(system: TallySystem) {
  const stop = new AbortController();
  let longestMs = 0;
  const body = Buffer.alloc(OBJECT_BYTES, 'w');
  const ended = (async () => {
    for (let count = 0; !stop.signal.aborted; count += 1) {
      const sentMs = performance.now();
      await system.s3.put(BENCH_BUCKET, `meanwhile-${count % CONNECTIONS}`, body);
      longestMs = Math.max(longestMs, performance.now() - sentMs);
    }
  })();
  return async () => {
    stop.abort();
    await ended;
    return longestMs;
  };
}

export interface MirrorReturn {
  /** From the beginning of the reconciliation to the activation. */
  readonly seconds: number;
  /** From the start of the OSD's process. */
  readonly backSeconds: number;
  readonly bytesUnmatched: number;
  readonly bytesCopied: number;
  readonly rowsUnmatched: number;
  readonly longestWriteMs: number;
}

async function lastOperation(system: TallySystem, epochBefore: number): Promise<AdminOperation> {
  const operation = (await system.admin.operations()).find(({ epoch }) => epoch > epochBefore);
  if (operation === undefined) throw new Error('the mirror came back without a reconciliation');
  return operation;
}

/** Kills an OSD, and waits until it is left out. Returns the epoch. */
export async function loseMirror(system: TallySystem, osd: OsdHandle): Promise<number> {
  await system.untilTablesEmpty(EXCLUDED_WITHIN_MS);
  await osd.process.kill();
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  const { epoch } = await system.admin.status();
  return epoch;
}

/** Starts it again; one client writes on until it is in sync. */
export async function bringBack(
  system: TallySystem,
  osd: OsdHandle,
  epochBefore: number,
): Promise<MirrorReturn> {
  const startMs = performance.now();
  osd.process.start();
  const stopWriting = writeOn(system);
  await system.untilInSync(IN_SYNC_WITHIN_MS);
  const backSeconds = (performance.now() - startMs) / 1000;
  const longestWriteMs = await stopWriting();
  const { startedMs, endedMs, progress } = await lastOperation(system, epochBefore);
  return {
    seconds: ((endedMs ?? startedMs) - startedMs) / 1000,
    backSeconds,
    bytesUnmatched: progress?.bytesUnmatched ?? 0,
    bytesCopied: progress?.bytesCopied ?? 0,
    rowsUnmatched: progress?.rowsUnmatched ?? 0,
    longestWriteMs,
  };
}

/** It misses writes to objects that are there. */
export async function missWrites(
  system: TallySystem,
  target: BenchTarget,
  missed: number,
): Promise<MirrorReturn> {
  const [, osd] = system.osds;
  const epoch = await loseMirror(system, osd);
  await putObjects(target, { firstIndex: 0, amount: missed });
  return bringBack(system, osd, epoch);
}

/** It comes back on a blank disk. */
export async function loseDisk(system: TallySystem): Promise<MirrorReturn> {
  const [, osd] = system.osds;
  const epoch = await loseMirror(system, osd);
  system.wipe(osd);
  return bringBack(system, osd, epoch);
}
