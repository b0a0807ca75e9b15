/**
 * The tests that mutants of `protocol` are put before: its own. The model's would kill more, and take a hundred times as long: every
 * trace comes by every rule.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    env: { NO_COLOR: '1' },
    include: ['test/unit/protocol/**/*.test.ts'],
    maxWorkers: 1,
    testTimeout: 60_000,
    isolate: false,
  },
});
