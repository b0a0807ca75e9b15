/**
 * `npm run test:crash -- --cycles N [--minutes M] --seed S [--fault NAME]... [--folder PATH] [--keep] [--suspended]
 *                        [--workers N] [--forwarded] [--no-disks]`
 */
import { parseArgs } from 'node:util';
import { buildProgram } from '../support/repository.js';
import { type CampaignOptions, replayCommand, runCampaign } from './campaign-run.js';
import { isRoot } from '../support/small-disk.js';
import { FAULTS, type FaultName, isFaultName } from './faults.js';

const CYCLES_DEFAULT = 20;
const SEED_MAX = 2 ** 32;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function readCount(text: string | undefined, fallback: number, name: string): number {
  if (text === undefined) return fallback;
  const count = Number(text);
  return Number.isSafeInteger(count) && count >= 0
    ? count
    : fail(`--${name} is a whole number, not "${text}"`);
}

function readFaults(names: readonly string[]): FaultName[] {
  return names.map((name) =>
    isFaultName(name) ? name : fail(`--fault is one of ${Object.keys(FAULTS).join(', ')}, not "${name}"`),
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cycles: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      fault: { type: 'string', multiple: true },
      folder: { type: 'string' },
      keep: { type: 'boolean', default: false },
      suspended: { type: 'boolean', default: false },
      workers: { type: 'string' },
      forwarded: { type: 'boolean', default: false },
      'no-disks': { type: 'boolean', default: false },
    },
  });
  const seed = readCount(values.seed, Math.floor(Math.random() * SEED_MAX), 'seed');
  const cycles = readCount(values.cycles, CYCLES_DEFAULT, 'cycles');
  const workers = readCount(values.workers, 1, 'workers');
  buildProgram();
  const startMs = performance.now();
  const options: CampaignOptions = {
    seed,
    cycles,
    ...(values.minutes !== undefined && { minutesMax: readCount(values.minutes, 0, 'minutes') }),
    faults: readFaults(values.fault ?? []),
    ...(values.folder !== undefined && { folder: values.folder }),
    hasDisks: isRoot() && !values['no-disks'],
    keep: values.keep,
    suspendsWrites: values.suspended,
    workers,
    writes: values.forwarded ? 'forwarded' : 'direct',
    report: (line) => console.log(line),
  };
  const result = await runCampaign(options);
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  console.log(
    `${result.cyclesRun} cycles in ${minutes} minutes: ${result.acknowledged} writes acknowledged, ${result.unknown} of unknown outcome, ${result.findings.length} findings`,
  );
  if (result.folder !== null) console.log(`kept: ${result.folder}`);
  if (result.findings.length === 0) return;
  console.log(`replay: ${replayCommand(options, result.cyclesRun)}`);
  process.exitCode = 1;
}

await main();
