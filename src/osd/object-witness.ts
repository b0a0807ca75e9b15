/** One object with its rows, as a reconciliation wants to see it while clients write. */
import type { ObjectId } from '../protocol/object-id.js';
import type { TagRow } from '../protocol/write.js';
import type { ObjectStore } from '../store/object-store.js';
import { EVIDENCE_ROWS_MAX, type ObjectWitness } from '../wire/osd-connection.js';
import { TAG_BEFORE_ALL } from './reconcile/outermost-tags.js';

/** Most objects have a row or two: that many are asked for first. */
const FIRST_ROWS = 4;

/** The state first, then the rows: so no write up to the state's last tag is without its row, unless every mirror has it (F37). */
export async function witnessOf(store: ObjectStore, id: ObjectId): Promise<ObjectWitness> {
  const state = await store.head(id);
  const few = await rowsOf(store, id, FIRST_ROWS);
  const rows = few.length < FIRST_ROWS ? few : await rowsOf(store, id, EVIDENCE_ROWS_MAX + 1);
  return { state, rows: rows.slice(0, EVIDENCE_ROWS_MAX), hasMoreRows: rows.length > EVIDENCE_ROWS_MAX };
}

async function rowsOf(store: ObjectStore, id: ObjectId, limit: number): Promise<TagRow[]> {
  const rows = await store.rows({ objectId: id, tag: TAG_BEFORE_ALL }, limit);
  return rows.filter(({ objectId }) => objectId === id);
}
