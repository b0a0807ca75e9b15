/**
 * `npm run bench -- [--suite put-get,single-stream,reconcile,store] [--load 'put 4 KiB'] [--seconds 10] [--connections 64,16] [--data FOLDER]
 *                    [--endpoint URL --access-key K --secret-key S [--region R] [--process NAME=PID]...]`
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProgram, repositoryRoot } from '../test/support/repository.js';
import type { MeasuredProcess } from './load.js';
import { benchPutGet } from './put-get.js';
import { benchReconcile } from './reconcile.js';
import { benchSingleStream } from './single-stream.js';
import { benchStore } from './store.js';
import { type BenchTable, toMarkdown, toText } from './table.js';
import { type BenchTarget, startFloor, startTally, useEndpoint } from './target.js';

const SUITES = ['put-get', 'single-stream', 'reconcile', 'store'] as const;
type Suite = (typeof SUITES)[number];

function isSuite(text: string): text is Suite {
  return SUITES.some((suite) => suite === text);
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: SUITES.join(',') },
      seconds: { type: 'string', default: '10' },
      connections: { type: 'string', default: '64,16' },
      data: { type: 'string' },
      load: { type: 'string', default: '' },
      endpoint: { type: 'string' },
      'access-key': { type: 'string', default: '' },
      'secret-key': { type: 'string', default: '' },
      region: { type: 'string', default: 'us-east-1' },
      process: { type: 'string', multiple: true, default: [] },
    },
  });
  const suites = values.suite
    .split(',')
    .map((name) => (isSuite(name) ? name : fail(`--suite is of ${SUITES.join(', ')}`)));
  return { ...values, suites, data: values.data ?? null, endpoint: values.endpoint ?? null };
}

type Options = ReturnType<typeof readOptions>;

function readProcesses(options: Options): MeasuredProcess[] {
  return options.process.map((text) => {
    const [name = '', processId = ''] = text.split('=');
    return /^\d+$/.test(processId) ? { name, processId: Number(processId) } : fail('--process is NAME=PID');
  });
}

function endpointAccess(options: Options, endpoint: string) {
  return {
    endpoint,
    accessKeyId: options['access-key'],
    secretAccessKey: options['secret-key'],
    region: options.region,
  };
}

async function measure(options: Options, report: (line: string) => void): Promise<BenchTable[]> {
  const tables: BenchTable[] = [];
  if (options.suites.includes('store')) tables.push(await benchStore(options.data, options.load, report));
  if (options.suites.every((suite) => suite === 'store')) return tables;
  const tally = options.endpoint === null ? await startTally(options.data) : null;
  const target: BenchTarget =
    tally ?? (await useEndpoint(endpointAccess(options, options.endpoint ?? ''), readProcesses(options)));
  const floor = await startFloor(options.data);
  try {
    for (const suite of options.suites) {
      report(`\n${suite}`);
      if (suite === 'put-get') {
        const connections = options.connections.split(',').map(Number);
        const settings = { seconds: Number(options.seconds), connections };
        tables.push(await benchPutGet([target, floor], settings, report));
      } else if (suite === 'store') report('see above');
      else if (suite === 'single-stream') tables.push(await benchSingleStream([target, floor], report));
      else if (tally !== null) tables.push(await benchReconcile(tally.system, target, report));
      else report('left out: another endpoint has no mirrors that could be killed');
    }
  } finally {
    await floor.dispose();
    await target.dispose();
  }
  return tables;
}

function keep(tables: readonly BenchTable[], startedAt: Date): string {
  const folder = join(repositoryRoot, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const name = join(folder, startedAt.toISOString().replaceAll(':', '-').slice(0, 19));
  const [processor] = cpus();
  const machine = `${cpus().length} x ${processor?.model ?? 'unknown'}, Node.js ${process.version}`;
  const about = `${startedAt.toISOString()} on ${machine}; everything on one machine`;
  writeFileSync(
    `${name}.json`,
    JSON.stringify({ startedAt, machine, options: process.argv.slice(2), tables }, null, 2),
  );
  writeFileSync(`${name}.md`, `# Benchmark\n\n${about}\n\n${tables.map(toMarkdown).join('\n')}`);
  return `${name}.md`;
}

async function main(): Promise<void> {
  const options = readOptions();
  const startedAt = new Date();
  if (options.endpoint === null) buildProgram();
  const tables = await measure(options, (line) => console.log(line));
  for (const table of tables) console.log(toText(table));
  console.log(`\nkept in ${keep(tables, startedAt)}`);
}

await main();
