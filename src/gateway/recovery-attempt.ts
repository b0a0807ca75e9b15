/**
 * One attempt at a recovery, from the new epoch to the activation (DESIGN.md section 5, steps 1 to 7).
 *
 * Every attempt has an epoch of its own, so a crash anywhere, or a second attempt, finds this one's fence lower than its
 * own (F28). The authority has the epoch on disk before anyone is fenced, everyone who takes part has the authority's state before
 * anything is copied or a row goes, and the authority has the new in-sync set before anyone is activated.
 */
import { activate, beginRecovery, type MirrorId, type Participant } from '../protocol/authority-state.js';
import {
  type CopyNeed,
  type MirrorReport,
  planRecovery,
  type RecoveryPlan,
} from '../protocol/recovery-plan.js';
import { readableInRecovery } from '../protocol/read-gate.js';
import type { Epoch } from '../protocol/tag.js';
import { contradicts } from '../protocol/lost-authority.js';
import { OsdRefusal, type ReconcileOrder, type ReconcileProgress } from '../wire/osd-connection.js';
import type { WrittenMirror } from '../writer/mirror-writer.js';
import { lookAtMirror } from './authority-review.js';
import { type DamagedStore, findDamagedStore } from './damaged-stores.js';
import { recordFullCopyBegin, recordFullCopyNeed } from './full-copies.js';
import type { Logger } from './logger.js';
import { toReport } from './mirror-report.js';
import type { MirrorSet } from './mirror-set.js';
import { monotonicMs } from './monotonic-clock.js';

export interface AttemptContext {
  readonly set: MirrorSet;
  readonly logger: Logger;
  readonly progressPollMs: number;
  /** Mirrors of which nothing is wanted this time, because their last reconciliation failed. */
  readonly leftOut: ReadonlySet<MirrorId>;
  /** The highest epoch that one that takes part was fenced at. */
  readonly fencedEpoch: Epoch;
  /**
   * Which mirrors that are not in sync are brought up under the fence, however much they lack. The others only by rows, and
   * only if it is little: what takes long is done beside the clients (online).
   */
  readonly takesAlong: (mirror: MirrorId, need: CopyNeed) => boolean;
  readonly onProgress: (progress: ReconcileProgress) => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly isStopping: () => boolean;
}

export type AttemptResult =
  | { readonly kind: 'activated'; readonly inSync: readonly MirrorId[] }
  | { readonly kind: 'wait'; readonly reason: string }
  /** `suspects`: the next attempt does better without them. */
  | {
      readonly kind: 'failed';
      readonly reason: string;
      readonly suspects: readonly MirrorId[];
      /** The store that it failed for. */
      readonly damaged: DamagedStore | null;
    };

type ProceedPlan = Extract<RecoveryPlan, { kind: 'proceed' }>;

/** What a mirror said when it was fenced. */
interface FencedMirror {
  readonly report: MirrorReport;
  readonly rowCount: number;
  readonly rowBytes: number;
}

/** What became of the fences. `overtaken`: somebody has seen a later state of the authority than this one, or was fenced by it meanwhile. */
interface Fenced {
  readonly mirrors: readonly FencedMirror[];
  readonly overtaken: readonly MirrorId[];
}

/**
 * Looks at each mirror once more before it is fenced: one that was away when the authority's state was reviewed, and knows better than it,
 * must not be passed over because it can not be fenced (F31).
 */
async function fenceAll(context: AttemptContext, epoch: Epoch): Promise<Fenced> {
  const { set, logger } = context;
  const overtaken: MirrorId[] = [];
  const fence = async ({ mirror, connection }: WrittenMirror): Promise<FencedMirror | null> => {
    const seen = await lookAtMirror({ mirror, connection }, logger);
    if (seen === null) return null;
    if (contradicts(set.state, seen.witness)) {
      overtaken.push(mirror);
      return null;
    }
    try {
      const identity = await connection.fence(epoch, seen.report.incarnation);
      set.noteFenced(mirror);
      const { rowCount, rowBytes } = identity;
      return { report: toReport(mirror, identity), rowCount, rowBytes };
    } catch (error) {
      logger.warn({ mirror, epoch, err: error }, 'a mirror could not be fenced; it does not take part');
      if (error instanceof OsdRefusal && error.code === 'stale-epoch') overtaken.push(mirror);
      return null;
    }
  };
  const present = set.members.filter(({ mirror }) => !context.leftOut.has(mirror));
  const mirrors = (await Promise.all(present.map(fence))).filter((mirror) => mirror !== null);
  return { mirrors, overtaken };
}

/**
 * What the mirrors are once every full copy of this plan has begun, and everyone who takes part keeps on record what the recovery goes by (F31).
 *
 * The trusted ones do before any copy begins: the rows of what is copied go before the activation, and a state that was rebuilt without it would
 * take back a disk of before the copy by rows alone. So does one that was put back to an older state and is made whole by rows, of which nobody
 * knows that it has forgotten what it kept: once it counts as whole others may fail.
 */
async function beginOnMirrors(
  set: MirrorSet,
  plan: ProceedPlan,
  reports: readonly MirrorReport[],
): Promise<MirrorReport[]> {
  const begun: MirrorReport[] = [];
  for (const report of reports) {
    const need = plan.stale.find(({ mirror }) => mirror === report.mirror)?.need;
    if (need?.kind !== 'full-copy') {
      begun.push(report);
      continue;
    }
    begun.push(await recordFullCopyBegin(set, { report, reason: need.reason, reports }));
  }
  await set.keepRecord(plan.trusted);
  for (const { mirror, storeId } of begun.filter((report) => !reports.includes(report)))
    await set.connectionOf(mirror).beginFullCopy(set.epoch, storeId);
  // A copy that begins makes a store forget what it kept.
  await set.keepRecord(plan.stale.map(({ mirror }) => mirror));
  return begun;
}

function makeOrder(
  context: AttemptContext,
  epoch: Epoch,
  plan: ProceedPlan,
  reports: readonly MirrorReport[],
): ReconcileOrder {
  const participants = reports.map((report) => {
    const stale = plan.stale.find(({ mirror }) => mirror === report.mirror);
    const role: ReconcileOrder['participants'][number]['role'] =
      stale === undefined ? { kind: 'trusted' } : { kind: 'stale', need: stale.need };
    const { url } = context.set.connectionOf(report.mirror);
    return { mirror: report.mirror, url, storeId: report.storeId, role };
  });
  const driver = plan.trusted[0];
  if (driver === undefined) throw new Error('a plan to proceed names a trusted mirror');
  const absentStoreIds = context.set.state.members.flatMap(({ mirror, storeId }) =>
    storeId === null || participants.some((participant) => participant.mirror === mirror) ? [] : [storeId],
  );
  const { setId } = context.set;
  const { complete } = plan;
  return { setId, epoch, driver, participants, complete, mode: 'fenced', absentStoreIds, pace: null };
}

/** What is brought up under the fence without asking: so much is done in a moment. */
const SMALL_BACKLOG_ROWS = 64;
const SMALL_BACKLOG_BYTES = 4 * 1024 * 1024;

/** The plan without those that are better brought up while clients write. */
function withoutDeferred(
  context: AttemptContext,
  plan: ProceedPlan,
  fenced: readonly FencedMirror[],
): ProceedPlan {
  const sources = fenced.filter(({ report }) => plan.trusted.includes(report.mirror));
  const isSmall = sources.every(
    ({ rowCount, rowBytes }) => rowCount <= SMALL_BACKLOG_ROWS && rowBytes <= SMALL_BACKLOG_BYTES,
  );
  const stale = plan.stale.filter(
    ({ mirror, need }) => (isSmall && need.kind === 'rows') || context.takesAlong(mirror, need),
  );
  return stale.length === plan.stale.length ? plan : { ...plan, stale, complete: false };
}

async function reconcile(context: AttemptContext, order: ReconcileOrder): Promise<void> {
  const driver = context.set.connectionOf(order.driver);
  let progress = await driver.startReconcile(order);
  context.onProgress(progress);
  while (progress.phase !== 'done') {
    if (progress.phase === 'failed') throw new Error(progress.failure ?? 'the reconciliation failed');
    if (context.isStopping()) throw new Error('the gateway is stopping');
    await context.sleep(context.progressPollMs);
    progress = await driver.reconcileProgress(order.epoch);
    context.onProgress(progress);
  }
}

/** Where each mirror stands after the repairs, so that the authority is a witness itself (F17). */
async function takeSequences(
  context: AttemptContext,
  reports: readonly MirrorReport[],
): Promise<Participant[]> {
  return Promise.all(
    reports.map(async ({ mirror, storeId, incarnation }) => {
      const identity = await context.set.connectionOf(mirror).identity();
      if (identity.storeId !== storeId)
        throw new Error(`${mirror} has another store than it was fenced with`);
      return { mirror, storeId, incarnation, commitSequence: identity.commitSequence };
    }),
  );
}

async function activateAll(
  context: AttemptContext,
  epoch: Epoch,
  reports: readonly MirrorReport[],
): Promise<void> {
  const equal = await takeSequences(context, reports);
  await context.set.saveState(context.set.withWriter(activate(context.set.state, epoch, equal)));
  await Promise.all(
    reports.map(async ({ mirror, incarnation }) => {
      const atMs = monotonicMs();
      const identity = await context.set.connectionOf(mirror).activate(epoch);
      if (identity.incarnation !== incarnation)
        throw new Error(`${mirror} was restarted during the recovery`);
      context.set.confirm(mirror, atMs);
    }),
  );
}

/** Those without whom the next attempt may do better: all that are stale, and of the trusted those that can take no writes. */
async function findSuspects({ set }: AttemptContext, { trusted, stale }: ProceedPlan): Promise<MirrorId[]> {
  const faulty = await Promise.all(
    trusted.map(async (mirror) => {
      const identity = await set
        .connectionOf(mirror)
        .identity()
        .catch(() => null);
      return identity !== null && identity.fault !== null ? [mirror] : [];
    }),
  );
  const isAnyoneLeft = faulty.flat().length < trusted.length;
  return [...stale.map(({ mirror }) => mirror), ...(isAnyoneLeft ? faulty.flat() : [])];
}

/** For operators: why nobody is activated yet, though there is somebody to trust. */
export function whyLeasesWait({ unfenced, leaseToWaitOutMs }: MirrorSet): string {
  const seconds = Number.isFinite(leaseToWaitOutMs) ? ` (${Math.ceil(leaseToWaitOutMs / 1000)} s)` : '';
  return `a gateway that was here before might still answer reads from ${unfenced.join(', ')}, until it knows better${seconds}`;
}

/** Runs one attempt. Precondition: no write is in flight and the gate is closed. Never rejects for what a mirror does. */
export async function attemptRecovery(context: AttemptContext): Promise<AttemptResult> {
  const { set } = context;
  await set.saveState(beginRecovery(set.state, context.fencedEpoch));
  const { epoch } = set;
  const { mirrors: fenced, overtaken } = await fenceAll(context, epoch);
  if (overtaken.length > 0)
    return { kind: 'wait', reason: `${overtaken.join(', ')} was fenced at a later epoch than ${epoch}` };
  const everyone = fenced.map(({ report }) => report);
  const wanted = planRecovery(set.state, everyone);
  if (wanted.kind === 'wait') return wanted;
  if (set.leaseToWaitOutMs > 0) return { kind: 'wait', reason: whyLeasesWait(set) };
  for (const { mirror, need } of wanted.stale) {
    if (need.kind === 'full-copy') await recordFullCopyNeed(set, mirror, need.reason);
  }
  const plan = withoutDeferred(context, wanted, fenced);
  const part = [...plan.trusted, ...plan.stale.map(({ mirror }) => mirror)];
  const reports = everyone.filter(({ mirror }) => part.includes(mirror));
  const readable = readableInRecovery(set.state, plan.trusted);
  if (readable !== null) set.openReads(readable);
  let taking: readonly MirrorReport[] = reports;
  try {
    const participants = await beginOnMirrors(set, plan, reports);
    taking = participants;
    if (participants.length > 1) await reconcile(context, makeOrder(context, epoch, plan, participants));
    await activateAll(context, epoch, participants);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const damaged = findDamagedStore(reason, { reports: taking, sources: plan.trusted });
    return { kind: 'failed', reason, suspects: await findSuspects(context, plan), damaged };
  }
  await set.open();
  return { kind: 'activated', inSync: set.inSync };
}
