/** One object with its rows, as a reconciliation wants to see it while clients write. */
import type { ObjectId } from '../protocol/object-id.js';
import type { ObjectStore } from '../store/object-store.js';
import { EVIDENCE_ROWS_MAX, type ObjectWitness } from '../wire/osd-connection.js';

/** The state first, then the rows: so no write up to the state's last tag is without its row, unless every mirror has it (F37). */
export async function witnessOf(store: ObjectStore, id: ObjectId): Promise<ObjectWitness> {
  const state = await store.head(id);
  const rows = await store.rowsOf(id, EVIDENCE_ROWS_MAX + 1);
  return { state, rows: rows.slice(0, EVIDENCE_ROWS_MAX), hasMoreRows: rows.length > EVIDENCE_ROWS_MAX };
}
