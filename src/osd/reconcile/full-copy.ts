/**
 * A full copy (DESIGN.md section 5.5): source and target are walked in order of object ids, with their tag tables.
 *
 *   1. the target puts on disk that it is incomplete        (whatever happens from here, it is no source)
 *   2. page by page: whatever differs is pushed whole, what only the target has is forgotten there; the cursor is put on disk
 *   3. cursor away, then the doubt
 *
 * What a push replaces on the target includes its rows. Where the objects are the same but the rows are not, a push
 * without bytes brings the source's rows, unless all rows are dropped in the end anyway.
 *
 * The walk always begins at the beginning. The cursor says how far the last one came, to operators: to go on from there
 * would be right only if every change since is known to have left a row, and comparing again what is equal copies nothing.
 */
import { compareUtf8, type ObjectId } from '../../protocol/object-id.js';
import type { Epoch } from '../../protocol/tag.js';
import { type ObjectSummary, sameSummary } from '../../protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT } from '../../protocol/recovery-plan.js';
import { SUMMARIES_PAGE_MAX } from '../../wire/osd-connection.js';
import type { OsdLimits } from '../limits.js';
import { workOn } from './bounded-work.js';
import { carriedRows } from './carried-rows.js';
import { type PushContent, type PushContext, pushObject } from './object-push.js';
import { PagedStream } from './paged-stream.js';
import type { ReconcilePeer } from './reconcile-peer.js';
import { type ObjectRows, RowMerge } from './row-merge.js';
import { STATES_PAGE_MAX } from './row-repair.js';

export interface FullCopyOptions {
  readonly context: PushContext;
  readonly source: ReconcilePeer;
  /** Trusted mirrors that are equal to the source by now: read where its bytes are damaged. */
  readonly otherSources: readonly ReconcilePeer[];
  readonly target: ReconcilePeer;
  readonly limits: OsdLimits;
}

/** One object as both sides have it. */
interface Pair {
  readonly objectId: ObjectId;
  readonly source: ObjectSummary | null;
  readonly target: ObjectSummary | null;
  readonly rows: ObjectRows;
}

export async function copyEverything(options: FullCopyOptions): Promise<void> {
  const { context, target } = options;
  const { epoch } = context.scope;
  await target.osd.setSelfDoubt(epoch, FULL_COPY_DOUBT);
  const walk = new PairWalk(options);
  for (;;) {
    context.scope.checkCancelled();
    const page = await walk.nextPage();
    const last = page.at(-1);
    if (last === undefined) break;
    await copyPage(options, page);
    await target.osd.setFullCopyCursor(epoch, last.objectId);
  }
  await target.osd.setFullCopyCursor(epoch, null);
  await target.osd.setSelfDoubt(epoch, null);
}

class PairWalk {
  readonly #options: FullCopyOptions;
  readonly #source: PagedStream<ObjectSummary>;
  readonly #target: PagedStream<ObjectSummary>;
  readonly #rows: RowMerge;

  constructor(options: FullCopyOptions) {
    const { source, target, limits } = options;
    this.#options = options;
    const { epoch } = options.context.scope;
    this.#source = summariesOf(source, epoch);
    this.#target = summariesOf(target, epoch);
    this.#rows = new RowMerge([source, target], epoch, limits.reconcileObjectRowsMax);
  }

  /** The next objects that either side knows, or has rows of; none at the end. */
  async nextPage(): Promise<Pair[]> {
    const { reconcilePageObjectsMax, reconcilePageRowsMax } = this.#options.limits;
    const page: Pair[] = [];
    let rowCount = 0;
    while (page.length < reconcilePageObjectsMax && rowCount < reconcilePageRowsMax) {
      const pair = await this.#next();
      if (pair === null) break;
      for (const rows of pair.rows.rows.values()) rowCount += rows.length;
      page.push(pair);
    }
    return page;
  }

  async #next(): Promise<Pair | null> {
    await Promise.all([this.#source.fill(), this.#target.fill()]);
    const ids = [this.#source.head?.objectId, this.#target.head?.objectId, await this.#rows.nextId()];
    let objectId: ObjectId | null = null;
    for (const id of ids) {
      if (id === undefined || id === null) continue;
      if (objectId === null || compareUtf8(id, objectId) < 0) objectId = id;
    }
    if (objectId === null) return null;
    return {
      objectId,
      source: takeIf(this.#source, objectId),
      target: takeIf(this.#target, objectId),
      rows: await this.#rows.take(objectId),
    };
  }
}

function summariesOf({ mirror, osd }: ReconcilePeer, epoch: Epoch): PagedStream<ObjectSummary> {
  return new PagedStream<ObjectSummary>({
    name: `the objects of ${mirror}`,
    fetch: (after) => osd.summaries(after?.objectId ?? null, SUMMARIES_PAGE_MAX, epoch),
    compare: (left, right) => compareUtf8(left.objectId, right.objectId),
  });
}

function takeIf(stream: PagedStream<ObjectSummary>, objectId: ObjectId): ObjectSummary | null {
  const { head } = stream;
  if (head?.objectId !== objectId) return null;
  stream.advance();
  return head;
}

/** What has to be pushed, or null when nothing has. */
function contentFor({ context, source, target }: FullCopyOptions, pair: Pair): PushContent | null {
  const { rows } = pair;
  if (pair.source === null && pair.target === null) return rows.unmatchedCount > 0 ? { kind: 'whole' } : null;
  if (pair.source === null || pair.target === null || !sameSummary(pair.source, pair.target)) {
    return { kind: 'whole' };
  }
  const targetRows = rows.rows.get(target.mirror) ?? [];
  const lacksRows = (rows.rows.get(source.mirror) ?? []).some(
    (row) => !targetRows.some(({ tag }) => tag === row.tag),
  );
  const needsRows = !context.scope.isComplete && (lacksRows || rows.isOverLimit);
  return needsRows ? { kind: 'extents', extents: [] } : null;
}

async function copyPage(options: FullCopyOptions, page: readonly Pair[]): Promise<void> {
  const { context, limits } = options;
  context.progress.objectsCompared(
    page.filter(({ source, target }) => source !== null || target !== null).length,
  );
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
  const states = await source.osd.states(
    group.map(({ pair }) => pair.objectId),
    context.scope.epoch,
  );
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
