/**
 * Opens a store that was formatted. It never creates and never repairs (F19): what is missing or does not belong together is refused,
 * what was lost from the middle is put on record as the store's self doubt. Takes time for what was in flight when the
 * store was left (LevelDB's log, dead and uncommitted blobs), not for what it holds.
 *
 * Order: superblock; look at LevelDB's files; note damage in the superblock, because LevelDB's opening removes the
 * evidence; open LevelDB; identity, head, ring; self doubt into the database; blobs that nobody names; segments that were
 * being written to, which are written to further from their end.
 */
import { join } from 'node:path';
import { reopenFence } from '../protocol/fence.js';
import type { GeneratorId, Tag } from '../protocol/tag.js';
import type { StoreId } from '../protocol/token.js';
import { BlobFiles } from './blob-files.js';
import { BlobLedger } from './blob-ledger.js';
import { BlobReaper } from './blob-reaper.js';
import { findRingHole } from './commit-ring.js';
import { type Database, databaseFolder, openDatabase, type OpenDatabase, readRange } from './database.js';
import { DeadInline } from './dead-inline.js';
import { type FilePort, nodeFiles } from './file-port.js';
import { FragmentReads } from './fragment-reads.js';
import { FreeSpace } from './free-space.js';
import { IdIndex } from './id-index.js';
import * as keys from './keys.js';
import { inspectLevelFolder } from './level-inspection.js';
import { DEFAULT_LIMITS, limitsForDisk, type StoreLimits } from './limits.js';
import { StoreError } from './object-store.js';
import { type BlobLocator, OpenBlobs } from './open-blobs.js';
import { PackedLane } from './packed-lane.js';
import { RecentPlaces } from './recent-places.js';
import { RowIndex } from './row-index.js';
import { SegmentFiles, segmentsFolder } from './segment-files.js';
import { SegmentSpace } from './segment-space.js';
import { SegmentTable } from './segment-table.js';
import { putSelfDoubt } from './self-doubt.js';
import * as values from './small-values.js';
import { StoreCore, type StoreStart } from './store-core.js';
import type { StoreLogger } from './store-logger.js';
import type { StoreObserver } from './store-observer.js';
import { StoreFormat } from './store-format.js';
import { readSuperblock, type Superblock, writeSuperblock } from './superblock.js';

export interface OpenOptions {
  /** The mirror set that this store must belong to; absent: any. */
  readonly setId?: string;
  /** Unix time in ms, the machine's unless it is given; only ever shown, never compared (F25). */
  readonly clock?: () => number;
  readonly logger: StoreLogger;
  readonly observer?: StoreObserver;
  readonly limits?: Partial<StoreLimits>;
  /** Ports, for tests. */
  readonly files?: FilePort;
  readonly openDatabase?: OpenDatabase;
}

/** Throws StoreError `incomplete-store` or `in-use`. */
export async function openCore(folder: string, options: OpenOptions): Promise<StoreCore> {
  const files = options.files ?? nodeFiles;
  const limits = { ...DEFAULT_LIMITS, ...limitsForDisk(await files.totalBytes(folder)), ...options.limits };
  const superblock = await checkSuperblock(folder, options.setId);
  const damage = superblock.damage ?? (await inspectLevelFolder(databaseFolder(folder)));
  if (superblock.isOlder) await makeSegmentsFolder(folder, files);
  if (superblock.isOlder || damage !== superblock.damage)
    await writeSuperblock(folder, { ...superblock, damage });
  const database = await (options.openDatabase ?? openDatabase)(folder, { createIfMissing: false, limits });
  try {
    const start = await readStart(database, superblock);
    const rowIndex = await RowIndex.read(database, start.head.rowCount, limits.rowsIndexedMax);
    const format = new StoreFormat(folder, superblock);
    const core = assemble(folder, database, start, { ...options, limits, rowIndex, format });
    await settleDoubt(core, damage ?? (await findRingHole(database, start.head.commitSequence)));
    if (damage !== null) await writeSuperblock(folder, { ...superblock, damage: null });
    await removeUnnamedBlobs(core, start.head.settledBlobId);
    await adoptSegments(core, start.openSegments);
    await core.parts.freeSpace.refresh();
    return core;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function checkSuperblock(folder: string, setId: string | undefined): Promise<Superblock> {
  const superblock = await readSuperblock(folder);
  if (superblock === null) throw new StoreError('incomplete-store', `there is no store in ${folder}`);
  if (setId === undefined || superblock.setId === setId) return superblock;
  throw new StoreError(
    'incomplete-store',
    `the store in ${folder} belongs to set ${superblock.setId}, not ${setId}`,
  );
}

async function makeSegmentsFolder(folder: string, files: FilePort): Promise<void> {
  await files.makeFolder(segmentsFolder(folder));
  await files.syncFolder(folder);
}

async function readStart(database: Database, superblock: Superblock): Promise<StoreStart> {
  const identity = await readValue(database, keys.IDENTITY_KEY, values.decodeIdentity);
  const head = await readValue(database, keys.HEAD_KEY, values.decodeHead);
  if (identity === null || head === null) {
    throw new StoreError('incomplete-store', 'the database does not say whose it is, or how far it came');
  }
  if (identity.storeId !== superblock.storeId || identity.setId !== superblock.setId) {
    throw new StoreError('incomplete-store', 'the database belongs to another store than the superblock');
  }
  const witnesses = new Map<StoreId, number>();
  for await (const [key, value] of readRange(database, keys.spaceBounds(keys.KEY_SPACE.witness))) {
    witnesses.set(keys.storeIdOfKey(key), values.decodeSequence(key, value));
  }
  const floors = new Map<GeneratorId, Tag>();
  for await (const [key, value] of readRange(database, keys.spaceBounds(keys.KEY_SPACE.floor))) {
    floors.set(keys.generatorOfKey(key), values.decodeFloor(key, value));
  }
  const renewedId = await readValue(database, keys.RENEWED_STORE_ID_KEY, values.decodeStoreId);
  return {
    identity: renewedId === null ? identity : { ...identity, storeId: renewedId },
    head,
    fence: reopenFence(head.fencedEpoch),
    selfDoubt: await readValue(database, keys.SELF_DOUBT_KEY, values.decodeText),
    openSegments: (await readValue(database, keys.OPEN_SEGMENTS_KEY, values.decodeOpenSegments)) ?? {
      nextSegmentId: keys.toSegmentId(1),
      segmentIds: [],
    },
    fullCopyCursor: await readValue(database, keys.FULL_COPY_CURSOR_KEY, values.decodeCursor),
    witnesses,
    floors,
  };
}

async function readValue<T>(
  database: Database,
  key: Buffer,
  decode: (key: Buffer, value: Buffer) => T,
): Promise<T | null> {
  const value = await database.get(key);
  return value === undefined ? null : decode(key, value);
}

function assemble(
  folder: string,
  database: Database,
  start: StoreStart,
  options: OpenOptions & {
    readonly limits: StoreLimits;
    readonly rowIndex: RowIndex;
    readonly format: StoreFormat;
  },
): StoreCore {
  const { limits, rowIndex, format, clock = Date.now, logger, files = nodeFiles, observer = null } = options;
  const blobFiles = new BlobFiles(files, join(folder, 'blobs'));
  const segmentFiles = new SegmentFiles(files, segmentsFolder(folder), limits.openBlobsMax);
  const locator: BlobLocator = {
    use: (blobId) => ledger.use(blobId),
    endUse: (row) => ledger.endUse(row),
  };
  const recent = new RecentPlaces();
  const fragments = new FragmentReads(segmentFiles, recent, limits.openFragmentsMax);
  const openBlobs = new OpenBlobs({ blobs: blobFiles, fragments, locator, idleMax: limits.openBlobsMax });
  const reaper = new BlobReaper(blobFiles, openBlobs, logger);
  const segments = new SegmentTable({ database, files: segmentFiles, reaper, logger }, start.openSegments);
  const space = new SegmentSpace(segments, segmentFiles, { limits, logger, observer });
  const packed = new PackedLane(space, 'packed', recent);
  const ledger: BlobLedger = new BlobLedger({ database, reaper, segments }, start.head);
  const freeSpace = new FreeSpace(files, folder, limits, clock);
  const disk = {
    database,
    openBlobs,
    fragments,
    reaper,
    ledger,
    segmentFiles,
    segments,
    space,
    packed,
    freeSpace,
    deadInline: new DeadInline(),
    idIndex: new IdIndex({ database, logger, bytesMax: limits.idIndexBytesMax }),
  };
  return new StoreCore({ ...disk, format, limits, clock, logger, observer, blobFiles, rowIndex }, start);
}

async function settleDoubt(core: StoreCore, reason: string | null): Promise<void> {
  if (reason === null || core.selfDoubt !== null) return;
  await putSelfDoubt(core, reason);
}

/** Removes what a crash left: files that were in flight and never counted, and dead ones. Resolves when they are gone. */
async function removeUnnamedBlobs(core: StoreCore, settledBlobId: keys.BlobId): Promise<void> {
  const { database, blobFiles, ledger, reaper } = core.parts;
  for await (const [key] of readRange(database, keys.spaceBounds(keys.KEY_SPACE.deadBlob))) {
    ledger.buryDead(keys.blobIdOfKey(key));
  }
  for (const blobId of await blobFiles.listFrom(settledBlobId)) await ledger.adoptUnsettled(blobId);
  await reaper.drain();
}

/** Goes on with the segments that were being written to, and removes the file of one that did not come to have a row. */
async function adoptSegments(
  core: StoreCore,
  { nextSegmentId, segmentIds }: values.OpenSegments,
): Promise<void> {
  const { segmentFiles, segments, space, logger } = core.parts;
  await segmentFiles.remove(nextSegmentId);
  await segments.load(segmentIds);
  for (const segmentId of segmentIds) {
    const segment = segments.get(segmentId);
    try {
      const { file, sizeBytes } = await segmentFiles.reopen(segmentId);
      segment.resume(file, sizeBytes, space.onSynced);
    } catch (error) {
      logger.error({ error, segmentId }, 'a segment can not be written to any more');
    }
    segments.markOpen(segment);
    if (segment.file === null || !space.adopt(segment)) space.seal(segment);
  }
}
