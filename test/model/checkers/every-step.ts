/** Every invariant of DESIGN.md section 6, one checker each, in the order in which they run after every step. */
import { checkLostBytes } from './lost-bytes.js';
import type { World } from '../world.js';
import { checkContents, checkOrder } from './i1-prefix.js';
import { checkAcknowledged } from './i2-acknowledged.js';
import { checkInSyncSet } from './i3-in-sync-set.js';
import { checkClearedRows } from './i4-cleared-rows.js';
import { checkDirection } from './i5-direction.js';
import { checkAdmission } from './i6-admission.js';
import { checkReconciled } from './i7-reconciled.js';

type Checker = (world: World) => void;

/** Those of what happened in a step. */
const EVENT_CHECKERS: readonly Checker[] = [
  checkOrder,
  checkInSyncSet,
  checkReconciled,
  checkDirection,
  checkAdmission,
  checkLostBytes,
];

/** Those of what is there after a step: a step that changed nothing of it needs none. */
const STATE_CHECKERS: readonly Checker[] = [checkContents, checkAcknowledged, checkClearedRows];

export function checkEveryStep(world: World): void {
  for (const check of EVENT_CHECKERS) check(world);
  if (world.hasChanged()) for (const check of STATE_CHECKERS) check(world);
}
