import { describe, expect, it } from 'vitest';
import { bearsWitness, isSettled } from '../../../src/protocol/forgone-rows.js';
import { EPOCH_NONE, makeTag, type Tag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';

function tag(epoch: number, counter: number, generator: number): Tag {
  return makeTag({ epoch: toEpoch(epoch), counter, generator: toGeneratorId(generator) });
}

describe('isSettled: rows that may go, by the floors of those who write', () => {
  const floors = [tag(4, 10, 0), tag(4, 3, 1)];

  it('each generator has its own floor, whatever another one has settled', () => {
    expect(isSettled(tag(4, 9, 0), floors)).toBe(true);
    expect(isSettled(tag(4, 10, 0), floors)).toBe(false);
    expect(isSettled(tag(4, 2, 1), floors)).toBe(true);
    expect(isSettled(tag(4, 5, 1), floors)).toBe(false);
  });

  it('a write of an earlier epoch is open while its generator says so', () => {
    expect(isSettled(tag(3, 7, 1), [tag(4, 10, 0), tag(3, 7, 1)])).toBe(false);
    expect(isSettled(tag(3, 6, 1), [tag(4, 10, 0), tag(3, 7, 1)])).toBe(true);
  });

  it('of a generator that is gone everything is settled when its epoch is over for all', () => {
    expect(isSettled(tag(3, 7, 2), floors)).toBe(true);
    expect(isSettled(tag(4, 1, 2), floors)).toBe(false);
    expect(isSettled(tag(3, 7, 2), [tag(4, 10, 0), tag(3, 7, 1)])).toBe(false);
  });

  it('without anybody who writes nothing is', () => {
    expect(isSettled(tag(3, 7, 2), [])).toBe(false);
  });
});

describe('who bears witness to the writes of an epoch', () => {
  it('F17: only who has been active in it all the time; a restart, or another epoch, ends that', () => {
    expect(bearsWitness(toEpoch(3), toEpoch(3))).toBe(true);
    expect(bearsWitness(EPOCH_NONE, toEpoch(3))).toBe(false);
    expect(bearsWitness(toEpoch(2), toEpoch(3))).toBe(false);
  });
});
