import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { EPOCH_NONE, makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import {
  type ClearContext,
  type ClearRequest,
  decideClear,
  makeToken,
  mayDropTombstone,
  parseToken,
  raiseFloor,
  toStoreId,
  toToken,
  type TombstoneContext,
} from '../../../src/protocol/token.js';
import { GENERATOR, OBJECT, SET, storeIdOf, tagOf } from './protocol-builders.js';

describe('a token (DESIGN.md section 3.4)', () => {
  it('names a store, a commit, a tag and an object, also after a way through text', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (index, commitSequence) => {
        const parts = { storeId: storeIdOf(index), commitSequence, tag: tagOf(2, index), objectId: OBJECT };
        expect(parseToken(toToken(makeToken(parts)))).toEqual(parts);
      }),
    );
  });

  it('is read whole or not at all', () => {
    const token = makeToken({ storeId: storeIdOf(1), commitSequence: 3, tag: tagOf(1, 1), objectId: OBJECT });
    const objectLength = OBJECT.length;
    for (let length = 0; length < token.length - objectLength; length += 1) {
      expect(() => parseToken(toToken(token.slice(0, length)))).toThrow(RangeError);
    }
    expect(() => parseToken(toToken(token.replace('\u0000', '-')))).toThrow(RangeError);
    const withBadSequence = `${token.slice(0, 32)}${'z'.repeat(14)}${token.slice(46)}`;
    expect(() => parseToken(toToken(withBadSequence))).toThrow(RangeError);
  });

  it.each(['', '0'.repeat(31), 'G'.repeat(32)])('is of no store %j', (text) => {
    expect(() => toStoreId(text)).toThrow(RangeError);
  });
});

describe('the clearing of a row (DESIGN.md sections 3.7 and 4)', () => {
  const context: ClearContext = {
    setId: SET,
    storeId: storeIdOf(0),
    commitSequence: 10,
    fencedEpoch: toEpoch(3),
    activeEpoch: toEpoch(3),
  };
  const token = { storeId: storeIdOf(0), commitSequence: 10, tag: tagOf(3, 1), objectId: OBJECT };
  const request: ClearRequest = { setId: SET, epoch: toEpoch(3), token, witnesses: [] };
  const verdictOf = (change: Partial<ClearRequest>, inContext: Partial<ClearContext> = {}): string => {
    const verdict = decideClear({ ...context, ...inContext }, { ...request, ...change });
    return verdict.kind === 'clear' ? 'clear' : verdict.code;
  };

  it('a token of this store, up to its own commit sequence, clears, whatever the epoch of its tag', () => {
    expect(verdictOf({})).toBe('clear');
    const older = { ...token, tag: tagOf(1, 1) };
    expect(verdictOf({ token: older })).toBe('clear');
  });

  it('F14: a clear of a lower epoch bounces; one of another epoch than the active too (I6)', () => {
    expect(verdictOf({ epoch: toEpoch(2) })).toBe('stale-epoch');
    expect(verdictOf({ epoch: toEpoch(4) })).toBe('not-active');
    expect(verdictOf({}, { activeEpoch: EPOCH_NONE })).toBe('not-active');
  });

  it('F10: a token from beyond the store’s own commit sequence says that it lost state', () => {
    expect(verdictOf({ token: { ...token, commitSequence: 11 } })).toBe('state-lost');
  });

  it('F17: a witness of this store from beyond its own commit sequence says the same; one of another store does not', () => {
    expect(verdictOf({ witnesses: [{ storeId: storeIdOf(0), commitSequence: 11 }] })).toBe('state-lost');
    expect(verdictOf({ witnesses: [{ storeId: storeIdOf(1), commitSequence: 11 }] })).toBe('clear');
  });

  it('F16: a token of another store clears nothing', () => {
    expect(verdictOf({ token: { ...token, storeId: storeIdOf(1), commitSequence: 99 } })).toBe(
      'foreign-token',
    );
  });

  it('a clear of another set clears nothing', () => {
    expect(verdictOf({ setId: 'set-1' })).toBe('wrong-set');
  });
});

describe('a tombstone', () => {
  const context: TombstoneContext = {
    lastTag: tagOf(3, 5),
    hasRow: false,
    floor: tagOf(3, 6),
    fencedEpoch: toEpoch(3),
    rebuilding: false,
  };
  const mayDrop = (change: Partial<TombstoneContext>): boolean => mayDropTombstone({ ...context, ...change });

  it('goes when its row is cleared and the floor has passed it', () => {
    expect(mayDrop({})).toBe(true);
  });

  it('F20: stays while it has a row', () => {
    expect(mayDrop({ hasRow: true })).toBe(false);
    expect(mayDrop({ hasRow: true, fencedEpoch: toEpoch(9) })).toBe(false);
  });

  it('F21: stays while the floor has not passed it', () => {
    expect(mayDrop({ floor: tagOf(3, 5) })).toBe(false);
    expect(mayDrop({ floor: null })).toBe(false);
  });

  it('goes when its whole epoch is fenced off, floor or not', () => {
    expect(mayDrop({ floor: null, fencedEpoch: toEpoch(4) })).toBe(true);
  });

  it('F35: stays on a mirror that is being rebuilt', () => {
    expect(mayDrop({ rebuilding: true, fencedEpoch: toEpoch(9) })).toBe(false);
  });
});

describe('the floor that a store keeps', () => {
  it('F22: rises only, and for each generator on its own', () => {
    const floors = new Map([[GENERATOR, tagOf(2, 5)]]);
    expect(raiseFloor(floors, tagOf(2, 4))).toBe(tagOf(2, 5));
    expect(raiseFloor(floors, tagOf(2, 6))).toBe(tagOf(2, 6));
    const other = makeTag({ epoch: toEpoch(1), counter: 1, generator: toGeneratorId(2) });
    expect(raiseFloor(floors, other)).toBe(other);
  });
});

describe('object ids in tokens', () => {
  it('may be of any name', () => {
    const objectId = makeObjectId('bucket', 'ä/\n \u{1f600}', 'v1');
    const parts = { storeId: storeIdOf(0), commitSequence: 0, tag: tagOf(1, 1), objectId };
    expect(parseToken(makeToken(parts))).toEqual(parts);
  });
});
