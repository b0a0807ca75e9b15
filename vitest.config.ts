import { defineConfig } from 'vitest/config';

const oneSecondMs = 1_000;
const oneMinuteMs = 60_000;
/** Texts are compared without colours, which a CI variable would switch on. Child processes inherit it. */
const env = { NO_COLOR: '1' };
/** What is waited for comes, however busy the machine is; vitest's own second is a guess about the machine. */
const expected = { poll: { timeout: 15 * oneSecondMs, interval: 10 } };

/** What runs programs that npm does not bring: S3 clients, a browser, mount. They fail where one is missing. */
const needsPrograms = [
  'test/clients/{aws-cli,boto3,curl,duplicity,rclone,restic,s3cmd,s3fs}.test.ts',
  'test/browser/**/*.test.ts',
  'test/start/{installed,systemd,tls}.test.ts',
  'test/crash/full-disk.test.ts',
];

/** Four kinds of tests, which run one after another, so that the slow ones do not starve the quick ones. */
export default defineConfig({
  test: {
    coverage: { enabled: false, provider: 'v8', include: ['src/**/*.ts'] },
    projects: [
      {
        test: {
          name: 'unit',
          env,
          expect: expected,
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: '100%',
          testTimeout: 30 * oneSecondMs,
          hookTimeout: 30 * oneSecondMs,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'model',
          env,
          expect: expected,
          include: ['test/model/**/*.test.ts'],
          testTimeout: 3 * oneMinuteMs,
          hookTimeout: oneMinuteMs,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // These start real processes of ours, and wait for them most of the time: two files at a time.
        test: {
          name: 'processes',
          env,
          expect: expected,
          include: ['test/**/*.test.ts'],
          exclude: ['test/unit/**', 'test/model/**', ...needsPrograms],
          maxWorkers: 2,
          testTimeout: 3 * oneMinuteMs,
          hookTimeout: 2 * oneMinuteMs,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'programs',
          env,
          expect: expected,
          include: needsPrograms,
          maxWorkers: 2,
          testTimeout: 3 * oneMinuteMs,
          hookTimeout: 2 * oneMinuteMs,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
