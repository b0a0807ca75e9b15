/**
 * Drops rows that every configured mirror has matched or got (DESIGN.md section 5.6).
 *
 * Never constructed unless all configured mirrors take part. Each drop carries the other participants' commit sequences,
 * asked for after their pushes have landed, as witnesses (F17).
 */
import type { ObjectId } from '../../protocol/object-id.js';
import type { Tag } from '../../protocol/tag.js';
import type { StoreId, Witness } from '../../protocol/token.js';
import { type OsdIdentity, ROWS_PAGE_MAX, type RowCursor } from '../../wire/osd-connection.js';
import type { ProgressTracker } from './progress-tracker.js';
import { ReconcileFailure } from './reconcile-failure.js';
import type { ReconcilePeer, ReconcileScope } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';
import type { ObjectRows } from './row-merge.js';
import { TAG_BEFORE_ALL } from './outermost-tags.js';

/** An object with too many rows to be named one by one; those up to this tag go. */
export interface HotObject {
  readonly objectId: ObjectId;
  readonly lastTag: Tag;
}

export class RowDropper {
  readonly #scope: ReconcileScope;
  readonly #progress: ProgressTracker;
  readonly #peers: readonly ReconcilePeer[];

  constructor(scope: ReconcileScope, progress: ProgressTracker, peers: readonly ReconcilePeer[]) {
    this.#scope = scope;
    this.#progress = progress;
    this.#peers = peers;
  }

  /** Drops exactly the rows of these objects, wherever they are. Precondition: all of the objects are equal everywhere. */
  async dropPage(page: readonly ObjectRows[]): Promise<void> {
    const witnesses = await this.#witnesses();
    const cursors = page.flatMap((object) => cursorsOf(object));
    const hotObjects = page.filter(({ isOverLimit }) => isOverLimit).map(({ objectId }) => objectId);
    await Promise.all(
      this.#peers.map(async (peer) => {
        const others = witnesses.filter(({ storeId }) => storeId !== peer.storeId);
        await this.#dropFrom(peer, cursors, others);
        for (const objectId of hotObjects) await this.#dropAllOf(peer, objectId, others);
      }),
    );
  }

  /** Drops every row of every participant. Precondition: all participants are equal. */
  async dropEverything(): Promise<void> {
    const witnesses = await this.#witnesses();
    for (const peer of this.#peers) {
      const others = witnesses.filter(({ storeId }) => storeId !== peer.storeId);
      let after: RowCursor | null = null;
      for (;;) {
        this.#scope.checkCancelled();
        const rows: readonly RowCursor[] = await this.#rowsAfter(peer, after);
        if (rows.length === 0) break;
        await this.#dropFrom(peer, rows.map(toCursor), others);
        after = rows.at(-1) ?? null;
      }
    }
  }

  /** How far each participant has come, and what they know of those that are absent (F17). */
  async #witnesses(): Promise<Witness[]> {
    const identities = await Promise.all(this.#peers.map((peer) => identityOf(peer)));
    const present = identities.map(({ storeId, commitSequence }) => ({ storeId, commitSequence }));
    const absent = new Map<StoreId, number>();
    for (const { storeId, commitSequence } of identities.flatMap(({ witnesses }) => witnesses)) {
      if (!this.#scope.absentStoreIds.includes(storeId)) continue;
      absent.set(storeId, Math.max(commitSequence, absent.get(storeId) ?? 0));
    }
    return [...present, ...[...absent].map(([storeId, commitSequence]) => ({ storeId, commitSequence }))];
  }

  /** Tells everyone how far the others have come, also where there is no row to drop (F17). */
  async passWitnessesOn(): Promise<void> {
    const witnesses = await this.#witnesses();
    const { setId, epoch } = this.#scope;
    for (const peer of this.#peers) {
      const others = witnesses.filter(({ storeId }) => storeId !== peer.storeId);
      await peer.osd.dropRows(setId, epoch, [], others);
    }
  }

  /** Drops these rows wherever they are. Precondition: every configured mirror has their writes. */
  async dropRows(rows: readonly RowCursor[], hotObjects: readonly HotObject[]): Promise<void> {
    const witnesses = await this.#witnesses();
    await Promise.all(
      this.#peers.map(async (peer) => {
        const others = witnesses.filter(({ storeId }) => storeId !== peer.storeId);
        await this.#dropFrom(peer, rows, others);
        for (const { objectId, lastTag } of hotObjects)
          await this.#dropAllOf(peer, objectId, others, lastTag);
      }),
    );
  }

  #rowsAfter({ mirror, osd }: ReconcilePeer, after: RowCursor | null): Promise<readonly RowCursor[]> {
    return readRecords(mirror, osd.rows(after, ROWS_PAGE_MAX, this.#scope.epoch));
  }

  /** All rows of an object, up to a tag when one is given. */
  async #dropAllOf(
    peer: ReconcilePeer,
    objectId: ObjectId,
    witnesses: readonly Witness[],
    lastTag: Tag | null = null,
  ): Promise<void> {
    let after: RowCursor = { objectId, tag: TAG_BEFORE_ALL };
    for (;;) {
      this.#scope.checkCancelled();
      const rows = await this.#rowsAfter(peer, after);
      const own = rows.filter((row) => row.objectId === objectId && (lastTag === null || row.tag <= lastTag));
      const last = own.at(-1);
      if (last === undefined) return;
      await this.#dropFrom(peer, own.map(toCursor), witnesses);
      after = last;
    }
  }

  async #dropFrom(
    peer: ReconcilePeer,
    cursors: readonly RowCursor[],
    witnesses: readonly Witness[],
  ): Promise<void> {
    const { setId, epoch } = this.#scope;
    for (let start = 0; start < cursors.length; start += ROWS_PAGE_MAX) {
      this.#scope.checkCancelled();
      const some = cursors.slice(start, start + ROWS_PAGE_MAX);
      const reply = await peer.osd.dropRows(setId, epoch, some, witnesses);
      if (reply.kind === 'refused') {
        throw new ReconcileFailure('refused', `${peer.mirror} keeps its rows: ${reply.code}`);
      }
      this.#progress.rowsDropped(reply.rowCount);
    }
  }
}

/** F17: a mirror that was restarted since may have been put back to an older state, which its sequence would hide. */
async function identityOf({ mirror, incarnation, osd }: ReconcilePeer): Promise<OsdIdentity> {
  const identity = await osd.identity();
  if (identity.incarnation !== incarnation)
    throw new ReconcileFailure('peer-mismatch', `${mirror} was restarted: it bears no witness`);
  return identity;
}

function toCursor({ objectId, tag }: RowCursor): RowCursor {
  return { objectId, tag };
}

/** One cursor for each tag that any mirror has a row of. */
function cursorsOf(object: ObjectRows): RowCursor[] {
  const { objectId } = object;
  const tags = new Set([...object.rows.values()].flat().map(({ tag }) => tag));
  return [...tags].map((tag) => ({ objectId, tag }));
}
