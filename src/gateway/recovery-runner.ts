/**
 * Runs recoveries, one at a time, until the mirror set is active (DESIGN.md section 5).
 *
 * Before each attempt it looks at who is there without fencing anyone, so that waiting for a mirror costs no epochs. A
 * stale mirror whose reconciliation failed is left out for a while, so that it can't keep the others from serving.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { planRecovery } from '../protocol/recovery-plan.js';
import type { Logger } from './logger.js';
import type { MirrorSet } from './mirror-set.js';
import type { MirrorSetEvent, ReconcileOperation, ReconcileTrigger } from './mirror-set-status.js';
import { attemptRecovery, type AttemptResult, toReport } from './recovery-attempt.js';
import type { GatewayTimings } from './timings.js';

const OPERATIONS_KEPT_MAX = 100;

export interface RecoveryRunnerOptions {
  readonly set: MirrorSet;
  readonly timings: GatewayTimings;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  readonly onEvent: (event: MirrorSetEvent) => void;
  /** Our bug, or another gateway took over: the process must stop. */
  readonly onFatal: (error: unknown) => void;
}

interface Backoff {
  readonly untilMs: number;
  readonly delayMs: number;
}

export class RecoveryRunner {
  readonly #options: RecoveryRunnerOptions;
  readonly #operations = new Map<string, ReconcileOperation>();
  #running: Promise<void> | null = null;
  #current: ReconcileOperation | null = null;
  #waitingFor: string | null = null;
  #isStopping = false;
  #wake: () => void = () => undefined;
  /** What an operator decided, until the recovery that runs takes it in. Never rejects. */
  #decision: (() => Promise<void>) | null = null;
  readonly #backoff = new Map<MirrorId, Backoff>();
  #operationCount = 0;

  constructor(options: RecoveryRunnerOptions) {
    this.#options = options;
  }

  get current(): ReconcileOperation | null {
    return this.#current;
  }

  /** What the running recovery waits for; null when it does not wait. */
  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  operation(id: string): ReconcileOperation | null {
    return this.#operations.get(id) ?? null;
  }

  operations(): ReconcileOperation[] {
    return [...this.#operations.values()].reverse();
  }

  /** True when a stale mirror may be tried (again). */
  mayRejoin(mirror: MirrorId): boolean {
    return this.#options.clock() >= (this.#backoff.get(mirror)?.untilMs ?? 0);
  }

  /** Starts a recovery, or returns the one that is running. */
  start(
    trigger: ReconcileTrigger,
    reason: string,
  ): { readonly operation: ReconcileOperation; readonly isNew: boolean } {
    if (this.#current !== null) return { operation: this.#current, isNew: false };
    this.#operationCount += 1;
    const startedMs = this.#options.clock();
    const operation: ReconcileOperation = {
      id: `${startedMs.toString(36)}-${this.#operationCount}`,
      trigger,
      reason,
      startedMs,
      endedMs: null,
      state: 'running',
      epoch: this.#options.set.epoch,
      attempts: 0,
      progress: null,
      inSync: [],
      failure: null,
    };
    if (trigger === 'operator') this.#backoff.clear();
    this.#update(operation);
    this.#event('recovery-started', `recovery started: ${reason}`);
    this.#running = this.#run(operation)
      .catch((error: unknown) => {
        this.#options.onFatal(error);
      })
      .finally(() => {
        this.#running = null;
      });
    return { operation, isNew: true };
  }

  /**
   * Lets an operator's decision change the authority's state between two looks of the recovery that runs: nobody else writes
   * it then. Rejects with whatever `work` does, or when no recovery runs.
   */
  decide<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running === null || this.#decision !== null) return work();
    return new Promise((resolve, reject) => {
      this.#decision = () => work().then(resolve, reject);
      this.#wake();
    });
  }

  /** Makes a recovery that waits look again now: a mirror may be back. */
  poke(): void {
    this.#wake();
  }

  /** Ends a running recovery without an activation, and waits for it. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake();
    await this.#running;
  }

  #update(operation: ReconcileOperation): void {
    this.#current = operation.state === 'running' ? operation : null;
    this.#operations.set(operation.id, operation);
    for (const id of this.#operations.keys()) {
      if (this.#operations.size <= OPERATIONS_KEPT_MAX) break;
      this.#operations.delete(id);
    }
  }

  #amend(id: string, change: Partial<ReconcileOperation>): void {
    const operation = this.#operations.get(id);
    if (operation !== undefined) this.#update({ ...operation, ...change });
  }

  #event(kind: MirrorSetEvent['kind'], message: string): void {
    this.#options.onEvent({ atMs: this.#options.clock(), kind, message });
  }

  async #run({ id, reason }: ReconcileOperation): Promise<void> {
    const { set } = this.#options;
    await set.runTransition(async () => {
      let isQuiet = false;
      while (!this.#isStopping) {
        await this.#takeDecision();
        const wait = await this.#whatToWaitFor(id);
        if (!isQuiet) await set.quiesce(reason);
        isQuiet = true;
        if (wait === null && (await this.#attempt(id))) return;
        await this.#sleep(this.#options.timings.healthPollMs);
      }
    });
    this.#waitingFor = null;
    if (this.#isStopping && this.#current !== null) {
      this.#amend(id, { state: 'failed', endedMs: this.#options.clock(), failure: 'the gateway stopped' });
    }
  }

  async #takeDecision(): Promise<void> {
    const decision = this.#decision;
    this.#decision = null;
    if (decision === null) return;
    await decision();
    this.#backoff.clear();
  }

  /** Looks at who is there, fencing nobody. Null: an attempt makes sense. */
  async #whatToWaitFor(id: string): Promise<string | null> {
    const { set, timings, clock } = this.#options;
    const reports = await Promise.all(
      set.members.map(async ({ mirror, connection }) => {
        if (!this.mayRejoin(mirror)) return null;
        return connection
          .identity()
          .then((identity) => toReport(mirror, identity))
          .catch(() => null);
      }),
    );
    const present = reports.filter((report) => report !== null);
    const plan = planRecovery(set.state, present);
    let wait = plan.kind === 'wait' ? plan.reason : null;
    const operation = this.#operations.get(id);
    const sinceStartMs = clock() - (operation?.startedMs ?? 0);
    const mayGiveTime = operation?.trigger === 'start' || operation?.trigger === 'mirror-restarted';
    const missing = set.inSync.filter((mirror) => !present.some((report) => report.mirror === mirror));
    if (wait === null && mayGiveTime && missing.length > 0 && sinceStartMs < timings.startupWaitMs) {
      wait = `giving ${missing.join(', ')} a moment to come up`;
    }
    this.#noteWait(wait);
    return wait;
  }

  #noteWait(reason: string | null): void {
    if (reason !== null && reason !== this.#waitingFor) {
      this.#options.logger.warn({ reason }, 'the recovery waits');
      this.#event('waiting', `waiting: ${reason}`);
    }
    this.#waitingFor = reason;
  }

  /** True when the set is active. */
  async #attempt(id: string): Promise<boolean> {
    const { set, timings, logger } = this.#options;
    const leftOut = new Set(
      set.members.map(({ mirror }) => mirror).filter((mirror) => !this.mayRejoin(mirror)),
    );
    const result = await attemptRecovery({
      set,
      logger,
      leftOut,
      progressPollMs: timings.progressPollMs,
      sleep: (ms) => this.#sleep(ms),
      isStopping: () => this.#isStopping,
      onProgress: (progress) => {
        this.#amend(id, { progress, epoch: progress.epoch });
      },
    });
    const attempts = (this.#operations.get(id)?.attempts ?? 0) + 1;
    this.#amend(id, { attempts, epoch: set.epoch });
    this.#conclude(id, result);
    return result.kind === 'activated';
  }

  #conclude(id: string, result: AttemptResult): void {
    if (result.kind === 'wait') {
      this.#noteWait(result.reason);
      return;
    }
    if (result.kind === 'failed') {
      this.#options.logger.error({ reason: result.reason }, 'an attempt at a recovery failed');
      this.#event('recovery-failed', `an attempt at a recovery failed: ${result.reason}`);
      for (const mirror of result.suspects) this.#postpone(mirror);
      return;
    }
    for (const mirror of result.inSync) this.#backoff.delete(mirror);
    const { inSync } = result;
    this.#amend(id, { state: 'done', endedMs: this.#options.clock(), inSync });
    this.#event('recovery-ended', `recovery done: ${inSync.join(', ')} in sync`);
    this.#options.logger.info({ inSync, epoch: this.#options.set.epoch }, 'the mirror set is active');
  }

  #postpone(mirror: MirrorId): void {
    const { rejoinBackoffMs, rejoinBackoffMaxMs } = this.#options.timings;
    const delayMs = Math.min(
      (this.#backoff.get(mirror)?.delayMs ?? rejoinBackoffMs / 2) * 2,
      rejoinBackoffMaxMs,
    );
    this.#backoff.set(mirror, { untilMs: this.#options.clock() + delayMs, delayMs });
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#isStopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
