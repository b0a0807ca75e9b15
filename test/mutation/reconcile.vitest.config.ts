/** The tests that mutants of the reconciler are put before. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    env: { NO_COLOR: '1' },
    include: ['test/unit/osd/{reconcile-*,copy-pacer}.test.ts'],
    maxWorkers: 1,
    testTimeout: 60_000,
  },
});
