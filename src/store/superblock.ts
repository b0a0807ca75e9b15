/**
 * The superblock: who a store is, beside its database, so that a lost or swapped database is noticed.
 *
 *   store.json   { "format": "tally-store", "formatVersion": 3 | 4, "storeId", "setId", "damage": null | reason }
 *
 * Version 2 has segments beside the blobs of version 1; in version 3 the database may name the store anew (keys.ts 07), for
 * everyone but this file, and keeps a copy of the authority's state; in version 4 an object may have lost bytes (records.ts), and a store
 * becomes one of that version when the first one does (store-format.ts). An older store becomes one of this version when it is opened, before anything is written that
 * the older version does not know.
 *
 * Commit order: written to store.json.new, fsynced, renamed, folder synced. `damage` is put there before LevelDB opens (and thereby
 * rewrites) a log that is known to be damaged, and taken back once the database itself says so.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type StoreId, toStoreId } from '../protocol/token.js';
import { errorCodeOf, nodeFiles } from './file-port.js';
import { StoreError } from './object-store.js';

export const FORMAT_VERSION = 3;
export const LOST_BYTES_VERSION = 4;
const OLDER_VERSIONS: readonly unknown[] = [1, 2];

const FORMAT = 'tally-store';
const FILE_NAME = 'store.json';

export interface Superblock {
  readonly storeId: StoreId;
  readonly setId: string;
  readonly damage: string | null;
  /** It was written by an older version of the format. */
  readonly isOlder: boolean;
  /** It is of the version in which objects may have lost bytes. */
  readonly mayHaveLostBytes: boolean;
}

/** Durable when it resolves. */
export async function writeSuperblock(
  folder: string,
  superblock: Omit<Superblock, 'isOlder'>,
): Promise<void> {
  const { storeId, setId, damage, mayHaveLostBytes } = superblock;
  const formatVersion = mayHaveLostBytes ? LOST_BYTES_VERSION : FORMAT_VERSION;
  const path = join(folder, FILE_NAME);
  const freshPath = `${path}.new`;
  const text = JSON.stringify({ format: FORMAT, formatVersion, storeId, setId, damage }, null, 2);
  const file = await open(freshPath, 'w');
  try {
    await file.writeFile(`${text}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(freshPath, path);
  await nodeFiles.syncFolder(folder);
}

/** Null: there is none. Throws StoreError `incomplete-store` for one that is no superblock of this format. */
export async function readSuperblock(folder: string): Promise<Superblock | null> {
  let text: string;
  try {
    text = await readFile(join(folder, FILE_NAME), 'utf8');
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    return parseSuperblock(JSON.parse(text));
  } catch (cause) {
    throw new StoreError('incomplete-store', `the superblock in ${folder} is not one of ours`, { cause });
  }
}

function parseSuperblock(value: unknown): Superblock {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object');
  const fields = value as Readonly<Record<string, unknown>>;
  const { format, formatVersion, storeId, setId, damage } = fields;
  const isOlder = OLDER_VERSIONS.includes(formatVersion);
  const mayHaveLostBytes = formatVersion === LOST_BYTES_VERSION;
  if (format !== FORMAT || (formatVersion !== FORMAT_VERSION && !mayHaveLostBytes && !isOlder))
    throw new TypeError('unknown format or version');
  if (typeof storeId !== 'string' || typeof setId !== 'string')
    throw new TypeError('storeId or setId is missing');
  if (damage !== null && typeof damage !== 'string') throw new TypeError('damage is neither null nor text');
  return { storeId: toStoreId(storeId), setId, damage, isOlder, mayHaveLostBytes };
}
