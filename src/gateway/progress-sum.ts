import type { ReconcileProgress } from '../wire/osd-connection.js';

/** What two reconciliations of one operation did together: online, and then under the fence. `latest` says where it stands. */
export function sumProgress(before: ReconcileProgress | null, latest: ReconcileProgress): ReconcileProgress {
  if (before === null) return latest;
  return {
    ...latest,
    rowsMatched: before.rowsMatched + latest.rowsMatched,
    rowsUnmatched: before.rowsUnmatched + latest.rowsUnmatched,
    rowsDropped: before.rowsDropped + latest.rowsDropped,
    objectsToDo: before.objectsToDo + latest.objectsToDo,
    objectsDone: before.objectsDone + latest.objectsDone,
    rangesDone: before.rangesDone + latest.rangesDone,
    bytesUnmatched: before.bytesUnmatched + latest.bytesUnmatched,
    bytesCopied: before.bytesCopied + latest.bytesCopied,
    // A full copy that goes on counts what it compared before; what follows it compares rows.
    objectsCompared: latest.objectsToCompare > 0 ? latest.objectsCompared : before.objectsCompared,
    objectsToCompare: latest.objectsToCompare > 0 ? latest.objectsToCompare : before.objectsToCompare,
    objectsDeleted: before.objectsDeleted + latest.objectsDeleted,
  };
}
