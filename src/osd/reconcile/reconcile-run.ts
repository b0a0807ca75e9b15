/**
 * One reconciliation from its order to its end, as its driver runs it (DESIGN.md section 5.4 to 5.6).
 *
 *   verify participants -> by rows, among all that need no full copy -> a full copy for each that does -> drop rows
 *
 * Online it is the one or the other: full copies, for whoever needs one, or rows. The end of a full copy goes on the authority's
 * record before the mirror is copied to by rows, in an epoch of its own.
 *
 * Every step may be interrupted anywhere: what landed stays, what did not has its rows still, and the next attempt begins
 * from the tables as they are.
 */
import type { CopyPace } from '../../protocol/pace.js';
import type { OsdConnection, ReconcileOrder, ReconcileProgress } from '../../wire/osd-connection.js';
import type { OsdLimits } from '../limits.js';
import { Slots } from './bounded-work.js';
import { CopyPacer, type PacerTimer, type ServedClients } from './copy-pacer.js';
import { copyEverything } from './full-copy.js';
import type { PushContext } from './object-push.js';
import { catchUpOnline } from './online-catch-up.js';
import { copyEverythingOnline } from './online-full-copy.js';
import type { FullCopyOptions } from './pair-walk.js';
import { ProgressTracker } from './progress-tracker.js';
import { ReconcileFailure } from './reconcile-failure.js';
import { type ReconcilePeer, type ReconcileScope, verifyPeer } from './reconcile-peer.js';
import { RowDropper } from './row-dropper.js';
import { repairByRows } from './row-repair.js';

export interface ReconcileRunOptions {
  readonly order: ReconcileOrder;
  /** The driver's own store. */
  readonly self: OsdConnection;
  readonly connect: (url: string) => OsdConnection;
  readonly limits: OsdLimits;
  readonly timer: PacerTimer;
  readonly noteLost: PushContext['noteLost'];
  /** Of the driver. */
  readonly clients: ServedClients;
}

type UnverifiedPeer = Parameters<typeof verifyPeer>[1];

export class ReconcileRun {
  readonly #options: ReconcileRunOptions;
  readonly #progress: ProgressTracker;
  readonly #scope: ReconcileScope;
  readonly #pacer: CopyPacer;
  #cancelReason: string | null = null;

  constructor(options: ReconcileRunOptions) {
    const { setId, epoch, complete, mode, absentStoreIds, pace } = options.order;
    this.#options = options;
    this.#pacer = new CopyPacer(pace, options.timer, options.clients);
    this.#progress = new ProgressTracker(epoch, options.timer);
    this.#scope = {
      setId,
      epoch,
      isComplete: complete,
      isOnline: mode === 'online',
      absentStoreIds,
      checkCancelled: () => {
        if (this.#cancelReason !== null) throw new ReconcileFailure('cancelled', this.#cancelReason);
      },
    };
  }

  get progress(): ReconcileProgress {
    return this.#progress.snapshot();
  }

  setPace(pace: CopyPace): void {
    this.#pacer.setPace(pace);
  }

  cancel(reason: string): void {
    this.#cancelReason ??= reason;
    this.#pacer.cancel(new ReconcileFailure('cancelled', this.#cancelReason));
  }

  /** Rejects with whatever ended it early; the progress says so then. */
  async run(): Promise<void> {
    const peers = this.#connectPeers();
    try {
      await this.#reconcile(peers);
      this.#progress.enter('done');
    } catch (error) {
      this.#progress.fail(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      await Promise.all(peers.filter(({ osd }) => osd !== this.#options.self).map(({ osd }) => osd.close()));
    }
  }

  #connectPeers(): UnverifiedPeer[] {
    const { order, self, connect } = this.#options;
    // The driver first: of several sources that are equal, its own store needs no network.
    const others = order.participants.filter(({ mirror }) => mirror !== order.driver);
    const driver = order.participants.filter(({ mirror }) => mirror === order.driver);
    return [...driver, ...others].map(({ mirror, url, storeId, role }) => ({
      mirror,
      storeId,
      isTrusted: role.kind === 'trusted',
      needsFullCopy: role.kind === 'stale' && role.need.kind === 'full-copy',
      osd: mirror === order.driver ? self : connect(url),
    }));
  }

  async #reconcile(participants: readonly UnverifiedPeer[]): Promise<void> {
    const { limits, order } = this.#options;
    this.#scope.checkCancelled();
    const peers = await Promise.all(participants.map((peer) => verifyPeer(this.#scope, peer)));
    const context: PushContext = {
      scope: this.#scope,
      progress: this.#progress,
      smallBytes: new Slots(limits.reconcileSmallBytesInFlight),
      largeSlots: new Slots(limits.reconcileLargeInFlight),
      pacer: this.#pacer,
      noteLost: this.#options.noteLost,
    };
    const targets = peers.filter(({ needsFullCopy }) => needsFullCopy);
    if (this.#scope.isOnline) {
      if (targets.length === 0) await catchUpOnline({ context, peers, limits });
      for (const copy of this.#copies(context, targets, peers)) await copyEverythingOnline(copy);
      this.#progress.scanned();
      return;
    }
    const byRows = peers.filter(({ needsFullCopy }) => !needsFullCopy);
    const dropper = order.complete ? new RowDropper(this.#scope, this.#progress, peers) : null;
    if (byRows.length > 1) {
      await repairByRows({ context, peers: byRows, dropper: targets.length === 0 ? dropper : null, limits });
    }
    if (targets.length > 0) await this.#copyTo(context, targets, peers);
    this.#progress.scanned();
    if (dropper !== null && (targets.length > 0 || byRows.length === 1)) {
      this.#progress.enter('clearing');
      await dropper.dropEverything();
    }
    // Without a row to drop, everyone hears all the same how far the others have come (F17).
    if (peers.length > 1) await new RowDropper(this.#scope, this.#progress, peers).passWitnessesOn();
  }

  #copies(
    context: PushContext,
    targets: readonly ReconcilePeer[],
    peers: readonly ReconcilePeer[],
  ): FullCopyOptions[] {
    if (targets.length === 0) return [];
    const { order, limits } = this.#options;
    this.#progress.enter('full-copy');
    const trusted = peers.filter(({ isTrusted }) => isTrusted);
    const source = trusted.find(({ mirror }) => mirror === order.driver);
    if (source === undefined)
      throw new ReconcileFailure('peer-mismatch', 'the driver is no trusted participant');
    const otherSources = trusted.filter((peer) => peer !== source);
    return targets.map((target) => ({ context, source, otherSources, target, limits }));
  }

  async #copyTo(
    context: PushContext,
    targets: readonly ReconcilePeer[],
    peers: readonly ReconcilePeer[],
  ): Promise<void> {
    let isAnyResumed = false;
    for (const copy of this.#copies(context, targets, peers)) {
      const isResumed = await copyEverything(copy);
      isAnyResumed ||= isResumed;
    }
    // What the copy had passed before it was broken off may have been written since; rows tell.
    if (isAnyResumed) {
      await repairByRows({ context, peers, dropper: null, limits: this.#options.limits });
    }
    for (const { osd } of targets) await osd.endFullCopy(this.#scope.epoch);
  }
}
