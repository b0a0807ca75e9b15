/**
 * A long campaign of random runs, each from one seed.
 *
 *   npm run test:simulate -- [--seeds 10000] [--seed 1] [--operations 1000] [--mirrors 2|3] [--calm 4]
 *                            [--variant online|suspended] [--writers 1|2] [--repeat-every 100] [--failures 1]
 *                            [--without 'the authority is put back,crash a mirror']
 *
 * A run is over after so many reads and writes of clients, faults and messages not counted, and then brought to rest. What is
 * not given follows from the seed: two mirrors or three; one writer or two; online or suspended; faults often, rarely or seldom. A failing
 * seed prints what the checkers found, the shortest trace that still finds it, and the command that runs it again; the
 * exit code is then 1. Every hundredth seed runs twice (`--repeat-every`), and must be the same run to the last line.
 */
import { parseArgs } from 'node:util';
import { choicesOf, runChoices, type RunResult, shrinkChoices, type Weather } from './random-run.js';
import { STEPS } from './random-steps.js';
import { withRules } from './rules.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    operations: { type: 'string', default: '1000' },
    mirrors: { type: 'string' },
    calm: { type: 'string' },
    variant: { type: 'string' },
    writers: { type: 'string' },
    'repeat-every': { type: 'string', default: '100' },
    failures: { type: 'string', default: '1' },
    without: { type: 'string', default: '' },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const CALM = [2, 4, 4, 12, 12, 40, 120];
/** Choices that a run may take for one operation of a client; in the wildest weather nobody gets far. */
const CHOICES_PER_OPERATION_MAX = 30;

const rules = withRules();
const operations = Number(values.operations);
const without = values.without.split(',').filter((name) => name !== '');
for (const name of without)
  if (!STEPS.some((step) => step.name === name)) throw new RangeError(`there is no step ${name}`);
const replayedWithout = without.length === 0 ? '' : ` --without '${without.join()}'`;
const repeatEvery = Number(values['repeat-every']);

function weatherOf(seed: number): Weather {
  const variant = values.variant ?? (Math.floor(seed / 2) % 2 === 0 ? 'online' : 'suspended');
  return {
    mirrors: values.mirrors === undefined ? 3 - (seed % 2) : Number(values.mirrors),
    calm: values.calm === undefined ? (CALM[seed % CALM.length] ?? 1) : Number(values.calm),
    isOnline: variant === 'online',
    writers: values.writers === undefined ? 1 + (Math.floor(seed / 4) % 2) : Number(values.writers),
    operations,
    without,
  };
}

function run(seed: number, isTraced: boolean): RunResult {
  const choices = choicesOf(seed, operations * CHOICES_PER_OPERATION_MAX);
  return runChoices(rules, weatherOf(seed), choices, { isTraced });
}

const totals = new Map<string, number>();
const sums = { operations: 0, steps: 0, copied: 0, unmatched: 0, newSets: 0, runTwice: 0, failures: 0 };

function tell(seed: number, result: RunResult): void {
  const { mirrors, calm, isOnline, writers = 1 } = weatherOf(seed);
  const all = choicesOf(seed, operations * CHOICES_PER_OPERATION_MAX).slice(0, result.taken);
  const weather = { mirrors, calm, isOnline, writers, without };
  print(`seed ${seed}, ${JSON.stringify(weather)}: ${JSON.stringify(result.violations)}`);
  const shrunk = shrinkChoices(rules, weather, all);
  const shortest = runChoices(rules, weather, shrunk);
  print(`shrunk to ${shrunk.length} choices: ${JSON.stringify(shortest.violations)}`);
  for (const line of shortest.trace) print(`  ${line}`);
  print(
    `replay: npm run test:simulate -- --seeds 1 --seed ${seed} --operations ${operations}${replayedWithout}`,
  );
}

function take(seed: number): void {
  const isRepeated = seed % repeatEvery === 0;
  const result = run(seed, isRepeated);
  for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  sums.operations += result.operations;
  sums.steps += result.taken;
  sums.copied += result.copiedBytes;
  sums.unmatched += result.unmatchedBytes;
  sums.newSets += result.beyondGuarantee;
  if (isRepeated) {
    sums.runTwice += 1;
    if (run(seed, true).trace.join('\n') !== result.trace.join('\n')) {
      sums.failures += 1;
      print(`seed ${seed} is not the same run twice`);
    }
  }
  if (result.violations.length === 0) return;
  sums.failures += 1;
  tell(seed, result);
}

const first = Number(values.seed);
const last = first + Number(values.seeds) - 1;
const start = process.cpuUsage();
let seed = first;
for (; seed <= last && sums.failures < Number(values.failures); seed += 1) take(seed);

const seconds = process.cpuUsage(start).user / 1e6;
print(
  `seeds ${first} to ${seed - 1}: ${sums.operations} operations in ${sums.steps} steps, ${seconds.toFixed(0)} s of CPU; ` +
    `${sums.failures} failed, ${sums.newSets} sets given up, ${sums.runTwice} run twice`,
);
print(`copied ${sums.copied} bytes of ${sums.unmatched} unmatched`);
print([...totals].map(([name, count]) => `${name}: ${count}`).join(', '));
process.exitCode = sums.failures > 0 ? 1 : 0;
