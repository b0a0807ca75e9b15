import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { eachPiece } from '../../../src/osd/body-pieces.js';
import { PAUSE_MS, receivePiecewise } from '../../support/piecewise-client.js';

const PIECE_BYTES = 32 * 1024;
/** Everything has come before the first piece is taken. */
const BUSY_MS = 5 * PAUSE_MS;
const PIECES = [Buffer.alloc(PIECE_BYTES, 1), Buffer.alloc(PIECE_BYTES, 2)];

it('a body is not read before its last piece is taken, though node tells of the end once it was handed out', async () => {
  const takenBytes = await receivePiecewise(PIECES, async (message) => {
    let bytes = 0;
    await eachPiece(message, async (piece) => {
      await sleep(BUSY_MS);
      bytes += piece.length;
    });
    return bytes;
  });
  expect(takenBytes).toBe(2 * PIECE_BYTES);
});

it('what the last piece is refused with is what reading rejects with', async () => {
  const reading = receivePiecewise(PIECES, async (message) => {
    let bytes = 0;
    await eachPiece(message, async (piece) => {
      await sleep(BUSY_MS);
      bytes += piece.length;
      if (bytes === 2 * PIECE_BYTES) throw new Error('no room for it');
    });
  });
  await expect(reading).rejects.toThrow('no room for it');
});
