import { describe, expect, it } from 'vitest';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { homeOf, type Placement, placementKeyOf, toSetName } from '../../../src/protocol/placement.js';

const [a, b, c] = ['set-a', 'set-b', 'set-c'].map(toSetName) as [
  ReturnType<typeof toSetName>,
  ReturnType<typeof toSetName>,
  ReturnType<typeof toSetName>,
];
const OBJECTS = 6000;

function placementOf(...sets: readonly (typeof a)[]): Placement {
  return { sets, pins: new Map() };
}

function objects(): ReturnType<typeof makeObjectId>[] {
  return Array.from({ length: OBJECTS }, (_, index) => makeObjectId('bucket', `folder/object-${index}`));
}

describe('placement of objects onto mirror sets (DESIGN.md section 7)', () => {
  it('each set has about its share of the objects', () => {
    const counts = new Map([a, b, c].map((set) => [set, 0]));
    for (const id of objects()) {
      const home = homeOf(placementOf(a, b, c), id);
      counts.set(home, (counts.get(home) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(Math.abs(count - OBJECTS / 3)).toBeLessThan(OBJECTS / 30);
  });

  it('a set that is added takes objects from the others, and none moves between those', () => {
    let moved = 0;
    for (const id of objects()) {
      const before = homeOf(placementOf(a, b), id);
      const after = homeOf(placementOf(c, b, a), id);
      if (before === after) continue;
      expect(after).toBe(c);
      moved += 1;
    }
    expect(Math.abs(moved - OBJECTS / 3)).toBeLessThan(OBJECTS / 30);
  });

  it('the order in which sets are named means nothing', () => {
    for (const id of objects()) {
      expect(homeOf(placementOf(a, b, c), id)).toBe(homeOf(placementOf(c, a, b), id));
    }
  });

  it('the hash is part of the format: these objects live where they always lived', () => {
    const placement = placementOf(a, b, c);
    const names = ['a', 'b', 'photos/2026/cat.jpg', 'ä', '\u{1f600}', 'x'.repeat(1024)];
    expect(names.map((name) => homeOf(placement, makeObjectId('bucket', name)))).toMatchInlineSnapshot(`
      [
        "set-b",
        "set-b",
        "set-a",
        "set-a",
        "set-b",
        "set-b",
      ]
    `);
  });

  it('a pinned bucket lives on its set, with all that belongs to its keys', () => {
    const placement: Placement = { sets: [a, b, c], pins: new Map([['pinned', b]]) };
    for (const container of ['pinned', '.versions.pinned', '.uploads.pinned']) {
      expect(homeOf(placement, makeObjectId(container, 'key'))).toBe(b);
    }
  });

  it('versions, uploads and parts of a key have its home, so completing an upload moves no bytes', () => {
    const key = placementKeyOf(makeObjectId('bucket', 'a/b.c'));
    expect(placementKeyOf(makeObjectId('.versions.bucket', 'a/b.c', 'v1'))).toEqual(key);
    expect(placementKeyOf(makeObjectId('.versions.bucket', 'a/b.c', 'v2'))).toEqual(key);
    expect(placementKeyOf(makeObjectId('.parts.bucket', 'a/b.c', 'upload/00001'))).toEqual(key);
  });

  it('bucket names with dots are one bucket', () => {
    expect(placementKeyOf(makeObjectId('.versions.my.bucket', 'k', 'v'))).toEqual(
      placementKeyOf(makeObjectId('my.bucket', 'k')),
    );
  });

  it('refuses names that are none of a set', () => {
    for (const name of ['', '.a', 'a b', 'x'.repeat(64), 'a/b'])
      expect(() => toSetName(name)).toThrow(RangeError);
  });
});
