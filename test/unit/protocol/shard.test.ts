import { describe, expect, it } from 'vitest';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { writerOf } from '../../../src/protocol/shard.js';

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
});
