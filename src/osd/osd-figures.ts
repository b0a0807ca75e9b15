/** What commits cost. It is told of every batch, so all it does is add. */
import { Histogram } from '../metrics/histogram.js';
import type { StoreObserver, WrittenBatch } from '../store/store-observer.js';

const SECOND_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
];
const TRANSACTION_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

export class OsdFigures implements StoreObserver {
  /** Of synced batches that hold writes. */
  readonly batchTransactions = new Histogram(TRANSACTION_BOUNDS);
  /** From handing a synced batch to LevelDB until it is on disk. */
  readonly syncSeconds = new Histogram(SECOND_BOUNDS);

  /** Of each sync of a segment. */
  readonly segmentSyncSeconds = new Histogram(SECOND_BOUNDS);

  segmentSynced(durationMs: number): void {
    this.segmentSyncSeconds.observe(durationMs / 1000);
  }

  batchWritten({ transactionCount, isSynced, durationMs }: WrittenBatch): void {
    if (!isSynced) return;
    if (transactionCount > 0) this.batchTransactions.observe(transactionCount);
    this.syncSeconds.observe(durationMs / 1000);
  }
}
