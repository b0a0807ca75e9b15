/**
 * A slice of the crash points (main.ts runs them all): a few scenarios, each with power failing before and after every
 * call of a disk, and once more in the recovery.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreFolders } from './crash-rig.js';
import { CrashBase } from './crash-run.js';
import { everyPoint, type Variant } from './every-point.js';
import { SCENARIOS } from './scenarios.js';

let folders: StoreFolders;
let base: CrashBase;

beforeAll(async () => {
  folders = await StoreFolders.make(2);
  base = await CrashBase.make(folders);
});

afterAll(() => folders.remove());

/** Scenarios of the slice: every so many of the list. */
const STRIDE = 30;

const variants: readonly Variant[] = [
  { kind: 'dropped', isOfAll: true },
  { kind: 'torn', isOfAll: true },
  { kind: 'kept', isOfAll: false },
];

describe.each(variants)(
  'whatever is left of the disks ($kind, power fails everywhere: $isOfAll)',
  (variant) => {
    it.each(SCENARIOS.filter((_, index) => index % STRIDE === 0))(
      '%s: every point converges',
      async (scenario) => {
        const { points, failures } = await everyPoint(base, scenario, variant, {
          secondEvery: 12,
          seen: new Set(),
        });
        expect(failures).toEqual([]);
        expect(points).toBeGreaterThan(1);
      },
    );
  },
);
