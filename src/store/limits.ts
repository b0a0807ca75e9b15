/** Every bound of the store in one place. Sizes are bytes, counts are items; a caller overrides what it has measured. */
export interface StoreLimits {
  /** Content up to this size lives in the LevelDB record; it also bounds the inline bytes of one record. */
  readonly inlineBytesMax: number;
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
  /** What a blob writer gathers before it writes; it holds twice that at the most. */
  readonly writeGatherBytes: number;
  /** Memory for objects that nobody works on just now. */
  readonly objectCacheBytesMax: number;
  /** Blob files that are kept open for the next read. */
  readonly openBlobsMax: number;
  /** Writes are refused (`no-space`) while the file system has less than this left: LevelDB must never meet the end. */
  readonly freeReserveBytes: number;
  /** LevelDB's own: see its `Options`. */
  readonly levelWriteBufferBytes: number;
  readonly levelCacheBytes: number;
}

const KIBI = 1024;
const MEBI = 1024 * KIBI;

export const DEFAULT_LIMITS: StoreLimits = {
  inlineBytesMax: 16 * KIBI,
  extentCountMax: 256,
  smallExtentBytes: MEBI,
  consolidatedBytesMax: 8 * MEBI,
  batchTransactionsMax: 512,
  batchBytesMax: 4 * MEBI,
  queueDepthMax: 16_384,
  stageCountMax: 16_384,
  writeGatherBytes: 256 * KIBI,
  objectCacheBytesMax: 16 * MEBI,
  openBlobsMax: 64,
  freeReserveBytes: 64 * MEBI,
  levelWriteBufferBytes: 16 * MEBI,
  levelCacheBytes: 16 * MEBI,
};
