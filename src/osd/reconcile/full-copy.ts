/**
 * A full copy under the fence (DESIGN.md section 5.5): whatever differs is pushed whole, what only the target has is forgotten
 * there; page by page the cursor is put on disk. The target's doubt is on its disk before this begins, and goes after it.
 *
 * What a push replaces on the target includes its rows. Where the objects are the same but the rows are not, a push
 * without bytes brings the source's rows, unless all rows are dropped in the end anyway.
 *
 * One that was broken off goes on behind its cursor. What was written since before the cursor has left rows: a resumed copy
 * must be followed by a repair by rows.
 */
import { workOn } from './bounded-work.js';
import { carriedRows } from './carried-rows.js';
import { type PushContent, pushObject } from './object-push.js';
import { type FullCopyOptions, isSame, lacksRows, type Pair, PairWalk } from './pair-walk.js';
import { readRecords } from './record-reads.js';
import { STATES_PAGE_MAX } from './row-repair.js';

/** Resolves with true when it went on with one that was broken off. */
export async function copyEverything(options: FullCopyOptions): Promise<boolean> {
  const { context } = options;
  const { walk, isResumed } = await PairWalk.begin(options);
  for (;;) {
    context.scope.checkCancelled();
    const page = await walk.nextPage();
    if (page.length === 0) return isResumed;
    await copyPage(options, page);
    await walk.passed(page);
  }
}

/** What has to be pushed, or null when nothing has. */
function contentFor({ context, source, target }: FullCopyOptions, pair: Pair): PushContent | null {
  if (!isSame(pair)) return { kind: 'whole' };
  if (pair.source === null) return pair.rows.unmatchedCount > 0 ? { kind: 'whole' } : null;
  const needsRows = !context.scope.isComplete && lacksRows(pair, source, target);
  return needsRows ? { kind: 'extents', extents: [] } : null;
}

async function copyPage(options: FullCopyOptions, page: readonly Pair[]): Promise<void> {
  const { context, limits } = options;
  const differing = page.flatMap((pair) => {
    const content = contentFor(options, pair);
    return content === null ? [] : [{ pair, content }];
  });
  for (const { pair, content } of differing) {
    context.progress.objectToDo(content.kind === 'whole' ? (pair.source?.sizeBytes ?? 0) : 0);
  }
  for (let start = 0; start < differing.length; start += STATES_PAGE_MAX) {
    const group = differing.slice(start, start + STATES_PAGE_MAX);
    await copyGroup(options, group, limits.reconcileObjectsInFlight);
  }
}

interface CopyJob {
  readonly pair: Pair;
  readonly content: PushContent;
}

async function copyGroup(
  options: FullCopyOptions,
  group: readonly CopyJob[],
  inFlightMax: number,
): Promise<void> {
  const { context, source, otherSources, target } = options;
  const ids = group.map(({ pair }) => pair.objectId);
  const states = await readRecords(source.mirror, source.osd.states(ids, context.scope.epoch));
  const jobs = group.map((job, index) => ({ ...job, state: states[index] ?? null }));
  await workOn(jobs, inFlightMax, async ({ pair, content, state }) => {
    const { objectId, rows } = pair;
    await pushObject(context, {
      objectId,
      sources: [source, ...otherSources],
      state,
      content,
      rows: carriedRows(rows, state, source.mirror, target.mirror),
      target,
      targetLastTag: pair.target?.lastTag ?? null,
    });
    if (state === null && pair.target !== null && pair.target.sizeBytes !== null)
      context.progress.objectDeleted();
    context.progress.objectDone();
  });
}
