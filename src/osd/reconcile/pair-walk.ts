/**
 * Source and target of a full copy, walked side by side in order of object ids from the target's cursor on, with their tag
 * tables. What is seen of one page may be older than what is seen of the next: whoever acts on it while clients write looks
 * again (online-full-copy.ts).
 */
import { compareUtf8, type ObjectId } from '../../protocol/object-id.js';
import { type FullCopyCursor, type ObjectSummary, sameSummary } from '../../protocol/reconcile-plan.js';
import { type OsdConnection, SUMMARIES_PAGE_MAX } from '../../wire/osd-connection.js';
import type { OsdLimits } from '../limits.js';
import type { PushContext } from './object-push.js';
import { PagedStream } from './paged-stream.js';
import type { ReconcilePeer } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';
import { type ObjectRows, RowMerge } from './row-merge.js';

export interface FullCopyOptions {
  readonly context: PushContext;
  /** The driver's own store. */
  readonly source: ReconcilePeer;
  /** Trusted mirrors that are equal to the source: read where its bytes are damaged. */
  readonly otherSources: readonly ReconcilePeer[];
  readonly target: ReconcilePeer;
  readonly limits: OsdLimits;
}

/** One object as both sides have it. */
export interface Pair {
  readonly objectId: ObjectId;
  readonly source: ObjectSummary | null;
  readonly target: ObjectSummary | null;
  readonly rows: ObjectRows;
}

/** True when both sides have the same of it, or neither has anything; their rows aside. */
export function isSame({ source, target }: Pair): boolean {
  if (source === null || target === null) return source === target;
  return sameSummary(source, target);
}

/** True when the source has a row that the target lacks. */
export function lacksRows({ rows }: Pair, source: ReconcilePeer, target: ReconcilePeer): boolean {
  const known = rows.rows.get(target.mirror) ?? [];
  const wanted = rows.rows.get(source.mirror) ?? [];
  return rows.isOverLimit || wanted.some((row) => !known.some(({ tag }) => tag === row.tag));
}

export class PairWalk {
  readonly #options: FullCopyOptions;
  readonly #source: PagedStream<ObjectSummary>;
  readonly #target: PagedStream<ObjectSummary>;
  readonly #rows: RowMerge;
  #comparedCount: number;

  private constructor(options: FullCopyOptions, cursor: FullCopyCursor | null) {
    const { source, target, limits, context } = options;
    this.#options = options;
    const after = cursor?.objectId ?? null;
    const { epoch } = context.scope;
    const summariesOf = ({ mirror, osd }: ReconcilePeer) =>
      new PagedStream<ObjectSummary>({
        name: `the objects of ${mirror}`,
        fetch: (last) =>
          readRecords(mirror, osd.summaries(last?.objectId ?? after, SUMMARIES_PAGE_MAX, epoch)),
        compare: (left, right) => compareUtf8(left.objectId, right.objectId),
      });
    this.#source = summariesOf(source);
    this.#target = summariesOf(target);
    this.#rows = new RowMerge([source, target], epoch, limits.reconcileObjectRowsMax, after);
    this.#comparedCount = cursor?.objectsCompared ?? 0;
  }

  /** From the target's cursor on. `isResumed`: there was one. */
  static async begin(
    options: FullCopyOptions,
  ): Promise<{ readonly walk: PairWalk; readonly isResumed: boolean }> {
    const { context, source, target } = options;
    const cursor = await target.osd.fullCopyCursor();
    const counts = await Promise.all([source.osd, target.osd].map(objectsOf));
    context.progress.fullCopyBegins(cursor?.objectsCompared ?? 0, Math.max(...counts));
    return { walk: new PairWalk(options, cursor), isResumed: cursor !== null };
  }

  /** The next objects that either side knows, or has rows of; none at the end. */
  async nextPage(): Promise<Pair[]> {
    const { reconcilePageObjectsMax, reconcilePageRowsMax, reconcilePageBytesMax } = this.#options.limits;
    const page: Pair[] = [];
    let rowCount = 0;
    let bytes = 0;
    while (
      page.length < reconcilePageObjectsMax &&
      rowCount < reconcilePageRowsMax &&
      bytes < reconcilePageBytesMax
    ) {
      const pair = await this.#next();
      if (pair === null) break;
      for (const rows of pair.rows.rows.values()) rowCount += rows.length;
      if (!isSame(pair)) bytes += pair.source?.sizeBytes ?? 0;
      page.push(pair);
    }
    return page;
  }

  /** Everything up to the end of this page is what it should be: puts that on the target's disk. */
  async passed(page: readonly Pair[]): Promise<void> {
    const { context, target } = this.#options;
    const last = page.at(-1);
    if (last === undefined) return;
    const count = page.filter(({ source, target: other }) => source !== null || other !== null).length;
    this.#comparedCount += count;
    context.progress.objectsCompared(count);
    const cursor = { objectId: last.objectId, objectsCompared: this.#comparedCount };
    await target.osd.setFullCopyCursor(context.scope.epoch, cursor);
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

async function objectsOf(osd: OsdConnection): Promise<number> {
  const { objectCount, tombstoneCount } = await osd.identity();
  return objectCount + tombstoneCount;
}

function takeIf(stream: PagedStream<ObjectSummary>, objectId: ObjectId): ObjectSummary | null {
  const { head } = stream;
  if (head?.objectId !== objectId) return null;
  stream.advance();
  return head;
}
