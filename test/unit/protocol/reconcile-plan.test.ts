import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import {
  chooseSource,
  type MirrorEvidence,
  type ObjectEvidence,
  type ObjectSummary,
  planObject,
  rowsAfterPush,
  sameSummary,
  unmatchedRows,
} from '../../../src/protocol/reconcile-plan.js';
import type { Tag } from '../../../src/protocol/tag.js';
import type { TagRow } from '../../../src/protocol/write.js';
import { M0, M1, M2, OBJECT, rowOf, tagOf } from './protocol-builders.js';

const T1 = tagOf(1, 1);
const T2 = tagOf(1, 2);
const T3 = tagOf(1, 3);

function sideOf(mirror: MirrorId, lastTag: Tag | null, rows: readonly TagRow[]): MirrorEvidence {
  return { mirror, rows, lastTag, sizeBytes: 10 };
}

function evidenceOf(...mirrors: readonly MirrorEvidence[]): ObjectEvidence {
  return { objectId: OBJECT, mirrors };
}

function range(tag: Tag, offset: number, length: number): TagRow {
  return rowOf(tag, { kind: 'range-write', offset, length });
}

describe('the match of tag tables (DESIGN.md section 5.4)', () => {
  it('F3: rows of either side that the other has not are unmatched, each once', () => {
    expect(unmatchedRows([[rowOf(T1)], [rowOf(T1), rowOf(T2)]])).toEqual([rowOf(T2)]);
    expect(unmatchedRows([[rowOf(T3)], [rowOf(T2)]])).toEqual([rowOf(T3), rowOf(T2)]);
  });

  it('F6: a row matches when every participant has it', () => {
    expect(unmatchedRows([[rowOf(T1)], [rowOf(T1)], []])).toEqual([rowOf(T1)]);
    expect(unmatchedRows([[rowOf(T1)], [rowOf(T1)], [rowOf(T1)]])).toEqual([]);
  });

  it('the same tag with another range or kind does not match', () => {
    expect(unmatchedRows([[range(T1, 0, 4)], [range(T1, 0, 5)]])).toHaveLength(2);
    expect(unmatchedRows([[range(T1, 0, 4)], [range(T1, 1, 4)]])).toHaveLength(2);
    expect(unmatchedRows([[range(T1, 0, 4)], [rowOf(T1)]])).toHaveLength(2);
  });
});

describe('the source of an object', () => {
  it('F6: the trusted mirror with the highest last tag, the first of equal ones', () => {
    const sides = [sideOf(M0, T1, []), sideOf(M1, T2, []), sideOf(M2, T2, [])];
    expect(chooseSource(sides, [M0, M1, M2]).mirror).toBe(M1);
    expect(chooseSource(sides, [M2, M1]).mirror).toBe(M1);
    expect(chooseSource(sides, [M0]).mirror).toBe(M0);
  });

  it('a mirror that knows nothing of it comes last', () => {
    expect(chooseSource([sideOf(M0, null, []), sideOf(M1, T1, [])], [M0, M1]).mirror).toBe(M1);
  });

  it('I5: somebody trusted takes part', () => {
    expect(() => chooseSource([sideOf(M0, T1, [])], [M1])).toThrow(InvariantViolation);
  });
});

describe('the repair of an object', () => {
  it('is none when all rows match, or all last tags are equal (F1b)', () => {
    expect(
      planObject(evidenceOf(sideOf(M0, T1, [rowOf(T1)]), sideOf(M1, T1, [rowOf(T1)])), [M0, M1]),
    ).toBeNull();
    expect(planObject(evidenceOf(sideOf(M0, T1, [rowOf(T1)]), sideOf(M1, T1, [])), [M0, M1])).toBeNull();
  });

  it('F1, F2: goes from the trusted mirror to whoever differs, whoever holds the rows', () => {
    const evidence = evidenceOf(sideOf(M0, T3, [range(T3, 0, 4)]), sideOf(M1, T1, []));
    expect(planObject(evidence, [M1])).toEqual({
      objectId: OBJECT,
      source: M1,
      targets: [{ mirror: M0, lastTag: T3 }],
      content: { kind: 'extents', extents: [{ offset: 0, length: 4 }] },
    });
  });

  it('F5: carries the union of the unmatched ranges of all sides', () => {
    const evidence = evidenceOf(sideOf(M0, T2, [range(T2, 0, 4)]), sideOf(M1, T3, [range(T3, 2, 4)]));
    expect(planObject(evidence, [M1])?.content).toEqual({
      kind: 'extents',
      extents: [{ offset: 0, length: 6 }],
    });
  });

  it('I7: leaves matched ranges out', () => {
    const shared = range(T1, 20, 5);
    const evidence = evidenceOf(sideOf(M0, T2, [shared, range(T2, 0, 4)]), sideOf(M1, T1, [shared]));
    expect(planObject(evidence, [M0])?.content).toEqual({
      kind: 'extents',
      extents: [{ offset: 0, length: 4 }],
    });
  });

  it('F36: states the last tag that each target had', () => {
    const evidence = evidenceOf(sideOf(M0, T3, [range(T3, 0, 4)]), sideOf(M1, T2, []), sideOf(M2, null, []));
    expect(planObject(evidence, [M0])?.targets).toEqual([
      { mirror: M1, lastTag: T2 },
      { mirror: M2, lastTag: null },
    ]);
  });

  it('is nothing where all rows match, whatever the last tags: one side has let go of its tombstone', () => {
    const row = rowOf(T1, { kind: 'remove' });
    expect(planObject(evidenceOf(sideOf(M0, T1, [row]), sideOf(M1, null, [row])), [M0])).toBeNull();
    expect(planObject(evidenceOf(sideOf(M0, T1, []), sideOf(M1, null, [])), [M0])).toBeNull();
  });

  it.each(['replace', 'remove'] as const)('is whole where a %s is unmatched', (kind) => {
    const evidence = evidenceOf(sideOf(M0, T2, [rowOf(T2, { kind })]), sideOf(M1, T1, [range(T1, 0, 4)]));
    expect(planObject(evidence, [M0])?.content).toEqual({ kind: 'whole' });
    expect(planObject(evidence, [M1])?.content).toEqual({ kind: 'whole' });
  });

  it('of attributes alone carries no bytes', () => {
    const row = rowOf(T2, { kind: 'set-attributes', length: 0 });
    const evidence = evidenceOf(sideOf(M0, T2, [row]), sideOf(M1, T1, []));
    expect(planObject(evidence, [M0])?.content).toEqual({ kind: 'extents', extents: [] });
  });
});

describe('the rows of a target after a push', () => {
  it('F37: the source’s rows come along', () => {
    expect(rowsAfterPush([], { rows: [rowOf(T1), rowOf(T2)], lastTag: T2 })).toEqual([rowOf(T1), rowOf(T2)]);
  });

  it('F17: the target’s own stay, as far as the source may have their writes', () => {
    const rows = rowsAfterPush([rowOf(T1)], { rows: [rowOf(T2)], lastTag: T2 });
    expect(rows.map(({ tag }) => tag)).toEqual([T1, T2]);
    expect(rows[1]).toEqual(rowOf(T2));
  });

  it.each(['replace', 'range-write', 'extend', 'set-attributes', 'remove'] as const)(
    'F5: of the target’s own none passes for the row of its write, a %s, and all of the object is unmatched',
    (kind) => {
      const own = rowOf(T1, { kind, length: 0 });
      const after = rowsAfterPush([own], { rows: [], lastTag: T2 });
      expect(unmatchedRows([after, [own]])).toHaveLength(2);
      const evidence = evidenceOf(sideOf(M0, T2, after), sideOf(M1, T1, [own]));
      expect(planObject(evidence, [M0])?.content).toEqual({ kind: 'whole' });
    },
  );

  it('what is later than the source’s last tag was undone by the push', () => {
    const rows = rowsAfterPush([rowOf(T1), rowOf(T3)], { rows: [rowOf(T2)], lastTag: T2 });
    expect(rows.map(({ tag }) => tag)).toEqual([T1, T2]);
  });

  it('of a tag that both have there is one, the source’s', () => {
    const own = rowOf(T1, { commitSequence: 8 });
    expect(rowsAfterPush([own], { rows: [rowOf(T1)], lastTag: T1 })).toEqual([rowOf(T1)]);
  });

  it('are none when the source knows nothing of the object', () => {
    expect(rowsAfterPush([rowOf(T1)], { rows: [], lastTag: null })).toEqual([]);
  });

  it('are in the order of their tags, each tag once, with all of the source’s', () => {
    const rows = fc
      .uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 8 })
      .map((counters) => counters.sort((a, b) => a - b).map((counter) => rowOf(tagOf(1, counter))));
    fc.assert(
      fc.property(rows, rows, (target, source) => {
        const after = rowsAfterPush(target, { rows: source, lastTag: source.at(-1)?.tag ?? null });
        const tags = after.map(({ tag }) => tag);
        expect(tags).toEqual([...new Set(tags)].sort());
        expect(tags).toEqual(expect.arrayContaining(source.map(({ tag }) => tag)));
      }),
    );
  });
});

describe('the comparison of a full copy (DESIGN.md section 5.5)', () => {
  const summary: ObjectSummary = { objectId: OBJECT, lastTag: T1, sizeBytes: 10, lastChecksum: 7 };

  it('finds no difference where tag, size and checksum are the same', () => {
    expect(sameSummary(summary, { ...summary })).toBe(true);
  });

  it.each<Partial<ObjectSummary>>([
    { lastTag: T2 },
    { sizeBytes: 11 },
    { sizeBytes: null },
    { lastChecksum: 8 },
  ])('finds the difference in %j', (change) => {
    expect(sameSummary(summary, { ...summary, ...change })).toBe(false);
  });
});
