import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PassingMap } from '../../../src/protocol/passing-map.js';

describe('a map whose entries come and go', () => {
  it('is like any other map, its order included, however many have gone', () => {
    const key = fc.integer({ min: 0, max: 9 });
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.boolean()), { minLength: 1, maxLength: 60 }), (steps) => {
        const passing = new PassingMap<number, number>();
        const plain = new Map<number, number>();
        // Round and round, so that far more entries go than stay.
        for (let round = 0; round < 100; round += 1) {
          for (const [name, isSet] of steps) {
            if (isSet) {
              passing.set(name, round);
              plain.set(name, round);
            } else {
              expect(passing.delete(name)).toBe(plain.delete(name));
            }
            expect(passing.firstKey()).toBe([...plain.keys()][0]);
          }
        }
        expect([...passing.values()]).toEqual([...plain.values()]);
        expect(passing.size).toBe(plain.size);
        for (let name = 0; name < 10; name += 1) {
          expect(passing.get(name)).toBe(plain.get(name));
          expect(passing.has(name)).toBe(plain.has(name));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is empty once it is cleared', () => {
    const passing = new PassingMap<string, number>();
    passing.set('key', 1);
    passing.clear();
    expect([passing.size, passing.firstKey(), passing.get('key')]).toEqual([0, undefined, undefined]);
  });
});
