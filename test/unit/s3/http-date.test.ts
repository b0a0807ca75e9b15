import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toIsoDate } from '../../../src/s3/http-date.js';

const DAY_MS = 24 * 60 * 60 * 1000;

it('a date is written as ISO 8601 has it, whichever one was written before', () => {
  const times = fc.oneof(
    fc.integer({ min: 0, max: 2 * 60_000 }),
    fc.integer({ min: -DAY_MS, max: 400_000 * DAY_MS }),
  );
  fc.assert(
    fc.property(fc.array(times, { minLength: 1 }), (all) => {
      expect(all.map(toIsoDate)).toEqual(all.map((timeMs) => new Date(timeMs).toISOString()));
    }),
  );
  expect(() => toIsoDate(Number.NaN)).toThrow(RangeError);
});
