/** What the steps of a reconciliation are called with, one by one and without a driver: some mirrors of one set, and its figures. */
import { Slots } from '../../../src/osd/reconcile/bounded-work.js';
import { CopyPacer, type PacerTimer, systemTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import type { PushContext } from '../../../src/osd/reconcile/object-push.js';
import { ProgressTracker } from '../../../src/osd/reconcile/progress-tracker.js';
import { ReconcileFailure } from '../../../src/osd/reconcile/reconcile-failure.js';
import type { ReconcilePeer } from '../../../src/osd/reconcile/reconcile-peer.js';
import { DEFAULT_OSD_LIMITS, type OsdLimits } from '../../../src/osd/limits.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import { intercept, type Interception, linkTo } from './in-process-osd.js';
import { Fleet, type Role } from './reconcile-fleet.js';
import { SET_ID } from './osd-writer.js';

export type Roles = Readonly<Record<number, Role>>;

export class Steps {
  readonly fleet: Fleet;
  readonly limits: OsdLimits;
  /** What was said of bytes that are intact nowhere. */
  readonly lostNotes: unknown[] = [];
  cancelReason: string | null = null;

  private constructor(fleet: Fleet, limits: Partial<OsdLimits>) {
    this.fleet = fleet;
    this.limits = { ...DEFAULT_OSD_LIMITS, ...limits };
  }

  /** Active at epoch 1. */
  static async start(mirrorCount: number, limits: Partial<OsdLimits> = {}): Promise<Steps> {
    return new Steps(await Fleet.start(mirrorCount, limits, 'in-process'), limits);
  }

  /** Of whatever a step asks of a mirror from now on. */
  intercept<Name extends Parameters<typeof intercept>[1]>(
    index: number,
    method: Name,
    by: Interception<Name>,
  ): void {
    intercept(this.fleet.mirrors[index]?.osd.url ?? '', method, by);
  }

  peers(roles: Roles): ReconcilePeer[] {
    return Object.entries(roles).map(([text, role]) => {
      const { mirror, store, osd } = this.fleet.mirrors[Number(text)]!;
      const { incarnation } = osd;
      const { storeId } = store;
      const needsFullCopy = role === 'full-copy';
      return {
        mirror,
        storeId,
        incarnation,
        isTrusted: role === 'trusted',
        needsFullCopy,
        osd: linkTo(osd.url),
      };
    });
  }

  context(
    mode: 'fenced' | 'online',
    participantCount: number,
    options: { readonly pace?: CopyPace; readonly timer?: PacerTimer } = {},
  ): PushContext {
    const { pace = null, timer = systemTimer } = options;
    return {
      scope: {
        setId: SET_ID,
        epoch: this.fleet.epoch,
        isComplete: participantCount === this.fleet.mirrors.length,
        isOnline: mode === 'online',
        absentStoreIds: [],
        checkCancelled: () => {
          if (this.cancelReason !== null) throw new ReconcileFailure('cancelled', this.cancelReason);
        },
      },
      progress: new ProgressTracker(this.fleet.epoch, timer),
      smallBytes: new Slots(this.limits.reconcileSmallBytesInFlight),
      largeSlots: new Slots(this.limits.reconcileLargeInFlight),
      pacer: new CopyPacer(pace, timer, { quietSinceMs: null }),
      noteLost: (place, lost) => this.lostNotes.push([place, lost]),
    };
  }

  stop(): Promise<void> {
    return this.fleet.stop();
  }
}
