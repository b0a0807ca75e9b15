/** A campaign: one system, one seed, many cycles. It ends at the first cycle that finds something, and keeps the evidence. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WritesMode } from '../../src/protocol/forwarding.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem } from '../support/tally-system.js';
import { type CycleResult, runCycle } from './cycle.js';
import { chooseFault, type FaultName } from './faults.js';
import { Disks } from './disks.js';
import { compareStoresOffline } from './stores-offline.js';
import { Traffic } from './traffic.js';

export interface CampaignOptions {
  readonly seed: number;
  readonly cycles: number;
  /** No further cycle begins after this long. */
  readonly minutesMax?: number;
  /** Only these, instead of a seeded choice among all. */
  readonly faults: readonly FaultName[];
  readonly folder?: string;
  /** Writes wait during the whole recovery, instead of at its end. */
  readonly suspendsWrites?: boolean;
  /** Processes that serve the S3 endpoint. Default: the gateway itself. */
  readonly workers?: number;
  /** Default: direct. */
  readonly writes?: WritesMode;
  /** Each OSD has a disk of its own (in memory), which can be filled. Needs root. */
  readonly hasDisks: boolean;
  /** Keep the data folder even when nothing was found. */
  readonly keep: boolean;
  readonly report: (line: string) => void;
}

export interface CampaignResult {
  readonly cyclesRun: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly findings: readonly string[];
  /** Where the evidence is; null: nothing was found, so it is gone. */
  readonly folder: string | null;
}

const BUCKET = 'campaign';

type Mode = Pick<CampaignOptions, 'seed' | 'faults' | 'suspendsWrites' | 'workers' | 'writes' | 'hasDisks'>;

/** With every flag that the choices of a cycle, or what they meet, depend on. */
export function replayCommand(
  { seed, faults, suspendsWrites, workers = 1, writes, hasDisks }: Mode,
  cycles: number,
): string {
  const flags = [
    `--cycles ${cycles} --seed ${seed}`,
    ...faults.map((fault) => `--fault ${fault}`),
    ...(suspendsWrites === true ? ['--suspended'] : []),
    ...(writes === 'forwarded' ? ['--forwarded'] : []),
    ...(workers > 1 ? [`--workers ${workers}`] : []),
    ...(hasDisks ? [] : ['--no-disks']),
  ];
  return `npm run test:crash -- ${flags.join(' ')}`;
}

function describeCycle(index: number, result: CycleResult): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  return [
    `cycle ${String(index).padStart(3)}  ${result.fault.padEnd(20)}`,
    `${seconds(result.durationMs)}, in sync after ${seconds(result.recoveryMs)}`,
    `epoch ${result.epoch}`,
    `${result.acknowledged} acknowledged, ${result.unavailable} turned away, ${result.unknown} unknown`,
    `copied ${mib(result.copiedBytes)}, compared ${result.objectCount} objects of ${mib(result.comparedBytes)}`,
  ].join('; ');
}

async function checkOffline(system: TallySystem, findings: string[]): Promise<void> {
  try {
    await system.stopAll();
    const { differences } = await compareStoresOffline(system.osds);
    findings.push(...differences.map((difference) => `I7: the stopped stores differ: ${difference}`));
  } catch (error) {
    findings.push(`the end: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Started {
  readonly system: TallySystem;
  readonly disks: Disks | null;
}

async function startSystem(options: CampaignOptions): Promise<Started> {
  const place = options.folder ?? mkdtempSync(join(tmpdir(), 'tally-crash-'));
  const disks = options.hasDisks ? Disks.mount(place, ['osd-0', 'osd-1']) : null;
  try {
    const system = await TallySystem.start({
      folder: place,
      suspendsWrites: options.suspendsWrites === true,
      workers: options.workers ?? 1,
      writes: options.writes ?? 'direct',
      hasLinks: true,
    });
    return { system, disks };
  } catch (error) {
    disks?.unmount();
    throw error;
  }
}

/** What is in memory is kept beside where it was. */
async function endSystem(
  { system, disks }: Started,
  options: CampaignOptions,
  keeps: boolean,
): Promise<void> {
  await system.dispose(true);
  if (disks !== null) {
    const kept = join(system.folder, 'disks');
    if (keeps)
      for (const { name, storeFolder } of system.osds)
        cpSync(storeFolder, join(kept, name), { recursive: true });
    disks.unmount();
  }
  if (!keeps && options.folder === undefined) rmSync(system.folder, { recursive: true, force: true });
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, cycles, faults, report } = options;
  const findings: string[] = [];
  const onFinding = (message: string) => {
    findings.push(message);
    report(`FOUND  ${message}`);
  };
  const keeps = () => options.keep || findings.length > 0;
  const random = new SeededRandom(seed);
  const { system, disks } = await startSystem(options);
  if (disks === null) report('the disks of the OSDs are not filled: that needs root');
  report(`seed ${seed}; data and logs in ${system.folder}; replay: ${replayCommand(options, cycles)}`);
  const traffic = new Traffic({ client: system.s3, bucket: BUCKET, random: random.fork(), onFinding });
  const seenOperations = new Set<string>();
  const choices = {
    workers: options.workers ?? 1,
    hasDisks: disks !== null,
  };
  let cyclesRun = 0;
  const endMs = performance.now() + (options.minutesMax ?? Infinity) * 60_000;
  try {
    await system.s3.createBucket(BUCKET);
    while (cyclesRun < cycles && findings.length === 0 && performance.now() < endMs) {
      cyclesRun += 1;
      const cycleRandom = random.fork();
      const fault = faults.length > 0 ? cycleRandom.pick(faults) : chooseFault(cycleRandom, choices);
      const result = await runCycle(
        { system, bucket: BUCKET, traffic, random: cycleRandom, disks, onFinding, seenOperations },
        fault,
      );
      report(describeCycle(cyclesRun, result));
    }
    if (findings.length === 0) await checkOffline(system, findings);
  } finally {
    const { acknowledged, unknown } = traffic.counts;
    if (findings.length > 0) {
      const summary = { seed, cyclesRun, acknowledged, unknown, findings };
      writeFileSync(join(system.folder, 'findings.json'), JSON.stringify(summary, null, 2));
    }
    traffic.close();
    await endSystem({ system, disks }, options, keeps());
  }
  const folder = keeps() ? system.folder : null;
  return {
    cyclesRun,
    acknowledged: traffic.counts.acknowledged,
    unknown: traffic.counts.unknown,
    findings,
    folder,
  };
}
