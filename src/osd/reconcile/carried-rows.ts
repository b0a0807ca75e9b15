/**
 * The rows that a target has for an object once a push has landed: the source's, so that a third mirror, which lacks the
 * writes, still finds them (F37), and of its own those that the source may have cleared already (`rowsAfterPush`).
 */
import { rowsAfterPush } from '../../protocol/reconcile-plan.js';
import type { ObjectId } from '../../protocol/object-id.js';
import type { ObjectState, TagRow } from '../../protocol/write.js';
import type { MirrorId } from '../../protocol/authority-state.js';
import type { ObjectRows } from './row-merge.js';

/**
 * Stands for more rows of one object than are looked at one by one: a row that says "somebody may lack all of this object".
 * It covers every range that the rows cover, so whoever lacks one of those writes is brought up to date by it.
 */
export function collapsedRow(objectId: TagRow['objectId'], state: ObjectState): TagRow {
  const { lastTag: tag, lastChecksum: checksum } = state;
  const isPresent = state.kind === 'present';
  return {
    tag,
    objectId,
    kind: isPresent ? 'replace' : 'remove',
    mode: isPresent ? 'extend' : 'overwrite',
    offset: 0,
    length: isPresent ? state.sizeBytes : 0,
    checksum,
    commitSequence: 0,
    writtenMs: 0,
  };
}

/** `state`: the source's. What nobody knows any more has no rows. */
export function carriedRows(
  object: ObjectRows,
  state: ObjectState | null,
  source: MirrorId,
  target: MirrorId,
): readonly TagRow[] {
  if (state === null) return [];
  if (object.isOverLimit) return [collapsedRow(object.objectId, state)];
  const rowsOf = (mirror: MirrorId): readonly TagRow[] => object.rows.get(mirror) ?? [];
  return rowsAfterPush(rowsOf(target), { rows: rowsOf(source), lastTag: state.lastTag });
}

/**
 * The same while clients write: the source's rows were read after its state, so some may be of later writes. Null: more rows
 * than are looked at one by one.
 */
export function rowsToCarry(
  objectId: ObjectId,
  state: ObjectState | null,
  rows: { readonly source: readonly TagRow[] | null; readonly target: readonly TagRow[] | null },
): readonly TagRow[] {
  if (state === null) return [];
  if (rows.source === null || rows.target === null) return [collapsedRow(objectId, state)];
  const { lastTag } = state;
  return rowsAfterPush(rows.target, { rows: rows.source.filter(({ tag }) => tag <= lastTag), lastTag });
}
