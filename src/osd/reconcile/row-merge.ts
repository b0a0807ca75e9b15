/**
 * The tag tables of several participants, joined object by object in bounded memory.
 *
 * Tables are in order of object id, then tag, so rows are matched as they come: a tag that is on all of them with the same
 * range matches. Of an object with more than `objectRowsMax` rows on some mirror only the counts are kept.
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import { compareUtf8, type ObjectId } from '../../protocol/object-id.js';
import { unmatchedRows } from '../../protocol/reconcile-plan.js';
import type { Epoch } from '../../protocol/tag.js';
import type { TagRow } from '../../protocol/write.js';
import { ROWS_PAGE_MAX } from '../../wire/osd-connection.js';
import { PagedStream } from './paged-stream.js';
import type { ReconcilePeer } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';
import { TAG_AFTER_ALL } from './outermost-tags.js';

export interface ObjectRows {
  readonly objectId: ObjectId;
  /** By mirror, in order of tags; empty for every mirror when `isOverLimit`. */
  readonly rows: ReadonlyMap<MirrorId, readonly TagRow[]>;
  readonly matchedCount: number;
  readonly unmatchedCount: number;
  readonly isOverLimit: boolean;
}

interface MirrorRows {
  readonly mirror: MirrorId;
  readonly stream: PagedStream<TagRow>;
}

export class RowMerge {
  readonly #tables: readonly MirrorRows[];
  readonly #objectRowsMax: number;

  /** `afterId`: rows of objects up to this one are passed over. */
  constructor(
    peers: readonly ReconcilePeer[],
    epoch: Epoch,
    objectRowsMax: number,
    afterId: ObjectId | null = null,
  ) {
    this.#objectRowsMax = objectRowsMax;
    const start = afterId === null ? null : { objectId: afterId, tag: TAG_AFTER_ALL };
    this.#tables = peers.map(({ mirror, osd }) => ({
      mirror,
      stream: new PagedStream<TagRow>({
        name: `the tag table of ${mirror}`,
        fetch: (after) => readRecords(mirror, osd.rows(after ?? start, ROWS_PAGE_MAX, epoch)),
        compare: (left, right) =>
          compareUtf8(left.objectId, right.objectId) || (left.tag > right.tag ? 1 : 0),
      }),
    }));
  }

  async #fill(): Promise<void> {
    if (this.#tables.every(({ stream }) => stream.isFilled)) return;
    await Promise.all(this.#tables.map(({ stream }) => stream.fill()));
  }

  /** The next object that has rows anywhere, or null at the end. */
  async nextId(): Promise<ObjectId | null> {
    await this.#fill();
    let next: ObjectId | null = null;
    for (const { stream } of this.#tables) {
      const id = stream.head?.objectId;
      if (id !== undefined && (next === null || compareUtf8(id, next) < 0)) next = id;
    }
    return next;
  }

  /** Takes all rows of one object, none if it has none. Precondition: it is not after `nextId()`. */
  async take(objectId: ObjectId): Promise<ObjectRows> {
    const gathered = new GatheredRows(
      this.#tables.map(({ mirror }) => mirror),
      this.#objectRowsMax,
    );
    for (;;) {
      await this.#fill();
      const heads = this.#tables.map(({ stream }) =>
        stream.head?.objectId === objectId ? stream.head : null,
      );
      const lowest = heads.reduce<TagRow | null>(
        (least, row) => (row !== null && (least === null || row.tag < least.tag) ? row : least),
        null,
      );
      if (lowest === null) return gathered.result(objectId);
      const sameTag = heads.map((row) => (row?.tag === lowest.tag ? row : null));
      gathered.add(sameTag);
      for (const [index, row] of sameTag.entries()) if (row !== null) this.#tables[index]?.stream.advance();
    }
  }
}

class GatheredRows {
  readonly #mirrors: readonly MirrorId[];
  readonly #rowsMax: number;
  readonly #rows: TagRow[][];
  readonly #counts: number[];
  #matchedCount = 0;
  #unmatchedCount = 0;

  constructor(mirrors: readonly MirrorId[], rowsMax: number) {
    this.#mirrors = mirrors;
    this.#rowsMax = rowsMax;
    this.#rows = mirrors.map(() => []);
    this.#counts = mirrors.map(() => 0);
  }

  /** Rows of one tag, by mirror. */
  add(sameTag: readonly (TagRow | null)[]): void {
    const unmatched = unmatchedRows(sameTag.map((row) => (row === null ? [] : [row]))).length;
    if (unmatched === 0) this.#matchedCount += 1;
    this.#unmatchedCount += unmatched;
    for (const [index, row] of sameTag.entries()) {
      if (row === null) continue;
      const count = (this.#counts[index] ?? 0) + 1;
      this.#counts[index] = count;
      if (count <= this.#rowsMax) this.#rows[index]?.push(row);
    }
  }

  result(objectId: ObjectId): ObjectRows {
    const isOverLimit = this.#counts.some((count) => count > this.#rowsMax);
    const rowsOf = (index: number): readonly TagRow[] => (isOverLimit ? [] : (this.#rows[index] ?? []));
    return {
      objectId,
      rows: new Map(this.#mirrors.map((mirror, index) => [mirror, rowsOf(index)])),
      matchedCount: this.#matchedCount,
      unmatchedCount: this.#unmatchedCount,
      isOverLimit,
    };
  }
}
