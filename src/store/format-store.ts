/**
 * Makes a new store in a folder that has none. The only place where LevelDB may create a database (F19).
 *
 *   store.json   superblock        db/   LevelDB        segments/   content (segment-format.ts)
 *
 * Commit order: database with identity and head (synced), then the superblock. A crash between leaves a folder without a
 * superblock, which is no store: it does not open, and formatting it again says so.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EPOCH_NONE } from '../protocol/tag.js';
import { type StoreId, toStoreId } from '../protocol/token.js';
import { openDatabase } from './database.js';
import { nodeFiles } from './file-port.js';
import { HEAD_KEY, IDENTITY_KEY, toBlobId } from './keys.js';
import { DEFAULT_LIMITS } from './limits.js';
import { StoreError } from './object-store.js';
import { segmentsFolder } from './segment-files.js';
import { encodeHead, encodeIdentity } from './small-values.js';
import { writeSuperblock } from './superblock.js';

export interface FormatOptions {
  readonly setId: string;
  /** Made at random unless it is given. */
  readonly storeId?: StoreId;
}

/**
 * Formats a folder, making it when needed, and resolves with the new store's id. Throws StoreError `in-use` when there is
 * anything in the folder: a store is never formatted over.
 */
export async function formatStore(folder: string, options: FormatOptions): Promise<StoreId> {
  const storeId = options.storeId ?? toStoreId(randomBytes(16).toString('hex'));
  await mkdir(folder, { recursive: true });
  const found = await readdir(folder);
  if (found.length > 0)
    throw new StoreError('in-use', `${folder} is not empty (${found.slice(0, 3).join(', ')})`);
  await mkdir(segmentsFolder(folder));
  const database = await openDatabase(folder, { createIfMissing: true, limits: DEFAULT_LIMITS });
  const head = {
    ...{ commitSequence: 0, fencedEpoch: EPOCH_NONE, hasContent: false },
    ...{ nextBlobId: toBlobId(1), settledBlobId: toBlobId(1) },
    ...{ objectCount: 0, tombstoneCount: 0, rowCount: 0, rowBytes: 0, blobBytes: 0 },
  };
  const identity = { storeId, setId: options.setId };
  try {
    await database.batch(
      [
        { type: 'put', key: IDENTITY_KEY, value: encodeIdentity(IDENTITY_KEY, identity) },
        { type: 'put', key: HEAD_KEY, value: encodeHead(HEAD_KEY, head) },
      ],
      { sync: true },
    );
  } finally {
    await database.close();
  }
  await nodeFiles.syncFolder(dirname(folder));
  await writeSuperblock(folder, { ...identity, damage: null, mayHaveLostBytes: false });
  return storeId;
}
