/** A campaign: one system, one seed, many cycles. It ends at the first cycle that finds something, and keeps the evidence. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WritesMode } from '../../src/protocol/forwarding.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem } from '../support/tally-system.js';
import { type CycleResult, runCycle } from './cycle.js';
import { chooseFault, type FaultName } from './faults.js';
import { compareStoresOffline } from './stores-offline.js';
import { Traffic } from './traffic.js';

export interface CampaignOptions {
  readonly seed: number;
  readonly cycles: number;
  /** Only these, instead of a seeded choice among all. */
  readonly faults: readonly FaultName[];
  readonly folder?: string;
  /** Writes wait during the whole recovery, instead of at its end. */
  readonly suspendsWrites?: boolean;
  /** Processes that serve the S3 endpoint. Default: the gateway itself. */
  readonly workers?: number;
  /** Default: direct. */
  readonly writes?: WritesMode;
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

export function replayCommand(seed: number, cycles: number): string {
  return `npm run test:crash -- --cycles ${cycles} --seed ${seed}`;
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

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, cycles, faults, report } = options;
  const findings: string[] = [];
  const onFinding = (message: string) => {
    findings.push(message);
    report(`FOUND  ${message}`);
  };
  const random = new SeededRandom(seed);
  const system = await TallySystem.start({
    suspendsWrites: options.suspendsWrites === true,
    workers: options.workers ?? 1,
    writes: options.writes ?? 'direct',
    ...(options.folder === undefined ? {} : { folder: options.folder }),
  });
  report(`seed ${seed}; data and logs in ${system.folder}; replay: ${replayCommand(seed, cycles)}`);
  const traffic = new Traffic({ client: system.s3, bucket: BUCKET, random: random.fork(), onFinding });
  const seenOperations = new Set<string>();
  let cyclesRun = 0;
  try {
    await system.s3.createBucket(BUCKET);
    while (cyclesRun < cycles && findings.length === 0) {
      cyclesRun += 1;
      const cycleRandom = random.fork();
      const fault =
        faults.length > 0 ? cycleRandom.pick(faults) : chooseFault(cycleRandom, options.workers ?? 1);
      const result = await runCycle(
        { system, bucket: BUCKET, traffic, random: cycleRandom, onFinding, seenOperations },
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
    await system.dispose(options.keep || findings.length > 0);
  }
  const folder = options.keep || findings.length > 0 ? system.folder : null;
  return {
    cyclesRun,
    acknowledged: traffic.counts.acknowledged,
    unknown: traffic.counts.unknown,
    findings,
    folder,
  };
}
