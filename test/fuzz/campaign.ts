/** `npm run test:fuzz -- --runs N --seed S [--path P]` */
import { parseArgs } from 'node:util';
import { buildProgram } from '../support/repository.js';
import { replayCommand, runCampaign } from './campaign-run.js';

const RUNS_DEFAULT = 2000;
const SEED_MAX = 2 ** 31;

function readCount(text: string | undefined, fallback: number): number {
  const count = text === undefined ? fallback : Number(text);
  if (Number.isSafeInteger(count) && count >= 0) return count;
  console.error(`a whole number, not "${text ?? ''}"`);
  return process.exit(2);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { runs: { type: 'string' }, seed: { type: 'string' }, path: { type: 'string' } },
  });
  const seed = readCount(values.seed, Math.floor(Math.random() * SEED_MAX));
  const runs = readCount(values.runs, RUNS_DEFAULT);
  buildProgram();
  console.log(`seed ${seed}`);
  const wish = { seed, runs, ...(values.path !== undefined && { path: values.path }) };
  const { requests, findings } = await runCampaign(wish);
  for (const finding of findings) console.log(finding);
  console.log(`${requests} requests, ${findings.length} findings`);
  if (findings.length === 0) return;
  console.log(`replay: ${replayCommand(wish)}`);
  process.exitCode = 1;
}

await main();
