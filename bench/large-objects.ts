/** Claim: large bodies stream through gateway and mirrors; copies and completions move pointers, not bytes. */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'undici';
import { S3Client, signHeaders } from '../test/support/s3-client.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { measureUsage } from './load.js';
import { type Measurement, percentile } from './measurement.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = MIB;
const ROUNDS = 3;
const ANSWER_MS = 600_000;
const PART_BYTES = 16 * MIB;
const PARTS_AT_ONCE = 4;
const PARTS = 16;
const POINTER_PART_BYTES = 64 * MIB;
const POINTER_PARTS = 80;

type Report = (line: string) => void;

/** The same piece again and again: making content must not be what is measured. */
function* repeat(piece: Buffer, count: number): Generator<Buffer> {
  for (let index = 0; index < count; index += 1) yield piece;
}

function bodyOf(piece: Buffer, lengthBytes: number): Readable {
  return Readable.from(repeat(piece, lengthBytes / piece.length), { objectMode: false });
}

export async function putStream(
  client: Client,
  target: BenchTarget,
  path: string,
  lengthBytes: number,
  piece: Buffer,
): Promise<void> {
  const headers = signHeaders(target.access, {
    method: 'PUT',
    target: path,
    headers: { 'content-length': String(lengthBytes) },
    body: 'unsigned',
  });
  const answer = await client.request({ method: 'PUT', path, headers, body: bodyOf(piece, lengthBytes) });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`PUT ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
}

export async function getStream(
  client: Client,
  target: BenchTarget,
  path: string,
  lengthBytes: number,
): Promise<void> {
  const headers = signHeaders(target.access, { method: 'GET', target: path, headers: {}, body: 'none' });
  const { statusCode, body } = await client.request({ method: 'GET', path, headers });
  let receivedBytes = 0;
  const sink = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      receivedBytes += bytes.length;
      done();
    },
  });
  await pipeline(body, sink);
  if (statusCode !== 200 || receivedBytes !== lengthBytes) {
    throw new Error(`GET ${path}: ${statusCode} with ${receivedBytes} bytes`);
  }
}

interface Rounds {
  readonly suite: string;
  readonly operation: string;
  /** Bytes of one round. */
  readonly contentBytes: number;
  readonly isStored: boolean;
  readonly connections: number;
}

/** Runs `work` some times, one after the other; a round counts as one request. */
async function measureRounds(
  target: BenchTarget,
  rounds: Rounds,
  work: (round: number) => Promise<void>,
): Promise<Measurement> {
  const { contentBytes, isStored, ...names } = rounds;
  const latenciesMs: number[] = [];
  const { usage } = await measureUsage(target.processes, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const startMs = performance.now();
      await work(round);
      latenciesMs.push(performance.now() - startMs);
    }
  });
  const sorted = latenciesMs.toSorted((left, right) => left - right);
  return {
    ...names,
    target: target.name,
    syncs: target.syncs,
    requests: ROUNDS,
    failures: 0,
    seconds: latenciesMs.reduce((sum, ms) => sum + ms, 0) / 1000,
    contentBytes: contentBytes * ROUNDS,
    storedBytes: isStored ? contentBytes * ROUNDS : 0,
    latencyMs: {
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      p999: percentile(sorted, 0.999),
    },
    usage,
    generatorCpuSeconds: 0,
  };
}

export async function benchStream(
  targets: readonly BenchTarget[],
  { suite, sizeBytes }: { readonly suite: string; readonly sizeBytes: number },
  report: Report,
): Promise<Measurement[]> {
  const piece = new SeededRandom(2).bytes(PIECE_BYTES);
  const measurements: Measurement[] = [];
  for (const target of targets) {
    const client = new Client(target.access.endpoint, {
      headersTimeout: ANSWER_MS,
      bodyTimeout: ANSWER_MS,
    });
    const path = (round: number): string => `/${BENCH_BUCKET}/${suite}-${round}`;
    const shared = { suite, contentBytes: sizeBytes, connections: 1 };
    try {
      measurements.push(
        await measureRounds(target, { ...shared, operation: `put ${suite}`, isStored: true }, (round) =>
          putStream(client, target, path(round), sizeBytes, piece),
        ),
        await measureRounds(target, { ...shared, operation: `get ${suite}`, isStored: false }, (round) =>
          getStream(client, target, path(round), sizeBytes),
        ),
      );
    } finally {
      await client.destroy();
    }
    report(`${suite}  ${target.name}`);
  }
  return measurements;
}

function tagOf(name: string, document: Buffer): string {
  const text = new RegExp(`<${name}>([^<]+)</${name}>`).exec(document.toString('utf8'))?.[1];
  if (text === undefined) throw new Error(`no ${name} in ${document.toString('utf8').slice(0, 300)}`);
  return text;
}

/** Starts an upload, has each part made by `makePart` (which returns its ETag), completes it; returns what the completion took. */
async function upload(
  s3: S3Client,
  path: string,
  partCount: number,
  makePart: (query: Record<string, string>) => Promise<string>,
): Promise<number> {
  const begun = await s3.request({ method: 'POST', path, query: { uploads: '' } });
  const uploadId = tagOf('UploadId', begun.body);
  const etags: string[] = [];
  let next = 0;
  const takeTurns = async (): Promise<void> => {
    while (next < partCount) {
      const index = next;
      next += 1;
      etags[index] = await makePart({ partNumber: String(index + 1), uploadId });
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, takeTurns));
  const parts = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
  const startMs = performance.now();
  await s3.request({ method: 'POST', path, query: { uploadId }, body });
  return performance.now() - startMs;
}

/** An upload of 16 parts of 16 MiB, four at a time. */
export async function benchMultipart(target: BenchTarget, report: Report): Promise<Measurement[]> {
  const s3 = new S3Client(target.access);
  const body = new SeededRandom(3).bytes(PART_BYTES);
  const rounds: Rounds = {
    suite: 'multipart',
    operation: `multipart ${PARTS} x 16 MiB`,
    contentBytes: PARTS * PART_BYTES,
    isStored: true,
    connections: PARTS_AT_ONCE,
  };
  try {
    const measurement = await measureRounds(target, rounds, async (round) => {
      const path = `/${BENCH_BUCKET}/multipart-${round}`;
      await upload(s3, path, PARTS, async (query) => {
        const { headers } = await s3.request({ method: 'PUT', path, query, body });
        return headers['etag'] ?? '';
      });
    });
    report(rounds.operation);
    return [measurement];
  } finally {
    await s3.close();
  }
}

/** Completion, and copy, of an object of 5 GiB; its parts are copies of one object of 64 MiB. */
export async function benchPointers(target: BenchTarget, report: Report): Promise<Measurement[]> {
  const s3 = new S3Client(target.access);
  const client = new Client(target.access.endpoint, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  const source = `/${BENCH_BUCKET}/pointers-source`;
  const whole = `/${BENCH_BUCKET}/pointers-whole`;
  const shared = { suite: 'pointers', contentBytes: 0, isStored: false, connections: 1 };
  const completionsMs: number[] = [];
  try {
    await putStream(client, target, source, POINTER_PART_BYTES, new SeededRandom(4).bytes(PIECE_BYTES));
    const uploads = await measureRounds(
      target,
      { ...shared, operation: `${POINTER_PARTS} UploadPartCopy and completion, 5 GiB` },
      async () => {
        const tookMs = await upload(s3, whole, POINTER_PARTS, async (query) => {
          const headers = { 'x-amz-copy-source': source };
          const { body } = await s3.request({ method: 'PUT', path: whole, query, headers });
          return tagOf('ETag', body);
        });
        completionsMs.push(tookMs);
      },
    );
    const copies = await measureRounds(
      target,
      { ...shared, operation: 'CopyObject of 5 GiB' },
      async (round) => {
        const headers = { 'x-amz-copy-source': whole };
        await s3.request({ method: 'PUT', path: `/${BENCH_BUCKET}/pointers-copy-${round}`, headers });
      },
    );
    const completions = completionsOf(uploads, completionsMs);
    report(
      `completion ${completions.latencyMs.p50.toFixed(1)} ms, copy ${copies.latencyMs.p50.toFixed(1)} ms`,
    );
    return [uploads, completions, copies];
  } finally {
    await client.destroy();
    await s3.close();
  }
}

/** Of the uploads, only their completions; what the processes spent is not told apart. */
function completionsOf(uploads: Measurement, completionsMs: readonly number[]): Measurement {
  const sorted = completionsMs.toSorted((left, right) => left - right);
  return {
    ...uploads,
    operation: 'CompleteMultipartUpload of 5 GiB',
    seconds: sorted.reduce((sum, ms) => sum + ms, 0) / 1000,
    latencyMs: {
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      p999: percentile(sorted, 0.999),
    },
    usage: { cpuSeconds: {}, diskBytes: 0 },
  };
}
