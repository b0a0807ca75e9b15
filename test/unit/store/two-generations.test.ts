import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TwoGenerations } from '../../../src/store/two-generations.js';

const WEIGHT_MAX = 10;

type Step = { readonly kind: 'keep' | 'get' | 'take'; readonly key: number };

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('keep' as const, 'get' as const, 'take' as const),
  key: fc.nat(15),
});

describe('what is kept in two generations', () => {
  it('weighs no more than is allowed, is what was kept last for its key, and is gone once it was taken', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 200 }), (history) => {
        const kept = new TwoGenerations<number, { readonly weight: number }>(
          WEIGHT_MAX,
          ({ weight }) => weight,
        );
        const last = new Map<number, { readonly weight: number }>();
        for (const { kind, key } of history) {
          const found = kind === 'get' ? kept.get(key) : kept.take(key);
          if (found !== undefined) expect(found).toBe(last.get(key));
          if (kind === 'take') last.delete(key);
          if (kind !== 'keep') continue;
          const value = { weight: 1 + (key % 3) };
          last.set(key, value);
          kept.keep(key, value);
        }
        const here = [...last.keys()].map((key) => kept.take(key)).filter((value) => value !== undefined);
        expect(here.reduce((sum, { weight }) => sum + weight, 0)).toBeLessThanOrEqual(WEIGHT_MAX + 3);
        expect([...last.keys()].every((key) => kept.take(key) === undefined)).toBe(true);
      }),
    );
  });

  it('what is asked for now and then stays, however much else comes', () => {
    const kept = new TwoGenerations<string, string>(WEIGHT_MAX, () => 1);
    kept.keep('wanted', 'x');
    for (let other = 0; other < 100; other += 1) {
      kept.keep(`other-${other}`, 'y');
      if (other % 3 === 0) expect(kept.get('wanted')).toBe('x');
    }
    expect(kept.get('other-50')).toBeUndefined();
  });
});
