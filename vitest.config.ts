import { defineConfig } from 'vitest/config';

const oneSecondMs = 1_000;
const oneMinuteMs = 60_000;
/** Texts are compared without colours, which a CI variable would switch on. Child processes inherit it. */
const env = { NO_COLOR: '1' };

/** Three kinds of tests, which run one after another, so that the slow ones do not starve the quick ones. */
export default defineConfig({
  test: {
    coverage: { enabled: false, provider: 'v8', include: ['src/**/*.ts'] },
    projects: [
      {
        test: {
          name: 'unit',
          env,
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 30 * oneSecondMs,
          hookTimeout: 30 * oneSecondMs,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'model',
          env,
          include: ['test/model/**/*.test.ts'],
          testTimeout: 3 * oneMinuteMs,
          hookTimeout: oneMinuteMs,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // All the rest starts real processes (crash, clients, browser): one file at a time.
        test: {
          name: 'processes',
          env,
          include: ['test/**/*.test.ts'],
          exclude: ['test/unit/**', 'test/model/**'],
          maxWorkers: 1,
          testTimeout: 3 * oneMinuteMs,
          hookTimeout: 2 * oneMinuteMs,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
