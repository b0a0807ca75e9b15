/** Runs the suite on a Tally of two OSDs: some workers, each with accounts of its own, each a pytest. */
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { repositoryRoot } from '../support/repository.js';
import { TallySystem } from '../support/tally-system.js';
import { masterKeys, suiteConfiguration, tallyConfiguration } from './accounts.js';
import { readJunitReport } from './junit-report.js';
import type { ListedTest } from './outcome-list.js';

const TEST_TIMEOUT_SECONDS = 600;
const FILES = ['s3tests/functional/test_s3.py', 's3tests/functional/test_headers.py'];
/** pytest: all passed, some failed, none was selected (a worker's share of a few tests may be empty). */
const PYTEST_RAN = new Set([0, 1, 5]);

export interface SuiteRun {
  /** An unpacked checkout of ceph/s3-tests. */
  readonly suite: string;
  /** A Python with the suite's requirements, pytest and pytest-timeout. */
  readonly python: string;
  readonly workers: number;
  /** pytest's -k and -m. Null: everything */
  readonly only: string | null;
  readonly marked: string | null;
  readonly report: (line: string) => void;
}

interface Worker {
  readonly run: SuiteRun;
  readonly system: TallySystem;
  readonly folder: string;
  readonly index: number;
}

/** Nobody's environment: the suite must find neither credentials nor proxies. */
function workerEnvironment({ run, folder, index }: Worker, configurationFile: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: folder,
    LANG: 'C.UTF-8',
    no_proxy: '*',
    AWS_EC2_METADATA_DISABLED: 'true',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: join(repositoryRoot, 'test/s3-suite'),
    S3TEST_CONF: configurationFile,
    TALLY_WORKER: `${index}/${run.workers}`,
  };
}

async function runWorker(worker: Worker): Promise<ListedTest[]> {
  const { run, system, folder, index } = worker;
  const { endpoint, region } = system.access;
  const configurationFile = join(folder, `s3tests-${index}.conf`);
  writeFileSync(configurationFile, suiteConfiguration(endpoint, region, index));
  const reportFile = join(folder, `report-${index}.xml`);
  const log = openSync(join(folder, `pytest-${index}.log`), 'w');
  const child = spawn(
    run.python,
    [
      ...['-m', 'pytest', '-p', 'isolation', '-p', 'no:cacheprovider', '-q', '--tb=short'],
      ...[`--timeout=${TEST_TIMEOUT_SECONDS}`, `--junitxml=${reportFile}`],
      ...(run.only === null ? [] : ['-k', run.only]),
      ...(run.marked === null ? [] : ['-m', run.marked]),
      ...FILES,
    ],
    { cwd: run.suite, env: workerEnvironment(worker, configurationFile), stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const exitCode = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('exit', done);
  });
  process.off('exit', killWithUs);
  if (exitCode === null || !PYTEST_RAN.has(exitCode) || !existsSync(reportFile)) {
    throw new Error(`pytest ended with exit code ${exitCode}: see ${folder}/pytest-${index}.log`);
  }
  return readJunitReport(readFileSync(reportFile, 'utf8'));
}

/** Rejects when the suite could not be run. Logs and data stay in a temporary folder then, and are named. */
export async function runSuite(run: SuiteRun): Promise<ListedTest[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tally-s3-suite-'));
  const configurationFile = join(folder, 'tally.yaml');
  const masterKeyFile = join(folder, 'master-keys');
  writeFileSync(masterKeyFile, masterKeys(), { mode: 0o600 });
  writeFileSync(configurationFile, tallyConfiguration(run.workers, masterKeyFile), { mode: 0o600 });
  run.report(`logs and data: ${folder}`);
  const system = await TallySystem.start({ folder: join(folder, 'system'), configurationFile });
  try {
    const indices = Array.from({ length: run.workers }, (_, index) => index);
    const suite = resolve(run.suite);
    const reports = await Promise.all(
      indices.map((index) => runWorker({ run: { ...run, suite }, system, folder, index })),
    );
    await system.untilInSync();
    await system.untilTablesEmpty(30_000);
    const { differences } = await system.compare();
    if (differences.length > 0) throw new Error(`the mirrors differ afterwards: ${differences.join('\n')}`);
    await system.dispose();
    rmSync(join(folder, 'system'), { recursive: true, force: true });
    return reports.flat();
  } catch (error) {
    await system.dispose(true);
    throw error;
  }
}
