/** One cycle of a campaign: traffic, a fault, recovery, and then every claim of the issue is checked. */
import { sleep } from '../support/patience.js';
import type { SeededRandom } from '../support/seeded-random.js';
import type { TallySystem } from '../support/tally-system.js';
import type { Disks } from './disks.js';
import { FAULTS, type FaultName } from './faults.js';
import type { Traffic } from './traffic.js';

export interface CycleContext {
  readonly system: TallySystem;
  readonly bucket: string;
  readonly traffic: Traffic;
  readonly random: SeededRandom;
  readonly disks: Disks | null;
  readonly onFinding: (message: string) => void;
  /** Operations that were looked at in an earlier cycle. */
  readonly seenOperations: Set<string>;
}

export interface CycleResult {
  readonly fault: FaultName;
  readonly durationMs: number;
  /** From the end of the fault to all mirrors in sync, while clients went on. */
  readonly recoveryMs: number;
  readonly epoch: number;
  readonly acknowledged: number;
  readonly unavailable: number;
  readonly unknown: number;
  readonly objectCount: number;
  readonly comparedBytes: number;
  readonly copiedBytes: number;
}

const TRAFFIC_BEFORE_MS_MAX = 1200;
const TRAFFIC_AFTER_MS_MAX = 800;
/** "In a quiet system both tag tables are empty within a second" (issue 2), and some for a shared machine. */
const TABLES_EMPTY_WITHIN_MS = 2500;

/** "While one OSD is down every S3 operation goes on" (issue 2); a fault of these may tell of an outage all the same. */
const LEAVES_ONE_MIRROR: ReadonlySet<FaultName> = new Set([
  'kill-osd',
  'away-for-long',
  'wipe-disk',
  'freeze-osd',
  'cut-link',
  'silence-link',
  'lose-replies',
  'slow-link',
  'fill-disk',
]);

/** I7: what a finished reconciliation copied is no more than what was unmatched. Returns the bytes copied. */
async function checkCopies(context: CycleContext): Promise<number> {
  const operations = await context.system.admin.operations();
  let copiedBytes = 0;
  for (const { id, state, progress, reason } of operations) {
    if (state === 'running' || context.seenOperations.has(id)) continue;
    context.seenOperations.add(id);
    if (progress === null) continue;
    copiedBytes += progress.bytesCopied;
    if (progress.bytesCopied > progress.bytesUnmatched) {
      context.onFinding(
        `I7: operation ${id} (${reason}) copied ${progress.bytesCopied} bytes, of which ${progress.bytesUnmatched} were unmatched: ${JSON.stringify(progress)}`,
      );
    }
  }
  return copiedBytes;
}

async function attempt(context: CycleContext, claim: string, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    context.onFinding(`${claim}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export async function runCycle(context: CycleContext, fault: FaultName): Promise<CycleResult> {
  const { system, bucket, traffic, random, disks, onFinding } = context;
  const startMs = performance.now();
  const before = { ...traffic.counts };
  traffic.start();
  await sleep(random.integer(50, TRAFFIC_BEFORE_MS_MAX));
  let staysUp = LEAVES_ONE_MIRROR.has(fault);
  const onOutage = (): void => {
    staysUp = false;
  };
  await attempt(context, fault, () => FAULTS[fault]({ system, bucket, traffic, random, disks, onOutage }));
  system.links.heal();
  const faultEndMs = performance.now();
  let epoch = 0;
  await attempt(context, 'recovery', async () => {
    ({ epoch } = await system.untilInSync());
  });
  const recoveryMs = performance.now() - faultEndMs;
  await sleep(random.integer(0, TRAFFIC_AFTER_MS_MAX));
  await traffic.pause();
  // The pause may have shown the gateway that something is wrong; then it recovers once more.
  await attempt(context, 'recovery', async () => {
    ({ epoch } = await system.untilInSync());
  });
  await attempt(context, 'reading back', () => traffic.verify());
  await attempt(context, 'tag tables', () => system.untilTablesEmpty(TABLES_EMPTY_WITHIN_MS));
  let comparison = { objectCount: 0, contentBytes: 0 };
  await attempt(context, 'comparing', async () => {
    const { differences, ...figures } = await system.compare();
    for (const difference of differences) onFinding(`I7: the mirrors differ: ${difference}`);
    comparison = figures;
  });
  const unavailable = traffic.counts.unavailable - before.unavailable;
  if (unavailable > 0 && staysUp) {
    onFinding(
      `${unavailable} writes were turned away although one mirror and the gateway were there all the time`,
    );
  }
  let copiedBytes = 0;
  await attempt(context, 'operations', async () => {
    copiedBytes = await checkCopies(context);
  });
  return {
    fault,
    durationMs: performance.now() - startMs,
    recoveryMs,
    epoch,
    acknowledged: traffic.counts.acknowledged - before.acknowledged,
    unavailable,
    unknown: traffic.counts.unknown - before.unknown,
    objectCount: comparison.objectCount,
    comparedBytes: comparison.contentBytes,
    copiedBytes,
  };
}
