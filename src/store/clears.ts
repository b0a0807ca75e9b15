/**
 * The deletion of tag table rows: by ready tokens while the store is active, by reconciliation under the fence, by the
 * writer when nobody needs them any more (F27).
 *
 * Commit order: all claims are judged before anything changes; then each row goes in its object's turn, in the same batch as the
 * witnesses that came with it (F17). That batch needs no sync of its own: a row that comes back is only a needless
 * comparison. A claim about a commit that this store never made proves that it lost state (F10): it says so durably.
 */
import { mayDropRows } from '../protocol/fence.js';
import type { ObjectId } from '../protocol/object-id.js';
import { EPOCH_NONE, type Epoch, type Tag } from '../protocol/tag.js';
import {
  type ClearContext,
  decideClear,
  parseToken,
  type TokenParts,
  type Witness,
} from '../protocol/token.js';
import type { ClearBatch, ClearReply, RowDrop } from './object-store.js';
import type { Attempt, ObjectEntry } from './object-table.js';
import { putSelfDoubt } from './self-doubt.js';
import type { StoreCore } from './store-core.js';

interface Claim {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly rows: readonly TokenParts[];
  readonly witnesses: readonly Witness[];
}

/** Refuses the whole batch when any of its tokens is refused: then nothing of it has happened. */
export async function performClear(core: StoreCore, batch: ClearBatch): Promise<ClearReply> {
  const { setId, epoch, clears, floor } = batch;
  const claims: Claim[] = [{ setId, epoch, rows: [], witnesses: [] }];
  for (const { token, witnesses } of clears) {
    const parts = parseOwnToken(core, token);
    if (parts === null) return { kind: 'refused', code: 'foreign-token' };
    claims.push({ setId, epoch, rows: [parts], witnesses });
  }
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
  const claims = [{ setId, epoch, rows, witnesses }];
  const isAllowed = (): boolean => mayDropRows(core.fence, epoch);
  const refused = await judge(core, claims, isAllowed() ? epoch : EPOCH_NONE);
  return refused ?? deleteRows(core, claims, isAllowed);
}

async function judge(
  core: StoreCore,
  claims: readonly Claim[],
  activeEpoch: Epoch,
): Promise<ClearReply | null> {
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
  for (const claim of claims) {
    // The claim itself is judged too when it has no row.
    const tokens = claim.rows.length > 0 ? claim.rows : [{ storeId, commitSequence: 0 } as TokenParts];
    for (const token of tokens) {
      const { setId: claimedSetId, epoch, witnesses } = claim;
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
async function deleteRows(
  core: StoreCore,
  claims: readonly Claim[],
  isAllowed: () => boolean,
): Promise<ClearReply> {
  const deletions = claims.flatMap(({ rows, witnesses }) =>
    rows.map(({ objectId, tag }) =>
      core.table.perform(objectId, (entry) =>
        deleteRow(core, entry, { objectId, tag, witnesses, isAllowed }),
      ),
    ),
  );
  if (deletions.length === 0) {
    for (const { witnesses } of claims) core.hearWitnesses(witnesses);
    if (core.hasLooseEnds) await core.commit.open().written;
    return { kind: 'cleared', rowCount: 0 };
  }
  const outcomes = await Promise.all(deletions);
  if (outcomes.includes('fenced')) return { kind: 'refused', code: 'stale-epoch' };
  return { kind: 'cleared', rowCount: outcomes.filter((outcome) => outcome === 'deleted').length };
}

interface Deletion {
  readonly objectId: ObjectId;
  readonly tag: Tag;
  readonly witnesses: readonly Witness[];
  readonly isAllowed: () => boolean;
}

type DeletionOutcome = 'deleted' | 'absent' | 'fenced';

function deleteRow(core: StoreCore, entry: ObjectEntry, deletion: Deletion): Attempt<DeletionOutcome> {
  core.assertUsable();
  if (!deletion.isAllowed()) return { kind: 'done', result: 'fenced' };
  const row = entry.row(deletion.tag);
  if (row === 'unknown') return { kind: 'wait', until: () => core.loadRow(entry, deletion.tag) };
  core.hearWitnesses(deletion.witnesses);
  const batch = row !== null || core.hasLooseEnds ? core.commit.open() : entry.pendingBatch;
  if (batch === null) return { kind: 'done', result: 'absent' };
  if (row === null) return { kind: 'done', result: batch.written.then(() => 'absent') };
  core.deleteRow(batch, entry, row);
  core.onRowsCleared(entry);
  return { kind: 'done', result: batch.written.then(() => 'deleted') };
}
