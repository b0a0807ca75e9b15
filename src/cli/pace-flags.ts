/** `tally reconcile --pace 20MiB/s`, `--pause`, `--resume` as a change of the pace. */
import type { AdminPaceChange } from './admin-client.js';
import {
  COPY_BYTES_PER_SECOND_MIN,
  COPY_SHARE_PERCENT_MAX,
  COPY_SHARE_PERCENT_MIN,
} from '../protocol/pace.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

const UNIT_BYTES: Readonly<Record<string, number>> = {
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
};

export interface PaceFlags {
  readonly pace?: string;
  readonly pause?: boolean;
  readonly resume?: boolean;
  readonly wait?: boolean;
}

function usage(message: string): never {
  throw new OperationalError('usage', EXIT.usage, message);
}

/** Null: none of the flags was given. Throws OperationalError. */
export function readPaceFlags({ pace, pause, resume, wait }: PaceFlags): AdminPaceChange | null {
  if (pause === true && resume === true) usage('--pause and --resume contradict each other.');
  if (pace === undefined && pause !== true && resume !== true) return null;
  if (wait === true) usage('--wait does not go with --pace, --pause and --resume: they start nothing.');
  return {
    ...(pace !== undefined && parsePace(pace)),
    ...(pause === true && { isPaused: true }),
    ...(resume === true && { isPaused: false }),
  };
}

/** `20MiB/s` limits bytes, `50%` limits the share, `unlimited` lifts both. Throws OperationalError. */
export function parsePace(text: string): AdminPaceChange {
  if (text === 'unlimited') return { bytesPerSecond: null, sharePercent: COPY_SHARE_PERCENT_MAX };
  const share = /^(\d+)\s*%$/.exec(text)?.[1];
  if (share !== undefined) {
    const sharePercent = Number(share);
    if (sharePercent < COPY_SHARE_PERCENT_MIN || sharePercent > COPY_SHARE_PERCENT_MAX) {
      usage(`--pace needs a share from ${COPY_SHARE_PERCENT_MIN}% to ${COPY_SHARE_PERCENT_MAX}%.`);
    }
    return { sharePercent };
  }
  const [, figure, unit = ''] = /^(\d+(?:\.\d+)?)\s*(\w+)\/s$/.exec(text) ?? [];
  const unitBytes = UNIT_BYTES[unit];
  if (figure === undefined || unitBytes === undefined) {
    usage(`--pace needs something like 20MiB/s, 50% or unlimited, not "${text}".`);
  }
  const bytesPerSecond = Math.round(Number(figure) * unitBytes);
  if (bytesPerSecond < COPY_BYTES_PER_SECOND_MIN || !Number.isSafeInteger(bytesPerSecond)) {
    usage('--pace needs at least 1MiB/s; --pause stops it altogether.');
  }
  return { bytesPerSecond };
}
