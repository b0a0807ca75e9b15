/**
 * All crash points: every scenario, power failing before and after every call of a disk and every save of the authority, at
 * one mirror or everywhere, with all that was written left, or what was synced, or that and rubbish; and a second time before and
 * after every call of the recovery. Many points leave the same disks: each such state is recovered from once.
 *
 *   npm run test:crash-points -- [--first 1] [--count 60] [--second-every 1]
 *
 * Prints what did not converge; the exit code is then 1.
 */
import { parseArgs } from 'node:util';
import { StoreFolders } from './crash-rig.js';
import { CrashBase } from './crash-run.js';
import { everyPoint, VARIANTS } from './every-point.js';
import { SCENARIOS } from './scenarios.js';

const { values } = parseArgs({
  options: {
    first: { type: 'string', default: '1' },
    count: { type: 'string', default: String(SCENARIOS.length) },
    'second-every': { type: 'string', default: '1' },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const first = Number(values.first);
const chosen = SCENARIOS.slice(first - 1, first - 1 + Number(values.count));
const sums = { points: 0, secondPoints: 0, failures: 0 };
const seen = new Set<string>();
const start = process.cpuUsage();
const folders = await StoreFolders.make(2);
try {
  const base = await CrashBase.make(folders);
  for (const [index, scenario] of chosen.entries()) {
    for (const variant of VARIANTS) {
      const found = await everyPoint(base, scenario, variant, {
        secondEvery: Number(values['second-every']),
        seen,
      });
      sums.points += found.points;
      sums.secondPoints += found.secondPoints;
      sums.failures += found.failures.length;
      for (const failure of found.failures) print(failure);
    }
    const seconds = process.cpuUsage(start).user / 1e6;
    print(`${first + index}. ${scenario}: ${JSON.stringify(sums)}, ${seconds.toFixed(0)} s of CPU`);
  }
} finally {
  await folders.remove();
}
process.exitCode = sums.failures > 0 ? 1 : 0;
