/** What `tally status` shows to people. */
import pico from 'picocolors';
import type { AdminMirror, AdminOperation, AdminStatus } from './admin-client.js';
import { describePace, describeProgress } from './reconcile-text.js';
import { describeScrub } from './run-scrub.js';
import { formatBytes, formatCount, formatDuration, plural } from '../gateway/figures.js';
import { type Cell, cell, type Paint, renderTitled } from './text-table.js';

const conditionPaint: Readonly<Record<AdminMirror['condition'], Paint>> = {
  'in-sync': pico.green,
  rebuilding: pico.yellow,
  behind: pico.yellow,
  'no-space': pico.red,
  failed: pico.red,
  incompatible: pico.red,
  away: pico.red,
};

function mirrorRow({ mirror, url, condition, identity, lastSeenMs }: AdminMirror, nowMs: number): Cell[] {
  const isHere = condition !== 'away' && condition !== 'incompatible' && identity !== null;
  const oldestMs = identity?.oldestRowMs ?? null;
  const process = isHere
    ? `process ${identity.processId}`
    : lastSeenMs === null
      ? 'never seen'
      : `last seen ${formatDuration(nowMs - lastSeenMs)} ago`;
  return [
    cell(mirror),
    cell(condition, conditionPaint[condition]),
    cell(isHere ? formatCount(identity.objectCount) : '-'),
    cell(isHere ? formatCount(identity.rowCount) : '-'),
    cell(isHere ? formatBytes(identity.rowBytes) : '-'),
    cell(isHere && identity.rowCount > 0 && oldestMs !== null ? formatDuration(nowMs - oldestMs) : '-'),
    cell(url),
    cell(process, pico.dim),
  ];
}

export function isAllInSync(status: AdminStatus): boolean {
  return status.phase === 'active' && status.mirrors.every(({ condition }) => condition === 'in-sync');
}

/** One sentence: is it in sync, and if not, how much is left? */
export function summarize(status: AdminStatus): string {
  const { phase, mirrors, unmatchedWrites, unmatchedBytes, oldestUnmatchedMs, nowMs, waitingFor } = status;
  if (phase === 'waiting') return `Nobody is served: ${waitingFor ?? 'waiting'}.`;
  if (phase === 'recovering')
    return `Recovering: requests wait${waitingFor === null ? '' : ` (${waitingFor})`}.`;
  if (phase === 'stopped') return 'The gateway is stopping.';
  if (isAllInSync(status)) return 'All mirrors are in sync.';
  const missing = mirrors.filter(({ condition }) => condition !== 'in-sync').map(({ mirror }) => mirror);
  const copied = mirrors.filter(({ fullCopyReason }) => fullCopyReason !== null).map(({ mirror }) => mirror);
  const age =
    oldestUnmatchedMs === null ? '' : `, the oldest ${formatDuration(nowMs - oldestUnmatchedMs)} old`;
  const fullCopy = copied.length === 0 ? '' : ` ${copied.join(', ')} must be copied in full.`;
  return `Not in sync: ${missing.join(', ')} may lack ${plural(unmatchedWrites, 'write')}, ${formatBytes(unmatchedBytes)}${age}.${fullCopy}`;
}

const WHEN_NOBODY_COMES_BACK =
  'When who is missing never comes back: "tally force --mirror NAME" says what is lost by going on with another mirror, and asks before it does.';

function describeRunning({ id, reason, progress, startedMs }: AdminOperation, nowMs: number): string[] {
  const running = `Reconciliation ${id} is running: ${reason}.`;
  return progress === null ? [running] : [running, `${describeProgress(progress, nowMs - startedMs)}.`];
}

/** Nothing where the gateway sends the writes itself. */
function describeWriter({ writes, writer }: AdminStatus): string {
  if (writes === 'direct') return '';
  return writer === null ? ', forwarded to nobody just now' : `, forwarded to ${writer}`;
}

/** Lost objects that have a line of their own. */
const LOST_OBJECTS_SHOWN_MAX = 10;

function describeLost({ lostObjectCount, lostObjects }: AdminStatus): string[] {
  if (lostObjectCount === 0) return [];
  const lines = lostObjects.slice(0, LOST_OBJECTS_SHOWN_MAX).map((lost) => {
    const { bucket, key, version, lostBytes, sizeBytes, mirrors, kept } = lost;
    const name = version === '' ? `${bucket}/${key}` : `${bucket}/${key} (version ${version})`;
    const older = kept === null ? '' : `; ${kept.mirror} keeps what it was before`;
    return `  ${name}: ${formatBytes(lostBytes)} of ${formatBytes(sizeBytes)} (${mirrors.join(', ')})${older}`;
  });
  const left = lostObjectCount - lines.length;
  return [
    `${plural(lostObjectCount, 'object')} with bytes that are intact nowhere; write anew, remove, or see "tally force --object":`,
    ...lines,
    ...(left > 0 ? [`  and ${formatCount(left)} more`] : []),
  ];
}

export function renderStatus(status: AdminStatus): string {
  const { setId, epoch, phase, mirrors, nowMs, operation, pace, writesInFlight } = status;
  const titles = ['MIRROR', 'STATE', 'OBJECTS', 'ROWS', 'BYTES', 'OLDEST', 'URL', ''];
  const table = renderTitled(
    titles,
    mirrors.map((mirror) => mirrorRow(mirror, nowMs)),
  );
  const paint = isAllInSync(status) ? pico.green : phase === 'active' ? pico.yellow : pico.red;
  const lines = [
    `Mirror set ${setId}: ${phase}, epoch ${epoch}, ${plural(writesInFlight, 'write')} in flight${describeWriter(status)}`,
    '',
    table,
    '',
    paint(summarize(status)),
  ];
  for (const { advice } of mirrors) if (advice !== null) lines.push(`${advice}.`);
  if (phase === 'waiting') lines.push(WHEN_NOBODY_COMES_BACK);
  for (const { mirror, fullCopyReason } of mirrors) {
    if (fullCopyReason !== null) lines.push(`${mirror} needs a full copy: ${fullCopyReason}.`);
  }
  lines.push(...describeLost(status));
  for (const { words, epoch: atEpoch, atMs } of status.forced.slice(-1)) {
    const when = new Date(atMs).toISOString();
    lines.push(`At epoch ${atEpoch}, ${when}, an operator said, against the rules: "${words}".`);
  }
  for (const { mirror, identity } of mirrors) {
    const scrub = identity?.care.scrub ?? null;
    if (scrub !== null && (scrub.state === 'running' || scrub.objectsDamaged > 0 || scrub.failure !== null)) {
      lines.push(`${mirror}: ${describeScrub(scrub)}.`);
    }
  }
  if (operation !== null) lines.push(...describeRunning(operation, nowMs));
  if (pace !== null && (pace.isPaused || operation !== null)) {
    lines.push(`Copying while clients write: ${describePace(pace)}.`);
  }
  return lines.join('\n');
}
