/**
 * One object from a source to a target: content and state in one push, by compare-and-set on the target's last tag.
 *
 * Under the fence nothing changes, so a push that is refused is tried once more in another way at the most:
 * - `no-base`: the target has nothing that the extents could land in; then everything is sent.
 * - `changed`: the target is not what it was when it was asked; then it is asked again, and everything is sent.
 *
 * What is intact on none of the sources goes as lost (lost-content.ts).
 */
import { clipExtents, complementExtents, type Extent, extentBytes } from '../../protocol/extent.js';
import { unreachable } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import type { Epoch, Tag } from '../../protocol/tag.js';
import type { ObjectState, TagRow } from '../../protocol/write.js';
import {
  ignoresLostBytes,
  INLINE_CONTENT_BYTES_MAX,
  type RemotePush,
  type RemotePushReply,
} from '../../wire/osd-connection.js';
import type { Slots } from './bounded-work.js';
import { relayContent, SourceUnfit } from './content-relay.js';
import type { CopyPacer } from './copy-pacer.js';
import { findLoss } from './lost-content.js';
import type { ProgressTracker } from './progress-tracker.js';
import { describePlace, ReconcileFailure } from './reconcile-failure.js';
import type { ReconcilePeer, ReconcileScope } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';

export type PushContent = RemotePush['content'];

export interface ObjectPush {
  readonly objectId: ObjectId;
  /** Trusted mirrors that have this state; the first is read, the others when its bytes are damaged (F30). */
  readonly sources: readonly ReconcilePeer[];
  readonly state: ObjectState | null;
  readonly content: PushContent;
  /** The source's rows; they take the place of the target's (F37). */
  readonly rows: readonly TagRow[];
  readonly target: ReconcilePeer;
  readonly targetLastTag: Tag | null;
  /** What of the content is intact nowhere. Absent: nothing is known to be. */
  readonly lost?: readonly Extent[];
}

export interface PushContext {
  readonly scope: ReconcileScope;
  readonly progress: ProgressTracker;
  /** Held while small content is in memory, by its bytes. */
  readonly smallBytes: Slots;
  /** Held while large content streams. */
  readonly largeSlots: Slots;
  readonly pacer: CopyPacer;
  /** Bytes of an object, where most of them are, that are intact nowhere. */
  readonly noteLost: (place: string, lost: readonly Extent[]) => void;
}

function sizeOf(state: ObjectState | null): number {
  return state?.kind === 'present' ? state.sizeBytes : 0;
}

/** What one target lacks: the union of unmatched ranges, or all of the source's content. */
export function unmatchedBytes(content: PushContent, state: ObjectState | null): number {
  return content.kind === 'whole' ? sizeOf(state) : extentBytes(content.extents);
}

/** Lands one object, counted as to do, on one target. Throws ReconcileFailure. */
export async function pushObject(context: PushContext, push: ObjectPush): Promise<void> {
  const { progress } = context;
  const reply = await pushFromAnySource(context, push);
  if (reply.kind === 'landed') return;
  const again = await planAgain(push, reply.code, context.scope.epoch);
  if (again === null) return;
  const planned = unmatchedBytes(push.content, push.state);
  progress.plannedAgain(unmatchedBytes(again.content, again.state) - planned);
  const second = await pushFromAnySource(context, again);
  if (second.kind === 'landed') return;
  throw failureOf(again, second.code);
}

/** The push in another way, or null when the target has the state already. Throws when there is no other way. */
async function planAgain(
  push: ObjectPush,
  code: Extract<RemotePushReply, { kind: 'refused' }>['code'],
  epoch: Epoch,
): Promise<ObjectPush | null> {
  switch (code) {
    case 'no-base':
      if (push.content.kind === 'whole') throw failureOf(push, code);
      return { ...push, content: { kind: 'whole' } };
    case 'changed': {
      const { mirror, osd } = push.target;
      const [state] = await readRecords(mirror, osd.states([push.objectId], epoch));
      const targetLastTag = state?.lastTag ?? null;
      if (targetLastTag === push.state?.lastTag) return null;
      return { ...push, targetLastTag, content: { kind: 'whole' } };
    }
    case 'stale-epoch':
    case 'not-fenced':
    case 'would-go-back':
    case 'unknown-stage':
    case 'checksum-mismatch':
    case 'no-space':
    case 'io-error':
      throw failureOf(push, code);
    default:
      return unreachable(code);
  }
}

function failureOf(push: ObjectPush, code: string): ReconcileFailure {
  const place = describePlace(push.objectId, push.target.mirror);
  if (code === 'stale-epoch')
    return new ReconcileFailure('cancelled', `${push.target.mirror} is fenced higher`);
  if (code === 'changed') return new ReconcileFailure('changed', `${place} changed under the fence`);
  return new ReconcileFailure('refused', `a push of ${place} was refused: ${code}`);
}

async function pushFromAnySource(context: PushContext, push: ObjectPush): Promise<RemotePushReply> {
  const unfit: string[] = [];
  for (const source of push.sources) {
    context.scope.checkCancelled();
    try {
      return await pushFrom(context, push, source);
    } catch (error) {
      if (!(error instanceof SourceUnfit)) throw error;
      unfit.push(error.message);
    }
  }
  return pushWithLoss(context, push, unfit);
}

/** No source has all of it: what is intact is pushed, and the rest as lost. */
async function pushWithLoss(
  context: PushContext,
  push: ObjectPush,
  unfit: readonly string[],
): Promise<RemotePushReply> {
  const damaged = await findLostOf(context, push);
  if (damaged === null) throw new ReconcileFailure('changed', `an object changed: ${unfit.join('; ')}`);
  try {
    return await pushFrom(context, damaged.push, damaged.source);
  } catch (error) {
    if (!(error instanceof SourceUnfit)) throw error;
    throw new ReconcileFailure('damaged', `no source stays as it is: ${error.message}`);
  }
}

/** The push with what is lost of it, and where the rest comes from. Null: the source is not what it was. */
export async function findLostOf(
  { scope, progress, noteLost }: PushContext,
  push: ObjectPush,
): Promise<{ readonly push: ObjectPush; readonly source: ReconcilePeer } | null> {
  const { state, objectId, sources } = push;
  if (state?.kind !== 'present') return null;
  const { epoch, checkCancelled } = scope;
  const { lastTag, sizeBytes } = state;
  const extents = extentsOf(clipContent(push.content, sizeBytes), sizeBytes);
  const question = { epoch, objectId, lastTag, extents, checkCancelled };
  const { source, lost } = await findLoss(question, sources);
  // Who was examined is who was matched: a source that was restarted since may be another one (F29).
  const [now] = await readRecords(source.mirror, source.osd.states([objectId], epoch));
  if (now?.lastTag !== lastTag) return null;
  if (lost.length === 0) return { push, source };
  const { target } = push;
  if (ignoresLostBytes(target.osd)) {
    const place = describePlace(objectId, target.mirror);
    throw new ReconcileFailure('damaged', `${place}: intact nowhere, and this OSD is of an earlier release`);
  }
  noteLost(describePlace(objectId, source.mirror), lost);
  for (const { osd } of sources) {
    // For people: it says then what it has, and that nobody can heal it. Whatever becomes of the order, the push does not depend on it.
    await osd.orderHeal({ epoch, objectId, extents: null, sources: [] }).catch(() => undefined);
  }
  progress.plannedAgain(-extentBytes(lost));
  return { push: { ...push, lost }, source };
}

/** Does `work`, which copies about so many bytes, when it is its turn. */
export function takeTurn<Result>(
  { smallBytes, largeSlots, pacer }: PushContext,
  bytes: number,
  work: () => Promise<Result>,
): Promise<Result> {
  // Who waits for a slot is not under way: the holder of the slot may wait for all that are to end.
  return bytes > INLINE_CONTENT_BYTES_MAX
    ? largeSlots.hold(1, () => pacer.run(0, work))
    : smallBytes.hold(bytes, () => pacer.run(bytes, work));
}

/** One try from one source, when it is its turn. Throws SourceUnfit, CopyPaused. */
export async function pushFrom(
  context: PushContext,
  push: ObjectPush,
  source: ReconcilePeer,
): Promise<RemotePushReply> {
  const content = clipContent(push.content, sizeOf(push.state));
  const bytes = unmatchedBytes(content, push.state);
  return takeTurn(context, bytes, () => sendPush(context, push, source));
}

/** The same for one who has taken the turn. */
export async function sendPush(
  { scope, progress, pacer }: PushContext,
  push: ObjectPush,
  source: ReconcilePeer,
): Promise<RemotePushReply> {
  const { objectId, state, target, lost = [] } = push;
  const content = clipContent(push.content, sizeOf(state));
  const covered = extentsOf(content, sizeOf(state));
  const extents = covered.flatMap((extent) => complementExtents(lost, extent));
  const lengthBytes = extentBytes(extents);
  const order = { epoch: scope.epoch, objectId, lastTag: state?.lastTag ?? null, extents };
  const relayed = await relayContent(order, source, target.osd, (bytes) => pacer.goOn(bytes));
  scope.checkCancelled();
  const reply = await target.osd.push({
    epoch: scope.epoch,
    objectId,
    expectedLastTag: push.targetLastTag,
    lastTag: state?.lastTag ?? null,
    state,
    content,
    ...(lost.length > 0 && { lost }),
    ...relayed,
    rows: push.rows,
  });
  if (reply.kind === 'landed') {
    progress.landed(lengthBytes, content.kind === 'whole' ? 1 : content.extents.length);
  }
  return reply;
}

function extentsOf(content: PushContent, sizeBytes: number): readonly Extent[] {
  return content.kind === 'whole' ? [{ offset: 0, length: sizeBytes }] : content.extents;
}

/** Extents as far as the source's content goes. */
function clipContent(content: PushContent, sizeBytes: number): PushContent {
  if (content.kind === 'whole') return content;
  return { kind: 'extents', extents: clipExtents(content.extents, sizeBytes) };
}
