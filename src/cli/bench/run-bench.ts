/**
 * `tally bench`: a short load on the S3 endpoint of this configuration, in a bucket of its own that is removed afterwards. It says what a
 * machine can do; the figures of a release come from bench/.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { localUrl } from '../address.js';
import type { Configuration } from '../configuration.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { formatBytes, formatCount } from '../../gateway/figures.js';
import { OperationalError } from '../operational-error.js';
import { s3Credentials } from '../s3-credentials.js';
import { readS3Keys } from '../secrets.js';
import { cell, renderTitled } from '../text-table.js';
import { BenchClient, type BenchMethod } from './bench-client.js';
import { type PhaseFigures, runPhase } from './load.js';

export interface BenchOptions {
  readonly sizeBytes: number;
  readonly concurrency: number;
  readonly seconds: number;
  readonly isJson: boolean;
}

/** How many different objects are read. */
const OBJECTS_READ_MAX = 10_000;

/** Exit code 1: some request failed. */
export async function bench(configuration: Configuration, options: BenchOptions): Promise<ExitCode> {
  const { s3, tls } = configuration;
  const origin = s3.url ?? localUrl(s3.listen, tls.s3 !== null);
  const [credential] = s3Credentials('bench', await readS3Keys(configuration), []);
  const certFile = tls.s3?.certFile ?? null;
  const ca = certFile === null ? null : await readFile(certFile, 'utf8');
  const client = new BenchClient({ origin, credential, region: s3.region, ca }, options.concurrency);
  const bucket = `tally-bench-${randomBytes(6).toString('hex')}`;
  const stopping = new AbortController();
  const stop = (): void => {
    stopping.abort();
  };
  process.once('SIGINT', stop);
  try {
    await makeBucket(client, origin, bucket);
    const phases = await measure(client, bucket, { ...options, signal: stopping.signal });
    print(origin, phases, options);
    return phases.some(({ failureCount }) => failureCount > 0) ? EXIT.notInSync : EXIT.ok;
  } finally {
    process.off('SIGINT', stop);
    client.close();
  }
}

async function makeBucket(client: BenchClient, origin: string, bucket: string): Promise<void> {
  let status: number;
  try {
    ({ status } = await client.send('PUT', bucket, null, null));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The S3 endpoint at ${origin} does not answer: ${reason}.`;
    throw new OperationalError('endpoint-unreachable', EXIT.unavailable, message, { cause });
  }
  if (status === 200) return;
  const exitCode = status === 403 ? EXIT.permission : EXIT.unavailable;
  const message = `The S3 endpoint at ${origin} answered ${status} to a new bucket.`;
  throw new OperationalError('endpoint-refused', exitCode, message);
}

async function measure(
  client: BenchClient,
  bucket: string,
  options: BenchOptions & { readonly signal: AbortSignal },
): Promise<readonly PhaseFigures[]> {
  const { sizeBytes, concurrency, seconds, signal } = options;
  const body = randomBytes(sizeBytes);
  const written: string[] = [];
  const expecting = async (method: BenchMethod, key: string, status: number): Promise<number> => {
    const answer = await client.send(method, bucket, key, method === 'PUT' ? body : null);
    if (answer.status !== status) throw new Error(`${method} was answered ${answer.status}`);
    if (method === 'GET' && answer.receivedBytes !== sizeBytes) throw new Error('an object was cut short');
    return method === 'PUT' || method === 'GET' ? sizeBytes : 0;
  };
  const put = async (index: number): Promise<number> => {
    const key = `object-${String(index).padStart(8, '0')}`;
    const bytes = await expecting('PUT', key, 200);
    written.push(key);
    return bytes;
  };
  const ofWritten = (method: 'GET' | 'HEAD') => (index: number) => {
    const key = written[index % Math.min(written.length, OBJECTS_READ_MAX)];
    return key === undefined ? null : expecting(method, key, 200);
  };
  const timed = { concurrency, forMs: seconds * 1000, signal };
  const phases = [await runPhase({ operation: 'PUT', ...timed, step: put })];
  for (const method of ['GET', 'HEAD'] as const) {
    phases.push(await runPhase({ operation: method, ...timed, step: ofWritten(method) }));
  }
  // Whatever was interrupted, nothing is left behind.
  const remove = (index: number) => {
    const key = written[index];
    return key === undefined ? null : expecting('DELETE', key, 204);
  };
  const cleaning = { concurrency, forMs: null, signal: new AbortController().signal };
  phases.push(await runPhase({ operation: 'DELETE', ...cleaning, step: remove }));
  await client.send('DELETE', bucket, null, null);
  return phases;
}

function print(origin: string, phases: readonly PhaseFigures[], options: BenchOptions): void {
  const { sizeBytes, concurrency, isJson } = options;
  if (isJson) {
    process.stdout.write(
      `${JSON.stringify({ endpoint: origin, sizeBytes, concurrency, phases }, null, 2)}\n`,
    );
    return;
  }
  const titles = ['OPERATION', 'REQUESTS', 'PER SECOND', 'BYTES/S', 'MEDIAN', '99 %', 'LONGEST', 'FAILED'];
  const rows = phases.map(({ operation, requestCount, seconds, bytes, failureCount, ...times }) =>
    [
      operation,
      formatCount(requestCount),
      formatCount(Math.round(requestCount / seconds)),
      bytes === 0 ? '-' : `${formatBytes(bytes / seconds)}/s`,
      ...[times.medianMs, times.p99Ms, times.maxMs].map((ms) => `${ms.toFixed(1)} ms`),
      String(failureCount),
    ].map((text) => cell(text)),
  );
  const head = `${origin}, objects of ${formatBytes(sizeBytes)}, ${concurrency} requests in flight:`;
  process.stdout.write(`${head}\n\n${renderTitled(titles, rows)}\n`);
  for (const { operation, firstFailure } of phases) {
    if (firstFailure !== null) process.stdout.write(`${operation} failed first because ${firstFailure}.\n`);
  }
}
