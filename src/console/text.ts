/** Figures and states in words. */
import type { Mirror, Status } from './api.ts';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit] ?? ''}`;
}

function inTwoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return inTwoUnits(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? inTwoUnits(hours, 'h', minutes % 60, 'min') : `${Math.floor(hours / 24)} days`;
}

export function formatCount(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${count === 1 ? noun : `${noun}s`}`;
}

/** Of another day than today: with its date. */
export function formatTime(atMs: number): string {
  const at = new Date(atMs);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString('sv') : at.toLocaleString('sv').slice(0, 'yyyy-mm-dd hh:mm'.length);
}

export const CONDITION_WORDS: Readonly<Record<Mirror['condition'], string>> = {
  'in-sync': 'in sync',
  rebuilding: 'catching up',
  behind: 'behind',
  'no-space': 'out of disk space',
  failed: 'out with a failed disk',
  incompatible: 'of another version',
  away: 'away',
};

export type Mood = 'good' | 'busy' | 'bad';

export interface Headline {
  readonly mood: Mood;
  readonly title: string;
  readonly detail: string;
}

function unmatched({ unmatchedWrites, unmatchedBytes, oldestUnmatchedMs, nowMs }: Status): string {
  if (unmatchedWrites === 0) return 'No write is missing so far.';
  const age =
    oldestUnmatchedMs === null ? '' : ` The oldest is ${formatDuration(nowMs - oldestUnmatchedMs)} old.`;
  return `${formatCount(unmatchedWrites, 'write')}, ${formatBytes(unmatchedBytes)} to copy.${age}`;
}

/** The answer to "is it in sync, and if not, how much is left?". */
export function headlineOf(status: Status): Headline {
  const { phase, waitingFor, mirrors } = status;
  if (phase === 'waiting') {
    const otherwise = 'If it never comes back, "tally force" tells what is lost by going on without it.';
    return {
      mood: 'bad',
      title: 'Nobody is served',
      detail: `Waiting: ${waitingFor ?? 'for a mirror'}. ${otherwise}`,
    };
  }
  if (phase === 'stopped') return { mood: 'bad', title: 'The gateway is stopping', detail: '' };
  if (phase === 'recovering') {
    return { mood: 'busy', title: 'Making certain who has what', detail: 'Requests wait for a moment.' };
  }
  const others = mirrors.filter(({ condition }) => condition !== 'in-sync');
  if (others.length === 0) {
    return {
      mood: 'good',
      title: mirrors.length === 2 ? 'Both mirrors are in sync' : `All ${mirrors.length} mirrors are in sync`,
      detail: 'Every acknowledged write is on each of them.',
    };
  }
  const title = others
    .map(({ mirror, condition }) => `${mirror} is ${CONDITION_WORDS[condition]}`)
    .join(', ');
  const isAway = others.some(({ condition }) => condition !== 'behind' && condition !== 'rebuilding');
  return { mood: isAway ? 'bad' : 'busy', title, detail: unmatched(status) };
}
