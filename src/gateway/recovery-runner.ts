/**
 * Runs recoveries, one at a time, until the mirror set is active (DESIGN.md section 5).
 *
 * Online, a recovery takes along only what is done in a moment. A mirror that is back is brought up beside the clients first
 * (catch-up.ts): in full when it needs that, then by rows, and then once more under the fence, where next to nothing is left
 * to do. One full copy runs at a time, and steps back for a mirror that is back and needs rows alone.
 *
 * Before each attempt it looks at who is there without fencing anyone, so that waiting for a mirror costs no epochs. A
 * stale mirror whose reconciliation failed is left out for a while, so that it can't keep the others from serving.
 */
import type { AuthorityState, MirrorId } from '../protocol/authority-state.js';
import { contradicts, highestFence, reviewAuthority } from '../protocol/lost-authority.js';
import type { CopyPace } from '../protocol/pace.js';
import { fullCopyReason, isBeyondCopy, type MirrorReport, planRecovery } from '../protocol/recovery-plan.js';
import type { Epoch } from '../protocol/tag.js';
import type { ReconcileProgress } from '../wire/osd-connection.js';
import type { WrittenMirror } from '../writer/mirror-writer.js';
import type { Logger } from './logger.js';
import type { Entrance, MirrorSet } from './mirror-set.js';
import type { MirrorSetEvent, ReconcileOperation, ReconcileTrigger } from './mirror-set-status.js';
import { lookAtMirror, type SeenMirror } from './authority-review.js';
import { incompatibilityOf } from './contract-watch.js';
import { formatBytes, plural } from './figures.js';
import { catchUp } from './catch-up.js';
import { sumProgress } from './progress-sum.js';
import { type DamagedStore, describeDamagedStore, putDamageOnRecord } from './damaged-stores.js';
import { attemptRecovery, type AttemptResult, whyLeasesWait } from './recovery-attempt.js';
import type { GatewayTimings } from './timings.js';

const OPERATIONS_KEPT_MAX = 100;

export interface RecoveryRunnerOptions {
  readonly set: MirrorSet;
  readonly timings: GatewayTimings;
  readonly logger: Logger;
  /** Mirrors that are back are brought up while clients write; else writes wait until it is done. */
  readonly isOnline: boolean;
  /** Which writers are not there yet, for people; null: all are. */
  readonly missingWriters: () => string | null;
  /** Of copying while clients write. */
  readonly pace: () => CopyPace;
  /** Unix ms. */
  readonly clock: () => number;
  readonly onEvent: (event: MirrorSetEvent) => void;
  /** Our bug, or another gateway took over: the process must stop. */
  readonly onFatal: (error: unknown) => void;
}

/** What a look at the mirrors came to. */
interface Outlook {
  readonly wait: string | null;
  /** The authority's state, to be put in place of the one that is lost. */
  readonly rebuilt: AuthorityState | null;
  readonly fencedEpoch: Epoch;
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
  /** A recovery was asked for while mirrors are brought up online. */
  #isRecoveryAskedFor = false;
  /** A mirror has come back that is not known to wait for its full copy. */
  #hasReturned = false;
  /** The full copy that runs has to begin anew. */
  #isCopyOutgrown = false;
  /** Mirrors that wait while another one is copied to in full. */
  #waitingForCopy: readonly MirrorId[] = [];
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

  /** A mirror is back: a full copy that runs steps back for it, unless it is in line for one itself. */
  noticeReturn(mirror: MirrorId): void {
    if (this.#waitingForCopy.includes(mirror)) return;
    this.#hasReturned = true;
    this.#wake();
  }

  /** The full copy that runs takes so long that too many rows were written meanwhile: it begins anew, and those rows may go. */
  copyAnew(): void {
    this.#isCopyOutgrown = true;
    this.#wake();
  }

  /** Starts a recovery, or returns the one that is running. */
  start(
    trigger: ReconcileTrigger,
    reason: string,
  ): { readonly operation: ReconcileOperation; readonly isNew: boolean } {
    if (this.#current !== null) {
      if (trigger !== 'mirror-returned' && trigger !== 'operator') {
        this.#isRecoveryAskedFor = true;
        this.#wake();
      }
      return { operation: this.#current, isNew: false };
    }
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

  #event(kind: MirrorSetEvent['kind'], message: string, atMs = this.#options.clock()): void {
    this.#options.onEvent({ atMs, kind, message });
  }

  async #run({ id, reason, trigger }: ReconcileOperation): Promise<void> {
    const { set, isOnline } = this.#options;
    let returning = isOnline && !set.needsRecovery ? await this.#findReturning() : null;
    const mayStayActive = trigger === 'mirror-returned' || trigger === 'operator';
    const isNeedless = isOnline && trigger === 'mirror-returned' && !set.needsRecovery;
    if (!mayStayActive || (returning === null && !isNeedless)) {
      await this.#recover(id, reason, []);
      returning = isOnline ? await this.#findReturning() : null;
    }
    while (!this.#isStopping && (returning !== null || this.#wantsRecovery())) {
      if (returning !== null) await this.#bringUp(id, reason, returning);
      // Somebody may have asked for one while nobody listened.
      else await this.#recover(id, reason, []);
      returning = isOnline ? await this.#findReturning() : null;
    }
    this.#waitingFor = null;
    if (this.#isStopping) {
      this.#amend(id, { state: 'failed', endedMs: this.#options.clock(), failure: 'the gateway stopped' });
    } else this.#endOperation(id);
  }

  /** Mirrors that are there and out of sync: all for which rows are enough, else one of those that need more. */
  async #findReturning(): Promise<Entrance | null> {
    const { set } = this.#options;
    const isAnew = this.#isCopyOutgrown;
    this.#isCopyOutgrown = false;
    this.#hasReturned = false;
    this.#waitingForCopy = [];
    if (set.needsRecovery) return null;
    const asked = set.members.filter(({ mirror }) => set.inSync.includes(mirror) || this.mayRejoin(mirror));
    const seen = (await this.#look(asked)).filter((mirror) => !this.#isStrange(mirror));
    const reports = seen.map(({ report }) => report);
    const fencedEpoch = highestFence(seen.map(({ witness }) => witness));
    const out = reports.filter(
      (report) => !set.inSync.includes(report.mirror) && !isBeyondCopy(set.state, report),
    );
    const needs = (report: MirrorReport): boolean => fullCopyReason(set.state, report, reports) !== null;
    const byRows = out.filter((report) => !needs(report)).map(({ mirror }) => mirror);
    const [next, ...others] = out.filter(needs).map(({ mirror }) => mirror);
    if (byRows.length > 0) return { need: 'rows', mirrors: byRows, isAnew: false, fencedEpoch };
    if (next === undefined) return null;
    this.#waitingForCopy = others;
    return { need: 'full-copy', mirrors: [next], isAnew, fencedEpoch };
  }

  /** A mirror that knows more than the authority is never taken back by it: its writes would be lost (F31). */
  #isStrange({ witness }: SeenMirror): boolean {
    const { set, logger } = this.#options;
    const { mirror, fencedEpoch } = witness;
    if (set.inSync.includes(mirror) || !contradicts(set.state, witness)) return false;
    const message = `${mirror} is not taken back: it was fenced at epoch ${fencedEpoch} by an authority whose state was put back since to an older one`;
    logger.error({ mirror, fencedEpoch, epoch: set.epoch }, message);
    this.#event('recovery-failed', message);
    this.#postpone(mirror);
    return true;
  }

  /** Online as far as it goes; when rows were enough, then the rest under the fence. */
  async #bringUp(id: string, reason: string, returning: Entrance): Promise<void> {
    const { set, logger, timings, pace } = this.#options;
    this.#isRecoveryAskedFor = false;
    const result = await catchUp(
      {
        set,
        logger,
        progressPollMs: timings.progressPollMs,
        pace,
        sleep: (ms) => this.#sleep(ms),
        isInterrupted: () =>
          this.#isStopping ||
          this.#wantsRecovery() ||
          (returning.need === 'full-copy' && (this.#hasReturned || this.#isCopyOutgrown)),
        onProgress: this.#progressOf(id),
      },
      returning,
    );
    if (result.kind !== 'caught-up') set.endRebuilding('the catch-up has ended');
    if (this.#isStopping) return;
    if (result.kind === 'failed') {
      logger.error({ reason: result.reason }, 'a mirror could not be brought up online');
      this.#event(
        'recovery-failed',
        `${returning.mirrors.join(', ')} could not be brought up: ${result.reason}`,
      );
      for (const mirror of result.suspects) this.#postpone(mirror);
      if (result.damaged !== null) await this.#settleDamageBeside(result.damaged);
    }
    if (result.kind === 'caught-up') await this.#recover(id, reason, result.mirrors);
    else if (this.#wantsRecovery()) await this.#recover(id, reason, []);
  }

  #wantsRecovery(): boolean {
    return this.#isRecoveryAskedFor || this.#options.set.needsRecovery;
  }

  /** Under the fence, until the set is active. `takesAlong`: who is brought up in it, whatever it takes; in suspended mode everyone. */
  async #recover(id: string, reason: string, takesAlong: readonly MirrorId[]): Promise<void> {
    const { set } = this.#options;
    await set.runTransition(async () => {
      let isQuiet = false;
      while (!this.#isStopping) {
        await this.#takeDecision();
        const { wait, rebuilt, fencedEpoch } = await this.#whatToWaitFor(id);
        if (!isQuiet) await set.quiesce(reason);
        isQuiet = true;
        if (rebuilt !== null) {
          await this.#takeRebuilt(rebuilt);
          continue;
        }
        const isActivated = wait === null && (await this.#attempt(id, takesAlong, fencedEpoch));
        if (isActivated && !set.needsRecovery) break;
        // A writer may have ended while the others were let in.
        if (isActivated) isQuiet = false;
        await this.#sleep(this.#options.timings.healthPollMs);
      }
    });
    this.#isRecoveryAskedFor = false;
    this.#waitingFor = null;
  }

  /** Takes in the progress of one more reconciliation of an operation. */
  #progressOf(id: string): (progress: ReconcileProgress) => void {
    const before = this.#operations.get(id)?.progress ?? null;
    return (progress) => {
      this.#amend(id, { progress: sumProgress(before, progress), epoch: progress.epoch });
    };
  }

  /** Those of these mirrors that answer. */
  async #look(mirrors: readonly WrittenMirror[]): Promise<SeenMirror[]> {
    const seen = await Promise.all(mirrors.map((mirror) => lookAtMirror(mirror, this.#options.logger)));
    return seen.filter((mirror) => mirror !== null);
  }

  /** The authority's state as the mirrors kept it takes the place of the one that was lost, or put back (F31). */
  async #takeRebuilt(state: AuthorityState): Promise<void> {
    const { set, logger } = this.#options;
    const { epoch, inSync } = state;
    const message = `the authority's state was lost or put back: rebuilt from what the mirrors keep, with ${inSync.join(', ') || 'nobody'} in sync`;
    logger.error({ epoch, inSync, before: set.epoch, audit: true }, message);
    await set.saveState(state);
    this.#event('authority-rebuilt', message);
  }

  async #takeDecision(): Promise<void> {
    const decision = this.#decision;
    this.#decision = null;
    if (decision === null) return;
    await decision();
    this.#backoff.clear();
  }

  /** Looks at who is there, fencing nobody. `wait` is null when an attempt makes sense. */
  async #whatToWaitFor(id: string): Promise<Outlook> {
    const { set, timings, clock } = this.#options;
    const seen = await this.#look(set.members);
    const witnesses = seen.map(({ witness }) => witness);
    const fencedEpoch = highestFence(witnesses);
    const verdict = reviewAuthority(set.state, witnesses);
    // Somebody else may have taken over: then this one has nothing to say any more.
    if (verdict.kind !== 'sound') await set.assertNotSuperseded();
    if (verdict.kind === 'rebuild') return { wait: null, rebuilt: verdict.state, fencedEpoch };
    const present = seen.map(({ report }) => report).filter(({ mirror }) => this.mayRejoin(mirror));
    const plan = planRecovery(set.state, present);
    let wait = plan.kind === 'wait' ? plan.reason : null;
    if (verdict.kind === 'wait') wait = verdict.reason;
    const operation = this.#operations.get(id);
    const sinceStartMs = clock() - (operation?.startedMs ?? 0);
    const mayGiveTime = operation?.trigger === 'start' || operation?.trigger === 'mirror-restarted';
    const missing = set.inSync.filter((mirror) => !present.some((report) => report.mirror === mirror));
    // Before it gives anybody time it fences who is there: what a gateway before may still do has to be waited out from then on (F14).
    const hasFenced = set.leaseToWaitOutMs < Infinity;
    if (
      wait === null &&
      hasFenced &&
      mayGiveTime &&
      missing.length > 0 &&
      sinceStartMs < timings.startupWaitMs
    ) {
      wait = `giving ${missing.join(', ')} a moment to come up`;
    }
    const isUnfenced = set.unfenced.some((mirror) => missing.includes(mirror));
    if (wait === null && hasFenced && isUnfenced && set.leaseToWaitOutMs > 0) wait = whyLeasesWait(set);
    wait ??= this.#options.missingWriters();
    if (wait !== null) wait = [wait, ...this.#incompatibilities()].join('; ');
    this.#noteWait(wait);
    return { wait, rebuilt: null, fencedEpoch };
  }

  #incompatibilities(): string[] {
    return this.#options.set.members
      .map(({ mirror, connection }) => incompatibilityOf(mirror, connection))
      .filter((message) => message !== null);
  }

  #noteWait(reason: string | null): void {
    if (reason !== null && reason !== this.#waitingFor) {
      this.#options.logger.warn({ reason }, 'the recovery waits');
      this.#event('waiting', `waiting: ${reason}`);
    }
    this.#waitingFor = reason;
  }

  /** True when the set is active. */
  async #attempt(id: string, takesAlong: readonly MirrorId[], fencedEpoch: Epoch): Promise<boolean> {
    const { set, timings, logger, isOnline } = this.#options;
    const leftOut = new Set(
      set.members.map(({ mirror }) => mirror).filter((mirror) => !this.mayRejoin(mirror)),
    );
    const result = await attemptRecovery({
      set,
      logger,
      leftOut,
      fencedEpoch,
      takesAlong: (mirror, need) => !isOnline || (need.kind === 'rows' && takesAlong.includes(mirror)),
      progressPollMs: timings.progressPollMs,
      sleep: (ms) => this.#sleep(ms),
      isStopping: () => this.#isStopping,
      onProgress: this.#progressOf(id),
    });
    const attempts = (this.#operations.get(id)?.attempts ?? 0) + 1;
    this.#amend(id, { attempts, epoch: set.epoch });
    await this.#conclude(result);
    return result.kind === 'activated';
  }

  async #conclude(result: AttemptResult): Promise<void> {
    if (result.kind === 'wait') {
      this.#noteWait(result.reason);
      return;
    }
    if (result.kind === 'failed') {
      this.#options.logger.error({ reason: result.reason }, 'an attempt at a recovery failed');
      this.#event('recovery-failed', `an attempt at a recovery failed: ${result.reason}`);
      for (const mirror of result.suspects) this.#postpone(mirror);
      if (result.damaged !== null) await this.#settleDamage(result.damaged);
      return;
    }
    for (const mirror of result.inSync) this.#backoff.delete(mirror);
    const { inSync } = result;
    this.#options.logger.info({ inSync, epoch: this.#options.set.epoch }, 'the mirror set is active');
  }

  /** Precondition: under the fence. */
  async #settleDamage(damaged: DamagedStore): Promise<void> {
    const { set, logger } = this.#options;
    const message = describeDamagedStore(damaged);
    logger.error({ mirror: damaged.mirror, audit: true }, message);
    this.#event('recovery-failed', message);
    if (damaged.onlySourceOf !== null) return;
    await putDamageOnRecord(set, damaged);
    this.#backoff.clear();
  }

  /** The same beside clients: one that is in sync is left out first. */
  async #settleDamageBeside(damaged: DamagedStore): Promise<void> {
    const { set } = this.#options;
    const { mirror, onlySourceOf } = damaged;
    if (onlySourceOf === null && set.inSync.includes(mirror))
      await set.exclude([mirror], describeDamagedStore(damaged));
    const settle = async (): Promise<void> => {
      // A recovery that somebody asked for meanwhile finds out for itself.
      const isSettled = set.state.phase === 'active' && !set.needsRecovery;
      const isOut = onlySourceOf !== null || !set.inSync.includes(mirror);
      if (isSettled && isOut) await this.#settleDamage(damaged);
    };
    await set.runTransition(settle).catch((error: unknown) => {
      set.requireRecovery('mirror-lost', error instanceof Error ? error.message : String(error));
    });
  }

  #endOperation(id: string): void {
    const { inSync } = this.#options.set;
    const endedMs = this.#options.clock();
    this.#amend(id, { state: 'done', endedMs, inSync });
    const { objectsDone = 0, bytesCopied = 0 } = this.#operations.get(id)?.progress ?? {};
    const copied =
      objectsDone === 0 ? '' : `; ${plural(objectsDone, 'object')}, ${formatBytes(bytesCopied)} copied`;
    // The same moment: by it whoever is told finds the operation.
    this.#event('recovery-ended', `recovery done: ${inSync.join(', ')} in sync${copied}`, endedMs);
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
