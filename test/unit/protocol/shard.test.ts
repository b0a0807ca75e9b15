import { describe, expect, it } from 'vitest';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { SETS_MAX } from '../../../src/protocol/placement.js';
import { generatorsOfWriters, hashOfName, writerOf } from '../../../src/protocol/shard.js';
import { toGeneratorId } from '../../../src/protocol/tag.js';

describe('shards of objects', () => {
  it('all that belongs to one name has one writer', () => {
    for (let at = 0; at < 50; at += 1) {
      const current = writerOf(makeObjectId('bucket', `photos/${at}.jpg`), 5);
      expect(writerOf(makeObjectId('.versions.bucket', `photos/${at}.jpg`, 'v1'), 5)).toBe(current);
    }
  });

  it('names are spread evenly, those that count up too', () => {
    for (const writers of [2, 3, 8]) {
      const counts = new Array<number>(writers).fill(0);
      for (let at = 0; at < 4000; at += 1) {
        const index = writerOf(makeObjectId('bucket', `key-${at}`), writers);
        counts[index] = (counts[index] ?? 0) + 1;
      }
      for (const count of counts) {
        expect(count).toBeGreaterThan((4000 / writers) * 0.85);
        expect(count).toBeLessThan((4000 / writers) * 1.15);
      }
    }
  });

  it('I1: each writer has a generator of its own, that no set has', () => {
    expect(generatorsOfWriters(toGeneratorId(3), 2)).toEqual([SETS_MAX + 3, 2 * SETS_MAX + 3]);
    const all = [0, 1, 2].flatMap((set) => generatorsOfWriters(toGeneratorId(set), 8));
    expect(new Set(all).size).toBe(24);
  });

  it('the hash is fixed: all processes of a gateway have the same one', () => {
    expect(['', 'a', 'key-1'].map(hashOfName)).toMatchInlineSnapshot(`
      [
        1572119809,
        1469464775,
        2160632839,
      ]
    `);
  });

  it('an object has a writer, if anybody writes', () => {
    expect(writerOf(makeObjectId('bucket', 'a'), 1)).toBe(0);
    expect(() => writerOf(makeObjectId('bucket', 'a'), 0)).toThrow(InvariantViolation);
  });
});
