/** Why a reconciliation ends without making the mirrors equal. The authority starts another one, at a higher epoch. */
import type { MirrorId } from '../../protocol/authority-state.js';
import { describeObject, type ObjectId } from '../../protocol/object-id.js';

/**
 * - `cancelled`: fenced at a higher epoch, or the OSD stops.
 * - `damaged`: no trusted mirror with the last write of an object has intact bytes of it (F30).
 * - `damaged-record`: a participant can not read a record of its own database; names the mirror first (wire/record-damage.ts).
 * - `changed`: an object changed under the fence.
 * - `refused`: a participant refused a step for good.
 * - `peer-mismatch`: a participant is not the store, or not at the epoch, that the order says.
 * - `bad-table`: a participant's tables are out of order.
 */
export type ReconcileFailureCode =
  'cancelled' | 'damaged' | 'damaged-record' | 'changed' | 'refused' | 'peer-mismatch' | 'bad-table';

export class ReconcileFailure extends Error {
  readonly code: ReconcileFailureCode;

  constructor(code: ReconcileFailureCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.name = 'ReconcileFailure';
    this.code = code;
  }
}

export function describePlace(id: ObjectId, mirror: MirrorId): string {
  return `${describeObject(id)} on ${mirror}`;
}
