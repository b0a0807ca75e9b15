/** A full copy (DESIGN.md section 5.5): both sides in key order, what differs is copied, what only the target has goes. */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { ObjectSummary } from '../../src/protocol/reconcile-plan.js';
import type { Epoch } from '../../src/protocol/tag.js';
import type { PushRequest, Survey } from './messages.js';
import { AttemptFailed, copyFromAny, expectDone, type Steps, surveyOf } from './recovery.js';
import type { Rules } from './rules.js';

interface FullCopy {
  readonly epoch: Epoch;
  /** Trusted mirrors, made equal before; the first is compared with. */
  readonly sources: readonly MirrorId[];
  readonly target: MirrorId;
}

function summaryOf(survey: Survey, objectId: ObjectId): ObjectSummary | null {
  const state = survey.objects.get(objectId)?.state;
  if (state === undefined) return null;
  const { lastTag, lastChecksum } = state;
  return { objectId, lastTag, lastChecksum, sizeBytes: state.kind === 'present' ? state.sizeBytes : null };
}

function sameRows(left: Survey, right: Survey, objectId: ObjectId): boolean {
  const tags = (survey: Survey): string =>
    survey.rows
      .filter((row) => row.objectId === objectId)
      .map(({ tag }) => tag)
      .sort()
      .join();
  return tags(left) === tags(right);
}

/** What the target lacks of one object: everything, only the rows, or nothing (null). */
export function differenceOf(
  rules: Rules,
  surveys: { readonly from: Survey; readonly to: Survey },
  objectId: ObjectId,
): PushRequest['content'] | null {
  const wanted = summaryOf(surveys.from, objectId);
  const present = summaryOf(surveys.to, objectId);
  const isSame = wanted !== null && present !== null && rules.sameSummary(wanted, present);
  if (!isSame) {
    const isEmptyTombstone = wanted?.sizeBytes === null && present === null;
    return isEmptyTombstone && !rules.copiesRowsInFull ? null : { kind: 'whole' };
  }
  const needsRows = rules.copiesRowsInFull && !sameRows(surveys.from, surveys.to, objectId);
  return needsRows ? { kind: 'extents', extents: [] } : null;
}

/** The objects of either side that the copy has not come to yet, in order. */
export function idsAfter(cursor: ObjectId | null, from: Survey, to: Survey): ObjectId[] {
  const ids = new Set([...from.objects.keys(), ...to.objects.keys()]);
  return [...ids].sort().filter((objectId) => cursor === null || objectId > cursor);
}

/** From begin (see `beginCopy`) to end. */
export function* copyInFull(rules: Rules, { epoch, sources, target }: FullCopy): Steps<void> {
  const [source] = sources;
  if (source === undefined) throw new AttemptFailed('nobody is trusted');
  const from = yield* surveyOf(source, epoch);
  const to = yield* surveyOf(target, epoch);
  for (const objectId of idsAfter(to.copyCursor, from, to)) {
    const content = differenceOf(rules, { from, to }, objectId);
    if (content === null) continue;
    const { copy, isLossy } = yield* copyFromAny(rules, sources, { epoch, objectId, content });
    const expectedLastTag = to.objects.get(objectId)?.state.lastTag ?? null;
    const lastTag = copy.object?.state.lastTag ?? null;
    yield* expectDone(target, {
      kind: 'push',
      push: { epoch, source, expectedLastTag, lastTag, copy, content, isLossy, cause: 'full-copy' },
    });
    yield* expectDone(target, { kind: 'copy-cursor', epoch, cursor: objectId });
  }
  yield* expectDone(target, { kind: 'end-full-copy', epoch, forgotten: from.forgotten });
}
