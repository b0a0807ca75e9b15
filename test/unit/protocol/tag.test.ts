import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COUNTER_MAX,
  EPOCH_MAX,
  GENERATOR_MAX,
  isLater,
  isTag,
  laterTag,
  makeTag,
  type Tag,
  tagCounter,
  tagEpoch,
  tagGenerator,
  TAG_LENGTH,
  type TagParts,
  toEpoch,
  toGeneratorId,
  toTag,
} from '../../../src/protocol/tag.js';

const parts: fc.Arbitrary<TagParts> = fc.record({
  epoch: fc.integer({ min: 0, max: EPOCH_MAX }).map(toEpoch),
  counter: fc.integer({ min: 0, max: COUNTER_MAX }),
  generator: fc.integer({ min: 0, max: GENERATOR_MAX }).map(toGeneratorId),
});

function compareParts(left: TagParts, right: TagParts): number {
  return left.epoch - right.epoch || left.counter - right.counter || left.generator - right.generator;
}

describe('a tag (DESIGN.md section 3.1)', () => {
  it('says its epoch, counter and generator', () => {
    fc.assert(
      fc.property(parts, (expected) => {
        const tag = makeTag(expected);
        expect(tag).toHaveLength(TAG_LENGTH);
        expect(toTag(tag)).toBe(tag);
        const { epoch, counter, generator } = expected;
        expect([tagEpoch(tag), tagCounter(tag), tagGenerator(tag)]).toEqual([epoch, counter, generator]);
      }),
    );
  });

  it('F13: orders as text by epoch, then counter, then generator', () => {
    fc.assert(
      fc.property(parts, parts, (left, right) => {
        const [a, b] = [makeTag(left), makeTag(right)];
        expect(Math.sign(compareParts(left, right))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  it('F13: a higher epoch makes a later tag, whatever the counter', () => {
    const generator = toGeneratorId(1);
    const old = makeTag({ epoch: toEpoch(1), counter: COUNTER_MAX, generator });
    expect(old < makeTag({ epoch: toEpoch(2), counter: 1, generator })).toBe(true);
  });

  it.each(['', 'x', '0'.repeat(27), '0'.repeat(29), 'G'.repeat(28), 'A'.repeat(28), 7, null, undefined])(
    'is no tag: %j',
    (text) => {
      expect(isTag(text)).toBe(false);
    },
  );

  it('is not made of text from outside that is none', () => {
    expect(() => toTag('0'.repeat(27))).toThrow(RangeError);
  });

  it.each([-1, 0.5, Number.NaN, EPOCH_MAX + 1])('is not made with the epoch %d', (value) => {
    expect(() => toEpoch(value)).toThrow(RangeError);
  });

  it.each([-1, 0.5, GENERATOR_MAX + 1])('is not made with the generator %d', (value) => {
    expect(() => toGeneratorId(value)).toThrow(RangeError);
  });

  it.each([-1, 0.5, COUNTER_MAX + 1])('is not made with the counter %d', (counter) => {
    expect(() => makeTag({ epoch: toEpoch(1), counter, generator: toGeneratorId(1) })).toThrow(/48 bits/);
  });
});

describe('the order of tags', () => {
  const tags: fc.Arbitrary<Tag | null> = fc.option(parts.map(makeTag));

  it('null, no write at all, is earlier than any tag', () => {
    const tag = makeTag({ epoch: toEpoch(0), counter: 0, generator: toGeneratorId(0) });
    expect([isLater(tag, null), isLater(null, tag), isLater(null, null), isLater(tag, tag)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect([laterTag(tag, null), laterTag(null, tag), laterTag(null, null)]).toEqual([tag, tag, null]);
  });

  it('the later of two is one of them, and neither is later than it', () => {
    fc.assert(
      fc.property(tags, tags, (left, right) => {
        const later = laterTag(left, right);
        expect([left, right]).toContain(later);
        expect([isLater(left, later), isLater(right, later)]).toEqual([false, false]);
      }),
    );
  });
});
