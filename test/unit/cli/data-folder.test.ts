import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { claimDataFolder, type FirstStart, readMarker, runFirstStart } from '../../../src/cli/data-folder.js';
import { readSuperblock } from '../../../src/store/superblock.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

function firstStart(createSecrets: () => Promise<void> = () => Promise.resolve()): FirstStart {
  const osds = ['osd-0', 'osd-1'].map((name) => ({ name, setId: null }));
  return { dataFolder: join(temporary(), 'data'), setId: null, osds, createSecrets, nowMs: 1 };
}

describe('the data folder', () => {
  it('is made for its owner only', async () => {
    const { dataFolder } = firstStart();
    await claimDataFolder(dataFolder);
    expect((await stat(dataFolder)).mode & 0o777).toBe(0o700);
    expect(await readMarker(dataFolder)).toBeNull();
  });

  it("is never a folder with somebody else's files", async () => {
    await writeFile(join(temporary(), 'thesis.txt'), 'years of work');
    await expect(claimDataFolder(temporary())).rejects.toThrow('has something else in it');
  });

  it('is no file', async () => {
    const path = join(temporary(), 'file');
    await writeFile(path, '');
    await expect(claimDataFolder(path)).rejects.toThrow('is not a folder');
    await expect(claimDataFolder(join(path, 'below'))).rejects.toThrow('is not a folder');
  });

  it('with a damaged marker is not touched', async () => {
    await writeFile(join(temporary(), 'tally.json'), '{"formatVersion":1}');
    await expect(claimDataFolder(temporary())).rejects.toThrow('is damaged');
  });
});

describe('the first start', () => {
  it('formats every store, for one new mirror set', async () => {
    const start = firstStart();
    await claimDataFolder(start.dataFolder);
    const marker = await runFirstStart(start, null);
    expect(marker).toMatchObject({ state: 'ready', createdMs: 1 });
    expect(await readMarker(start.dataFolder)).toEqual(marker);
    const stores = await Promise.all(
      start.osds.map(({ name }) => readSuperblock(join(start.dataFolder, name))),
    );
    expect(stores.map((store) => store?.setId)).toEqual([marker.setId, marker.setId]);
    expect(new Set(stores.map((store) => store?.storeId)).size).toBe(2);
  });

  it('goes on where it was broken off, and keeps what was whole', async () => {
    const start = firstStart(() => Promise.reject(new Error('the power failed')));
    await claimDataFolder(start.dataFolder);
    await expect(runFirstStart(start, null)).rejects.toThrow('the power failed');
    const found = await readMarker(start.dataFolder);
    expect(found?.state).toBe('formatting');
    const kept = await readFile(join(start.dataFolder, 'osd-0', 'store.json'), 'utf8');
    const half = join(start.dataFolder, 'osd-1', 'store.json');
    await rm(half);
    const marker = await runFirstStart(firstStart(), found);
    expect(marker).toMatchObject({ setId: found!.setId, state: 'ready' });
    expect(await readFile(join(start.dataFolder, 'osd-0', 'store.json'), 'utf8')).toBe(kept);
    expect(await readSuperblock(join(start.dataFolder, 'osd-1'))).not.toBeNull();
  });

  it('is the only time when a folder that is no store is emptied', async () => {
    const { dataFolder } = firstStart();
    await claimDataFolder(dataFolder);
    await mkdir(join(dataFolder, 'osd-0'));
    await expect(claimDataFolder(dataFolder)).rejects.toThrow('has something else in it');
  });
});
