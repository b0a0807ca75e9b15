/** The summaries of one stretch of the keys, as each mirror lists them, side by side. */
import { compareUtf8, type ObjectId } from '../../protocol/object-id.js';
import { type ObjectSummary, sameSummary } from '../../protocol/reconcile-plan.js';

export interface SummaryPage {
  /** Present everywhere, with the same summary. */
  readonly alike: readonly ObjectSummary[];
  /** In key order. */
  readonly suspects: readonly ObjectId[];
  /** The last object of the page; null: there are no more. */
  readonly last: ObjectId | null;
}

export interface PageLimits {
  /** What each list was asked for at the most: a shorter one is the last. */
  readonly objects: number;
  /** Content of a page; an object larger than that is a page of its own. */
  readonly bytes: number;
}

export function mergeSummaries(
  lists: readonly (readonly ObjectSummary[])[],
  limits: PageLimits,
): SummaryPage {
  // Beyond the end of a full list nobody knows whether its mirror has more.
  const [horizon = null] = lists
    .filter((list) => list.length === limits.objects)
    .flatMap((list) => list.slice(-1))
    .map(({ objectId }) => objectId)
    .sort(compareUtf8);
  const alike: ObjectSummary[] = [];
  const suspects: ObjectId[] = [];
  let bytes = 0;
  let last: ObjectId | null = null;
  for (const [id, summaries] of byObject(lists)) {
    if (horizon !== null && compareUtf8(id, horizon) > 0) break;
    const size = Math.max(...summaries.map(({ sizeBytes }) => sizeBytes ?? 0));
    if (bytes > 0 && bytes + size > limits.bytes) return { alike, suspects, last };
    bytes += size;
    last = id;
    const [first] = summaries;
    // Tombstones alone are as good as nothing.
    if (first === undefined || summaries.every(({ sizeBytes }) => sizeBytes === null)) continue;
    const isAlike =
      summaries.length === lists.length && summaries.every((summary) => sameSummary(summary, first));
    if (isAlike) alike.push(first);
    else suspects.push(id);
  }
  return { alike, suspects, last: horizon };
}

function byObject(lists: readonly (readonly ObjectSummary[])[]): [ObjectId, ObjectSummary[]][] {
  const byId = new Map<ObjectId, ObjectSummary[]>();
  for (const summary of lists.flat()) {
    const known = byId.get(summary.objectId);
    if (known === undefined) byId.set(summary.objectId, [summary]);
    else known.push(summary);
  }
  return [...byId].sort(([left], [right]) => compareUtf8(left, right));
}
