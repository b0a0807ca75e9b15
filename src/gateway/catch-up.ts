/**
 * Copying to mirrors that are back while clients write, as the gateway sees it: they are let in as rebuilding, a mirror in
 * sync copies to them what they lack, and this watches.
 *
 * - By rows it ends when next to nothing is left. What is left is for a recovery.
 * - In full it ends when everything was compared. That goes on record, and rows are enough from then on.
 *
 * It ends early when the epoch it runs in ends: an exclusion or a recovery came between. Nothing is lost by that; the tag
 * tables and the cursor of the full copy say what is still to be copied.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { CopyPace } from '../protocol/pace.js';
import type { CopyNeed } from '../protocol/recovery-plan.js';
import { type DamagedStore, findDamagedStore } from './damaged-stores.js';
import type { OsdConnection, ReconcileOrder, ReconcileProgress } from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { Admission, Entrance, MirrorSet } from './mirror-set.js';

export interface CatchUpContext {
  readonly set: MirrorSet;
  readonly logger: Logger;
  readonly progressPollMs: number;
  /** As it is now; the OSD that copies hears of a change with the next look at it. */
  readonly pace: () => CopyPace;
  readonly onProgress: (progress: ReconcileProgress) => void;
  readonly sleep: (ms: number) => Promise<void>;
  /** True when it has to end before it is done: the gateway stops, or a recovery is wanted. */
  readonly isInterrupted: () => boolean;
}

export type CatchUpResult =
  /** So little is left for these mirrors that a recovery does it in a moment. */
  | { readonly kind: 'caught-up'; readonly mirrors: readonly MirrorId[] }
  /** They have everything but what was written since the begin: now rows are enough. */
  | { readonly kind: 'copied' }
  | { readonly kind: 'interrupted' }
  /** `suspects`: whom to leave alone for a while. */
  | {
      readonly kind: 'failed';
      readonly reason: string;
      readonly suspects: readonly MirrorId[];
      /** The store that it failed for. */
      readonly damaged: DamagedStore | null;
    };

export async function catchUp(context: CatchUpContext, returning: Entrance): Promise<CatchUpResult> {
  const { set } = context;
  const admission = await set.admit(returning);
  if (admission === null) return { kind: 'interrupted' };
  const mirrors = admission.reports.map(({ mirror }) => mirror);
  const [driver] = set.inSync;
  if (mirrors.length === 0 || driver === undefined) {
    return { kind: 'failed', reason: 'it could not be let in', suspects: returning.mirrors, damaged: null };
  }
  const order = makeOrder(set, admission, driver);
  const { inSync } = set;
  try {
    const isDone = await follow(context, set.connectionOf(driver), { ...order, pace: context.pace() });
    if (!isDone) return { kind: 'interrupted' };
    if (returning.need === 'rows') return { kind: 'caught-up', mirrors };
    return (await set.endFullCopies(admission)) ? { kind: 'copied' } : { kind: 'interrupted' };
  } catch (error) {
    if (set.epoch !== admission.epoch) return { kind: 'interrupted' };
    const reason = error instanceof Error ? error.message : String(error);
    const damaged = findDamagedStore(reason, { reports: order.participants, sources: inSync });
    return { kind: 'failed', reason, suspects: mirrors, damaged };
  }
}

function makeOrder(
  set: MirrorSet,
  { epoch, need: kind, reports }: Admission,
  driver: MirrorId,
): Omit<ReconcileOrder, 'pace'> {
  const need: CopyNeed = kind === 'rows' ? { kind } : { kind, reason: 'it was let in for it' };
  const participants: ReconcileOrder['participants'][number][] = [];
  const absentStoreIds: ReconcileOrder['absentStoreIds'][number][] = [];
  for (const { mirror, storeId: known } of set.state.members) {
    const rebuilt = reports.find((report) => report.mirror === mirror);
    const storeId = rebuilt?.storeId ?? known;
    if (storeId === null) continue;
    const { url } = set.connectionOf(mirror);
    if (rebuilt !== undefined) {
      participants.push({ mirror, url, storeId, role: { kind: 'stale', need } });
    } else if (set.inSync.includes(mirror)) {
      participants.push({ mirror, url, storeId, role: { kind: 'trusted' } });
    } else absentStoreIds.push(storeId);
  }
  const complete = participants.length === set.state.members.length;
  return { setId: set.setId, epoch, driver, participants, complete, mode: 'online', absentStoreIds };
}

/** False: it was interrupted. Rejects when the reconciliation failed. */
async function follow(
  context: CatchUpContext,
  driver: OsdConnection,
  order: ReconcileOrder & { readonly pace: CopyPace },
): Promise<boolean> {
  const { set } = context;
  let told = order.pace;
  let progress = await driver.startReconcile(order);
  for (;;) {
    context.onProgress(progress);
    if (progress.phase === 'done') return true;
    if (progress.phase === 'failed') throw new Error(progress.failure ?? 'the catch-up failed');
    if (context.isInterrupted() || set.epoch !== order.epoch) return false;
    await context.sleep(context.progressPollMs);
    const pace = context.pace();
    progress =
      pace === told
        ? await driver.reconcileProgress(order.epoch)
        : await driver.setReconcilePace(order.epoch, pace);
    told = pace;
  }
}
