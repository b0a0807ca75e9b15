/**
 * Claims about a mirror that comes back:
 *
 *   (a) what it costs does not follow the number of objects that are stored
 *   (b) it follows the number of writes that it missed
 *   (c) clients go on meanwhile
 *   (d) beside a full copy, and beside `rclone sync` of the same data from the same gateway
 *
 * One system grows, from step to step.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TallySystem } from '../test/support/tally-system.js';
import { drawLines } from './line-plot.js';
import { generateLoad, type LoadFigures } from './load.js';
import {
  bringBack,
  loseDisk,
  loseMirror,
  type MirrorReturn,
  missWrites,
  OBJECT_BYTES,
  putObjects,
  STORED_PREFIX,
} from './mirror-return.js';
import type { Picture } from './plot.js';
import type { BenchTable, Cell } from './table.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

export interface RecoveryOptions {
  /** Objects stored, growing: (a). */
  readonly stored: readonly number[];
  /** Writes missed, growing: (b). */
  readonly missed: readonly number[];
  /** How long each load of (c) is. */
  readonly seconds: number;
}

const MISSED_AT_EACH_SIZE = 1000;
/** (c): enough to be at it as long as the load. */
const MISSED_UNDER_LOAD = 20_000;
const LOAD_CONNECTIONS = 16;
/** (d) stands at this many objects, or at the first size. */
const COMPARED_AT = 10_000;

const RETURN_COLUMNS = [
  'objects stored',
  'writes missed',
  'rows unmatched',
  'bytes unmatched',
  'bytes copied',
  'to in-sync s',
  'with its start s',
  'longest write meanwhile ms',
];

function returnCells(stored: number, missed: number, back: MirrorReturn): Cell[] {
  return [
    stored,
    missed,
    back.rowsUnmatched,
    back.bytesUnmatched,
    back.bytesCopied,
    back.seconds.toFixed(2),
    back.backSeconds.toFixed(2),
    back.longestWriteMs.toFixed(0),
  ];
}

type Report = (line: string) => void;

class RecoveryBench {
  readonly #system: TallySystem;
  readonly #target: BenchTarget;
  readonly #report: Report;
  #stored = 0;

  constructor(system: TallySystem, target: BenchTarget, report: Report) {
    this.#system = system;
    this.#target = target;
    this.#report = report;
  }

  async #grow(stored: number): Promise<void> {
    if (stored <= this.#stored) return;
    this.#report(`storing ${stored - this.#stored} objects`);
    await putObjects(this.#target, { firstIndex: this.#stored, amount: stored - this.#stored });
    this.#stored = stored;
  }

  async #return(missed: number): Promise<MirrorReturn> {
    await this.#grow(missed);
    const back = await missWrites(this.#system, this.#target, missed);
    this.#report(returnCells(this.#stored, missed, back).join('  '));
    return back;
  }

  /** (a), with (d) when the size is there. */
  async byStored(
    sizes: readonly number[],
  ): Promise<{ table: BenchTable; beside: BenchTable; picture: Picture }> {
    const rows: Cell[][] = [];
    const points: [number, number][] = [];
    let beside: BenchTable | null = null;
    for (const stored of sizes) {
      await this.#grow(stored);
      const back = await this.#return(MISSED_AT_EACH_SIZE);
      rows.push(returnCells(stored, MISSED_AT_EACH_SIZE, back));
      points.push([stored, Math.max(back.seconds, 0.01)]);
      if (beside === null && (stored >= COMPARED_AT || stored === sizes.at(-1)))
        beside = await this.#beside(back);
    }
    if (beside === null) throw new RangeError('no size was given');
    return {
      table: {
        title: 'A mirror comes back: objects stored',
        note: `${MISSED_AT_EACH_SIZE} missed writes of ${OBJECT_BYTES} bytes at each size: flat is the claim. One client writes on meanwhile.`,
        columns: RETURN_COLUMNS,
        rows,
      },
      beside,
      picture: {
        name: 'recovery-stored',
        svg: drawLines({
          title: `seconds to in-sync after ${MISSED_AT_EACH_SIZE} missed writes`,
          xName: 'objects stored',
          lines: [{ name: 'Tally', points }],
        }),
      },
    };
  }

  /** (b) */
  async byMissed(counts: readonly number[]): Promise<{ table: BenchTable; picture: Picture }> {
    const rows: Cell[][] = [];
    const points: [number, number][] = [];
    for (const missed of counts) {
      const back = await this.#return(missed);
      rows.push(returnCells(this.#stored, missed, back));
      points.push([missed, Math.max(back.seconds, 0.01)]);
    }
    return {
      table: {
        title: 'A mirror comes back: writes missed',
        note: `Writes of ${OBJECT_BYTES} bytes, each to another object: linear is the claim.`,
        columns: RETURN_COLUMNS,
        rows,
      },
      picture: {
        name: 'recovery-missed',
        svg: drawLines({
          title: 'seconds to in-sync',
          xName: 'writes missed',
          lines: [{ name: 'Tally', points }],
        }),
      },
    };
  }

  #load(keyPrefix: string, seconds: number): Promise<LoadFigures> {
    return generateLoad({
      access: this.#target.access,
      methods: ['PUT'],
      bucket: BENCH_BUCKET,
      keyPrefix,
      firstIndex: 0,
      stored: { keyPrefix, keyCount: 0 },
      sizeBytes: 4 * OBJECT_BYTES,
      connections: LOAD_CONNECTIONS,
      seconds,
      amount: null,
    });
  }

  /** (c) */
  async clients(seconds: number): Promise<BenchTable> {
    const rows: Cell[][] = [];
    const take = (
      name: string,
      { requests, failures, seconds: took, latencyMs }: LoadFigures,
      back: string,
    ) => {
      const { p50, p99, p999 } = latencyMs;
      const latencies = [p50, p99, p999].map((ms) => ms.toFixed(1));
      rows.push([name, (requests / took).toFixed(0), ...latencies, failures, back]);
      this.#report(rows.at(-1)?.join('  ') ?? '');
    };
    take('both mirrors in sync', await this.#load('quiet-', seconds), '-');
    const [, osd] = this.#system.osds;
    const epoch = await loseMirror(this.#system, osd);
    await putObjects(this.#target, { firstIndex: 0, amount: MISSED_UNDER_LOAD });
    take('one mirror away', await this.#load('away-', seconds), '-');
    const [load, back] = await Promise.all([
      this.#load('catch-up-', seconds),
      bringBack(this.#system, osd, epoch),
    ]);
    take('during a catch-up', load, `${back.seconds.toFixed(1)} s`);
    return {
      title: 'Clients while a mirror comes back',
      note: `PUT of ${4 * OBJECT_BYTES} bytes, ${LOAD_CONNECTIONS} connections, ${seconds} s; ${MISSED_UNDER_LOAD} missed writes and those of "one mirror away" are copied meanwhile.`,
      columns: ['', 'requests/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'failed', 'catch-up took'],
      rows,
    };
  }

  /** (d) */
  async #beside(catchUp: MirrorReturn): Promise<BenchTable> {
    const full = await loseDisk(this.#system);
    const rows: Cell[][] = [
      ['Tally: catch-up', MISSED_AT_EACH_SIZE, catchUp.bytesCopied, catchUp.seconds.toFixed(2)],
      ['Tally: full copy onto a blank disk', this.#stored, full.bytesCopied, full.seconds.toFixed(2)],
      ...(await this.#rclone()),
    ];
    for (const row of rows) this.#report(row.join('  '));
    return {
      title: 'Beside a full copy and rclone sync',
      note: `${this.#stored} objects of ${OBJECT_BYTES} bytes, of which ${MISSED_AT_EACH_SIZE} changed. rclone: from this gateway to a folder, --checksum --fast-list, 16 transfers and checkers; it has nothing to go by but the listing.`,
      columns: ['', 'objects to copy', 'bytes copied', 'seconds'],
      rows,
    };
  }

  async #rclone(): Promise<Cell[][]> {
    if (spawnSync('rclone', ['version']).status !== 0) return [['rclone sync', '-', '-', 'not installed']];
    const folder = mkdtempSync(join(tmpdir(), 'tally-rclone-'));
    const sync = () => this.#sync(folder);
    try {
      const first = sync();
      await putObjects(this.#target, { firstIndex: 0, amount: MISSED_AT_EACH_SIZE });
      const second = sync();
      return [
        ['rclone sync: into an empty folder', this.#stored, this.#stored * OBJECT_BYTES, first.toFixed(2)],
        [
          'rclone sync: what changed',
          MISSED_AT_EACH_SIZE,
          MISSED_AT_EACH_SIZE * OBJECT_BYTES,
          second.toFixed(2),
        ],
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  #sync(folder: string): number {
    const { endpoint, accessKeyId, secretAccessKey, region } = this.#target.access;
    const startMs = performance.now();
    const flags = ['--checksum', '--fast-list', '--transfers', '16', '--checkers', '16'];
    const place = `tally:${BENCH_BUCKET}`;
    const ran = spawnSync('rclone', ['sync', ...flags, '--include', `${STORED_PREFIX}*`, place, folder], {
      encoding: 'utf8',
      env: {
        // What is configured for other endpoints on this machine is not for this one.
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        RCLONE_CONFIG: join(folder, '..', 'no-rclone.conf'),
        RCLONE_CONFIG_TALLY_TYPE: 's3',
        RCLONE_CONFIG_TALLY_PROVIDER: 'Other',
        RCLONE_CONFIG_TALLY_ENDPOINT: endpoint,
        RCLONE_CONFIG_TALLY_ACCESS_KEY_ID: accessKeyId,
        RCLONE_CONFIG_TALLY_SECRET_ACCESS_KEY: secretAccessKey,
        RCLONE_CONFIG_TALLY_REGION: region,
      },
    });
    if (ran.status !== 0) throw new Error(`rclone sync: ${ran.stderr}`);
    return (performance.now() - startMs) / 1000;
  }
}

export async function benchRecovery(
  system: TallySystem,
  target: BenchTarget,
  options: RecoveryOptions,
  report: Report,
): Promise<{ readonly tables: readonly BenchTable[]; readonly pictures: readonly Picture[] }> {
  const bench = new RecoveryBench(system, target, report);
  const stored = await bench.byStored(options.stored);
  const missed = await bench.byMissed(options.missed);
  const clients = await bench.clients(options.seconds);
  return {
    tables: [stored.table, missed.table, clients, stored.beside],
    pictures: [stored.picture, missed.picture],
  };
}
