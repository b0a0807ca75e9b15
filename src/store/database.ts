/** The one LevelDB of a store, with keys and values as bytes. */
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { errorCodeOf } from './file-port.js';
import type { StoreLimits } from './limits.js';
import { StoreError } from './object-store.js';

export type Database = ClassicLevel<Buffer, Buffer>;

export type BatchOperation =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer };

export interface DatabaseOptions {
  /** True only when a store is formatted: otherwise LevelDB would make a new database where one was lost (F19). */
  readonly createIfMissing: boolean;
  readonly limits: StoreLimits;
}

export type OpenDatabase = (folder: string, options: DatabaseOptions) => Promise<Database>;

/** Opens `<folder>/db`. Throws StoreError `in-use` or `incomplete-store`. */
export const openDatabase: OpenDatabase = async (folder, { createIfMissing, limits }) => {
  const database: Database = new ClassicLevel<Buffer, Buffer>(databaseFolder(folder), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing,
    errorIfExists: createIfMissing,
    writeBufferSize: limits.levelWriteBufferBytes,
    cacheSize: limits.levelCacheBytes,
  });
  try {
    await database.open();
  } catch (cause) {
    throw asOpenError(folder, cause);
  }
  return database;
};

export function databaseFolder(folder: string): string {
  return join(folder, 'db');
}

function asOpenError(folder: string, cause: unknown): StoreError {
  const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
  if (errorCodeOf(reason) === 'LEVEL_LOCKED') {
    return new StoreError('in-use', `the store in ${folder} is open already`, { cause });
  }
  return new StoreError('incomplete-store', `the database of the store in ${folder} does not open`, {
    cause,
  });
}

/** Reads the entries of a range in pages; stop early by leaving the loop. Throws StoreError `io-error`. */
export async function* readRange(
  database: Database,
  range: { readonly gte: Buffer; readonly lt: Buffer },
): AsyncGenerator<readonly [Buffer, Buffer], void, undefined> {
  const iterator = database.iterator({ ...range, highWaterMarkBytes: PAGE_BYTES });
  try {
    for (;;) {
      const page = await iterator.nextv(PAGE_ENTRIES);
      if (page.length === 0) return;
      yield* page;
    }
  } finally {
    await iterator.close();
  }
}

const PAGE_ENTRIES = 256;
const PAGE_BYTES = 64 * 1024;
