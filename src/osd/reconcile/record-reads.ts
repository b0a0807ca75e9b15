/**
 * Reads of what participants have on record: states, rows, summaries (F19).
 *
 * Bytes of an object that fail their checksum are a matter of that object (lost-content.ts). A record that can not be read ends the
 * reconciliation, and would end every other one as well; so whoever ordered it is told whose record that is.
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import { OsdRefusal } from '../../wire/osd-connection.js';
import { ReconcileFailure } from './reconcile-failure.js';

export async function readRecords<Records>(mirror: MirrorId, reading: Promise<Records>): Promise<Records> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof OsdRefusal) || error.code !== 'damaged') throw error;
    throw new ReconcileFailure('damaged-record', `${mirror}: ${error.message}`, { cause: error });
  }
}
