/** A reconciliation in words: while it runs, and afterwards what was matched and what was copied. */
import type { AdminOperation, AdminPace, AdminProgress } from './admin-client.js';
import { formatBytes, formatCount, formatDuration, plural } from '../gateway/figures.js';

export function describeProgress(progress: AdminProgress, elapsedMs: number): string {
  const { objectsDone, objectsToDo, rangesDone, bytesCopied, bytesUnmatched, isScanned, phase } = progress;
  const bytesPerSecond = elapsedMs > 0 ? (bytesCopied / elapsedMs) * 1000 : 0;
  const about = isScanned ? '' : 'at least ';
  return [
    phase,
    `${objectsDone} of ${about}${plural(objectsToDo, 'object')}`,
    plural(rangesDone, 'range'),
    `${formatBytes(bytesCopied)} of ${about}${formatBytes(bytesUnmatched)}`,
    `${formatBytes(bytesPerSecond)}/s`,
    ...fullCopyParts(progress),
  ].join(', ');
}

/** How far a full copy is, and how long it takes yet. */
function fullCopyParts({ objectsCompared, objectsToCompare, leftMs }: AdminProgress): string[] {
  if (objectsToCompare === 0) return [];
  const share = Math.min(100, Math.floor((objectsCompared / objectsToCompare) * 100));
  const compared = `${formatCount(objectsCompared)} of about ${plural(objectsToCompare, 'object')} compared (${share} %)`;
  return leftMs === null ? [compared] : [compared, `about ${formatDuration(leftMs)} left`];
}

/** The pace of copying while clients write. */
export function describePace({ bytesPerSecond, sharePercent, isPaused }: AdminPace): string {
  if (isPaused) return 'paused by an operator';
  const share = `working ${sharePercent} % of the time at the most`;
  return bytesPerSecond === null ? share : `${formatBytes(bytesPerSecond)}/s at the most, ${share}`;
}

/** What was matched, and what was copied. */
export function describeEnd({ state, failure, progress, startedMs, endedMs }: AdminOperation): string {
  if (state === 'failed') return `The reconciliation failed: ${failure ?? 'unknown'}.`;
  const took = endedMs === null ? '' : `It took ${formatDuration(endedMs - startedMs)}.`;
  if (progress === null) return `Nothing had to be compared. ${took}`;
  const { rowsMatched, rowsUnmatched, bytesUnmatched, bytesCopied, objectsDone, rangesDone } = progress;
  const { objectsCompared, objectsDeleted } = progress;
  const lines = [
    `Matched: ${plural(rowsMatched, 'row')}. Unmatched: ${plural(rowsUnmatched, 'row')}, ${formatBytes(bytesUnmatched)}.`,
    `Copied: ${formatBytes(bytesCopied)} (${plural(bytesCopied, 'byte')}) in ${plural(rangesDone, 'range')} of ${plural(objectsDone, 'object')}. ${took}`,
  ];
  if (objectsCompared > 0) {
    lines.push(
      `Full copy: ${plural(objectsCompared, 'object')} compared, ${plural(objectsDeleted, 'object')} deleted.`,
    );
  }
  return lines.join('\n');
}

/** One line, for an operation that ended. */
export function describeBriefly({ progress, failure, startedMs, endedMs }: AdminOperation): string {
  if (failure !== null) return `failed: ${failure}`;
  const took = endedMs === null ? '' : `, in ${formatDuration(endedMs - startedMs)}`;
  if (progress === null) return `nothing had to be compared${took}`;
  const { rowsMatched, rowsUnmatched, bytesCopied, objectsDone } = progress;
  return `${plural(rowsMatched, 'row')} matched, ${rowsUnmatched} not; ${formatBytes(bytesCopied)} of ${plural(objectsDone, 'object')} copied${took}`;
}
