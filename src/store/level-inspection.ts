/**
 * Looks at a LevelDB folder before LevelDB does. LevelDB opens many a damaged database and quietly makes do with what it
 * finds, rewriting it as it goes (F19); what it would pass over is found here.
 *
 * A MANIFEST is a log of version edits, each a run of (field u, value): 1 comparator bytes, 2 log number u, 3 next file u,
 * 4 last sequence u, 5 compaction pointer u bytes, 6 deleted file u u, 7 new file u u u bytes bytes, 9 previous log u; u is
 * a varint, bytes have their length as one. A record of a write-ahead log is a batch: sequence u64 | count u32 | operations, little-endian;
 * the sequence of the next one is the sum of the two.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOf } from './file-port.js';
import { readLevelLog } from './level-log.js';
import { StoreError } from './object-store.js';

const BATCH_HEADER_BYTES = 12;
const ATTEMPTS_MAX = 3;

class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes.readUInt8(this.#at);
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  skipBytes(): void {
    const length = this.number();
    this.#at += length;
  }
}

interface ManifestState {
  logNumber: number;
  previousLogNumber: number;
  readonly tables: Set<number>;
}

function skipNumbers(edit: VarintReader, count: number): void {
  for (let index = 0; index < count; index += 1) edit.number();
}

/** Applies one version edit. Throws RangeError when it can't be read. */
function applyEdit(state: ManifestState, record: Buffer): void {
  const edit = new VarintReader(record);
  while (!edit.isAtEnd) {
    const field = edit.number();
    if (field === 1) edit.skipBytes();
    else if (field === 2) state.logNumber = edit.number();
    else if (field === 3 || field === 4) edit.number();
    else if (field === 5) {
      edit.number();
      edit.skipBytes();
    } else if (field === 6) {
      edit.number();
      state.tables.delete(edit.number());
    } else if (field === 7) {
      edit.number();
      state.tables.add(edit.number());
      skipNumbers(edit, 1);
      edit.skipBytes();
      edit.skipBytes();
    } else if (field === 9) state.previousLogNumber = edit.number();
    else throw new RangeError(`unknown field ${field} in a version edit`);
  }
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function incomplete(message: string, cause?: unknown): StoreError {
  return new StoreError('incomplete-store', message, { cause });
}

async function readManifest(folder: string): Promise<ManifestState> {
  const current = await readIfThere(join(folder, 'CURRENT'));
  if (current === null) throw incomplete(`CURRENT is missing in ${folder}`);
  const name = current.toString('utf8').trim();
  if (!/^MANIFEST-\d+$/.test(name)) throw incomplete(`CURRENT in ${folder} names no manifest`);
  const manifest = await readIfThere(join(folder, name));
  if (manifest === null) throw incomplete(`${name} is missing in ${folder}`);
  const { records, damage } = readLevelLog(manifest);
  if (damage !== null) throw incomplete(`${name} in ${folder} is damaged: ${damage}`);
  const state: ManifestState = { logNumber: 0, previousLogNumber: 0, tables: new Set() };
  try {
    for (const record of records) applyEdit(state, record);
  } catch (cause) {
    throw incomplete(`${name} in ${folder} can't be read`, cause);
  }
  return state;
}

function numbersOf(names: readonly string[], extension: RegExp): number[] {
  return names
    .filter((name) => extension.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((left, right) => left - right);
}

/** Checks that batches follow one another without a gap, from log to log. */
function findGap(
  records: readonly Buffer[],
  expected: number | null,
): { gap: string | null; next: number | null } {
  let next = expected;
  for (const record of records) {
    if (record.length < BATCH_HEADER_BYTES) return { gap: 'a batch is cut short', next };
    const sequence = Number(record.readBigUInt64LE(0));
    if (next !== null && sequence !== next)
      return { gap: `batches ${next} to ${sequence - 1} are missing`, next };
    next = sequence + record.readUInt32LE(8);
  }
  return { gap: null, next };
}

async function inspectLogs(folder: string, logs: readonly number[]): Promise<string | null> {
  let expected: number | null = null;
  for (const log of logs) {
    const name = `${log.toString().padStart(6, '0')}.log`;
    const file = await readIfThere(join(folder, name));
    if (file === null) throw incomplete(`${name} is missing in ${folder}`);
    const { records, damage } = readLevelLog(file);
    if (damage !== null) return `${name}: ${damage}`;
    const { gap, next } = findGap(records, expected);
    if (gap !== null) return `${name}: ${gap}`;
    expected = next;
  }
  return null;
}

async function inspectOnce(folder: string): Promise<string | null> {
  const { logNumber, previousLogNumber, tables } = await readManifest(folder);
  const names = await readdir(folder);
  const present = new Set(numbersOf(names, /^\d+\.(ldb|sst)$/));
  const lost = [...tables].find((table) => !present.has(table));
  if (lost !== undefined) throw incomplete(`table ${lost} is missing in ${folder}`);
  const logs = numbersOf(names, /^\d+\.log$/).filter((log) => log >= logNumber || log === previousLogNumber);
  // LevelDB writes the number of a log into the manifest once the log is there, and never asks whether it still is.
  if (logNumber > 0 && !logs.includes(logNumber))
    throw incomplete(`log ${logNumber} is missing in ${folder}`);
  return inspectLogs(folder, logs);
}

/**
 * Resolves with null when nothing is wrong, or with what was lost from the middle of a log. Throws StoreError
 * `incomplete-store` when a file is missing. Takes time for the manifest and the live logs, not for the tables.
 */
export async function inspectLevelFolder(folder: string): Promise<string | null> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await inspectOnce(folder);
    } catch (error) {
      // A database that another process has open may change its files between two looks.
      if (attempt === ATTEMPTS_MAX || !(error instanceof StoreError)) throw error;
    }
  }
}
