/**
 * Model check of the protocol alone.
 *
 *   npm run test:model-check -- --states 5000000 [--variant suspended|online] [--mirrors 2|3]
 *   npm run test:model-check -- --without F1 | --switches
 *
 * Prints the shortest trace to what is wrong, if anything is; the exit code is then 1. `--without` switches one rule off,
 * in the part of the state space where its counterexample is (switches.ts); `--switches` prints what each of them ends in.
 */
import { parseArgs } from 'node:util';
import { type Bounds, Model } from './model.js';
import { search, type SearchResult } from './search.js';
import { boundsOf, type Switch, switches } from './switches.js';
import { withRules } from '../rules.js';

const { values } = parseArgs({
  options: {
    states: { type: 'string', default: '5000000' },
    variant: { type: 'string' },
    mirrors: { type: 'string' },
    without: { type: 'string' },
    switches: { type: 'boolean', default: false },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function boundsFor(off: Switch | undefined): Bounds {
  const mirrors = Number(values.mirrors ?? off?.bounds?.mirrors ?? 2);
  const variant = values.variant ?? (off?.bounds?.isOnline === true ? 'online' : 'suspended');
  return { ...boundsOf({ mirrors, isOnline: variant === 'online' }), ...off?.bounds };
}

function printSwitches(): void {
  for (const off of switches) {
    const model = new Model(withRules({ ...off.alreadyOff, ...off.off }), boundsFor(off));
    const { violation, states } = search(model, Number(values.states));
    print(
      `${off.id.padEnd(15)} ${String(off.length).padStart(2)} steps, ${states} states: without "${off.rule}": ` +
        (violation?.text ?? 'nothing is wrong'),
    );
    if (violation === null) process.exitCode = 1;
  }
}

function printTrace(bounds: Bounds, violation: NonNullable<SearchResult['violation']>): void {
  const trace = [...(bounds.after ?? []), ...violation.trace];
  print(`${violation.text}, after ${trace.length} steps:`);
  trace.forEach((name, index) => print(`  ${index + 1}. ${name}`));
  process.exitCode = 1;
}

function check(off: Switch | undefined): void {
  const bounds = boundsFor(off);
  const model = new Model(withRules({ ...off?.alreadyOff, ...off?.off }), bounds);
  const start = process.cpuUsage();
  const seconds = (): number => process.cpuUsage(start).user / 1e6;
  const result = search(model, Number(values.states), (states) => {
    print(`${states} states, ${seconds().toFixed(0)} s of CPU`);
  });
  print(JSON.stringify(bounds));
  print(
    `${result.states} states (${result.expanded} expanded) in ${seconds().toFixed(0)} s of CPU, ` +
      `depth ${result.depth}` +
      (result.isExhausted ? ', exhausted' : ''),
  );
  if (result.violation === null) print('nothing wrong');
  else printTrace(bounds, result.violation);
}

const off = switches.find(({ id }) => id === values.without);
if (values.without !== undefined && off === undefined)
  throw new RangeError(`no such switch; there are ${switches.map(({ id }) => id).join(', ')}`);
if (values.switches) printSwitches();
else check(off);
