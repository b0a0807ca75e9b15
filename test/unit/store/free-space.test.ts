/** When a disk counts as full, between two looks at the file system. */
import { describe, expect, it } from 'vitest';
import type { FilePort } from '../../../src/store/file-port.js';
import { FreeSpace } from '../../../src/store/free-space.js';
import { DEFAULT_LIMITS } from '../../../src/store/limits.js';

const MIB = 1024 * 1024;
const RESERVE_BYTES = DEFAULT_LIMITS.freeReserveBytes + DEFAULT_LIMITS.segmentBytesMax;

/** A disk that has this much, and a clock that the test moves. */
async function makeDisk(freeBytes: number) {
  const disk = { freeBytes, nowMs: 0, answer: Promise.resolve() };
  const files = {
    freeBytes: async () => {
      const seen = disk.freeBytes;
      await disk.answer;
      return seen;
    },
  } as unknown as FilePort;
  const space = new FreeSpace(files, '/store', DEFAULT_LIMITS, () => disk.nowMs);
  await space.refresh();
  return { disk, space };
}

function admitUntilRefused(space: FreeSpace): number {
  let count = 0;
  while (count < 1000 && space.hasRoomFor(MIB)) {
    space.admit(MIB);
    count += 1;
  }
  return count;
}

describe('free space', () => {
  it('what was admitted since the file system was asked is taken: the reserve is not eaten between two questions', async () => {
    const { space } = await makeDisk(RESERVE_BYTES + 20 * MIB);
    expect(admitUntilRefused(space)).toBe(20);
    expect(space.shortage).toMatch(/bytes are free/);
  });

  it('what was admitted before is in the answer, and is not counted twice', async () => {
    const { disk, space } = await makeDisk(RESERVE_BYTES + 100 * MIB);
    for (let index = 0; index < 30; index += 1) space.admit(MIB);
    disk.freeBytes -= 30 * MIB;
    await space.refresh();
    expect(admitUntilRefused(space)).toBe(70);
  });

  it('what is admitted while the question is under way still counts', async () => {
    const { disk, space } = await makeDisk(RESERVE_BYTES + 10 * MIB);
    let answer: () => void = () => undefined;
    disk.answer = new Promise((resolve) => (answer = resolve));
    const asked = space.refresh();
    for (let index = 0; index < 6; index += 1) space.admit(MIB);
    answer();
    await asked;
    expect(admitUntilRefused(space)).toBe(4);
  });
});
