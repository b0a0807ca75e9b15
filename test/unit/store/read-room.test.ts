import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { ReadRoom } from '../../../src/store/read-room.js';

const KIB = 1024;

it('the more streams read, the smaller are their pieces: whole chunks, and never more than the room has', () => {
  const room = new ReadRoom();
  const sizes = [1, 8, 9, 40, 500].map((count) => {
    while (room.streamCount < count) room.enter();
    return room.pieceBytes / KIB;
  });
  expect(sizes).toEqual([1024, 1024, 512, 128, 64]);
  while (room.streamCount > 0) room.leave();
  expect(room.pieceBytes).toBe(1024 * KIB);
});

describe('slabs', () => {
  it('a piece that was given back is the memory of the next one of about its length', () => {
    const room = new ReadRoom();
    const first = room.take(200 * KIB);
    expect(first).toHaveLength(200 * KIB);
    const other = room.take(200 * KIB);
    expect(other.buffer).not.toBe(first.buffer);
    room.giveBack(first);
    const smaller = room.take(64 * KIB);
    expect(smaller.buffer).not.toBe(first.buffer);
    const next = room.take(256 * KIB);
    expect(next).toHaveLength(256 * KIB);
    expect(next.buffer).toBe(first.buffer);
  });

  it('what is of no slab is left alone, and a slab comes back once', () => {
    const room = new ReadRoom();
    room.giveBack(Buffer.alloc(64 * KIB));
    const piece = room.take(64 * KIB);
    room.giveBack(piece.subarray(10, 20));
    expect(() => {
      room.giveBack(piece);
    }).toThrow(InvariantViolation);
  });

  it('no more than the room has is kept: the newest', () => {
    const room = new ReadRoom();
    const slabs = Array.from({ length: 18 }, () => room.take(1024 * KIB));
    for (const slab of slabs) room.giveBack(slab);
    const kept = Array.from({ length: 18 }, () => room.take(1024 * KIB).buffer);
    expect(slabs.map(({ buffer }) => kept.includes(buffer))).toEqual([
      false,
      false,
      ...Array.from({ length: 16 }, () => true),
    ]);
  });
});
