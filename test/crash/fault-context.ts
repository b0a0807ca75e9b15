/** What every fault works on. */
import { sleep } from '../support/patience.js';
import type { SeededRandom } from '../support/seeded-random.js';
import type { OsdHandle, TallySystem } from '../support/tally-system.js';
import type { Disks } from './disks.js';
import type { Traffic } from './traffic.js';

export interface FaultContext {
  /** With links. */
  readonly system: TallySystem;
  readonly bucket: string;
  readonly traffic: Traffic;
  readonly random: SeededRandom;
  /** Null: the OSDs share the disk of this machine, which nobody fills. */
  readonly disks: Disks | null;
  /** The fault takes away the gateway or the last mirror in sync too: from now on writes may be turned away. */
  readonly onOutage: () => void;
}

export type Fault = (context: FaultContext) => Promise<void>;

/** An exclusion "takes at most a few seconds" (issue 2); these machines are shared and slow. */
export const EXCLUDED_WITHIN_MS = 20_000;

export function pickOsd({ system, random }: FaultContext): OsdHandle {
  return random.pick(system.osds);
}

/** Mostly moments, now and then long enough for everybody to notice. */
export async function pause({ random }: FaultContext): Promise<void> {
  await sleep(random.chance(0.7) ? random.integer(0, 400) : random.integer(400, 4000));
}
