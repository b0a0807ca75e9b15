import { expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { ReadSlabs } from '../../../src/wire/read-slabs.js';
import { SharedRoom } from '../../../src/wire/shared-room.js';

const KIB = 1024;

function makeRoom(): SharedRoom {
  return new SharedRoom({ allBytesMax: 2048 * KIB, streamBytesMax: 1024 * KIB });
}

it('a slab is used again when its reader and all who have a piece of it are through, and no sooner', () => {
  const slabs = new ReadSlabs(makeRoom());
  const slab = slabs.take();
  const pieces = [slab.subarray(0, 10), slab.subarray(10, 20)] as const;
  for (const piece of pieces) slabs.keep(piece);
  slabs.giveBack(slab);
  slabs.giveBack(pieces[1]);
  const other = slabs.take();
  expect(other.buffer).not.toBe(slab.buffer);
  slabs.giveBack(pieces[0]);
  expect(slabs.take().buffer).toBe(slab.buffer);
});

it('a piece comes back once; bytes of other memory are left alone', () => {
  const slabs = new ReadSlabs(makeRoom());
  const slab = slabs.take();
  slabs.giveBack(slab);
  expect(() => {
    slabs.giveBack(slab);
  }).toThrow(InvariantViolation);
  const foreign = Buffer.alloc(10);
  slabs.keep(foreign);
  slabs.giveBack(foreign);
});

it('the more streams share the room, the smaller are the slabs, and few are kept', () => {
  const room = makeRoom();
  const slabs = new ReadSlabs(room);
  room.enter();
  expect(slabs.take()).toHaveLength(256 * KIB);
  for (let count = 1; count < 4; count += 1) room.enter();
  const taken = Array.from({ length: 100 }, () => slabs.take());
  expect(new Set(taken.map(({ length }) => length))).toEqual(new Set([64 * KIB]));
  for (const slab of taken) slabs.giveBack(slab);
  const known = new Set(taken.map(({ buffer }) => buffer));
  const again = Array.from({ length: 100 }, () => slabs.take());
  expect(again.filter(({ buffer }) => known.has(buffer))).toHaveLength(16);
});
