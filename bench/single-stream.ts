/** Claim: one large body at a time streams through gateway and mirrors. */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'undici';
import { signHeaders } from '../test/support/s3-client.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { measureCpu } from './load.js';
import { type BenchTable, megabytesPerSecond } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const MIB = 1024 * 1024;
const BODY_BYTES = 256 * MIB;
const PIECE_BYTES = 1024 * 1024;
const ROUNDS = 3;
const ANSWER_MS = 600_000;

/** The same piece again and again: making content must not be what is measured. */
function* repeat(piece: Buffer, count: number): Generator<Buffer> {
  for (let index = 0; index < count; index += 1) yield piece;
}

async function put(client: Client, target: BenchTarget, path: string, piece: Buffer): Promise<void> {
  const headers = signHeaders(target.access, {
    method: 'PUT',
    target: path,
    headers: { 'content-length': String(BODY_BYTES) },
    body: 'unsigned',
  });
  const body = Readable.from(repeat(piece, BODY_BYTES / PIECE_BYTES), { objectMode: false });
  const answer = await client.request({ method: 'PUT', path, headers, body });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`PUT ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
}

async function get(client: Client, target: BenchTarget, path: string): Promise<void> {
  const headers = signHeaders(target.access, { method: 'GET', target: path, headers: {}, body: 'none' });
  const { statusCode, body } = await client.request({ method: 'GET', path, headers });
  let lengthBytes = 0;
  const sink = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      lengthBytes += bytes.length;
      done();
    },
  });
  await pipeline(body, sink);
  if (statusCode !== 200 || lengthBytes !== BODY_BYTES) {
    throw new Error(`GET ${path}: ${statusCode} with ${lengthBytes} bytes`);
  }
}

interface Round {
  readonly seconds: number;
  readonly cpu: Readonly<Record<string, number>>;
}

async function measureRound(target: BenchTarget, work: () => Promise<void>): Promise<Round> {
  const startMs = performance.now();
  const { cpu } = await measureCpu(target.processes, work);
  return { seconds: (performance.now() - startMs) / 1000, cpu };
}

function rowOf(operation: string, target: BenchTarget, rounds: readonly Round[]) {
  const sorted = [...rounds].sort((left, right) => left.seconds - right.seconds);
  const median = sorted[Math.floor(sorted.length / 2)] ?? { seconds: Infinity, cpu: {} };
  const [best = median] = sorted;
  const cpu = Object.entries(median.cpu).map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`);
  return [
    `${operation} 256 MiB`,
    target.name,
    megabytesPerSecond(BODY_BYTES, median.seconds),
    megabytesPerSecond(BODY_BYTES, best.seconds),
    median.seconds.toFixed(2),
    cpu.length === 0 ? '-' : cpu.join(', '),
  ];
}

async function measureTarget(target: BenchTarget, report: (line: string) => void) {
  const client = new Client(target.access.endpoint, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  const piece = new SeededRandom(2).bytes(PIECE_BYTES);
  const puts: Round[] = [];
  const gets: Round[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const path = `/${BENCH_BUCKET}/single-stream-${round}`;
      puts.push(await measureRound(target, () => put(client, target, path, piece)));
      gets.push(await measureRound(target, () => get(client, target, path)));
    }
  } finally {
    await client.destroy();
  }
  const rows = [rowOf('PUT', target, puts), rowOf('GET', target, gets)];
  for (const row of rows) report(row.join('  '));
  return rows;
}

export async function benchSingleStream(
  targets: readonly BenchTarget[],
  report: (line: string) => void,
): Promise<BenchTable> {
  const rows: string[][] = [];
  for (const target of targets) rows.push(...(await measureTarget(target, report)));
  return {
    title: 'One stream',
    note: `One client, one connection, ${ROUNDS} rounds; the median, and the best. The PUT's payload is unsigned. MB = 10^6 bytes.`,
    columns: ['operation', 'target', 'MB/s', 'best MB/s', 's', 'CPU s'],
    rows,
  };
}
