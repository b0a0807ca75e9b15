/**
 * Claim: one OSD's store alone, without HTTP: what a put costs it in processor time, and how even its latencies are.
 *
 * Everything happens in this process, so the processor time includes making the requests (2 to 3 µs each). Tokens come back
 * in batches, as a gateway sends them. Bytes written are what /proc/self/io says was sent to the disk.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { makeObjectId } from '../src/protocol/object-id.js';
import { makeTag, toEpoch, toGeneratorId } from '../src/protocol/tag.js';
import { type Token, toStoreId } from '../src/protocol/token.js';
import type { WriteTransaction } from '../src/protocol/write.js';
import { type DiskObjectStore, openStore } from '../src/store/disk-object-store.js';
import { formatStore } from '../src/store/format-store.js';
import type { WriteContent, WriteRequest } from '../src/store/object-store.js';
import { type BenchTable, megabytesPerSecond, perSecond } from './table.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SET_ID = 'bench';
const EPOCH = toEpoch(1);
const GENERATOR = toGeneratorId(1);
const CLEARS_AT_ONCE = 64;
const WARM_UP_SHARE = 8;
const STAGE_PIECE_BYTES = 64 * KIB;
const PEER = toStoreId('e'.repeat(32));
const FLOOR = makeTag({ epoch: EPOCH, counter: 1, generator: GENERATOR });
const ATTRIBUTES = '{"contentType":"application/octet-stream","etag":"0123456789abcdef0123456789abcdef"}';
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Load {
  readonly label: string;
  readonly sizeBytes: number;
  readonly concurrency: number;
  readonly amount: number;
  /** Keys in use; fewer than `amount`: puts replace others here and there, and leave segments half dead, to be compacted. */
  readonly keyCount: number;
  readonly isStaged: boolean;
}

function loadOf(label: string, sizeBytes: number, concurrency: number, amount: number): Load {
  return { label, sizeBytes, concurrency, amount, keyCount: amount, isStaged: sizeBytes > MIB };
}

const LOADS: readonly Load[] = [
  loadOf('put 200 B', 200, 64, 60_000),
  loadOf('put 4 KiB', 4 * KIB, 64, 60_000),
  loadOf('put 4 KiB', 4 * KIB, 1, 3_000),
  loadOf('put 16 KiB', 16 * KIB, 64, 12_000),
  loadOf('put 64 KiB', 64 * KIB, 64, 6_000),
  loadOf('put 1 MiB', MIB, 16, 600),
  { ...loadOf('replace 64 KiB (compaction)', 64 * KIB, 64, 20_000), keyCount: 4_000 },
  { ...loadOf('replace 4 KiB (compaction)', 4 * KIB, 64, 200_000), keyCount: 60_000 },
  loadOf('stream 1 GiB', 1024 * MIB, 1, 1),
  loadOf('16 streams of 64 MiB', 64 * MIB, 16, 16),
];

class Writer {
  readonly latenciesMs: number[] = [];
  readonly #store: DiskObjectStore;
  readonly #load: Load;
  readonly #prefix: string;
  readonly #content: Buffer;
  readonly #contentChecksum: number;
  #counter: number;
  #issued = 0;
  #tokens: Token[] = [];

  constructor(store: DiskObjectStore, load: Load, prefix: string, firstCounter: number) {
    this.#store = store;
    this.#load = load;
    this.#prefix = prefix;
    this.#content = randomBytes(Math.min(load.sizeBytes, MIB));
    this.#contentChecksum = crc32c(this.#content);
    this.#counter = firstCounter;
  }

  get lastCounter(): number {
    return this.#counter;
  }

  async run(amount: number): Promise<void> {
    this.#issued = 0;
    this.latenciesMs.length = 0;
    await Promise.all(Array.from({ length: this.#load.concurrency }, () => this.#work(amount)));
    await this.#clear();
  }

  async #work(amount: number): Promise<void> {
    while (this.#issued < amount) {
      const isReplacing = this.#load.keyCount < this.#load.amount;
      const index =
        (isReplacing ? Math.imul(this.#issued, 0x9e3779b1) >>> 0 : this.#issued) % this.#load.keyCount;
      this.#issued += 1;
      const startMs = performance.now();
      await this.#put(`${this.#prefix}/${index.toString().padStart(8, '0')}`);
      this.latenciesMs.push(performance.now() - startMs);
      if (this.#tokens.length >= CLEARS_AT_ONCE) await this.#clear();
    }
  }

  async #put(name: string): Promise<void> {
    const { content, contentChecksum } = this.#load.isStaged
      ? await this.#stage()
      : { content: { kind: 'bytes', bytes: this.#content } as const, contentChecksum: this.#contentChecksum };
    const reply = await this.#store.write(this.#request(name, content, contentChecksum));
    if (reply.kind !== 'committed') throw new Error(`refused: ${reply.code}`);
    this.#tokens.push(reply.token);
  }

  #request(name: string, content: WriteContent, contentChecksum: number): WriteRequest {
    this.#counter += 1;
    const tag = makeTag({ epoch: EPOCH, counter: this.#counter, generator: GENERATOR });
    const { sizeBytes } = this.#load;
    const transaction: WriteTransaction = {
      setId: SET_ID,
      epoch: EPOCH,
      tag,
      objectId: makeObjectId('bucket', name, ''),
      kind: 'replace',
      previousTag: null,
      offset: 0,
      length: sizeBytes,
      mode: 'extend',
      attributes: ATTRIBUTES,
      checksum: contentChecksum,
    };
    return { transaction, content, contentChecksum, floor: FLOOR };
  }

  async #stage(): Promise<{ content: WriteContent; contentChecksum: number }> {
    const stage = this.#store.openStage();
    for (let written = 0; written < this.#load.sizeBytes; written += STAGE_PIECE_BYTES) {
      const at = written % this.#content.length;
      await stage.write(this.#content.subarray(at, at + STAGE_PIECE_BYTES));
    }
    const { stageId, contentChecksum } = await stage.finish();
    return { content: { kind: 'stage', stageId }, contentChecksum };
  }

  async #clear(): Promise<void> {
    const tokens = this.#tokens;
    this.#tokens = [];
    if (tokens.length === 0) return;
    const witnesses = [{ storeId: PEER, commitSequence: this.#counter }];
    const clears = tokens.map((token) => ({ token, witnesses }));
    const reply = await this.#store.clear({ setId: SET_ID, epoch: EPOCH, clears, floor: FLOOR });
    if (reply.kind !== 'cleared') throw new Error(`clear refused: ${reply.code}`);
  }
}

/** Bytes that this process has sent to the disk so far. */
function writtenBytes(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? 0);
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
}

async function measure(store: DiskObjectStore, load: Load, firstCounter: number) {
  const writer = new Writer(
    store,
    load,
    `${load.sizeBytes}-${load.concurrency}-${load.keyCount}`,
    firstCounter,
  );
  if (!load.isStaged) await writer.run(Math.ceil(load.amount / WARM_UP_SHARE));
  const cpuBefore = process.cpuUsage();
  const bytesBefore = writtenBytes();
  const startMs = performance.now();
  await writer.run(load.amount);
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const sorted = writer.latenciesMs.toSorted((left, right) => left - right);
  const totalBytes = load.amount * load.sizeBytes;
  const row = [
    load.label,
    load.concurrency,
    perSecond(load.amount, seconds),
    megabytesPerSecond(totalBytes, seconds),
    ...[0.5, 0.99, 0.999].map((share) => quantile(sorted, share)),
    Math.round((user + system) / load.amount),
    ((writtenBytes() - bytesBefore) / totalBytes).toFixed(2),
  ];
  return { row, lastCounter: writer.lastCounter };
}

/** `only`: part of a load's label; '' for all of them. */
export async function benchStore(
  folder: string | null,
  only: string,
  report: (line: string) => void,
): Promise<BenchTable> {
  const rows: (string | number)[][] = [];
  for (const load of LOADS.filter(({ label }) => label.includes(only))) {
    const home = folder ?? mkdtempSync(join(tmpdir(), 'tally-bench-store-'));
    const path = join(home, 'store');
    await formatStore(path, { setId: SET_ID });
    const store = await openStore(path, { setId: SET_ID, logger: silent });
    try {
      await store.fence(EPOCH);
      await store.activate(EPOCH);
      const { row } = await measure(store, load, 1);
      rows.push(row);
      report(row.join('  '));
    } finally {
      await store.close();
      rmSync(path, { recursive: true });
      if (folder === null) rmSync(home, { recursive: true });
    }
  }
  return {
    title: 'The store alone',
    note: 'One store in this process, every put synced; processor time includes making the requests. MB = 10^6 bytes.',
    columns: [
      'load',
      'at once',
      'puts/s',
      'MB/s',
      'p50 ms',
      'p99 ms',
      'p99.9 ms',
      'CPU µs/put',
      'disk bytes/byte',
    ],
    rows,
  };
}
