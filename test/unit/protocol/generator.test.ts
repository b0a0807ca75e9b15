import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TagGenerator } from '../../../src/protocol/generator.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { type Tag, tagCounter, tagEpoch, tagGenerator, toEpoch } from '../../../src/protocol/tag.js';
import { GENERATOR, tagOf } from './protocol-builders.js';

function newGenerator(): TagGenerator {
  return new TagGenerator(GENERATOR, toEpoch(3));
}

describe('a tag generator (DESIGN.md section 3.1)', () => {
  it('counts up by one, in its epoch and under its own name', () => {
    const generator = newGenerator();
    const tags = [generator.issue(), generator.issue(), generator.issue()];
    expect(tags.map(tagCounter)).toEqual([1, 2, 3]);
    expect(tags.map(tagEpoch)).toEqual([3, 3, 3]);
    expect(tags.map(tagGenerator)).toEqual([1, 1, 1]);
  });

  it('F13: starts over only under a higher epoch, with nothing in flight', () => {
    const generator = newGenerator();
    const tag = generator.issue();
    expect(() => generator.advance(toEpoch(4))).toThrow(InvariantViolation);
    generator.settle(tag);
    expect(() => generator.advance(toEpoch(3))).toThrow(InvariantViolation);
    generator.advance(toEpoch(4));
    expect(generator.epoch).toBe(4);
    expect(generator.issue()).toBe(tagOf(4, 1));
  });

  it('settles a tag once', () => {
    const generator = newGenerator();
    const tag = generator.issue();
    expect(generator.isInFlight(tag)).toBe(true);
    generator.settle(tag);
    expect(generator.isInFlight(tag)).toBe(false);
    expect(() => generator.settle(tag)).toThrow(InvariantViolation);
  });

  it('F22: its floor is the lowest tag in flight, or the next one, and never falls', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 6 })), (choices) => {
        const generator = newGenerator();
        const inFlight: Tag[] = [];
        let before = generator.floor();
        for (const choice of choices) {
          const [settled] = inFlight.splice(choice, 1);
          if (settled === undefined) inFlight.push(generator.issue());
          else generator.settle(settled);
          const floor = generator.floor();
          expect(floor >= before).toBe(true);
          expect(generator.inFlightCount).toBe(inFlight.length);
          expect(inFlight.every((tag) => tag >= floor)).toBe(true);
          if (inFlight.length > 0) expect(inFlight).toContain(floor);
          before = floor;
        }
        expect(generator.issue() >= before).toBe(true);
      }),
    );
  });
});
