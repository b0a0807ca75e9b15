/**
 * One online catch-up (DESIGN.md section 5), as the mirror that drives it runs it: peers are compared and copied to while
 * clients write. A JS generator like a recovery; whoever steps it may stop it between any two calls.
 */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import {
  chooseSource,
  type MirrorEvidence,
  type ObjectEvidence,
  type ObjectRepair,
} from '../../src/protocol/reconcile-plan.js';
import type { MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Epoch, Tag } from '../../src/protocol/tag.js';
import type { SimulatedAuthority } from './authority.js';
import { differenceOf, idsAfter } from './full-copy.js';
import type { MirrorResponse, Survey } from './messages.js';
import {
  AttemptFailed,
  copyFrom,
  copyFromAny,
  evidenceOf,
  expectDone,
  keepRecords,
  reportAll,
  type Steps,
  surveyOf,
} from './recovery.js';
import type { Rules } from './rules.js';
import { rowKey } from './simulated-disk.js';

export interface CatchUpOrder {
  readonly epoch: Epoch;
  readonly inSync: readonly MirrorId[];
  /** The mirrors that are being rebuilt. */
  readonly targets: readonly MirrorId[];
  /** Of those, the ones that need a full copy. */
  readonly copied: readonly MirrorId[];
  readonly configured: readonly MirrorId[];
}

export interface CatchUpContext {
  readonly rules: Rules;
  readonly authority: SimulatedAuthority;
  readonly order: CatchUpOrder;
  /** False once the writer that let the mirrors in is gone: then nothing goes on record. */
  readonly mayRecord: () => boolean;
  readonly onPlanned: (evidence: ObjectEvidence, repair: ObjectRepair | null) => void;
}

export type CatchUpOutcome =
  | { readonly kind: 'caught-up'; readonly left: number }
  | { readonly kind: 'failed'; readonly reason: string };

const PASSES_MAX = 3;

export function* catchUp(context: CatchUpContext): Steps<CatchUpOutcome> {
  const { copied, inSync, targets } = context.order;
  try {
    const participants = yield* reportAll([...inSync, ...targets]);
    for (const target of copied) yield* copyOnline(context, target);
    let left = 0;
    for (let pass = 1; pass <= PASSES_MAX; pass += 1) {
      left = yield* repairOnce(context, participants);
      if (left === 0) break;
    }
    return { kind: 'caught-up', left };
  } catch (error) {
    if (error instanceof AttemptFailed) return { kind: 'failed', reason: error.message };
    throw error;
  }
}

// --- by rows

/** One look at all tag tables. Returns how many objects are still to do. */
function* repairOnce(context: CatchUpContext, participants: readonly MirrorReport[]): Steps<number> {
  const { epoch, inSync, targets, configured } = context.order;
  // In whatever order they are asked: nothing stands still meanwhile.
  const mirrors = epoch % 2 === 0 ? [...inSync, ...targets] : [...targets, ...inSync];
  const surveys = new Map<MirrorId, Survey>();
  for (const mirror of mirrors) surveys.set(mirror, yield* surveyOf(mirror, epoch));
  const objectIds = new Set(
    [...surveys.values()].flatMap(({ rows }) => rows.map(({ objectId }) => objectId)),
  );
  const isComplete = configured.every((mirror) => mirrors.includes(mirror));
  let left = 0;
  const drops: { readonly objectId: ObjectId; readonly tag: Tag }[] = [];
  for (const objectId of [...objectIds].sort()) {
    const evidence = mirrors.map((mirror) => evidenceFrom(surveys, mirror, objectId));
    const equal = yield* repairObject(context, objectId, evidence);
    if (equal === null) left += 1;
    else if (isComplete) drops.push(...rowsOnAll(context, evidence, equal));
  }
  if (drops.length > 0) yield* drop(context, participants, drops);
  return left;
}

function evidenceFrom(
  surveys: ReadonlyMap<MirrorId, Survey>,
  mirror: MirrorId,
  objectId: ObjectId,
): MirrorEvidence {
  const survey = surveys.get(mirror);
  if (survey === undefined) throw new RangeError(`no survey of ${mirror}`);
  return evidenceOf(mirror, survey, objectId);
}

/** The last tag that every target has by now, being equal to the source as it was; null: some target is still to do. */
function* repairObject(
  context: CatchUpContext,
  objectId: ObjectId,
  mirrors: readonly MirrorEvidence[],
): Steps<{ readonly lastTag: Tag | null } | null> {
  const { inSync, targets } = context.order;
  const source = chooseSource(mirrors, inSync);
  let isEqual = true;
  for (const target of mirrors.filter(({ mirror }) => targets.includes(mirror))) {
    if (target.lastTag === source.lastTag) continue;
    isEqual = (yield* pushOnline(context, objectId, { source, target })) && isEqual;
  }
  return isEqual ? { lastTag: source.lastTag } : null;
}

function* pushOnline(
  context: CatchUpContext,
  objectId: ObjectId,
  sides: { readonly source: MirrorEvidence; readonly target: MirrorEvidence },
): Steps<boolean> {
  const { rules, order } = context;
  const { source, target } = sides;
  const { epoch } = order;
  const evidence = { objectId, mirrors: [source, target] };
  const plan = rules.planObject(evidence, [source.mirror]);
  context.onPlanned(evidence, plan);
  if (plan === null) return false;
  const copy = yield* copyFrom(source.mirror, epoch, plan);
  // Under the fence others are asked for it, and what is intact nowhere is pushed as lost.
  if (copy === null) return false;
  const lastTag = copy.object?.state.lastTag ?? null;
  if (rules.copiesWhatWasMatched && lastTag !== source.lastTag) return false;
  const push = {
    epoch,
    source: source.mirror,
    expectedLastTag: target.lastTag,
    lastTag,
    copy,
    content: plan.content,
    cause: 'rows' as const,
  };
  const response = yield { mirror: target.mirror, request: { kind: 'push', push } };
  return isLanded(target.mirror, response) && lastTag === source.lastTag;
}

/** False: the target is not what it was; the next pass looks again. */
function isLanded(mirror: MirrorId, response: MirrorResponse | null): boolean {
  if (response?.kind === 'done') return true;
  if (response?.kind === 'refused' && ['changed', 'would-go-back', 'no-base'].includes(response.code))
    return false;
  throw new AttemptFailed(`${mirror}: a push ended in ${JSON.stringify(response)}`);
}

/** The rows of writes that every configured mirror has: up to the lowest last tag of one history. */
function rowsOnAll(
  { rules, order }: CatchUpContext,
  mirrors: readonly MirrorEvidence[],
  equal: { readonly lastTag: Tag | null },
): { readonly objectId: ObjectId; readonly tag: Tag }[] {
  const trusted = mirrors.filter(({ mirror }) => order.inSync.includes(mirror)).map(({ lastTag }) => lastTag);
  const known = rules.dropsOnlyWhatAllHave ? [...trusted, equal.lastTag] : [equal.lastTag];
  const lowest = known.reduce((low, tag) => (low === null || tag === null ? null : tag < low ? tag : low));
  if (lowest === null) return [];
  const rows = new Map(mirrors.flatMap(({ rows: own }) => own.map((row) => [rowKey(row), row])));
  return [...rows.values()].filter(({ tag }) => tag <= lowest);
}

/** `participants`: as they reported before anything else was asked of them. */
function* drop(
  context: CatchUpContext,
  participants: readonly MirrorReport[],
  rows: readonly { readonly objectId: ObjectId; readonly tag: Tag }[],
): Steps<void> {
  const { epoch, inSync, targets } = context.order;
  const reports = yield* reportAll([...inSync, ...targets]);
  const restarted = reports.find(
    ({ incarnation }, index) => incarnation !== participants[index]?.incarnation,
  );
  if (restarted !== undefined && context.rules.asksRunOfWitnesses)
    throw new AttemptFailed(`${restarted.mirror} bears no witness`);
  for (const { mirror, storeId } of reports) {
    const own = reports.map((report) => ({ storeId: report.storeId, commitSequence: report.commitSequence }));
    const passedOn = context.rules.passesWitnessesOn ? reports.flatMap((report) => report.witnesses) : [];
    const witnesses = [...passedOn, ...own].filter((witness) => witness.storeId !== storeId);
    yield* expectDone(mirror, { kind: 'drop-rows', epoch, rows, witnesses });
  }
}

// --- in full

/** Walks both sides in key order from the target's cursor. The target takes no writes until the end of it is on record. */
function* copyOnline(context: CatchUpContext, target: MirrorId): Steps<void> {
  const { epoch, inSync } = context.order;
  const [source] = inSync;
  if (source === undefined) throw new AttemptFailed('nobody is in sync');
  const forgotten = new Map<ObjectId, Tag>();
  for (let isOver = false; !isOver;) {
    const from = yield* surveyOf(source, epoch);
    const to = yield* surveyOf(target, epoch);
    const [objectId] = idsAfter(to.copyCursor, from, to);
    isOver = objectId === undefined;
    if (objectId === undefined) for (const [id, tag] of from.forgotten) forgotten.set(id, tag);
    else yield* copyObject(context, { source, target, objectId, from, to });
  }
  const [report] = yield* reportAll([target]);
  const record = (): void => {
    if (report === undefined || !context.mayRecord()) throw new AttemptFailed('the writer is gone');
    const member = context.authority.state.members.find(({ mirror }) => mirror === target);
    if (member?.copyStoreId !== report.storeId) throw new AttemptFailed('another copy is on record');
    context.authority.persist(context.rules.endFullCopy(context.authority.state, report), 'admission');
  };
  if (context.rules.recordsCopyEndFirst) {
    record();
    yield* keepRecords(context, context.authority.state);
  }
  yield* expectDone(target, { kind: 'end-full-copy', epoch, forgotten });
  if (!context.rules.recordsCopyEndFirst) record();
}

interface ObjectToCopy {
  readonly source: MirrorId;
  readonly target: MirrorId;
  readonly objectId: ObjectId;
  readonly from: Survey;
  readonly to: Survey;
}

/** Lands one object as the source has it now, or finds it equal; then the cursor may pass it. */
function* copyObject(
  context: CatchUpContext,
  { source, target, objectId, from, to }: ObjectToCopy,
): Steps<void> {
  const { epoch } = context.order;
  const content = differenceOf(context.rules, { from, to }, objectId);
  const present = to.objects.get(objectId)?.state;
  // A mirror that is being rebuilt lets go of no tombstone (F35).
  const isSettled = content === null || (!from.objects.has(objectId) && present?.kind === 'tombstone');
  if (!isSettled) {
    const order = { epoch, objectId, content };
    const { copy, isLossy } = yield* copyFromAny(context.rules, context.order.inSync, order);
    const lastTag = copy.object?.state.lastTag ?? null;
    const planned = from.objects.get(objectId)?.state.lastTag ?? null;
    if (lastTag !== planned && content.kind !== 'whole') return;
    const expectedLastTag = present?.lastTag ?? null;
    const fields = { epoch, source, expectedLastTag, lastTag, copy, content, isLossy };
    const push = { ...fields, cause: 'full-copy' as const };
    const response = yield { mirror: target, request: { kind: 'push', push } };
    if (!isLanded(target, response)) return;
  }
  yield* expectDone(target, { kind: 'copy-cursor', epoch, cursor: objectId });
}
