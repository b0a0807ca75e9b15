/** `npm run bench -- [options]`; `--help` names them. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProgram, repositoryRoot } from '../test/support/repository.js';
import { benchByTurns } from './by-turns.js';
import { benchMultipart, benchPointers, benchStream } from './large-objects.js';
import type { MeasuredProcess } from './load.js';
import { type Measurement, type Syncs, tableOf } from './measurement.js';
import { benchMemory, type MemoryOptions } from './memory.js';
import { drawSuite, type Picture } from './plot.js';
import { benchRecovery } from './recovery.js';
import { benchSoak } from './soak.js';
import { benchList, benchSmallObjects, LISTED_KEYS_MIN } from './small-objects.js';
import { DEFAULT_SUITES, findSuites, SUITE_NAMES, type Suite } from './suites.js';
import { benchStore } from './store.js';
import { benchTail } from './tail.js';
import { type BenchTable, toMarkdown, toText } from './table.js';
import {
  type BenchTarget,
  startFloor,
  startMemoryFloor,
  startTally,
  type TallyBuild,
  useEndpoint,
} from './target.js';

const MIB = 1024 * 1024;
const NOTE =
  'Everything on this machine, every request signed. CPU: user and system time of each measured process. Disk: what the processes had sent to a disk, for each byte of content stored (nothing on a file system in memory). × floor: requests/s against a bare node:http server of this very run. MB = 10^6 bytes.';

const NO_MIRRORS = 'left out: another endpoint has no mirrors that could be killed';

const HELP = `Usage: npm run bench -- [options]

  --suite NAMES        of these, with commas, or all (default ${DEFAULT_SUITES}):
                       ${SUITE_NAMES.join(', ')}
  --connections LIST   for the suites of many requests (default 64,16)
  --seconds N          for each of their loads (default 5)
  --warm-up N          seconds of the same load before each of them (default 5)
  --keys N             stored names for list (default and least ${LISTED_KEYS_MIN})
  --uploads NxMIB      for memory: so many at once, of so many MiB (default 20x64)
  --minutes N          for soak (default 1)
  --load NAME          for store: one of its loads, such as 'put 4 KiB'
  --workers LIST       processes that serve S3; with several numbers, such as 1,2, they are measured side by side (default 1)
  --stored LIST --missed LIST
                       for recovery: objects stored, and writes missed, such as 1000,10000 and 100,1000
  --data FOLDER        where Tally keeps its stores; it must be new (default: a temporary folder)
  --beside NAME=FOLDER another build of Tally, a folder in which \`npm run build\` was run; as often as you like. Suites of
                       many requests then compare the builds by turns
  --turns N            of each build (default 8)

Another S3 server instead of a Tally of our own:

  --endpoint URL --access-key K --secret-key S [--region us-east-1]
  --syncs yes|no       what you know of it, for the table
  --process NAME=PID   a process of it on this machine, whose CPU and disk writes are counted; as often as there are some

Tables, figures and plots go to a folder of bench/results. bench/README.md says how to read them.`;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function suitesOf(names: string): readonly Suite[] {
  try {
    return findSuites(names);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function uploadsOf(text: string): MemoryOptions {
  const match = /^(\d+)x(\d+)$/.exec(text);
  if (match === null) fail('--uploads is NUMBERxMIB, such as 100x1024');
  return { uploads: Number(match[1]), sizeBytes: Number(match[2]) * MIB };
}

function countsOf(name: string, text: string): readonly number[] {
  const counts = text.split(',').map(Number);
  const isGood = counts.every((count) => Number.isSafeInteger(count) && count > 0);
  return isGood ? counts : fail(`--${name} is whole numbers, such as 1000,10000`);
}

function syncsOf(text: string): Syncs {
  return text === 'yes' || text === 'no' || text === 'unknown' ? text : fail('--syncs is yes or no');
}

/** How many workers the gateways have that are measured side by side. */
function workersOf(text: string): readonly [number, ...number[]] {
  const [first, ...others] = text.split(',').map(Number);
  const all = [first ?? 0, ...others] as const;
  if (all.some((count) => !Number.isInteger(count) || count < 1)) fail('--workers is 1,2 or the like');
  return [all[0], ...others];
}

function buildOf(text: string): TallyBuild {
  const [, name = '', folder = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  const entry = resolve(folder, 'dist', 'cli', 'main.js');
  return existsSync(entry) ? { name, entry } : fail(`--beside ${text}: ${entry} is not there`);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: DEFAULT_SUITES },
      seconds: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '5' },
      connections: { type: 'string', default: '64,16' },
      keys: { type: 'string', default: String(LISTED_KEYS_MIN) },
      uploads: { type: 'string', default: '20x64' },
      minutes: { type: 'string', default: '1' },
      load: { type: 'string', default: '' },
      stored: { type: 'string', default: '1000,10000,100000' },
      missed: { type: 'string', default: '100,1000,10000' },
      data: { type: 'string' },
      beside: { type: 'string', multiple: true, default: [] },
      turns: { type: 'string', default: '8' },
      workers: { type: 'string', default: '1' },
      endpoint: { type: 'string' },
      'access-key': { type: 'string', default: '' },
      'secret-key': { type: 'string', default: '' },
      region: { type: 'string', default: 'us-east-1' },
      syncs: { type: 'string', default: 'unknown' },
      process: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const keyCount = Number(values.keys);
  if (!(keyCount >= LISTED_KEYS_MIN)) fail(`--keys is at least ${LISTED_KEYS_MIN}`);
  return {
    ...values,
    keyCount,
    suites: suitesOf(values.suite),
    memory: uploadsOf(values.uploads),
    soakMinutes: countsOf('minutes', values.minutes)[0] ?? 1,
    recovery: {
      stored: countsOf('stored', values.stored),
      missed: countsOf('missed', values.missed),
      seconds: Number(values.seconds),
    },
    pace: {
      seconds: Number(values.seconds),
      warmUpSeconds: countsOf('warm-up', values['warm-up'])[0] ?? 0,
      connections: values.connections.split(',').map(Number),
    },
    data: values.data ?? null,
    workers: workersOf(values.workers),
    builds: values.beside.map(buildOf),
    turns: countsOf('turns', values.turns)[0] ?? 1,
    endpoint: values.endpoint ?? null,
  };
}

type Options = ReturnType<typeof readOptions>;
type Report = (line: string) => void;

function readProcesses(options: Options): MeasuredProcess[] {
  return options.process.map((text) => {
    const [name = '', processId = ''] = text.split('=');
    return /^\d+$/.test(processId) ? { name, processId: Number(processId) } : fail('--process is NAME=PID');
  });
}

function openEndpoint(options: Options, endpoint: string): Promise<BenchTarget> {
  const access = {
    endpoint,
    accessKeyId: options['access-key'],
    secretAccessKey: options['secret-key'],
    region: options.region,
  };
  return useEndpoint(access, syncsOf(options.syncs), readProcesses(options));
}

interface Targets {
  /** Ours, when it is; null for another endpoint. */
  readonly tally: Awaited<ReturnType<typeof startTally>> | null;
  readonly measured: BenchTarget;
  /** Ours with other numbers of workers, for small objects. */
  readonly variants: readonly BenchTarget[];
  /** Other builds of ours. */
  readonly builds: readonly BenchTarget[];
  readonly floors: readonly BenchTarget[];
}

/** What came of one suite. */
interface SuiteResult {
  readonly suite: string;
  readonly measurements: readonly Measurement[];
  readonly tables: readonly BenchTable[];
  readonly pictures: readonly Picture[];
}

async function runSuite(
  suite: Suite,
  { tally, measured, variants, builds, floors }: Targets,
  options: Options,
  report: Report,
): Promise<SuiteResult | null> {
  const { name } = suite;
  const all = [measured, ...floors];
  const disk = all.filter((target) => target.syncs !== 'no' || target === measured);
  const withTable = (measurements: Measurement[]): SuiteResult => ({
    suite: name,
    measurements,
    tables: [tableOf(name, NOTE, measurements)],
    pictures: [{ name, svg: drawSuite(name, measurements) }],
  });
  const onlyTable = (table: BenchTable): SuiteResult => ({
    suite: name,
    measurements: [],
    tables: [table],
    pictures: [],
  });
  switch (suite.kind) {
    case 'small': {
      const { operation, sizeBytes } = suite;
      const small = { suite: name, operation, sizeBytes, ...options.pace };
      if (builds.length > 0)
        return onlyTable(await benchByTurns([measured, ...builds], small, options.turns, report));
      return withTable(await benchSmallObjects([measured, ...variants, ...floors], small, report));
    }
    case 'list':
      return withTable(await benchList(measured, { keyCount: options.keyCount, ...options.pace }, report));
    case 'stream':
      return withTable(await benchStream(disk, { suite: name, sizeBytes: suite.sizeBytes }, report));
    case 'multipart':
      return withTable(await benchMultipart(measured, report));
    case 'pointers':
      return withTable(await benchPointers(measured, report));
    case 'memory':
      return onlyTable(await benchMemory(measured, options.memory, report));
    case 'soak':
      return onlyTable(await benchSoak(measured, options.soakMinutes, report));
    case 'store':
      return onlyTable(await benchStore(options.data, options.load, report));
    case 'recovery':
      if (tally !== null) {
        const figures = await benchRecovery(tally.system, tally, options.recovery, report);
        return { suite: name, measurements: [], ...figures };
      }
      report(NO_MIRRORS);
      return null;
    case 'tail':
      if (tally !== null)
        return onlyTable(await benchTail(tally.system, tally, options.pace.seconds, report));
      report(NO_MIRRORS);
      return null;
  }
}

/** Everything that was started: it ends, and leaves no folder, whatever ends the measuring. */
class OpenTargets {
  readonly #open: BenchTarget[] = [];

  async add<Target extends BenchTarget>(starting: Promise<Target>): Promise<Target> {
    const target = await starting;
    this.#open.push(target);
    return target;
  }

  async dispose(): Promise<void> {
    for (const target of this.#open.splice(0).reverse()) await target.dispose();
  }
}

async function openTargets(open: OpenTargets, options: Options): Promise<Targets> {
  const [workers, ...others] = options.workers;
  const { data: folder, endpoint } = options;
  const tally = endpoint === null ? await open.add(startTally({ folder, workers })) : null;
  const measured = tally ?? (await open.add(openEndpoint(options, endpoint ?? '')));
  const variants: BenchTarget[] = [];
  const builds: BenchTarget[] = [];
  if (tally !== null) {
    for (const count of others) variants.push(await open.add(startTally({ workers: count })));
    for (const build of options.builds) builds.push(await open.add(startTally({ workers, build })));
  }
  const floors = [await open.add(startFloor(folder)), await open.add(startMemoryFloor())];
  return { tally, measured, variants, builds, floors };
}

async function measure(options: Options, report: Report): Promise<SuiteResult[]> {
  const open = new OpenTargets();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      void open.dispose().finally(() => process.exit(1));
    });
  const results: SuiteResult[] = [];
  try {
    const targets = await openTargets(open, options);
    for (const suite of options.suites) {
      report(`\n${suite.name}`);
      const result = await runSuite(suite, targets, options, report);
      if (result !== null) results.push(result);
    }
  } finally {
    await open.dispose();
  }
  return results;
}

/** Writes figures, tables and pictures; returns the path of the tables. */
function keep(results: readonly SuiteResult[], startedAt: Date): string {
  const folder = join(
    repositoryRoot,
    'bench',
    'results',
    startedAt.toISOString().replaceAll(':', '-').slice(0, 19),
  );
  mkdirSync(folder, { recursive: true });
  const [processor] = cpus();
  const machine = `${cpus().length} x ${processor?.model ?? 'unknown'}, Node.js ${process.version}`;
  const options = process.argv.slice(2);
  writeFileSync(
    join(folder, 'figures.json'),
    JSON.stringify({ startedAt, machine, options, results }, null, 2),
  );
  const sections = results.map(({ tables, pictures }) => {
    for (const { name, svg } of pictures) writeFileSync(join(folder, `${name}.svg`), svg);
    const shown = pictures.map(({ name }) => `![${name}](${name}.svg)\n`);
    return [...tables.map(toMarkdown), ...shown].join('\n');
  });
  const about = `${startedAt.toISOString()} on ${machine}: \`npm run bench -- ${options.join(' ')}\``;
  const path = join(folder, 'README.md');
  writeFileSync(path, `# Benchmark\n\n${about}\n\n${sections.join('\n')}`);
  return path;
}

async function main(): Promise<void> {
  const options = readOptions();
  const startedAt = new Date();
  if (options.endpoint === null) buildProgram();
  const results = await measure(options, (line) => console.log(line));
  for (const { tables } of results) for (const table of tables) console.log(toText(table));
  console.log(`\nkept in ${keep(results, startedAt)}`);
}

await main();
