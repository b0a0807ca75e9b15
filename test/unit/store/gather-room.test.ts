import { describe, expect, it } from 'vitest';
import { Gathering, GatherRoom } from '../../../src/store/gather-room.js';
import { SeededRandom } from '../../support/seeded-random.js';

const KIB = 1024;
const LIMITS = { writeGatherBytes: 256 * KIB, writeGatherBytesMin: 32 * KIB, allGatherBytes: 1024 * KIB };

describe('memory for what streams gather', () => {
  it('is shared: the more streams there are, the less each has, down to a least share', () => {
    const room = new GatherRoom(LIMITS);
    const shares = [1, 4, 8, 16, 64].map((count) => {
      while (room.streamCount < count) room.enter();
      return room.bytesEach / KIB;
    });
    expect(shares).toEqual([256, 256, 128, 64, 32]);
    while (room.streamCount > 1) room.leave();
    expect(room.bytesEach).toBe(256 * KIB);
  });

  it('is enough for two gatherings of each stream, or for one when there are many', () => {
    const room = new GatherRoom(LIMITS);
    for (let count = 1; count <= 16; count += 1) room.enter();
    expect(room.allowsTwo).toBe(true);
    room.enter();
    expect(room.allowsTwo).toBe(false);
  });

  it('holds bytes in order, whatever pieces they came in, and no view of these', () => {
    const room = new GatherRoom(LIMITS);
    const random = new SeededRandom(3);
    for (let round = 0; round < 8; round += 1) {
      const gathering = new Gathering(room);
      const pieces = Array.from({ length: random.integer(1, 8) }, () =>
        random.bytes(random.integer(1, 150 * KIB)),
      );
      const expected = Buffer.concat(pieces);
      for (const piece of pieces) {
        gathering.add(piece);
        piece.fill(0);
      }
      expect(gathering.lengthBytes).toBe(expected.length);
      expect(Buffer.concat(gathering.pieces).equals(expected)).toBe(true);
      gathering.release();
      expect(gathering.lengthBytes).toBe(0);
    }
  });

  it('is used again, and what is over two gatherings of all streams is let go of', () => {
    const room = new GatherRoom({ ...LIMITS, allGatherBytes: 128 * KIB });
    const slabs = Array.from({ length: 6 }, () => room.takeSlab());
    room.giveBack(slabs);
    const again = Array.from({ length: 6 }, () => room.takeSlab());
    expect(again.filter((slab) => slabs.includes(slab))).toHaveLength(4);
    expect(new Set(again).size).toBe(6);
  });
});
