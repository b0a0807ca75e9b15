import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { WatchedDisk } from './faulty-files.js';

it('a removal is over when the next hook can run, so that no file vanishes while a hook copies its folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tally-watched-'));
  try {
    const path = join(folder, 'a');
    writeFileSync(path, 'a');
    const removal = new WatchedDisk().files.removeFile(path);
    expect(existsSync(path)).toBe(false);
    await removal;
  } finally {
    await rm(folder, { recursive: true });
  }
});
