/**
 * `npm run test:rolling-upgrade -- --from REF [--seconds S] [--seed S] [--workers N] [--forwarded] [--one-way]`: builds what the commit REF was, starts it, and
 * upgrades it to this build one process at a time, back again, and once more, while clients go on (rolling-upgrade.ts). `--one-way`: not back, for
 * a commit that does not open stores that this build has changed.
 */
import { parseArgs } from 'node:util';
import { buildProgram, cliEntry } from '../../support/repository.js';
import { EarlierBuild } from './earlier-build.js';
import { upgradeRolling } from './rolling-upgrade.js';

const SECONDS_DEFAULT = 5;
const SEED_MAX = 2 ** 32;

function readCount(text: string | undefined, fallback: number): number {
  const count = text === undefined ? fallback : Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new Error(`"${text}" is no whole number`);
  return count;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      from: { type: 'string' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      workers: { type: 'string' },
      forwarded: { type: 'boolean', default: false },
      'one-way': { type: 'boolean', default: false },
    },
  });
  if (values.from === undefined) throw new Error('--from REF names the commit to upgrade from');
  const seed = readCount(values.seed, Math.floor(Math.random() * SEED_MAX));
  buildProgram();
  const earlier = EarlierBuild.make(values.from);
  try {
    console.log(`from ${earlier.commit} to this build; seed ${seed}`);
    const { acknowledged, objectCount, findings } = await upgradeRolling({
      earlier: earlier.entry,
      present: cliEntry(),
      seed,
      restMs: readCount(values.seconds, SECONDS_DEFAULT) * 1000,
      goesBack: !values['one-way'],
      workers: readCount(values.workers, 1),
      writes: values.forwarded ? 'forwarded' : 'direct',
      report: (line) => console.log(line),
    });
    console.log(
      `${acknowledged} writes acknowledged; ${objectCount} objects, the same on both mirrors; ${findings.length} findings`,
    );
    if (findings.length > 0) process.exitCode = 1;
  } finally {
    earlier.remove();
  }
}

await main();
