/**
 * The deletion of tag table rows: by ready tokens while the store is active, by reconciliation under the fence, by the
 * writer when nobody needs them any more (F27).
 *
 * Commit order: all claims are judged before anything changes; then each row goes in its object's turn, in the same batch as the
 * witnesses that came with it (F17). That batch needs no sync of its own: a row that comes back is only a needless
 * comparison. A claim about a commit that this store never made proves that it lost state (F10): it says so durably.
 */
import { mayDropRows } from '../protocol/fence.js';
import { EPOCH_NONE, type Epoch, type Tag } from '../protocol/tag.js';
import {
  type ClearContext,
  decideClear,
  parseToken,
  type TokenParts,
  type Witness,
} from '../protocol/token.js';
import type { BatchListener, CommitBatch } from './group-commit.js';
import type { ObjectEntry } from './object-entry.js';
import type { ClearBatch, ClearReply, RowDrop } from './object-store.js';
import { type ObjectTask, type Wait, waitFor } from './object-turn.js';
import { putSelfDoubt } from './self-doubt.js';
import type { StoreCore } from './store-core.js';

interface Claim {
  readonly rows: readonly TokenParts[];
  readonly witnesses: readonly Witness[];
}

/** Of one request: all for the same set and epoch. */
interface Claims {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly list: readonly Claim[];
}

/** Refuses the whole batch when any of its tokens is refused: then nothing of it has happened. */
export async function performClear(core: StoreCore, batch: ClearBatch): Promise<ClearReply> {
  const { setId, epoch, clears, floor } = batch;
  const list: Claim[] = [{ rows: [], witnesses: [] }];
  for (const { token, witnesses } of clears) {
    const parts = parseOwnToken(core, token);
    if (parts === null) return { kind: 'refused', code: 'foreign-token' };
    list.push({ rows: [parts], witnesses });
  }
  const claims = { setId, epoch, list };
  const refused = await judge(core, claims, core.fence.activeEpoch);
  if (refused !== null) return refused;
  core.hearFloor(setId, epoch, floor);
  return deleteRows(core, claims, (): boolean => core.fence.activeEpoch === epoch);
}

/** Text that is no token at all was not made by this store. */
function parseOwnToken(core: StoreCore, token: ClearBatch['clears'][number]['token']): TokenParts | null {
  try {
    const parts = parseToken(token);
    return parts.storeId === core.identity.storeId ? parts : null;
  } catch {
    return null;
  }
}

export async function performRowDrop(core: StoreCore, drop: RowDrop): Promise<ClearReply> {
  const { setId, epoch, witnesses } = drop;
  const rows = drop.rows.map((row) => ({ ...row, storeId: core.identity.storeId, commitSequence: 0 }));
  const claims = { setId, epoch, list: [{ rows, witnesses }] };
  const isAllowed = (): boolean => mayDropRows(core.fence, epoch);
  const refused = await judge(core, claims, isAllowed() ? epoch : EPOCH_NONE);
  return refused ?? deleteRows(core, claims, isAllowed);
}

async function judge(core: StoreCore, claims: Claims, activeEpoch: Epoch): Promise<ClearReply | null> {
  core.assertUsable();
  const { setId, storeId } = core.identity;
  const { committedSequence } = core.commit;
  const { fencedEpoch } = core.fence;
  const context: ClearContext = {
    setId,
    storeId,
    commitSequence: committedSequence,
    fencedEpoch,
    activeEpoch,
  };
  // A claim itself is judged too when it has no row.
  const noRow = [{ storeId, commitSequence: 0 } as TokenParts];
  for (const { rows, witnesses } of claims.list) {
    for (const token of rows.length > 0 ? rows : noRow) {
      const { setId: claimedSetId, epoch } = claims;
      const verdict = decideClear(context, { setId: claimedSetId, epoch, witnesses, token });
      if (verdict.kind === 'clear') continue;
      if (verdict.code === 'state-lost') {
        await putSelfDoubt(
          core,
          `a peer knows of a later commit than ${committedSequence}: this store lost state`,
        );
      }
      return { kind: 'refused', code: verdict.code };
    }
  }
  return null;
}

/** `isAllowed` is asked again in each object's turn: a fence may have come between. */
async function deleteRows(core: StoreCore, claims: Claims, isAllowed: () => boolean): Promise<ClearReply> {
  const deletions = claims.list.flatMap(({ rows, witnesses }) => rows.map((row) => ({ row, witnesses })));
  if (deletions.length === 0) {
    for (const { witnesses } of claims.list) core.hearWitnesses(witnesses);
    if (core.hasLooseEnds) await core.commit.open().written;
    return { kind: 'cleared', rowCount: 0 };
  }
  return new Promise((resolve, reject) => {
    const gathered = new GatheredDeletions(deletions.length, { resolve, reject });
    for (const { row, witnesses } of deletions)
      core.table.run(row.objectId, new Deletion(core, { tag: row.tag, witnesses, isAllowed }, gathered));
  });
}

type DeletionOutcome = 'deleted' | 'absent' | 'fenced';

interface ReplyListener {
  readonly resolve: (reply: ClearReply) => void;
  readonly reject: (failure: Error) => void;
}

/** What became of the rows of one request; it fails with the first that fails. */
class GatheredDeletions {
  readonly #whenAll: ReplyListener;
  #missingCount: number;
  #deletedCount = 0;
  #isFenced = false;

  constructor(count: number, whenAll: ReplyListener) {
    this.#missingCount = count;
    this.#whenAll = whenAll;
  }

  settle(outcome: DeletionOutcome): void {
    this.#missingCount -= 1;
    if (outcome === 'deleted') this.#deletedCount += 1;
    if (outcome === 'fenced') this.#isFenced = true;
    if (this.#missingCount > 0) return;
    this.#whenAll.resolve(
      this.#isFenced
        ? { kind: 'refused', code: 'stale-epoch' }
        : { kind: 'cleared', rowCount: this.#deletedCount },
    );
  }

  fail(failure: Error): void {
    this.#whenAll.reject(failure);
  }
}

interface DeletionOrder {
  readonly tag: Tag;
  readonly witnesses: readonly Witness[];
  readonly isAllowed: () => boolean;
}

/** The deletion of one row. */
class Deletion implements ObjectTask<ObjectEntry>, BatchListener {
  readonly #core: StoreCore;
  readonly #order: DeletionOrder;
  readonly #gathered: GatheredDeletions;
  /** What is told once the batch is written. */
  #outcome: DeletionOutcome = 'absent';

  constructor(core: StoreCore, order: DeletionOrder, gathered: GatheredDeletions) {
    this.#core = core;
    this.#order = order;
    this.#gathered = gathered;
  }

  attempt(entry: ObjectEntry): Wait | null {
    const { tag, witnesses, isAllowed } = this.#order;
    const core = this.#core;
    core.assertUsable();
    if (!isAllowed()) return this.#answer(null, 'fenced');
    const row = entry.row(tag);
    if (row === 'unknown') return waitFor(() => core.loadRow(entry, tag));
    core.hearWitnesses(witnesses);
    const batch = row !== null || core.hasLooseEnds ? core.commit.open() : entry.pendingBatch;
    if (batch === null || row === null) return this.#answer(batch, 'absent');
    core.deleteRow(batch, entry, row);
    core.onRowsCleared(entry);
    return this.#answer(batch, 'deleted');
  }

  #answer(batch: CommitBatch | null, outcome: DeletionOutcome): null {
    this.#outcome = outcome;
    if (batch === null) this.written();
    else batch.tell(this);
    return null;
  }

  written(): void {
    this.#gathered.settle(this.#outcome);
  }

  fail(failure: Error): void {
    this.#gathered.fail(failure);
  }
}
