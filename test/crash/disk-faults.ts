/** Disks that others fill up, and that have room again later. */
import { sleep, until } from '../support/patience.js';
import type { SmallDisk } from '../support/small-disk.js';
import type { OsdHandle } from '../support/tally-system.js';
import { type Disks } from './disks.js';
import { EXCLUDED_WITHIN_MS, type FaultContext, pickOsd } from './fault-context.js';

/** Less than what an OSD keeps free, and enough for LevelDB to go on. */
const LEFT_MEBIBYTES = 40;

function disksOf({ disks }: FaultContext): Disks {
  if (disks === null) throw new Error('this fault needs disks of its own');
  return disks;
}

/** Whoever met the very end of its disk in the middle of a batch is fenced until it is started again. */
async function restartIfFailed(osd: OsdHandle): Promise<void> {
  if (osd.process.isRunning) {
    const { fault } = await osd.connection.identity();
    if (fault?.kind !== 'disk-failed') return;
    await osd.process.kill();
  }
  osd.process.start();
}

/** A disk fills up, to the reserve or to its last byte, and its OSD is left out. Sometimes somebody pulls the plug meanwhile. */
export async function fillDisk(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const osd = pickOsd(context);
  const disk = disksOf(context).of(osd.name);
  disk.fill(random.chance(0.7) ? LEFT_MEBIBYTES : 0);
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  await sleep(random.integer(0, 1500));
  const isKilled = random.chance(0.3);
  if (isKilled) await osd.process.kill();
  disk.empty();
  if (isKilled) osd.process.start();
  else await restartIfFailed(osd);
}

/** Both disks fill up: clients are told 507, and nothing that was acknowledged is lost. */
export async function fillBothDisks(context: FaultContext): Promise<void> {
  const { system, random, traffic } = context;
  const disks: readonly SmallDisk[] = system.osds.map(({ name }) => disksOf(context).of(name));
  for (const disk of disks) disk.fill(LEFT_MEBIBYTES);
  const before = traffic.counts.unknown + traffic.counts.unavailable;
  await until(
    'writes are turned away',
    () => traffic.counts.unknown + traffic.counts.unavailable,
    (count) => count > before,
    { withinMs: EXCLUDED_WITHIN_MS },
  );
  await sleep(random.integer(0, 1500));
  for (const disk of random.chance(0.5) ? disks : [...disks].reverse()) {
    disk.empty();
    await sleep(random.integer(0, 1000));
  }
}
