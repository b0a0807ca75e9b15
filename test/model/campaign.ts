/**
 * A long campaign of random runs, each from one seed.
 *
 *   node dist-tools/test/model/campaign.js --seeds 10000 [--seed 1] [--steps 150] [--mirrors 2|3] [--calm 1]
 *
 * Without `--mirrors` and `--calm` they follow from the seed: two mirrors or three, faults often, rarely or seldom. A
 * failing seed prints what the checkers found, the shortest trace that still finds it, and the command that runs it
 * again; the exit code is then 1. Every hundredth seed runs twice, and must be the same run to the last line.
 */
import { parseArgs } from 'node:util';
import { choicesOf, runChoices, shrinkChoices, type Weather } from './random-run.js';
import { withRules } from './rules.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '150' },
    mirrors: { type: 'string' },
    calm: { type: 'string' },
    failures: { type: 'string', default: '1' },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const CALM = [1, 1, 1, 4, 4, 12];
const SEEDS_PER_REPETITION = 100;

const rules = withRules();
function checkSameTwice(seed: number, weather: Weather, trace: readonly string[]): void {
  const again = runChoices(rules, weather, choicesOf(seed, steps));
  if (again.trace.join('\n') === trace.join('\n')) return;
  failures += 1;
  print(`seed ${seed} is not the same run twice`);
}

const first = Number(values.seed);
const last = first + Number(values.seeds) - 1;
const steps = Number(values.steps);
const startMs = performance.now();
const totals = new Map<string, number>();
let beyondGuarantee = 0;
let failures = 0;

for (let seed = first; seed <= last && failures < Number(values.failures); seed += 1) {
  const mirrors = values.mirrors === undefined ? 3 - (seed % 2) : Number(values.mirrors);
  const calm = values.calm === undefined ? (CALM[seed % CALM.length] ?? 1) : Number(values.calm);
  const choices = choicesOf(seed, steps);
  const result = runChoices(rules, { mirrors, calm }, choices);
  if (seed % SEEDS_PER_REPETITION === 0) checkSameTwice(seed, { mirrors, calm }, result.trace);
  for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  if (result.isBeyondGuarantee) beyondGuarantee += 1;
  if (result.violations.length === 0) continue;
  failures += 1;
  const shrunk = shrinkChoices(rules, { mirrors, calm }, choices);
  const shortest = runChoices(rules, { mirrors, calm }, shrunk);
  print(`seed ${seed}, ${mirrors} mirrors, calm ${calm}: ${JSON.stringify(result.violations)}`);
  print(`shrunk to ${shrunk.length} choices: ${JSON.stringify(shortest.violations)}`);
  for (const line of shortest.trace) print(`  ${line}`);
  print(
    `replay: node dist-tools/test/model/campaign.js --seeds 1 --seed ${seed} --steps ${steps} --mirrors ${mirrors} --calm ${calm}`,
  );
}

const seconds = (performance.now() - startMs) / 1000;
print(
  `${last - first + 1} seeds of ${steps} steps in ${seconds.toFixed(1)} s; ${failures} failed, ${beyondGuarantee} ended early`,
);
print([...totals].map(([name, count]) => `${name}: ${count}`).join(', '));
process.exitCode = failures > 0 ? 1 : 0;
