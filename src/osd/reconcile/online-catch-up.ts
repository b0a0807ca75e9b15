/**
 * Mirrors that are being rebuilt are copied to while clients write (DESIGN.md section 5, the four rules).
 *
 *   page by page of all tag tables, some pages at once: evidence of each object -> push what a target lacks -> drop rows that all have
 *
 * Nothing stands still, so nothing is relied on but this:
 * - A push lands by compare-and-set on the target's last tag as it was seen, and never takes it back (F34, F36); one that
 *   does not land is looked at again in the next pass.
 * - The source's rows are read after its state, and its bytes only while that state stands, so a push brings along every
 *   row of what it carries (F37).
 * - A row goes when every configured mirror is known to have its write: up to the lowest last tag of one history.
 *
 * What is never done here: to push to a mirror in sync, or to make a target forget a tombstone (F35).
 * It yields to clients: whatever it does, it does when the pace lets it (copy-pacer.ts).
 * It ends when a pass finds next to nothing to do. The rest is for the recovery that follows, under the fence.
 */
import { unreachable } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { chooseSource, type MirrorEvidence, planObject } from '../../protocol/reconcile-plan.js';
import { isLater, type Tag } from '../../protocol/tag.js';
import {
  EVIDENCE_PAGE_MAX,
  type ObjectWitness,
  type RemotePushReply,
  type RowCursor,
} from '../../wire/osd-connection.js';
import type { OsdLimits } from '../limits.js';
import { workOn } from './bounded-work.js';
import { rowsToCarry } from './carried-rows.js';
import { SourceUnfit } from './content-relay.js';
import { CopyPaused } from './copy-pacer.js';
import { type ObjectPush, type PushContext, pushFrom, unmatchedBytes } from './object-push.js';
import { ReconcileFailure } from './reconcile-failure.js';
import type { ReconcilePeer } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';
import { type HotObject, RowDropper } from './row-dropper.js';
import { RowMerge } from './row-merge.js';

/** A pass that had no more than this to do is the last one: so much is done under the fence in a moment. */
const TAIL_OBJECTS_MAX = 32;
/** Objects that change all the time may keep a pass from finding nothing; then the fence does the rest. */
const PASSES_MAX = 50;

export interface OnlineCatchUpOptions {
  readonly context: PushContext;
  readonly peers: readonly ReconcilePeer[];
  readonly limits: OsdLimits;
}

interface PeerEvidence {
  readonly peer: ReconcilePeer;
  readonly witness: ObjectWitness;
}

export async function catchUpOnline(options: OnlineCatchUpOptions): Promise<void> {
  const { context, peers } = options;
  const dropper = context.scope.isComplete ? new RowDropper(context.scope, context.progress, peers) : null;
  for (let pass = 1; pass <= PASSES_MAX; pass += 1) {
    const toDoCount = await runPass(options, dropper);
    if (toDoCount <= TAIL_OBJECTS_MAX) break;
  }
  context.progress.scanned();
}

/** One look at all tag tables. Returns how many objects some target lacked something of. */
async function runPass(options: OnlineCatchUpOptions, dropper: RowDropper | null): Promise<number> {
  let toDoCount = 0;
  options.context.progress.enter('matching');
  await workOn(pagesOf(options), options.limits.reconcilePagesInFlight, async (ids) => {
    toDoCount += await bringPageUp(options, ids, dropper);
  });
  return toDoCount;
}

async function* pagesOf({
  context,
  peers,
  limits,
}: OnlineCatchUpOptions): AsyncGenerator<readonly ObjectId[], void, undefined> {
  const merge = new RowMerge(peers, context.scope.epoch, limits.reconcileObjectRowsMax);
  for (;;) {
    context.scope.checkCancelled();
    const ids = await context.pacer.run(0, () => nextIds(merge, context));
    if (ids.length === 0) return;
    yield ids;
  }
}

/** Returns how many objects some target lacked something of. */
async function bringPageUp(
  options: OnlineCatchUpOptions,
  ids: readonly ObjectId[],
  dropper: RowDropper | null,
): Promise<number> {
  const { context, limits } = options;
  let toDoCount = 0;
  const objects = await context.pacer.run(0, () => evidenceOf(options, ids));
  const settled: Settled[] = [];
  context.progress.enter('copying');
  await workOn(objects, limits.reconcileObjectsInFlight, async (object) => {
    const { isToDo, settledTag } = await bringUp(options, object);
    if (isToDo) toDoCount += 1;
    settled.push({ ...object, settledTag });
  });
  if (dropper !== null) await context.pacer.run(0, () => dropSettled(dropper, settled));
  return toDoCount;
}

async function nextIds(merge: RowMerge, { progress }: PushContext): Promise<ObjectId[]> {
  const ids: ObjectId[] = [];
  while (ids.length < EVIDENCE_PAGE_MAX) {
    const id = await merge.nextId();
    if (id === null) break;
    const { matchedCount, unmatchedCount } = await merge.take(id);
    progress.rowsCompared(matchedCount, unmatchedCount);
    ids.push(id);
  }
  return ids;
}

interface ObjectToCompare {
  readonly objectId: ObjectId;
  readonly sides: readonly PeerEvidence[];
}

async function evidenceOf(
  { context, peers }: OnlineCatchUpOptions,
  ids: readonly ObjectId[],
): Promise<ObjectToCompare[]> {
  const answers = await Promise.all(
    peers.map(async (peer) => {
      const evidence = peer.osd.evidence(context.scope.epoch, ids);
      return { peer, witnesses: await readRecords(peer.mirror, evidence) };
    }),
  );
  return ids.map((objectId, index) => ({
    objectId,
    sides: answers.map(({ peer, witnesses }) => {
      const witness = witnesses[index];
      // Without a word of everyone nobody knows what everyone has (I4).
      if (witness === undefined)
        throw new ReconcileFailure('peer-mismatch', `no evidence of one object on ${peer.mirror}`);
      return { peer, witness };
    }),
  }));
}

interface Outcome {
  /** A target lacked something that this pass has brought, or the next one may. */
  readonly isToDo: boolean;
  /** Every target has the source's history up to this tag; null: nobody knows. */
  readonly settledTag: Tag | null;
}

/** What only a repair under the fence may do. */
const FOR_THE_FENCE: Outcome = { isToDo: false, settledTag: null };

async function bringUp(
  options: OnlineCatchUpOptions,
  { objectId, sides }: ObjectToCompare,
): Promise<Outcome> {
  const trusted = sides.filter(({ peer }) => peer.isTrusted);
  const source = chooseSource(
    trusted.map((side) => ({ ...side, ...toEvidence(side) })),
    trusted.map(({ peer }) => peer.mirror),
  );
  const lastTag = source.witness.state?.lastTag ?? null;
  let isToDo = false;
  for (const target of sides.filter(({ peer }) => !peer.isTrusted)) {
    const { state } = target.witness;
    if ((state?.lastTag ?? null) === lastTag) continue;
    // A removal that no mirror in sync remembers: only there a target may forget it, too (F35).
    if (lastTag === null && state?.kind === 'tombstone') return FOR_THE_FENCE;
    const outcome = await pushOnline(options, objectId, { source, target });
    // There others are asked for the bytes, and what is intact nowhere is pushed as lost (F30).
    if (outcome === 'damaged') return FOR_THE_FENCE;
    if (outcome === 'later') return { isToDo: true, settledTag: null };
    isToDo = true;
  }
  return { isToDo, settledTag: lastTag };
}

function toEvidence({ peer, witness }: PeerEvidence): MirrorEvidence {
  const { state } = witness;
  const lastTag = state?.lastTag ?? null;
  // Rows of what came after the state was read say nothing of that state.
  const rows = witness.rows.filter(({ tag }) => !isLater(tag, lastTag));
  const sizeBytes = state?.kind === 'present' ? state.sizeBytes : 0;
  return { mirror: peer.mirror, rows, lastTag, sizeBytes };
}

interface Sides {
  readonly source: PeerEvidence;
  readonly target: PeerEvidence;
}

const WHOLE = { kind: 'whole' } as const;

/** Null: last tags differ, and no row says by what. */
function planOnline(objectId: ObjectId, { source, target }: Sides): ObjectPush | null {
  const { state } = source.witness;
  const isHot = source.witness.hasMoreRows || target.witness.hasMoreRows;
  const evidence = { objectId, mirrors: [toEvidence(source), toEvidence(target)] };
  const content = isHot ? WHOLE : planObject(evidence, [source.peer.mirror])?.content;
  if (content === undefined) return null;
  return {
    objectId,
    sources: [source.peer],
    state,
    content,
    rows: rowsToCarry(objectId, state, { source: knownRows(source), target: knownRows(target) }),
    target: target.peer,
    targetLastTag: target.witness.state?.lastTag ?? null,
  };
}

/** Null: it has more of them. */
function knownRows({ witness }: PeerEvidence): ObjectPush['rows'] | null {
  return witness.hasMoreRows ? null : witness.rows;
}

type OnlinePush = 'landed' | 'later' | 'damaged';

/** `later`: the source or the target is not what it was. */
async function pushOnline(
  { context }: OnlineCatchUpOptions,
  objectId: ObjectId,
  sides: Sides,
): Promise<OnlinePush> {
  const push = planOnline(objectId, sides);
  if (push === null) return 'later';
  const { progress } = context;
  const bytes = unmatchedBytes(push.content, push.state);
  progress.objectToDo(bytes);
  const outcome = await tryPush(context, push, sides.source.peer);
  if (outcome !== 'landed') progress.plannedAgain(-bytes);
  progress.objectDone();
  return outcome;
}

/** Sends it again when it was paused in the middle: what waits for an operator must not be left for the fence. */
async function pushDespitePauses(
  context: PushContext,
  push: ObjectPush,
  source: ReconcilePeer,
): Promise<RemotePushReply> {
  for (;;) {
    try {
      return await pushFrom(context, push, source);
    } catch (error) {
      if (!(error instanceof CopyPaused)) throw error;
    }
  }
}

async function tryPush(context: PushContext, push: ObjectPush, source: ReconcilePeer): Promise<OnlinePush> {
  try {
    const reply = await pushDespitePauses(context, push, source);
    if (reply.kind === 'landed') return 'landed';
    switch (reply.code) {
      case 'changed':
      case 'would-go-back':
      case 'no-base':
      case 'unknown-stage':
        return 'later';
      case 'stale-epoch':
      case 'not-fenced':
      case 'checksum-mismatch':
      case 'no-space':
      case 'io-error':
        throw new ReconcileFailure('refused', `${push.target.mirror} refused a push: ${reply.code}`);
      default:
        return unreachable(reply.code);
    }
  } catch (error) {
    if (error instanceof SourceUnfit) return error.isDamaged ? 'damaged' : 'later';
    throw error;
  }
}

interface Settled extends ObjectToCompare {
  readonly settledTag: Tag | null;
}

/** Rows of writes that every configured mirror has. Precondition: all configured mirrors take part. */
async function dropSettled(dropper: RowDropper, objects: readonly Settled[]): Promise<void> {
  const rows: RowCursor[] = [];
  const hotObjects: HotObject[] = [];
  for (const { objectId, sides, settledTag } of objects) {
    const lowest = lowestOf([settledTag, ...sides.filter(({ peer }) => peer.isTrusted).map(lastTagOf)]);
    if (lowest === null) continue;
    if (sides.some(({ witness }) => witness.hasMoreRows)) hotObjects.push({ objectId, lastTag: lowest });
    const tags = new Set(sides.flatMap(({ witness }) => witness.rows.map(({ tag }) => tag)));
    for (const tag of tags) if (tag <= lowest) rows.push({ objectId, tag });
  }
  if (rows.length > 0) await dropper.dropRows(rows, hotObjects);
}

function lastTagOf({ witness }: PeerEvidence): Tag | null {
  return witness.state?.lastTag ?? null;
}

function lowestOf(tags: readonly (Tag | null)[]): Tag | null {
  return tags.reduce((low, tag) => (isLater(low, tag) ? tag : low));
}
