/** `npm run test:s3-suite -- --suite DIR --python PYTHON [--workers N] [-k EXPRESSION] [-m MARKERS] [--update]` */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProgram, repositoryRoot } from '../support/repository.js';
import {
  compareWithList,
  parseOutcomeList,
  renderOutcomeList,
  summarize,
  updateList,
} from './outcome-list.js';
import { runSuite } from './run-suite.js';

const LIST_FILE = join(repositoryRoot, 'test/s3-suite/outcomes.txt');
const WORKERS_DEFAULT = 4;
const WORKERS_MAX = 16;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function suiteCommit(suite: string): string {
  try {
    return execFileSync('git', ['-C', suite, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function heading(commit: string): string[] {
  return [
    `Every test of ceph/s3-tests, commit ${commit}, with its outcome on a Tally of two OSDs.`,
    '`npm run test:s3-suite` runs it and compares (see README.md in this folder); `--update` writes this list.',
    'The file that a feature names holds its claims in our words, and runs in CI.',
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      python: { type: 'string', default: 'python3' },
      workers: { type: 'string', default: String(WORKERS_DEFAULT) },
      only: { type: 'string', short: 'k' },
      marked: { type: 'string', short: 'm' },
      update: { type: 'boolean', default: false },
    },
  });
  const { suite = fail('--suite is needed: a checkout of ceph/s3-tests') } = values;
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX)
    fail(`--workers is 1 to ${WORKERS_MAX}`);
  buildProgram();
  const startMs = performance.now();
  const ran = await runSuite({
    suite,
    python: values.python,
    workers,
    only: values.only ?? null,
    marked: values.marked ?? null,
    report: (line) => console.log(line),
  });
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  console.log(`${ran.length} tests in ${minutes} minutes; the mirrors are byte-identical.`);
  console.log(['| | passed | failed | skipped | of |', ...summarize(ran)].join('\n'));
  const list = parseOutcomeList(readFileSync(LIST_FILE, 'utf8'));
  const differences = compareWithList(list, ran);
  if (values.update) {
    const text = renderOutcomeList(heading(suiteCommit(suite)), updateList(list, ran));
    writeFileSync(LIST_FILE, text);
    console.log(
      `${LIST_FILE} is written; ${differences.length} outcomes are new. Give the failing ones their reasons.`,
    );
    return;
  }
  for (const difference of differences) console.log(difference);
  console.log(differences.length === 0 ? 'As the list has it.' : `${differences.length} differences.`);
  if (differences.length > 0) process.exitCode = 1;
}

await main();
