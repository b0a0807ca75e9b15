/** The one LevelDB of a store, with keys and values as bytes. */
import { join } from 'node:path';
import { ClassicLevel, type Iterator } from 'classic-level';
import { errorCodeOf } from './file-port.js';
import type { StoreLimits } from './limits.js';
import { StoreError } from './object-store.js';

export type Database = ClassicLevel<Buffer, Buffer>;

export type DatabaseBatch = ReturnType<Database['batch']>;

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

/** What a failed read of LevelDB amounts to. */
export function asReadError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const code = errorCodeOf(cause);
  if (code === 'LEVEL_CORRUPTION') return new StoreError('damaged', 'the database is damaged', { cause });
  if (code === 'LEVEL_DATABASE_NOT_OPEN' || code === 'LEVEL_ITERATOR_NOT_OPEN') {
    return new StoreError('closed', 'the store is closed', { cause });
  }
  return new StoreError('io-error', 'the database could not be read', { cause });
}

/** Reads the entries of a range in pages; stop early by leaving the loop. Throws StoreError. */
export async function* readRange(
  database: Database,
  range: { readonly gte: Buffer; readonly lt: Buffer },
): AsyncGenerator<readonly [Buffer, Buffer], void, undefined> {
  const iterator = database.iterator({ ...range, highWaterMarkBytes: PAGE_BYTES });
  try {
    for (;;) {
      const page = await nextPage(iterator, PAGE_ENTRIES);
      if (page.length === 0) return;
      yield* page;
    }
  } finally {
    await iterator.close();
  }
}

export type DatabaseIterator = Iterator<Database, Buffer, Buffer>;

/** The next entries of an iterator, none at its end. Throws StoreError. */
export async function nextPage(iterator: DatabaseIterator, entriesMax: number): Promise<[Buffer, Buffer][]> {
  try {
    return await iterator.nextv(entriesMax);
  } catch (cause) {
    throw asReadError(cause);
  }
}

const PAGE_ENTRIES = 256;
const PAGE_BYTES = 64 * 1024;
