/**
 * The deletion of tag table rows: by ready tokens while the store is active, by reconciliation under the fence, by the
 * writer when nobody needs them any more (F27).
 *
 * Commit order: all claims are judged before anything changes; then each row goes in its object's turn, in the same batch as the
 * witnesses that came with it (F17). That batch needs no sync of its own: a row that comes back is only a needless
 * comparison. A claim about a commit that this store never made proves that it lost state (F10): it says so durably.
 */
import { mayDropRows } from '../protocol/fence.js';
import { EPOCH_NONE, type Epoch } from '../protocol/tag.js';
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

/** What a request says of a row, or (null) beside them. */
interface Claim {
  readonly row: TokenParts | null;
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
  // The request itself is judged too, also when it has no clears.
  const list: Claim[] = [{ row: null, witnesses: [] }];
  for (const { token, witnesses } of clears) {
    const row = parseOwnToken(core, token);
    if (row === null) return { kind: 'refused', code: 'foreign-token' };
    list.push({ row, witnesses });
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
  const { storeId } = core.identity;
  const list: Claim[] = [{ row: null, witnesses }];
  for (const row of drop.rows) list.push({ row: { ...row, storeId, commitSequence: 0 }, witnesses });
  const claims = { setId, epoch, list };
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
  const nothing = { storeId, commitSequence: 0 };
  const { setId: claimedSetId, epoch } = claims;
  for (const { row, witnesses } of claims.list) {
    const verdict = decideClear(context, { setId: claimedSetId, epoch, witnesses, token: row ?? nothing });
    if (verdict.kind === 'clear') continue;
    if (verdict.code === 'state-lost') {
      await putSelfDoubt(
        core,
        `a peer knows of a later commit than ${committedSequence}: this store lost state`,
      );
    }
    return { kind: 'refused', code: verdict.code };
  }
  return null;
}

/** `isAllowed` is asked again in each object's turn: a fence may have come between. */
async function deleteRows(core: StoreCore, claims: Claims, isAllowed: () => boolean): Promise<ClearReply> {
  const deletions = claims.list.filter(hasRow);
  if (deletions.length === 0) {
    for (const { witnesses } of claims.list) core.hearWitnesses(witnesses);
    if (core.hasLooseEnds) await core.commit.open().written;
    return { kind: 'cleared', rowCount: 0 };
  }
  return new Promise((resolve, reject) => {
    const gathered = new GatheredDeletions(deletions.length, isAllowed, { resolve, reject });
    for (const claim of deletions) core.table.run(claim.row.objectId, new Deletion(core, claim, gathered));
  });
}

interface RowClaim extends Claim {
  readonly row: TokenParts;
}

function hasRow(claim: Claim): claim is RowClaim {
  return claim.row !== null;
}

type DeletionOutcome = 'deleted' | 'absent' | 'fenced';

interface ReplyListener {
  readonly resolve: (reply: ClearReply) => void;
  readonly reject: (failure: Error) => void;
}

/** What became of the rows of one request; it fails with the first that fails. */
class GatheredDeletions {
  readonly isAllowed: () => boolean;
  readonly #whenAll: ReplyListener;
  #missingCount: number;
  #deletedCount = 0;
  #isFenced = false;

  constructor(count: number, isAllowed: () => boolean, whenAll: ReplyListener) {
    this.isAllowed = isAllowed;
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

/** The deletion of one row. */
class Deletion implements ObjectTask<ObjectEntry>, BatchListener {
  readonly #core: StoreCore;
  readonly #claim: RowClaim;
  readonly #gathered: GatheredDeletions;
  /** What is told once the batch is written. */
  #outcome: DeletionOutcome = 'absent';

  constructor(core: StoreCore, claim: RowClaim, gathered: GatheredDeletions) {
    this.#core = core;
    this.#claim = claim;
    this.#gathered = gathered;
  }

  attempt(entry: ObjectEntry): Wait | null {
    const core = this.#core;
    const { row: named, witnesses } = this.#claim;
    core.assertUsable();
    if (!this.#gathered.isAllowed()) return this.#answer(null, 'fenced');
    const row = entry.row(named.tag);
    if (row === 'unknown') return waitFor(() => core.loadRow(entry, named.tag));
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
