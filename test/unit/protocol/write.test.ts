import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { EPOCH_NONE, toEpoch } from '../../../src/protocol/tag.js';
import {
  applyWrite,
  decideWrite,
  type ObjectState,
  rowOfWrite,
  type WriteContext,
  type WriteKind,
  type WriteTransaction,
} from '../../../src/protocol/write.js';
import { presentState, rowOf, SET, tagOf, tombstone, writeOf } from './protocol-builders.js';

const BUILDING: readonly WriteKind[] = ['range-write', 'extend', 'set-attributes'];
const REPLACING: readonly WriteKind[] = ['replace', 'remove'];
const KINDS: readonly WriteKind[] = [...REPLACING, ...BUILDING];

function contextOf(object: ObjectState | null, change: Partial<WriteContext> = {}): WriteContext {
  const epoch = toEpoch(1);
  return { setId: SET, fencedEpoch: epoch, activeEpoch: epoch, floor: null, row: null, object, ...change };
}

/** A write that is in order after a present object of ten bytes at tag (1, 1). */
function fitting(kind: WriteKind, change: Partial<WriteTransaction> = {}): WriteTransaction {
  return writeOf(kind, kind === 'extend' ? { offset: 10, mode: 'extend', ...change } : change);
}

const BASE = presentState(tagOf(1, 1));

describe('a write that an OSD takes (DESIGN.md section 4)', () => {
  it.each(KINDS)('%s: applied once, in order', (kind) => {
    expect(decideWrite(contextOf(BASE), fitting(kind))).toEqual({ kind: 'apply' });
  });

  it.each(REPLACING)('%s: needs no object', (kind) => {
    expect(decideWrite(contextOf(null), writeOf(kind))).toEqual({ kind: 'apply' });
    expect(decideWrite(contextOf(tombstone(tagOf(1, 4))), writeOf(kind))).toEqual({ kind: 'apply' });
  });
});

describe('a write that an OSD refuses (DESIGN.md section 4)', () => {
  const codeOf = (context: WriteContext, write: WriteTransaction): string => {
    const verdict = decideWrite(context, write);
    return verdict.kind === 'refuse' ? verdict.code : verdict.kind;
  };

  it.each(KINDS)('%s: of another set', (kind) => {
    expect(codeOf(contextOf(BASE), fitting(kind, { setId: 'set-1' }))).toBe('wrong-set');
  });

  it.each(KINDS)('F14: %s of an epoch below the fence', (kind) => {
    const context = contextOf(BASE, { fencedEpoch: toEpoch(2), activeEpoch: toEpoch(2) });
    expect(codeOf(context, fitting(kind))).toBe('stale-epoch');
  });

  it.each(KINDS)('I6: %s between fence and activation, and in a store that was restarted (F29)', (kind) => {
    expect(codeOf(contextOf(BASE, { activeEpoch: EPOCH_NONE }), fitting(kind))).toBe('not-active');
  });

  it('I6: of an epoch that is yet to come', () => {
    const write = writeOf('replace', { epoch: toEpoch(2), tag: tagOf(2, 1) });
    expect(codeOf(contextOf(BASE), write)).toBe('not-active');
  });

  it('F22: below the floor, also where the object is gone', () => {
    expect(codeOf(contextOf(null, { floor: tagOf(1, 6) }), writeOf('replace'))).toBe('settled');
    expect(codeOf(contextOf(null, { floor: tagOf(1, 5) }), writeOf('replace'))).toBe('apply');
  });

  it.each(BUILDING)('F4: %s on another state than the one it names, with that state', (kind) => {
    const object = presentState(tagOf(1, 2));
    const verdict = decideWrite(contextOf(object), fitting(kind));
    expect(verdict).toEqual({ kind: 'refuse', code: 'gap', lastTag: tagOf(1, 2) });
  });

  it.each(BUILDING)('F23: %s where there is no object, or a removed one', (kind) => {
    expect(codeOf(contextOf(null), fitting(kind))).toBe('gap');
    expect(codeOf(contextOf(tombstone(tagOf(1, 1))), fitting(kind))).toBe('gap');
  });

  it('F23: an extend whose offset is not the size; a range write past the end', () => {
    for (const offset of [9, 11]) expect(codeOf(contextOf(BASE), fitting('extend', { offset }))).toBe('gap');
    expect(codeOf(contextOf(BASE), writeOf('range-write', { offset: 11 }))).toBe('gap');
    expect(codeOf(contextOf(BASE), writeOf('range-write', { offset: 10 }))).toBe('apply');
  });

  it('a write that names a state later than itself', () => {
    const object = presentState(tagOf(1, 8));
    expect(codeOf(contextOf(object), writeOf('range-write', { previousTag: tagOf(1, 8) }))).toBe(
      'bad-transaction',
    );
  });

  it.each<[string, WriteTransaction]>([
    ['a tag of another epoch', writeOf('replace', { tag: tagOf(2, 5) })],
    ['a negative offset', fitting('range-write', { offset: -1 })],
    ['a negative length', fitting('range-write', { length: -1 })],
    ['an offset that is no integer', fitting('range-write', { offset: 0.5, length: 0.5 })],
    ['an end that no number holds', fitting('range-write', { offset: Number.MAX_SAFE_INTEGER, length: 2 })],
    ['a replace at an offset', writeOf('replace', { offset: 1 })],
    ['a replace without attributes', writeOf('replace', { attributes: null })],
    ['a range write on nothing', writeOf('range-write', { previousTag: null })],
    ['an extend of nothing', writeOf('extend', { previousTag: null })],
    ['attributes that are none', writeOf('set-attributes', { attributes: null })],
    ['attributes with content', writeOf('set-attributes', { length: 1 })],
    ['attributes of nothing', writeOf('set-attributes', { previousTag: null })],
    ['a removal with content', writeOf('remove', { length: 1 })],
    ['a removal with attributes', writeOf('remove', { attributes: '{}' })],
  ])('malformed: %s', (_what, write) => {
    expect(codeOf(contextOf(BASE), write)).toBe('bad-transaction');
  });
});

describe('a write that an OSD has already (F24)', () => {
  it.each(KINDS)('%s: its row says so, also when later writes came', (kind) => {
    const context = contextOf(presentState(tagOf(1, 9)), { row: rowOf(tagOf(1, 5)), floor: tagOf(1, 9) });
    expect(decideWrite(context, fitting(kind))).toEqual({ kind: 'duplicate' });
  });

  it.each(KINDS)('%s: the last tag says so when the row is cleared', (kind) => {
    const context = contextOf(presentState(tagOf(1, 5)), { floor: tagOf(1, 6) });
    expect(decideWrite(context, fitting(kind))).toEqual({ kind: 'duplicate' });
  });

  it.each(REPLACING)('F4, F20: %s below the last tag is covered by what came later', (kind) => {
    expect(decideWrite(contextOf(presentState(tagOf(1, 6))), writeOf(kind))).toEqual({ kind: 'duplicate' });
    expect(decideWrite(contextOf(tombstone(tagOf(1, 6))), writeOf(kind))).toEqual({ kind: 'duplicate' });
  });

  it('F24: the same tag with other content is refused, by row and by last tag', () => {
    const write = writeOf('replace', { checksum: 8 });
    const refusal = { kind: 'refuse', code: 'tag-conflict', lastTag: tagOf(1, 5) };
    const object = presentState(tagOf(1, 5));
    expect(decideWrite(contextOf(object, { row: rowOf(tagOf(1, 5)) }), write)).toEqual(refusal);
    expect(decideWrite(contextOf(object), write)).toEqual(refusal);
  });
});

describe('what a write leaves behind', () => {
  it('a replace: its own size and attributes, nothing of before', () => {
    expect(applyWrite(BASE, writeOf('replace'))).toEqual({
      object: { kind: 'present', sizeBytes: 4, lastTag: tagOf(1, 5), lastChecksum: 7, attributes: '{}' },
      edit: { kind: 'replace-all' },
    });
  });

  it('a removal: a tombstone with its tag (F20)', () => {
    expect(applyWrite(BASE, writeOf('remove'))).toEqual({
      object: tombstone(tagOf(1, 5)),
      edit: { kind: 'drop' },
    });
  });

  it('attributes: new ones, the same content', () => {
    const { object, edit } = applyWrite(BASE, writeOf('set-attributes'));
    expect(object).toEqual({ ...BASE, lastTag: tagOf(1, 5), attributes: '{}' });
    expect(edit).toEqual({ kind: 'keep' });
  });

  it('a range write or an extend: never smaller, its bytes where it says, attributes kept unless it brings some', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 10 }),
        fc.nat({ max: 30 }),
        fc.boolean(),
        (offset, length, bringsAttributes) => {
          const attributes = bringsAttributes ? 'new' : null;
          const { object, edit } = applyWrite(BASE, writeOf('range-write', { offset, length, attributes }));
          expect(object).toEqual({
            kind: 'present',
            sizeBytes: Math.max(10, offset + length),
            lastTag: tagOf(1, 5),
            lastChecksum: 7,
            attributes: attributes ?? 'old',
          });
          expect(edit).toEqual({ kind: 'splice', extent: { offset, length } });
        },
      ),
    );
  });

  it.each(BUILDING)('%s of nothing is our bug', (kind) => {
    expect(() => applyWrite(null, fitting(kind))).toThrow(InvariantViolation);
  });

  it('its row says all that a peer needs to match it, and where the store stood', () => {
    const write = fitting('extend');
    const { tag, objectId, kind, mode, offset, length, checksum } = write;
    expect(rowOfWrite(write, 12, 34)).toEqual({
      ...{ tag, objectId, kind, mode, offset, length, checksum },
      ...{ commitSequence: 12, writtenMs: 34 },
    });
  });
});

describe('any two orders of the same writes on one object (F4, F20)', () => {
  it('replaces and removals: the mirror ends with the latest, whatever the order and however often each comes', () => {
    const steps = fc.array(fc.record({ counter: fc.integer({ min: 1, max: 6 }) }));
    fc.assert(
      fc.property(steps, (list) => {
        let object: ObjectState | null = null;
        for (const { counter } of list) {
          const kind = counter % 2 === 0 ? 'remove' : 'replace';
          const write = writeOf(kind, { tag: tagOf(1, counter) });
          if (decideWrite(contextOf(object), write).kind === 'apply')
            object = applyWrite(object, write).object;
        }
        const latest = Math.max(0, ...list.map(({ counter }) => counter));
        expect(object?.lastTag ?? null).toBe(latest === 0 ? null : tagOf(1, latest));
        if (object !== null) expect(object.kind).toBe(latest % 2 === 0 ? 'tombstone' : 'present');
      }),
    );
  });
});
