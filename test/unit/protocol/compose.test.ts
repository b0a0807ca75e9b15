import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ComposeSource,
  composedBytes,
  composeText,
  isSourceAsExpected,
} from '../../../src/protocol/compose.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { OBJECT, presentState, tagOf, tombstone } from './protocol-builders.js';

const SOURCE: ComposeSource = {
  objectId: OBJECT,
  expectedTag: tagOf(1, 1),
  extent: { offset: 2, length: 8 },
};

describe('content that is made of stored objects', () => {
  it('has the bytes of all its sources', () => {
    expect(composedBytes([])).toBe(0);
    expect(composedBytes([SOURCE, { ...SOURCE, extent: { offset: 0, length: 3 } }])).toBe(11);
  });

  it('takes a source exactly in the state that the writer meant, and inside its size', () => {
    expect(isSourceAsExpected(SOURCE, presentState(tagOf(1, 1), 10))).toBe(true);
    expect(isSourceAsExpected(SOURCE, presentState(tagOf(1, 1), 9))).toBe(false);
    expect(isSourceAsExpected(SOURCE, presentState(tagOf(1, 2), 10))).toBe(false);
    expect(isSourceAsExpected(SOURCE, tombstone(tagOf(1, 1)))).toBe(false);
    expect(isSourceAsExpected(SOURCE, null)).toBe(false);
    for (const extent of [
      { offset: -1, length: 2 },
      { offset: 2, length: -1 },
    ]) {
      expect(isSourceAsExpected({ ...SOURCE, extent }, presentState(tagOf(1, 1), 10))).toBe(false);
    }
  });

  it('F24: two lists of sources have the same text only when they are the same', () => {
    const source = fc.record({
      objectId: fc.stringMatching(/^[a\n 0-9]{1,6}$/).map((name) => makeObjectId('b', name)),
      expectedTag: fc.nat({ max: 3 }).map((counter) => tagOf(1, counter)),
      extent: fc.record({ offset: fc.nat({ max: 12 }), length: fc.nat({ max: 12 }) }),
    });
    const sources = fc.array(source, { maxLength: 3 });
    fc.assert(
      fc.property(sources, sources, (left, right) => {
        expect(composeText(left) === composeText(right)).toBe(JSON.stringify(left) === JSON.stringify(right));
      }),
      { numRuns: 500 },
    );
  });
});
