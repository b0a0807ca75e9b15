import { expect, it } from 'vitest';
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
