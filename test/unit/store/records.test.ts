import fc from 'fast-check';
import { expect, it } from 'vitest';
import { makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import type { StoredExtent } from '../../../src/store/extent-map.js';
import { objectKey, toBlobId } from '../../../src/store/keys.js';
import { decodeObject, decodeObjectState, encodeObject } from '../../../src/store/records.js';
import { idOf } from './store-driver.js';

const KEY = objectKey(idOf('a'));
const lengths = fc.integer({ min: 1, max: 300 });
const sources = fc.oneof(
  lengths.map((length) => ({ length, source: { kind: 'inline' as const, bytes: Buffer.alloc(length, 7) } })),
  lengths.map((length) => ({ length, source: { kind: 'lost' as const } })),
  fc.tuple(lengths, fc.integer({ min: 1 }), fc.nat()).map(([length, blobId, blobOffset]) => ({
    length,
    source: { kind: 'blob' as const, blobId: toBlobId(blobId), blobOffset },
  })),
);
const objects = fc.record({
  map: fc.array(sources, { maxLength: 5 }).map((parts) => {
    let offset = 0;
    return parts.map((part): StoredExtent => {
      const extent = { ...part, offset };
      offset += part.length;
      return extent;
    });
  }),
  attributes: fc.string({ unit: 'grapheme', maxLength: 40 }),
  lastChecksum: fc.integer({ min: 0, max: 0xffffffff }),
  counter: fc.nat(),
});

it('what a listing reads of a record is the state that a read finds, and damage is found as well', () => {
  fc.assert(
    fc.property(objects, fc.nat(), ({ map, attributes, lastChecksum, counter }, at) => {
      const lastTag = makeTag({ epoch: toEpoch(3), counter, generator: toGeneratorId(1) });
      const sizeBytes = map.reduce((sum, { length }) => sum + length, 0);
      const state = { kind: 'present' as const, sizeBytes, lastTag, lastChecksum, attributes };
      const { value } = encodeObject(KEY, { kind: 'present', state, map });
      expect(decodeObjectState(KEY, value)).toEqual(state);
      expect(decodeObject(KEY, value).state).toEqual(state);
      value[at % value.length]! ^= 1;
      expect(() => decodeObjectState(KEY, value)).toThrow(expect.objectContaining({ code: 'damaged' }));
    }),
  );
});

it('the error for a damaged record carries text alone, since it goes to a log as it is', () => {
  let error: unknown = null;
  try {
    decodeObjectState(KEY, Buffer.alloc(20));
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ name: 'DamagedRecord', keyHex: KEY.toString('hex') });
  expect(Object.values(error as object).every((value) => typeof value === 'string')).toBe(true);
});
