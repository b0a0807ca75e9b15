/**
 * Model check of the protocol alone.
 *
 *   npm run test:model-check -- --states 5000000 [--variant suspended|online] [--mirrors 2|3] [--without F1]
 *
 * Prints the shortest trace to what is wrong, if anything is; the exit code is then 1.
 */
import { parseArgs } from 'node:util';
import { Model } from './model.js';
import { boundsOf, switches } from './switches.js';
import { search } from './search.js';
import { withRules } from '../rules.js';

const { values } = parseArgs({
  options: {
    states: { type: 'string', default: '5000000' },
    variant: { type: 'string' },
    mirrors: { type: 'string' },
    without: { type: 'string' },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const off = switches.find(({ id }) => id === values.without);
if (values.without !== undefined && off === undefined)
  throw new RangeError(`no such switch; there are ${switches.map(({ id }) => id).join(', ')}`);
const bounds = {
  ...boundsOf({
    mirrors: Number(values.mirrors ?? off?.bounds?.mirrors ?? 2),
    isOnline: (values.variant ?? (off?.bounds?.isOnline === true ? 'online' : 'suspended')) === 'online',
  }),
  ...off?.bounds,
};
const model = new Model(withRules({ ...off?.alreadyOff, ...off?.off }), bounds);
const startMs = performance.now();
const result = search(model, Number(values.states), (states) => {
  print(`${states} states, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
});
const seconds = (performance.now() - startMs) / 1000;
print(JSON.stringify(bounds));
print(
  `${result.states} states (${result.expanded} expanded) in ${seconds.toFixed(1)} s, ` +
    `${Math.round(result.states / seconds)} states/s, depth ${result.depth}` +
    (result.isExhausted ? ', exhausted' : ''),
);
if (result.violation === null) print('nothing wrong');
else {
  print(`${result.violation.text}, after ${result.violation.trace.length} steps:`);
  result.violation.trace.forEach((name, index) => print(`  ${index + 1}. ${name}`));
  process.exitCode = 1;
}
