/**
 * The reconciliations that this OSD drives: one at a time, the latest one remembered.
 *
 * Ordering an epoch again changes nothing. A higher epoch takes over: the one before is cancelled by the fence that came
 * first, and the new one begins when it has stopped.
 */
import { InvariantViolation } from '../../protocol/invariant.js';
import type { CopyPace } from '../../protocol/pace.js';
import type { Epoch } from '../../protocol/tag.js';
import type { OsdConnection, ReconcileOrder, ReconcileProgress } from '../../wire/osd-connection.js';
import type { OsdLimits } from '../limits.js';
import type { OsdLogger } from '../osd-logger.js';
import type { PacerTimer, ServedClients } from './copy-pacer.js';
import { ReconcileRun, type ReconcileRunOptions } from './reconcile-run.js';

export interface ReconcilerOptions {
  readonly self: OsdConnection;
  readonly connect: (url: string) => OsdConnection;
  readonly logger: OsdLogger;
  readonly limits: OsdLimits;
  /** What the pace of copying is kept by. */
  readonly timer: PacerTimer;
  readonly clients: ServedClients;
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

interface LatestRun {
  readonly epoch: Epoch;
  readonly run: ReconcileRun;
  /** Never rejects. */
  readonly ended: Promise<void>;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #latest: LatestRun | null = null;
  #isClosed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  get latestProgress(): ReconcileProgress | null {
    return this.#latest?.run.progress ?? null;
  }

  /** Null when the latest reconciliation has another epoch. */
  progressOf(epoch: Epoch): ReconcileProgress | null {
    return this.#latest?.epoch === epoch ? this.#latest.run.progress : null;
  }

  /** Changes the pace of a reconciliation that was ordered with one. Null when the latest one has another epoch. */
  setPace(epoch: Epoch, pace: CopyPace): ReconcileProgress | null {
    if (this.#latest?.epoch === epoch) this.#latest.run.setPace(pace);
    return this.progressOf(epoch);
  }

  /** Precondition: the store is fenced at the order's epoch, so no other one can still succeed. */
  start(order: ReconcileOrder): ReconcileProgress {
    const { epoch } = order;
    const noteLost: ReconcileRunOptions['noteLost'] = (place, lost) => {
      this.#options.logger.error({ epoch, place, lost }, 'bytes of an object are intact nowhere');
    };
    const run = new ReconcileRun({ ...this.#options, order, noteLost });
    const before = this.#latest;
    before?.run.cancel(`a reconciliation at epoch ${epoch} was ordered`);
    if (this.#isClosed) run.cancel('the OSD stops');
    this.#latest = { epoch, run, ended: this.#drive(run, epoch, before?.ended) };
    return run.progress;
  }

  async #drive(run: ReconcileRun, epoch: Epoch, before: Promise<void> | undefined): Promise<void> {
    const { logger, onInvariantViolation } = this.#options;
    await before;
    try {
      await run.run();
      logger.info({ progress: run.progress }, 'a reconciliation is done');
    } catch (error) {
      logger.warn({ err: error, progress: run.progress, epoch }, 'a reconciliation failed');
      if (error instanceof InvariantViolation) onInvariantViolation(error);
    }
  }

  /** The store was fenced at this epoch: whatever ran below it has lost its participants. */
  cancelBelow(epoch: Epoch): void {
    if (this.#latest !== null && this.#latest.epoch < epoch) {
      this.#latest.run.cancel(`the store was fenced at epoch ${epoch}`);
    }
  }

  /** Cancels what runs and waits for it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#latest?.run.cancel('the OSD stops');
    await this.#latest?.ended;
  }
}
