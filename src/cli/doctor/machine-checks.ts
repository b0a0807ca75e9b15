/** This machine: Node, the clock, and who may read the secrets. */
import { stat } from 'node:fs/promises';
import { formatDuration } from '../../gateway/figures.js';
import { systemCodeOf } from '../system-error.js';
import { fail, type Finding, ok, warn } from './finding.js';

const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 19;
/** Nobody ran this before it was written. */
const CLOCK_MIN_MS = Date.UTC(2025, 0, 1);
const SKEW_WARN_MS = 5000;
/** S3 refuses signatures that are further off. */
const SKEW_FAIL_MS = 15 * 60 * 1000;

/** `version`: as in process.versions.node. */
export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNewEnough = major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN);
  return isNewEnough
    ? ok('node', `Node ${version}`)
    : fail('node', `Node ${version}`, `Install Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer.`);
}

/** `gatewayMs`: the gateway's clock at the same time; null: it does not answer. */
export function judgeClock(nowMs: number, gatewayMs: number | null): Finding {
  const time = new Date(nowMs).toISOString();
  if (nowMs < CLOCK_MIN_MS) return fail('clock', `it is ${time} here`, 'Set the clock, and run NTP.');
  if (gatewayMs === null) return ok('clock', `it is ${time} here; the gateway was not asked`);
  const skewMs = Math.abs(nowMs - gatewayMs);
  const message = `it is ${time} here, ${formatDuration(skewMs)} off the gateway's`;
  const advice = 'Run NTP on both: clients whose clock is 15 minutes off are refused.';
  if (skewMs > SKEW_FAIL_MS) return fail('clock', message, advice);
  return skewMs > SKEW_WARN_MS ? warn('clock', message, advice) : ok('clock', message);
}

function judgeSecretMode(path: string, mode: number): Finding {
  const octal = (mode & 0o777).toString(8).padStart(3, '0');
  const message = `${path} has mode ${octal}`;
  if ((mode & 0o007) !== 0) return fail('secret', `${message}: everybody may use it`, `chmod 600 ${path}`);
  if ((mode & 0o070) !== 0) return warn('secret', `${message}: its group may use it`, `chmod 600 ${path}`);
  return ok('secret', message);
}

/** `isNeeded`: without it a service does not start. */
export async function examineSecret(path: string, isNeeded: boolean): Promise<readonly Finding[]> {
  try {
    return [judgeSecretMode(path, (await stat(path)).mode)];
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ENOENT' && !isNeeded) return [];
    return [
      fail(
        'secret',
        `${path} can't be looked at (${code ?? 'unknown'})`,
        'Put it there, or correct the configuration.',
      ),
    ];
  }
}
