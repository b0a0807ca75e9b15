/** Every invariant of DESIGN.md section 6, one checker each, in the order in which they run after every step. */
import type { World } from '../world.js';
import { checkPrefix } from './i1-prefix.js';
import { checkAcknowledged } from './i2-acknowledged.js';
import { checkInSyncSet } from './i3-in-sync-set.js';
import { checkClearedRows } from './i4-cleared-rows.js';
import { checkDirection } from './i5-direction.js';
import { checkAdmission } from './i6-admission.js';
import { checkReconciled } from './i7-reconciled.js';

type Checker = (world: World) => void;

const CHECKERS: readonly Checker[] = [
  checkPrefix,
  checkInSyncSet,
  checkReconciled,
  checkAcknowledged,
  checkClearedRows,
  checkDirection,
  checkAdmission,
];

export function checkEveryStep(world: World): void {
  for (const check of CHECKERS) check(world);
}
