/**
 * The tests that mutants of the reconciler are put before: its own, without a network between the mirrors. Those on real disks
 * would kill no more, and take ten times as long.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    env: { NO_COLOR: '1', TALLY_FLEET: 'in-process' },
    include: ['test/unit/osd/{reconcile-*,copy-pacer}.test.ts'],
    exclude: ['test/unit/osd/reconcile-disk.test.ts'],
    maxWorkers: 1,
    testTimeout: 10_000,
    isolate: false,
  },
});
