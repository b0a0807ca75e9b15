import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clipExtents,
  complementExtents,
  type Extent,
  extentBytes,
  extentEnd,
  uniteExtents,
} from '../../../src/protocol/extent.js';

const SIZE = 40;
const extent: fc.Arbitrary<Extent> = fc.record({
  offset: fc.nat({ max: SIZE }),
  length: fc.nat({ max: 12 }),
});
const extents = fc.array(extent, { maxLength: 8 });

/** The byte positions of some extents: what the functions work on, one by one. */
function positions(set: readonly Extent[]): Set<number> {
  return new Set(set.flatMap(({ offset, length }) => Array.from({ length }, (_, at) => offset + at)));
}

function expectIsSet(set: readonly Extent[]): void {
  for (const [index, { offset, length }] of set.entries()) {
    expect(length).toBeGreaterThan(0);
    const next = set[index + 1];
    if (next !== undefined) expect(next.offset).toBeGreaterThan(offset + length);
  }
}

describe('extents', () => {
  it('F5: a union has exactly the bytes of its members, sorted, with none empty, touching or overlapping', () => {
    fc.assert(
      fc.property(extents, (list) => {
        const united = uniteExtents(list);
        expectIsSet(united);
        expect(positions(united)).toEqual(positions(list));
        expect(extentBytes(united)).toBe(positions(list).size);
      }),
    );
  });

  it('a union leaves its arguments as they are', () => {
    const list: Extent[] = [
      { offset: 5, length: 5 },
      { offset: 0, length: 6 },
    ];
    uniteExtents(list);
    expect(list).toEqual([
      { offset: 5, length: 5 },
      { offset: 0, length: 6 },
    ]);
  });

  it('a clipped set has the bytes below the size', () => {
    fc.assert(
      fc.property(extents, fc.nat({ max: SIZE }), (list, size) => {
        const clipped = clipExtents(uniteExtents(list), size);
        expectIsSet(clipped);
        expect(positions(clipped)).toEqual(new Set([...positions(list)].filter((at) => at < size)));
      }),
    );
  });

  it('a complement has the bytes of the whole that the set has not', () => {
    fc.assert(
      fc.property(extents, extent, (list, whole) => {
        const gaps = complementExtents(uniteExtents(list), whole);
        expectIsSet(gaps);
        const has = positions(list);
        expect(positions(gaps)).toEqual(new Set([...positions([whole])].filter((at) => !has.has(at))));
      }),
    );
  });

  it('ends before its end: extents are half-open', () => {
    expect(extentEnd({ offset: 3, length: 4 })).toBe(7);
    expect(
      uniteExtents([
        { offset: 0, length: 3 },
        { offset: 3, length: 2 },
      ]),
    ).toEqual([{ offset: 0, length: 5 }]);
    expect(clipExtents([{ offset: 3, length: 4 }], 3)).toEqual([]);
  });
});
