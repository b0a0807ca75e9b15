/**
 * A gateway over one mirror set: the storage that `s3/` uses, the control that `admin/` uses, and the life of both.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { WritesMode } from '../protocol/forwarding.js';
import type { CopyPace } from '../protocol/pace.js';
import { isBeyondCopy } from '../protocol/recovery-plan.js';
import type { GeneratorId } from '../protocol/tag.js';
import { unreachable } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { TagRow } from '../protocol/write.js';
import type { OsdConnection, OsdIdentity, RowCursor } from '../wire/osd-connection.js';
import type { AuthorityStorage } from './authority-storage.js';
import { ContractWatch, incompatibilityOf } from './contract-watch.js';
import { EventLog } from './event-log.js';
import { formatBytes, formatCount, plural } from './figures.js';
import { force, type ForceContext, type ForcePlan, planForce } from './force.js';
import {
  forceObject,
  type ForceObjectContext,
  type ForceObjectOrder,
  type ForceObjectPlan,
  planForceObject,
} from './force-object.js';
import { LostObjects } from './lost-objects.js';
import { HealthMonitor } from './health-monitor.js';
import type { Logger } from './logger.js';
import { MirrorSet } from './mirror-set.js';
import type { MirrorSetEvent, MirrorSetStatus, ReconcileOperation } from './mirror-set-status.js';
import { MirroredObjectStorage } from './mirrored-object-storage.js';
import { type ObjectStorage, ObjectStorageError } from './object-storage.js';
import { OnlyWriter } from './object-writers.js';
import { OwnOpenWrites } from './open-writes.js';
import type { SetWriter } from './set-writer.js';
import { RecoveryRunner } from './recovery-runner.js';
import { overviewOf } from './set-overview.js';
import { ScrubSchedule, type ScrubSettings } from './scrub-schedule.js';
import { TagTableLimit } from './tag-table-limit.js';
import type { GatewayTimings } from './timings.js';
import type { Verification, VerificationOrder } from './verification/verification.js';
import type { VerificationStorage } from './verification/verification-storage.js';
import { Verifier } from './verification/verifier.js';
import { KeyLocks } from './key-locks.js';
import { ShardedOpenWrites } from './workers/sharded-open-writes.js';
import { ShardedWriters } from './workers/sharded-writers.js';
import type { WorkerFleet } from './workers/worker-fleet.js';

export interface GatewayOptions {
  readonly setId: string;
  readonly members: readonly { readonly mirror: MirrorId; readonly connection: OsdConnection }[];
  readonly generator: GeneratorId;
  readonly authority: AuthorityStorage;
  readonly verificationRecord: VerificationStorage;
  readonly timings: GatewayTimings;
  /** Reconcile a mirror as soon as it is back; otherwise it waits for an operator. */
  readonly reconcilesByItself: boolean;
  /** Writes wait while a mirror is reconciled, from the first byte to the last; otherwise only for the end of it. */
  readonly suspendsWrites: boolean;
  /** Who issues the tags. */
  readonly writes: WritesMode;
  /** Rows of a tag table at which a mirror that is away is put down for a full copy (F27). */
  readonly tagTableRowsMax: number;
  readonly scrub: ScrubSettings;
  /** What copying while clients write may take, until an operator says otherwise. */
  readonly catchUpPace: Omit<CopyPace, 'isPaused'>;
  /** The processes that write; none: this one does. */
  readonly fleet?: WorkerFleet;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  /** Our bug, or another gateway took over: the process must stop. */
  readonly onFatal: (error: unknown) => void;
}

/** What `admin/` may do with a mirror set. */
export interface MirrorSetControl {
  status(): MirrorSetStatus;
  /** Newest first. */
  events(): readonly MirrorSetEvent[];
  /** How many of a kind there were in this run. */
  eventCount(kind: MirrorSetEvent['kind']): number;
  /** Starts a reconciliation, or says which one runs. */
  reconcile(): { readonly operation: ReconcileOperation; readonly isNew: boolean };
  operation(id: string): ReconcileOperation | null;
  operations(): readonly ReconcileOperation[];
  /** What is at risk when the set goes on with this mirror alone. Rejects with ForceRefusal. */
  planForce(mirror: string): Promise<ForcePlan>;
  /** Goes on with it, when these are the words. Rejects with ForceRefusal. */
  force(mirror: string, words: string): Promise<ForcePlan>;
  /** What is lost when an object that is intact nowhere is given up, or put back to what is kept of it. Rejects with ForceRefusal. */
  planForceObject(order: ForceObjectOrder): Promise<ForceObjectPlan>;
  /** Does it, when these are the words. Rejects with ForceRefusal. */
  forceObject(order: ForceObjectOrder, words: string): Promise<ForceObjectPlan>;
  /** Makes mirrors in sync read everything that they have: one, or all (null). From then on the status has that scrub. Null: no such mirror in sync. */
  scrub(mirror: string | null): Promise<readonly MirrorId[]> | null;
  /** Of copying while clients write. Null: writes wait for it, and it goes as fast as it can. */
  pace(): CopyPace | null;
  /** Changes parts of it, until the gateway ends. Null: there is none to change. */
  setPace(change: Partial<CopyPace>): CopyPace | null;
  /** Compares the mirrors in sync object by object, or says which verification runs. */
  verify(order: VerificationOrder): { readonly verification: Verification; readonly isNew: boolean };
  /** Ends the one that runs, for good. Null: none runs. */
  stopVerification(): Promise<Verification | null>;
  /** The one that runs, or the latest one; null: there never was one. */
  verification(): Verification | null;
  /** One page of a mirror's tag table, straight from its OSD. Null: no such mirror. */
  rows(mirror: string, after: RowCursor | null, limit: number): Promise<readonly TagRow[]> | null;
}

export class Gateway implements MirrorSetControl {
  readonly storage: ObjectStorage;
  readonly #options: GatewayOptions;
  readonly #set: MirrorSet;
  readonly #runner: RecoveryRunner;
  readonly #health: HealthMonitor;
  readonly #contracts: ContractWatch;
  readonly #tagTableLimit: TagTableLimit;
  readonly #scrubs: ScrubSchedule;
  readonly #verifier: Verifier;
  readonly #lost: LostObjects;
  readonly #log: EventLog;
  #pace: CopyPace;
  #isStopped = false;

  private constructor(options: GatewayOptions, set: MirrorSet) {
    this.#options = options;
    this.#set = set;
    const { timings, logger, clock } = options;
    this.#log = new EventLog(clock);
    this.#pace = { ...options.catchUpPace, isPaused: false };
    const onFatal = (error: unknown): void => {
      set.shut('the gateway has failed');
      options.onFatal(error);
    };
    const { fleet } = options;
    const storage =
      fleet === undefined ? storageOfOne(set.writer, logger) : storageOfFleet(set, fleet, logger);
    this.storage = storage;
    this.#runner = new RecoveryRunner({
      set,
      isOnline: !options.suspendsWrites,
      missingWriters: () => fleet?.missing ?? null,
      pace: () => this.#pace,
      timings,
      logger,
      clock,
      onFatal,
      onEvent: (event) => {
        this.#log.add(event);
      },
    });
    this.#health = new HealthMonitor({
      set,
      timings,
      clock,
      onFinding: (mirror, finding) => {
        this.#act(mirror, finding.kind);
      },
      onLooked: () => {
        this.#contracts.review();
        this.#tagTableLimit.review();
        this.#scrubs.review();
        this.#lost.review();
      },
    });
    this.#contracts = new ContractWatch({
      set,
      logger,
      onIncompatible: (message) => {
        this.#log.note('incompatible', message);
      },
    });
    const identityOf = (mirror: MirrorId): OsdIdentity | null => this.#health.healthOf(mirror).identity;
    this.#scrubs = new ScrubSchedule({ set, settings: options.scrub, logger, clock, identityOf });
    this.#verifier = new Verifier({
      set,
      storage,
      record: options.verificationRecord,
      logger,
      clock,
      onEnded: (verification) => {
        this.#log.note('verification', describeEnd(verification));
      },
      onFatal,
    });
    this.#lost = new LostObjects({
      set,
      pauseMs: timings.lostObjectsPauseMs,
      logger,
      onEvent: (message) => {
        this.#log.note('lost-bytes', message);
      },
    });
    this.#tagTableLimit = new TagTableLimit({
      set,
      rowsMax: options.tagTableRowsMax,
      logger,
      identityOf,
      onForgone: (mirrors, reason) => {
        const message = `${mirrors.join(', ')} will need a full copy: ${reason}`;
        this.#log.note('rows-forgone', message);
      },
      onCopyOutgrown: (reason) => {
        const message = `the full copy begins anew, and compares what it has: ${reason}`;
        this.#log.note('rows-forgone', message);
        this.#runner.copyAnew();
      },
    });
    set.onRecoveryNeeded = (cause, reason) => {
      this.#startRecovery(cause, reason);
    };
    set.onExcluded = (mirrors, reasons) => {
      const message = `${mirrors.join(', ')} left out: ${reasons.join('; ')}`;
      this.#log.note('excluded', message);
    };
  }

  /** Loads the authority's state and starts the first recovery. Requests wait until it is over. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const { setId, members, generator, authority, logger, timings, writes, fleet } = options;
    const { gateWaitMs, readLeaseMs } = timings;
    const otherWriters = () => fleet?.writers ?? [];
    const set = await MirrorSet.load({
      ...{ setId, members, generator, authority, logger, gateWaitMs, readLeaseMs, otherWriters, writes },
    });
    const gateway = new Gateway(options, set);
    if (fleet !== undefined) {
      fleet.serve(set);
      fleet.onJoined = () => {
        gateway.#runner.poke();
      };
    }
    gateway.#startRecovery('start', 'the gateway started');
    gateway.#health.start();
    await gateway.#verifier.resume();
    return gateway;
  }

  /** True while requests are served. */
  get isReady(): boolean {
    return this.#set.gate.isOpen;
  }

  /** Ids of present objects after one, in key order; fewer than `limit` (at most SUMMARIES_PAGE_MAX) at the end only. Rejects with `unavailable`. */
  async presentIds(after: ObjectId | null, limit: number): Promise<readonly ObjectId[]> {
    const { writer } = this.#set;
    await writer.passToRead();
    const [mirror] = writer.readable;
    if (mirror === undefined) throw new ObjectStorageError('unavailable', 'no mirror may serve reads');
    const present: ObjectId[] = [];
    let from = after;
    // A page of tombstones alone is not the end.
    for (;;) {
      const page = await this.#set.connectionOf(mirror).summaries(from, limit);
      for (const { objectId, sizeBytes } of page) if (sizeBytes !== null) present.push(objectId);
      from = page.at(-1)?.objectId ?? from;
      if (page.length < limit || present.length >= limit) return present;
    }
  }

  /** Ends the service: requests in flight are answered, tokens sent, the clean stop put on record, connections closed. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#verifier.stop();
    await this.#health.stop();
    await this.#tagTableLimit.stop();
    await this.#lost.stop();
    await this.#runner.stop();
    await this.#set.stop();
    await Promise.all(this.#set.members.map(({ connection }) => connection.close()));
    this.#log.note('stopped', 'the gateway stopped');
  }

  /** The store that is there has damaged records, and waits for an operator (F19). */
  #isBeyondCopy(mirror: MirrorId): boolean {
    const { identity } = this.#health.healthOf(mirror);
    return identity !== null && isBeyondCopy(this.#set.state, { mirror, storeId: identity.storeId });
  }

  #startRecovery(trigger: ReconcileOperation['trigger'], reason: string): void {
    if (!this.#isStopped) this.#runner.start(trigger, reason);
  }

  #act(mirror: MirrorId, finding: 'lost' | 'failed' | 'restarted' | 'returned'): void {
    switch (finding) {
      case 'lost':
        void this.#set.exclude(
          [mirror],
          incompatibilityOf(mirror, this.#set.connectionOf(mirror)) ?? `${mirror} does not answer`,
        );
        return;
      case 'failed':
        void this.#set.exclude([mirror], `the disk of ${mirror} failed`);
        return;
      case 'restarted':
        this.#startRecovery('mirror-restarted', `${mirror} was restarted`);
        return;
      case 'returned':
        if (!this.#options.reconcilesByItself || !this.#runner.mayRejoin(mirror)) return;
        if (this.#isBeyondCopy(mirror)) return;
        if (this.#runner.current === null) {
          const { unmatchedWrites, unmatchedBytes } = this.status();
          const message = `${mirror} is back: ${plural(unmatchedWrites, 'write')}, ${formatBytes(unmatchedBytes)} to copy`;
          this.#log.note('returned', message);
        }
        this.#runner.noticeReturn(mirror);
        this.#startRecovery('mirror-returned', `${mirror} is back`);
        return;
      default:
        unreachable(finding);
    }
  }

  events(): readonly MirrorSetEvent[] {
    return this.#log.events;
  }

  eventCount(kind: MirrorSetEvent['kind']): number {
    return this.#log.countOf(kind);
  }

  reconcile(): { readonly operation: ReconcileOperation; readonly isNew: boolean } {
    return this.#runner.start('operator', 'an operator asked for it');
  }

  pace(): CopyPace | null {
    return this.#options.suspendsWrites ? null : this.#pace;
  }

  setPace(change: Partial<CopyPace>): CopyPace | null {
    if (this.#options.suspendsWrites) return null;
    this.#pace = { ...this.#pace, ...change };
    const message = `an operator changed the pace of copying: ${describePace(this.#pace)}`;
    this.#log.note('pace', message);
    return this.#pace;
  }

  operation(id: string): ReconcileOperation | null {
    return this.#runner.operation(id);
  }

  operations(): readonly ReconcileOperation[] {
    return this.#runner.operations();
  }

  rows(mirror: string, after: RowCursor | null, limit: number): Promise<readonly TagRow[]> | null {
    const member = this.#set.members.find((candidate) => candidate.mirror === mirror);
    return member === undefined ? null : member.connection.rows(after, limit);
  }

  get #forceContext(): ForceContext {
    const { logger, clock } = this.#options;
    return { set: this.#set, runner: this.#runner, logger, clock };
  }

  planForce(mirror: string): Promise<ForcePlan> {
    return planForce(this.#forceContext, mirror);
  }

  async force(mirror: string, words: string): Promise<ForcePlan> {
    const plan = await force(this.#forceContext, mirror, words);
    const message = `an operator goes on with ${plan.mirror} alone: ${plan.risks.join('; ')}`;
    this.#log.note('forced', message);
    return plan;
  }

  get #forceObjectContext(): ForceObjectContext {
    const { logger, clock } = this.#options;
    return { set: this.#set, storage: this.storage, lost: this.#lost, logger, clock };
  }

  planForceObject(order: ForceObjectOrder): Promise<ForceObjectPlan> {
    return planForceObject(this.#forceObjectContext, order);
  }

  async forceObject(order: ForceObjectOrder, words: string): Promise<ForceObjectPlan> {
    const plan = await forceObject(this.#forceObjectContext, order, words);
    const message = `an operator said "${plan.words}": ${plan.risks.join('; ')}`;
    this.#log.note('forced', message);
    return plan;
  }

  scrub(mirror: string | null): Promise<readonly MirrorId[]> | null {
    const { inSync } = this.#set;
    const meant = mirror === null ? inSync : inSync.filter((candidate) => candidate === mirror);
    return meant.length === 0 ? null : this.#scrub(meant);
  }

  async #scrub(mirrors: readonly MirrorId[]): Promise<readonly MirrorId[]> {
    for (const mirror of mirrors) await this.#scrubs.start(mirror);
    // Who waits for its end looks at the status: that must not show the scrub before, which is done.
    for (const mirror of mirrors) await this.#health.refresh(mirror);
    const message = `an operator asked for a scrub of ${mirrors.join(', ')}`;
    this.#log.note('scrub', message);
    return mirrors;
  }

  verify(order: VerificationOrder): { readonly verification: Verification; readonly isNew: boolean } {
    const counts = this.#set.inSync.map((mirror) => this.#health.healthOf(mirror).identity?.objectCount ?? 0);
    const started = this.#verifier.start(order, Math.max(0, ...counts));
    if (started.isNew) {
      const message = 'an operator asked for a verification of the mirrors';
      this.#log.note('verification', message);
    }
    return started;
  }

  stopVerification(): Promise<Verification | null> {
    return this.#verifier.cancel();
  }

  verification(): Verification | null {
    return this.#verifier.latest;
  }

  status(): MirrorSetStatus {
    return overviewOf({
      set: this.#set,
      runner: this.#runner,
      health: this.#health,
      lost: this.#lost,
      writes: this.#options.writes,
      pace: this.pace(),
      isStopped: this.#isStopped,
    });
  }
}

function storageOfOne(writer: SetWriter, logger: Logger): MirroredObjectStorage {
  const writers = new OnlyWriter(writer);
  return new MirroredObjectStorage(writer, {
    writers,
    openWrites: new OwnOpenWrites(writer.inFlight),
    logger,
  });
}

/** Of a process that has no objects itself. */
function storageOfFleet(set: MirrorSet, fleet: WorkerFleet, logger: Logger): MirroredObjectStorage {
  const { writer } = set;
  const writers = new ShardedWriters(fleet, writer, new KeyLocks());
  const openWrites = new ShardedOpenWrites(fleet, writer, fleet.generators);
  return new MirroredObjectStorage(writer, { writers, openWrites, logger });
}

function describeEnd(verification: Verification): string {
  const { state, failure, objectsCompared, differenceCount, repairedCount } = verification;
  if (failure !== null) return `a verification failed: ${failure}`;
  const end = state === 'stopped' ? ' was stopped by an operator: it' : '';
  return `a verification${end} compared ${plural(objectsCompared, 'object')}, found ${formatCount(differenceCount)} different, and repaired ${formatCount(repairedCount)}`;
}

function describePace({ bytesPerSecond, sharePercent, isPaused }: CopyPace): string {
  if (isPaused) return 'paused';
  const rate =
    bytesPerSecond === null ? 'as fast as it goes' : `at ${formatBytes(bytesPerSecond)}/s at the most`;
  return `${rate}, in ${sharePercent} % of the time`;
}
