/** The tests that mutants of `protocol` are put before: quick ones, that say which rule is broken. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    env: { NO_COLOR: '1' },
    include: ['test/unit/protocol/**/*.test.ts', 'test/model/failures/**/*.test.ts'],
    maxWorkers: 1,
  },
});
