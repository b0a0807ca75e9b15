/** Every bound of the store in one place. Sizes are bytes, counts are items; a caller overrides what it has measured. */
export interface StoreLimits {
  /** Content up to this size may live in the LevelDB record; it also bounds the inline bytes of one record. */
  readonly inlineBytesMax: number;
  /** ... but while at least `busyWritesMin` writes are under way, only content up to this size does (measured: bench/README.md). */
  readonly busyInlineBytesMax: number;
  readonly busyWritesMin: number;
  /** Objects made of more extents than this have small neighbours copied together. */
  readonly extentCountMax: number;
  /** Only extents below this size are copied together ... */
  readonly smallExtentBytes: number;
  /** ... into runs of at most this size. */
  readonly consolidatedBytesMax: number;
  /** Transactions and bytes that go into one LevelDB batch. */
  readonly batchTransactionsMax: number;
  readonly batchBytesMax: number;
  /** Transactions that wait to be committed; the next one is turned away (`overloaded`). */
  readonly queueDepthMax: number;
  /** Stages that are open or wait for their transaction; the next one is turned away (`overloaded`). */
  readonly stageCountMax: number;
  /** What a blob writer gathers before it writes; it holds twice that at the most. Content up to this size is packed. */
  readonly writeGatherBytes: number;
  /** Of all blob writers together: when there are many each gathers less ... */
  readonly allGatherBytes: number;
  /** ... but no less than this. */
  readonly writeGatherBytesMin: number;
  /** Memory for objects that nobody works on just now. */
  readonly objectCacheBytesMax: number;
  /** Of a tag table with no more rows than that it is known in memory which objects have any: some 100 bytes for each. */
  readonly rowsIndexedMax: number;
  /** Of a store with no more objects than that it is known in memory which names are new (id-index.ts): two bytes for each. */
  readonly idIndexBytesMax: number;
  /** Files that are kept open for the next read: of segments, and of blobs that have one of their own. */
  readonly openBlobsMax: number;
  /** Fragments of which the checksums are kept for the next read. */
  readonly openFragmentsMax: number;
  /** A segment takes no further content once it is this long. By default this and the next two go by the size of the disk. */
  readonly segmentBytesMax: number;
  /** Content in one piece of a segment; a longer blob has several. */
  readonly fragmentBytesMax: number;
  /** Small contents that are written together. */
  readonly packBytesMax: number;
  /** A stream syncs what it has written once it is this much. */
  readonly streamSyncBytes: number;
  /** A segment is compacted once this share of it is dead ... */
  readonly compactionDeadShare: number;
  /** ... or this share, while the disk is short of space. More than what whole pages may cost: a copy must not be worth copying. */
  readonly shortageDeadShare: number;
  /** ... at this rate. */
  readonly compactionBytesPerSecondMax: number;
  /**
   * Writes are refused (`no-space`) while the file system has less than this left and room for a copy of one segment besides:
   * LevelDB must never meet the end, and compaction must have room to make some.
   */
  readonly freeReserveBytes: number;
  /** While the disk is short of space, the store looks so often for what it can give back. */
  readonly reclaimIntervalMs: number;
  /** LevelDB is made to give back removed content only when there is this much of it. */
  readonly deadInlineBytesMin: number;
  /** LevelDB's own: see its `Options`. */
  readonly levelWriteBufferBytes: number;
  readonly levelCacheBytes: number;
}

const KIBI = 1024;
const MEBI = 1024 * KIBI;

export const DEFAULT_LIMITS: StoreLimits = {
  inlineBytesMax: 16 * KIBI,
  busyInlineBytesMax: KIBI,
  busyWritesMin: 4,
  extentCountMax: 256,
  smallExtentBytes: MEBI,
  consolidatedBytesMax: 8 * MEBI,
  batchTransactionsMax: 512,
  batchBytesMax: 4 * MEBI,
  queueDepthMax: 16_384,
  stageCountMax: 16_384,
  writeGatherBytes: 256 * KIBI,
  allGatherBytes: 4 * MEBI,
  writeGatherBytesMin: 32 * KIBI,
  objectCacheBytesMax: 16 * MEBI,
  rowsIndexedMax: 50_000,
  idIndexBytesMax: 8 * MEBI,
  openBlobsMax: 64,
  openFragmentsMax: 256,
  segmentBytesMax: 256 * MEBI,
  fragmentBytesMax: 64 * MEBI,
  packBytesMax: 8 * MEBI,
  streamSyncBytes: 16 * MEBI,
  compactionDeadShare: 0.5,
  shortageDeadShare: 0.125,
  compactionBytesPerSecondMax: 32 * MEBI,
  freeReserveBytes: 64 * MEBI,
  reclaimIntervalMs: 1000,
  deadInlineBytesMin: MEBI,
  levelWriteBufferBytes: 16 * MEBI,
  levelCacheBytes: 16 * MEBI,
};

/** No more than this share of a disk is in one segment, of which every lane has an open one: what is dead in it takes room for a while. */
const SEGMENTS_PER_DISK = 64;
const SEGMENT_BYTES_MIN = 4 * MEBI;
/** A place of its own in a segment is at most this share of it. */
const PLACES_PER_SEGMENT = 4;

/** The default limits that go by the size of the disk: a segment is 1/64 of it, 4 MiB to 256 MiB (from 16 GiB on). */
export function limitsForDisk(
  totalBytes: number,
): Pick<StoreLimits, 'segmentBytesMax' | 'fragmentBytesMax' | 'packBytesMax'> {
  const wantedBytes = Math.max(SEGMENT_BYTES_MIN, Math.floor(totalBytes / SEGMENTS_PER_DISK / MEBI) * MEBI);
  const segmentBytesMax = Math.min(DEFAULT_LIMITS.segmentBytesMax, wantedBytes);
  const placeBytesMax = segmentBytesMax / PLACES_PER_SEGMENT;
  return {
    segmentBytesMax,
    fragmentBytesMax: Math.min(DEFAULT_LIMITS.fragmentBytesMax, placeBytesMax),
    packBytesMax: Math.min(DEFAULT_LIMITS.packBytesMax, placeBytesMax),
  };
}
