/**
 * A long campaign of random runs, each from one seed.
 *
 *   node dist-tools/test/model/campaign.js --seeds 10000 [--seed 1] [--steps 150] [--mirrors 2|3]
 *
 * Without `--mirrors` odd seeds run with two mirrors and even ones with three. A failing seed prints what the checkers
 * found, the shortest trace that still finds it, and the command that runs it again; the exit code is then 1.
 */
import { parseArgs } from 'node:util';
import { choicesOf, runChoices, shrinkChoices } from './random-run.js';
import { withRules } from './rules.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '150' },
    mirrors: { type: 'string' },
    failures: { type: 'string', default: '1' },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const rules = withRules();
const first = Number(values.seed);
const last = first + Number(values.seeds) - 1;
const steps = Number(values.steps);
const startMs = performance.now();
const totals = new Map<string, number>();
let beyondGuarantee = 0;
let failures = 0;

for (let seed = first; seed <= last && failures < Number(values.failures); seed += 1) {
  const mirrors = values.mirrors === undefined ? 3 - (seed % 2) : Number(values.mirrors);
  const choices = choicesOf(seed, steps);
  const result = runChoices(rules, mirrors, choices);
  for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  if (result.isBeyondGuarantee) beyondGuarantee += 1;
  if (result.violations.length === 0) continue;
  failures += 1;
  const shrunk = shrinkChoices(rules, mirrors, choices);
  const shortest = runChoices(rules, mirrors, shrunk);
  print(`seed ${seed}, ${mirrors} mirrors: ${JSON.stringify(result.violations)}`);
  print(`shrunk to ${shrunk.length} choices: ${JSON.stringify(shortest.violations)}`);
  for (const line of shortest.trace) print(`  ${line}`);
  print(
    `replay: node dist-tools/test/model/campaign.js --seeds 1 --seed ${seed} --steps ${steps} --mirrors ${mirrors}`,
  );
}

const seconds = (performance.now() - startMs) / 1000;
print(
  `${last - first + 1} seeds of ${steps} steps in ${seconds.toFixed(1)} s; ${failures} failed, ${beyondGuarantee} ended early`,
);
print([...totals].map(([name, count]) => `${name}: ${count}`).join(', '));
process.exitCode = failures > 0 ? 1 : 0;
