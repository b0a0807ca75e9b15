import { describe, expect, it } from 'vitest';
import { type Placement, type SetName, toSetName } from '../../../src/protocol/placement.js';
import {
  adoptPlacement,
  FORMER_PLACEMENTS_MAX,
  type PlacementRecord,
  PlacementRefused,
  settlePlacement,
} from '../../../src/protocol/placement-record.js';

const set = (index: number): SetName => toSetName(`set-${index}`);
const placementOf = (...sets: readonly SetName[]): Placement => ({ sets, pins: new Map() });

function adopt(stored: PlacementRecord | null, ...sets: readonly SetName[]): PlacementRecord {
  return adoptPlacement(stored, { configured: sets, placement: placementOf(...sets) });
}

describe('the record of the placement', () => {
  it('one set from the beginning has nothing to move', () => {
    expect(adopt(null, set(0))).toMatchObject({ placement: placementOf(set(0)), former: [] });
  });

  it('where there was one set until now, its objects may all be there', () => {
    expect(adopt(null, set(0), set(1)).former).toEqual([placementOf(set(0))]);
  });

  it('an unchanged configuration changes nothing, in whatever order it names the sets', () => {
    const record = settlePlacement(adopt(null, set(0), set(1)));
    expect(adopt(record, set(1), set(0))).toEqual(record);
  });

  it('each set keeps its generator, and no other ever gets it', () => {
    const before = settlePlacement(adopt(null, set(0), set(1)));
    const drained = adoptPlacement(before, { configured: [set(0), set(1)], placement: placementOf(set(0)) });
    const without = adopt(settlePlacement(drained), set(0));
    const record = adopt(without, set(0), set(2));
    expect([...record.generators.values()]).toEqual([1, 2, 3]);
    expect(record.generators.get(set(2))).toBe(3);
  });

  it('a former placement is kept until objects have left it, also over several changes', () => {
    const first = settlePlacement(adopt(null, set(0)));
    const second = adopt(first, set(0), set(1));
    const third = adopt(second, set(0), set(1), set(2));
    expect(third.former).toEqual([placementOf(set(0), set(1)), placementOf(set(0))]);
    expect(settlePlacement(third).former).toEqual([]);
  });

  it('a set that may have objects can not be left out of the configuration', () => {
    const record = adopt(null, set(0), set(1));
    expect(() => adopt(record, set(0))).toThrow(PlacementRefused);
    const drained = adoptPlacement(record, { configured: [set(0), set(1)], placement: placementOf(set(0)) });
    expect(() => adopt(drained, set(0))).toThrow(/draining/);
    expect(adopt(settlePlacement(drained), set(0)).placement).toEqual(placementOf(set(0)));
  });

  it('a bucket is pinned to a set that is there', () => {
    const placement: Placement = { sets: [set(0)], pins: new Map([['bucket', set(9)]]) };
    expect(() => adoptPlacement(null, { configured: [set(0)], placement })).toThrow(/set-9/);
  });

  it('a change of pins alone is a new placement', () => {
    const record = settlePlacement(adopt(null, set(0), set(1)));
    const placement: Placement = { sets: [set(0), set(1)], pins: new Map([['bucket', set(1)]]) };
    const configured = [set(0), set(1)];
    expect(adoptPlacement(record, { configured, placement }).former).toEqual([record.placement]);
  });

  it(`at most ${FORMER_PLACEMENTS_MAX} changes wait for the mover`, () => {
    let record = adopt(null, set(0));
    const sets = [set(0)];
    for (let index = 1; index <= FORMER_PLACEMENTS_MAX; index += 1) {
      sets.push(set(index));
      record = adopt(record, ...sets);
    }
    expect(() => adopt(record, ...sets, set(99))).toThrow(PlacementRefused);
  });
});
