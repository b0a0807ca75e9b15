/** The rows that a target has once a push has landed (F17, F37; DESIGN.md section 5). */
import { describe, expect, it } from 'vitest';
import { carriedRows, collapsedRow, rowsToCarry } from '../../../src/osd/reconcile/carried-rows.js';
import type { ObjectRows } from '../../../src/osd/reconcile/row-merge.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectState, TagRow } from '../../../src/protocol/write.js';
import { objectNamed, tagAt } from './osd-writer.js';

const KEY = objectNamed('key');
const [SOURCE, TARGET, THIRD] = ['m0', 'm1', 'm2'].map(toMirrorId) as [
  ReturnType<typeof toMirrorId>,
  ReturnType<typeof toMirrorId>,
  ReturnType<typeof toMirrorId>,
];

function row(counter: number): TagRow {
  return {
    tag: tagAt(1, counter),
    objectId: KEY,
    kind: 'extend',
    mode: 'extend',
    offset: counter,
    length: 1,
    checksum: counter,
    commitSequence: counter,
    writtenMs: 5,
  };
}

const PRESENT: ObjectState = {
  kind: 'present',
  sizeBytes: 7,
  attributes: '{}',
  lastTag: tagAt(1, 3),
  lastChecksum: 99,
};
const TOMBSTONE: ObjectState = { kind: 'tombstone', lastTag: tagAt(1, 3), lastChecksum: 99 };

/** All of an object is wanted by whoever lacks its last write. */
const COLLAPSED = {
  tag: tagAt(1, 3),
  objectId: KEY,
  kind: 'replace',
  mode: 'extend',
  offset: 0,
  length: 7,
  checksum: 99,
  commitSequence: 0,
  writtenMs: 0,
};

function objectRows(changes: Partial<ObjectRows> = {}): ObjectRows {
  return {
    objectId: KEY,
    rows: new Map([
      [SOURCE, [row(2), row(3)]],
      [TARGET, [row(1)]],
    ]),
    matchedCount: 0,
    unmatchedCount: 3,
    isOverLimit: false,
    ...changes,
  };
}

describe('one row that stands for all of an object', () => {
  it('names its last write, and all of its content', () => {
    expect(collapsedRow(KEY, PRESENT)).toEqual(COLLAPSED);
  });

  it('of what is removed names the removal', () => {
    expect(collapsedRow(KEY, TOMBSTONE)).toEqual({
      ...COLLAPSED,
      kind: 'remove',
      mode: 'overwrite',
      length: 0,
    });
  });
});

describe('rows that come along under the fence', () => {
  it('F37: are the source’s; F17: and of the target’s own those that the source may have cleared', () => {
    const rows = carriedRows(objectRows(), PRESENT, SOURCE, TARGET);
    expect(rows.map(({ tag, offset }) => [tag, offset])).toEqual([
      [tagAt(1, 1), 1],
      [tagAt(1, 2), 2],
      [tagAt(1, 3), 3],
    ]);
    expect(rows[0]).toMatchObject({ kind: 'replace', length: 0 });
  });

  it('F5: what is later than the source’s last write is undone, and its row goes', () => {
    const rows = new Map([
      [SOURCE, [row(3)]],
      [TARGET, [row(4)]],
    ]);
    expect(carriedRows(objectRows({ rows }), PRESENT, SOURCE, TARGET)).toEqual([row(3)]);
  });

  it('are only the target’s where the source has none, and none where neither has', () => {
    expect(carriedRows(objectRows(), PRESENT, THIRD, TARGET).map(({ tag }) => tag)).toEqual([tagAt(1, 1)]);
    expect(carriedRows(objectRows(), PRESENT, THIRD, THIRD)).toEqual([]);
  });

  it('are none for what nobody knows any more, and one for more than are looked at', () => {
    expect(carriedRows(objectRows(), null, SOURCE, TARGET)).toEqual([]);
    expect(carriedRows(objectRows({ isOverLimit: true }), PRESENT, SOURCE, TARGET)).toEqual([COLLAPSED]);
  });
});

describe('rows that come along while clients write', () => {
  it('F37: are those of the state that was read, not of what came after it', () => {
    const rows = rowsToCarry(KEY, PRESENT, { source: [row(2), row(3), row(4)], target: [row(1), row(5)] });
    expect(rows.map(({ tag }) => tag)).toEqual([tagAt(1, 1), tagAt(1, 2), tagAt(1, 3)]);
  });

  it('are one for all of it where either side has more than are told', () => {
    expect(rowsToCarry(KEY, PRESENT, { source: null, target: [] })).toEqual([COLLAPSED]);
    expect(rowsToCarry(KEY, PRESENT, { source: [row(3)], target: null })).toEqual([COLLAPSED]);
  });

  it('are none for what the source knows nothing of', () => {
    expect(rowsToCarry(KEY, null, { source: null, target: [row(1)] })).toEqual([]);
  });
});
