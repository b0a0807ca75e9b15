/** What power failing everywhere leaves: the disks, and what the authority had saved. */
import { createHash } from 'node:crypto';
import type { AuthorityState } from '../../../src/protocol/authority-state.js';
import type { SimulatedStoreDisk } from './simulated-store-disk.js';

export interface CrashState {
  /** Each as a crash leaves it; by mirror. */
  readonly disks: readonly SimulatedStoreDisk[];
  readonly authority: AuthorityState | null;
}

/** The names of runs: of OSDs, and of gateways. Which one it was matters only where it comes again. */
const RUN = /osd-\d+ run \d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Two states with the same one are recovered from in the same way. */
export function fingerprintOf({ disks, authority }: CrashState): string {
  const hash = createHash('sha1');
  for (const disk of disks) disk.describeTo(hash.update('disk\n'));
  const runs = new Map<string, number>();
  const text = JSON.stringify(authority).replaceAll(RUN, (run) => {
    if (!runs.has(run)) runs.set(run, runs.size);
    return `run ${runs.get(run)}`;
  });
  return hash.update(text).digest('base64');
}
