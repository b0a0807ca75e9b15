/** The port through which others learn what the disk costs. It is called once for each batch or sync, never for each write. */

export interface WrittenBatch {
  /** Transactions that share it; 0 for one of clears or a fence alone. */
  readonly transactionCount: number;
  readonly isSynced: boolean;
  readonly durationMs: number;
}

export interface StoreObserver {
  batchWritten(batch: WrittenBatch): void;
  /** A segment, that is content beyond what lives in records, was put on disk. */
  segmentSynced(durationMs: number): void;
}
