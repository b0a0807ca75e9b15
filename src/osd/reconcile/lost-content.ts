/**
 * What of an object is intact on no mirror that has its last write.
 *
 * A reconciliation must neither fail for ever over one such object, nor put older content in its place: nobody can tell by now
 * whether the write was acknowledged. So the state goes to the targets all the same, with whatever is intact; the rest is
 * marked there as lost, to be read by nobody, and what a target had before is kept aside (store/pushes.ts) for an operator
 * to decide on. The source keeps its damaged bytes as they are. A mirror that is away and has them intact heals the others
 * once it is back, because it has them under the same tag.
 */
import { type Extent, extentBytes, extentEnd, uniteExtents } from '../../protocol/extent.js';
import type { ObjectId } from '../../protocol/object-id.js';
import type { Epoch, Tag } from '../../protocol/tag.js';
import { PUSH_EXTENTS_MAX } from '../../wire/contract.js';
import { EXAMINATIONS_MAX, EXAMINED_WINDOW_BYTES, OsdRefusal } from '../../wire/osd-connection.js';
import { ReconcileFailure } from './reconcile-failure.js';
import type { ReconcilePeer } from './reconcile-peer.js';

export interface LossQuestion {
  readonly epoch: Epoch;
  readonly objectId: ObjectId;
  readonly lastTag: Tag;
  /** What is to be copied, within the size. */
  readonly extents: readonly Extent[];
  readonly checkCancelled: () => void;
}

export interface Loss {
  readonly source: ReconcilePeer;
  /** Of what is to be copied; empty: it is all there after all. */
  readonly lost: readonly Extent[];
}

/** The source that has the most of it. Throws ReconcileFailure `damaged` when none can even be looked at. */
export async function findLoss(question: LossQuestion, sources: readonly ReconcilePeer[]): Promise<Loss> {
  let least: Loss | null = null;
  for (const source of sources) {
    const lost = await lostOn(question, source);
    if (lost === null) continue;
    if (least === null || extentBytes(lost) < extentBytes(least.lost)) least = { source, lost };
  }
  if (least === null) throw new ReconcileFailure('damaged', 'no source of an object can be looked at');
  return least;
}

/** An extent, cut where windows of an object begin. */
function* partsOf(extent: Extent): Generator<Extent, void, undefined> {
  const end = extentEnd(extent);
  let { offset } = extent;
  while (offset < end) {
    const length = Math.min(end - offset, EXAMINED_WINDOW_BYTES - (offset % EXAMINED_WINDOW_BYTES));
    yield { offset, length };
    offset += length;
  }
}

interface LostPart {
  readonly part: Extent;
  /** The extent that it is of. */
  readonly whole: Extent;
}

/** Null: this source has something else by now, or its very record is damaged. */
async function lostOn(question: LossQuestion, { osd }: ReconcilePeer): Promise<Extent[] | null> {
  const { objectId, lastTag, extents } = question;
  const parts = extents.flatMap((whole) => [...partsOf(whole)].map((part) => ({ part, whole })));
  const lost: LostPart[] = [];
  for (let start = 0; start < parts.length; start += EXAMINATIONS_MAX) {
    question.checkCancelled();
    const asked = parts.slice(start, start + EXAMINATIONS_MAX);
    const windows = asked.map(({ part }) => ({ objectId, extent: part }));
    const answers = await osd.examine(windows).catch(nullIfDamaged);
    if (answers === null || answers.some(({ state }) => state?.lastTag !== lastTag)) return null;
    lost.push(...asked.filter((_part, index) => answers[index]?.contentChecksum === null));
  }
  const united = uniteExtents(lost.map(({ part }) => part));
  return united.length <= PUSH_EXTENTS_MAX ? united : spansOf(lost);
}

function nullIfDamaged(error: unknown): null {
  if (error instanceof OsdRefusal && error.code === 'damaged') return null;
  throw error;
}

/** More parts than a push can name are named as one for each extent: from the first that is lost of it to the last. */
function spansOf(lost: readonly LostPart[]): Extent[] {
  const spans = new Map<Extent, Extent>();
  for (const { part, whole } of lost) {
    const { offset } = spans.get(whole) ?? part;
    spans.set(whole, { offset, length: extentEnd(part) - offset });
  }
  return [...spans.values()];
}
