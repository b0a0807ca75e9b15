/**
 * What a campaign does to a running system. Each fault leaves every process running again; whether the system recovers is
 * for the cycle to see.
 *
 * A disk is only ever wiped while the other mirror has been up without a break and is alone in sync: in any other state the
 * protocol rightly stops and asks an operator (F33).
 */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, until } from '../support/patience.js';
import type { SeededRandom } from '../support/seeded-random.js';
import type { OsdHandle } from '../support/tally-system.js';
import { INLINE_CONTENT_BYTES_MAX } from '../../src/wire/osd-connection.js';
import { fillBothDisks, fillDisk } from './disk-faults.js';
import { EXCLUDED_WITHIN_MS, type Fault, type FaultContext, pause, pickOsd } from './fault-context.js';
import { sendHalf } from './half-sent-write.js';
import {
  cutLink,
  cutPeersDuringRecovery,
  isolateGateway,
  loseReplies,
  silenceLink,
  slowLink,
} from './link-faults.js';
import type { ObjectHistory } from './object-history.js';

const WRITES_WHILE_AWAY = 1000;
const AWAY_MS_MAX = 30_000;
const HALF_SENT_WRITES = 8;

async function restartGateway({ system, traffic }: FaultContext): Promise<void> {
  system.gateway.start();
  await system.untilServing();
  traffic.noteNewGateway();
}

async function killGateway(context: FaultContext): Promise<void> {
  await context.system.gateway.kill();
  await pause(context);
  await restartGateway(context);
}

async function killOsd(context: FaultContext): Promise<void> {
  const osd = pickOsd(context);
  await osd.process.kill();
  await pause(context);
  osd.process.start();
}

async function killBothOsds(context: FaultContext): Promise<void> {
  const first = pickOsd(context);
  const second = context.system.otherThan(first);
  await first.process.kill();
  if (context.random.chance(0.5)) await pause(context);
  await second.process.kill();
  await pause(context);
  const [one, other] = context.random.chance(0.5) ? [first, second] : [second, first];
  one.process.start();
  if (context.random.chance(0.5)) await pause(context);
  other.process.start();
}

async function killGatewayAndOsd(context: FaultContext): Promise<void> {
  const osd = pickOsd(context);
  const { gateway } = context.system;
  const victims = context.random.chance(0.5) ? [gateway, osd.process] : [osd.process, gateway];
  for (const victim of victims) {
    await victim.kill();
    await sleep(context.random.integer(0, 30));
  }
  await pause(context);
  osd.process.start();
  if (context.random.chance(0.5)) await pause(context);
  await restartGateway(context);
}

/** As when the plug of the whole machine is pulled, but for what the kernel still writes. */
async function killEverything(context: FaultContext): Promise<void> {
  const { system, random } = context;
  await system.killAll();
  await sleep(random.integer(0, 500));
  for (const osd of system.osds) {
    osd.process.start();
    if (random.chance(0.3)) await pause(context);
  }
  await restartGateway(context);
}

/** Kills somebody while an OSD that was away is being reconciled. */
async function killDuringRecovery(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const returning = pickOsd(context);
  await returning.process.kill();
  await system.untilExcluded(returning, EXCLUDED_WITHIN_MS);
  await sleep(random.integer(0, 1500));
  returning.process.start();
  await sleep(random.integer(100, 1200));
  const victim = random.pick([returning.process, system.otherThan(returning).process, system.gateway]);
  await victim.kill();
  await pause(context);
  if (victim === system.gateway) await restartGateway(context);
  else victim.start();
}

/** An OSD is away for a thousand writes. */
async function awayForLong(context: FaultContext): Promise<void> {
  const { system, traffic } = context;
  const osd = pickOsd(context);
  await osd.process.kill();
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  const enough = traffic.counts.acknowledged + WRITES_WHILE_AWAY;
  await until(
    `${WRITES_WHILE_AWAY} writes are acknowledged by one mirror`,
    () => traffic.counts.acknowledged,
    (count) => count >= enough,
    { withinMs: AWAY_MS_MAX },
  ).catch(() => undefined);
  osd.process.start();
}

/** Somebody dies while a mirror is copied to in full, and it goes on where it was. */
async function killDuringFullCopy(context: FaultContext, copied: OsdHandle): Promise<void> {
  const { system, random } = context;
  await sleep(random.integer(50, 1500));
  const victim = random.pick([copied.process, system.otherThan(copied).process, system.gateway]);
  if (victim !== copied.process) context.onOutage();
  await victim.kill();
  if (random.chance(0.5)) await pause(context);
  if (victim === system.gateway) await restartGateway(context);
  else victim.start();
}

/** An OSD comes back on a blank disk (F16). Clients write on while it is copied to. */
async function wipeDisk(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const osd = pickOsd(context);
  await osd.process.kill();
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  await pause(context);
  system.wipe(osd);
  osd.process.start();
  if (random.chance(0.5)) await killDuringFullCopy(context, osd);
}

/** An OSD comes back with its disk of some time ago (F17). */
async function restoreBackup(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const osd = pickOsd(context);
  const backup = join(system.folder, 'backup');
  await osd.process.kill();
  cpSync(osd.storeFolder, backup, { recursive: true });
  osd.process.start();
  await system.untilInSync();
  await sleep(random.integer(0, 2000));
  await osd.process.kill();
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  // The folder itself may be where a disk is mounted.
  for (const name of readdirSync(osd.storeFolder)) rmSync(join(osd.storeFolder, name), { recursive: true });
  cpSync(backup, osd.storeFolder, { recursive: true });
  rmSync(backup, { recursive: true });
  osd.process.start();
  if (random.chance(0.5)) await killDuringFullCopy(context, osd);
}

/** An OSD hangs with its sockets open, and later works off what it still has in its buffers (F2, F14). */
async function freezeOsd(context: FaultContext): Promise<void> {
  const osd = pickOsd(context);
  osd.process.freeze();
  await sleep(context.random.pick([200, 1500, 6000]));
  osd.process.thaw();
}

async function freezeGateway(context: FaultContext): Promise<void> {
  const { system, random } = context;
  system.gateway.freeze();
  await sleep(random.integer(100, 3000));
  if (random.chance(0.3)) {
    const osd = pickOsd(context);
    await osd.process.kill();
    osd.process.start();
  }
  system.gateway.thaw();
}

/**
 * The gateway dies between its two requests, several times over; one of the mirrors may die with it. Whoever is in sync after
 * that decides: what only an excluded mirror has must go (F2), what a trusted one has must be on all (F1).
 */
async function sendHalves(context: FaultContext): Promise<void> {
  const { system, traffic, random, bucket } = context;
  await system.gateway.kill();
  await traffic.pause();
  const halfWritten = new Set<ObjectHistory>();
  for (let index = 1; index <= HALF_SENT_WRITES; index += 1) {
    const { history, operation } = traffic.chooseForeignWrite();
    if (operation.kind !== 'delete' && operation.bytes.length > INLINE_CONTENT_BYTES_MAX) continue;
    const reply = await sendHalf(pickOsd(context), { bucket, key: history.key, operation, index });
    if (reply?.kind !== 'committed') continue;
    history.record(operation, { kind: 'unknown', reason: 'sent to one mirror' }, new Set());
    halfWritten.add(history);
  }
  const victim = random.chance(0.7) ? pickOsd(context) : null;
  await victim?.process.kill();
  await restartGateway(context);
  // Now it is decided, and must stay so when the victim is back.
  for (const history of halfWritten) await traffic.settle(history);
  // A later write would cover what should not come back, so half of the times there is none.
  const isQuiet = random.chance(0.5);
  if (!isQuiet) traffic.start();
  await pause(context);
  victim?.process.start();
  if (!isQuiet) return;
  await system.untilInSync();
  for (const history of halfWritten) await traffic.settle(history);
  traffic.start();
}

/** One of the gateway's workers dies, and what it was writing with it; now and then an OSD, or the one that takes its place. */
async function killWorker(context: FaultContext): Promise<void> {
  const { system, random } = context;
  for (let count = random.chance(0.3) ? 2 : 1; count > 0; count -= 1) {
    const workers = system.workerProcessIds;
    if (workers.length === 0) throw new RangeError('this gateway has no workers');
    process.kill(random.pick(workers), 'SIGKILL');
    if (random.chance(0.3)) {
      const osd = pickOsd(context);
      await osd.process.kill();
      osd.process.start();
    }
    await pause(context);
  }
  await system.untilServing();
}

/** Stops in good order, and starts again. */
async function stopCleanly(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const part = random.pick(system.processes);
  await part.stop();
  await pause(context);
  if (part === system.gateway) await restartGateway(context);
  else part.start();
}

export const FAULTS = {
  'kill-gateway': killGateway,
  'kill-osd': killOsd,
  'kill-both-osds': killBothOsds,
  'kill-gateway-and-osd': killGatewayAndOsd,
  'kill-everything': killEverything,
  'kill-during-recovery': killDuringRecovery,
  'away-for-long': awayForLong,
  'wipe-disk': wipeDisk,
  'restore-backup': restoreBackup,
  'freeze-osd': freezeOsd,
  'freeze-gateway': freezeGateway,
  'send-halves': sendHalves,
  'stop-cleanly': stopCleanly,
  'kill-worker': killWorker,
  'cut-link': cutLink,
  'silence-link': silenceLink,
  'lose-replies': loseReplies,
  'slow-link': slowLink,
  'cut-peers-during-recovery': cutPeersDuringRecovery,
  'isolate-gateway': isolateGateway,
  'fill-disk': fillDisk,
  'fill-both-disks': fillBothDisks,
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export function isFaultName(text: string): text is FaultName {
  return Object.hasOwn(FAULTS, text);
}

const WEIGHTED: readonly (readonly [number, FaultName])[] = [
  [4, 'kill-gateway'],
  [5, 'kill-osd'],
  [2, 'kill-both-osds'],
  [2, 'kill-gateway-and-osd'],
  [2, 'kill-everything'],
  [4, 'kill-during-recovery'],
  [1, 'away-for-long'],
  [3, 'wipe-disk'],
  [2, 'restore-backup'],
  [1.5, 'freeze-osd'],
  [1, 'freeze-gateway'],
  [3, 'send-halves'],
  [1, 'stop-cleanly'],
];

/** ... these on the way from the gateway to OSDs, and between OSDs, */
const WEIGHTED_LINKS: typeof WEIGHTED = [
  [3, 'cut-link'],
  [3, 'silence-link'],
  [4, 'lose-replies'],
  [2, 'slow-link'],
  [3, 'cut-peers-during-recovery'],
  [1, 'isolate-gateway'],
];
/** ... these when the OSDs have disks that can be filled, */
const WEIGHTED_DISKS: typeof WEIGHTED = [
  [2, 'fill-disk'],
  [1, 'fill-both-disks'],
];
/** ... and with several workers one of them dies in every third cycle or so. */
const WEIGHTED_WORKERS: typeof WEIGHTED = [[14, 'kill-worker']];

export interface FaultChoices {
  readonly workers: number;
  readonly hasDisks: boolean;
}

export function chooseFault(random: SeededRandom, choices: FaultChoices): FaultName {
  return random.pickWeighted([
    ...WEIGHTED,
    ...WEIGHTED_LINKS,
    ...(choices.hasDisks ? WEIGHTED_DISKS : []),
    ...(choices.workers > 1 ? WEIGHTED_WORKERS : []),
  ]);
}
