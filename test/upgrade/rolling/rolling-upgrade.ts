/**
 * A system that runs an earlier release is upgraded one process at a time while clients go on, in the order of docs/two-machines.md, goes
 * back in the opposite order, and is upgraded again. In the end everything that was acknowledged is there, and the mirrors are the same.
 */
import type { WritesMode } from '../../../src/protocol/forwarding.js';
import { Traffic } from '../../crash/traffic.js';
import { sleep } from '../../support/patience.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { TallySystem } from '../../support/tally-system.js';

export interface RollingUpgradeOptions {
  /** The program of the earlier release, and the present one: paths of `main.js`. */
  readonly earlier: string;
  readonly present: string;
  readonly seed: number;
  /** How long clients go on with each mixture of releases. */
  readonly restMs: number;
  /** Back in the opposite order afterwards, and forth again. */
  readonly goesBack: boolean;
  readonly workers: number;
  readonly writes: WritesMode;
  readonly report: (line: string) => void;
}

export interface RollingUpgradeResult {
  readonly acknowledged: number;
  readonly objectCount: number;
  /** What must not be. Empty: all is well. */
  readonly findings: readonly string[];
}

const BUCKET = 'rolling';
const TABLES_EMPTY_WITHIN_MS = 30_000;

/** As the guide has it. Back again it is the other way round. */
const UPGRADE_ORDER = ['osd-1', 'osd-0', 'gateway'] as const;

type Part = (typeof UPGRADE_ORDER)[number];

class RollingUpgrade {
  readonly #options: RollingUpgradeOptions;
  readonly #system: TallySystem;
  readonly #traffic: Traffic;
  /** What each part runs, for people. */
  readonly #releases = new Map<Part, string>(UPGRADE_ORDER.map((part) => [part, 'earlier']));

  constructor(options: RollingUpgradeOptions, system: TallySystem, traffic: Traffic) {
    this.#options = options;
    this.#system = system;
    this.#traffic = traffic;
  }

  async run(): Promise<void> {
    const back = [...UPGRADE_ORDER].reverse();
    await this.#rest('all are of the earlier release');
    for (const part of UPGRADE_ORDER) await this.#exchange(part, 'present');
    if (!this.#options.goesBack) return;
    for (const part of back) await this.#exchange(part, 'earlier');
    for (const part of UPGRADE_ORDER) await this.#exchange(part, 'present');
  }

  /** As `systemctl restart` does it. */
  async #exchange(part: Part, release: 'earlier' | 'present'): Promise<void> {
    const { system, program } = { system: this.#system, program: this.#options[release] };
    const process = system.processes.find(({ name }) => name === part);
    if (process === undefined) throw new Error(`no process ${part}`);
    system.useProgram(part, program);
    this.#releases.set(part, release);
    await this.#rest(`${part} becomes the ${release} one`, async () => {
      await process.stop();
      process.start();
      await system.untilInSync();
      if (part === 'gateway') this.#traffic.noteNewGateway();
    });
  }

  async #rest(what: string, change: () => Promise<void> = async () => undefined): Promise<void> {
    const { counts } = this.#traffic;
    const before = { ...counts };
    const startMs = performance.now();
    await change();
    const changedMs = performance.now() - startMs;
    await sleep(this.#options.restMs);
    const since = (key: keyof typeof counts): number => counts[key] - before[key];
    const mixture = UPGRADE_ORDER.map((part) => `${part} ${this.#releases.get(part)}`).join(', ');
    this.#options.report(
      [
        `${what.padEnd(34)} in sync after ${(changedMs / 1000).toFixed(1)} s`,
        `${since('acknowledged')} writes acknowledged, ${since('unavailable')} turned away, ${since('unknown')} without an answer`,
        mixture,
      ].join('; '),
    );
  }
}

export async function upgradeRolling(options: RollingUpgradeOptions): Promise<RollingUpgradeResult> {
  const findings: string[] = [];
  const onFinding = (message: string): void => {
    findings.push(message);
    options.report(`FOUND  ${message}`);
  };
  const { earlier, workers, writes, seed } = options;
  const system = await TallySystem.start({ entry: earlier, workers, writes });
  const random = new SeededRandom(seed);
  const traffic = new Traffic({ client: system.s3, bucket: BUCKET, random, onFinding });
  let objectCount: number;
  try {
    await system.s3.createBucket(BUCKET);
    traffic.start();
    await new RollingUpgrade(options, system, traffic).run();
    await traffic.pause();
    await system.untilInSync();
    await traffic.verify();
    await system.untilTablesEmpty(TABLES_EMPTY_WITHIN_MS);
    const comparison = await system.compare();
    ({ objectCount } = comparison);
    for (const difference of comparison.differences) onFinding(`I7: the mirrors differ: ${difference}`);
    await system.stopAll();
  } finally {
    await traffic.pause();
    traffic.close();
    await system.dispose(findings.length > 0);
  }
  if (findings.length > 0) options.report(`data and logs: ${system.folder}`);
  return { acknowledged: traffic.counts.acknowledged, objectCount, findings };
}
