import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FilePort, nodeFiles, type ReadableFile } from '../../../src/store/file-port.js';
import { toSegmentId } from '../../../src/store/keys.js';
import { RecentPlaces } from '../../../src/store/recent-places.js';
import type { Fragment } from '../../../src/store/segment-format.js';
import { expectBytes, expectCommitted, idOf, patternBytes, StoreDriver } from './store-driver.js';
import { makeTemporaryStore, type TemporaryStore } from './temporary-store.js';

function place(index: number, length = 4096): Fragment {
  return { segmentId: toSegmentId(1), offset: index * 4096, length };
}

describe('recent places', () => {
  it('are small ones that were noted, whatever comes after them for a while', () => {
    const recent = new RecentPlaces();
    recent.note(place(0));
    recent.note(place(1, 1024 * 1024));
    expect([0, 1, 2].map((index) => recent.has(place(index)))).toEqual([true, false, false]);
    for (let index = 2; index < 16_000; index += 1) recent.note(place(index));
    expect(recent.has(place(0))).toBe(true);
  });

  it('are so many at the most: the oldest are forgotten', () => {
    const recent = new RecentPlaces();
    for (let index = 0; index < 100_000; index += 1) recent.note(place(index));
    const known = Array.from({ length: 100_000 }, (_, index) => recent.has(place(index)));
    expect(known.filter(Boolean).length).toBeLessThanOrEqual(32_768);
    expect([known[0], known.at(-1)]).toEqual([false, true]);
  });

  it('are none once a read of one had to wait for the disk', () => {
    const recent = new RecentPlaces();
    recent.note(place(0));
    recent.judge(0.1);
    expect(recent.has(place(0))).toBe(true);
    recent.judge(20);
    expect(recent.has(place(0))).toBe(false);
  });
});

/** Counts the reads of segments, by the way they went. */
function countReads(counts: { waited: number; atOnce: number }): FilePort {
  const watched = (file: ReadableFile): ReadableFile => ({
    read: (buffer, position) => {
      counts.waited += 1;
      return file.read(buffer, position);
    },
    readNow: (buffer, position) => {
      counts.atOnce += 1;
      return file.readNow(buffer, position);
    },
    close: () => file.close(),
  });
  return { ...nodeFiles, openFile: async (path) => watched(await nodeFiles.openFile(path)) };
}

/** Writes while others do, so that the content goes to a segment. */
async function putInSegment(temporary: TemporaryStore, content: Buffer): Promise<StoreDriver> {
  const driver = await new StoreDriver(temporary.store).activate(1);
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const replies = await Promise.all(names.map((name) => driver.put(idOf(name), content)));
  for (const reply of replies) expectCommitted(reply);
  return driver;
}

describe('a small content in a segment', () => {
  const content = patternBytes(8000, 1);

  it('is read at once when it was read a moment ago, and on another thread after a restart', async () => {
    const counts = { waited: 0, atOnce: 0 };
    const temporary = await makeTemporaryStore({ files: countReads(counts) });
    const driver = await putInSegment(temporary, content);
    expectBytes(await driver.content(idOf('h')), content); // the file is opened for it
    expectBytes(await driver.content(idOf('h')), content);
    expect(counts).toEqual({ waited: 1, atOnce: 1 });

    const again = await new StoreDriver(await temporary.reopen()).activate(2);
    expectBytes(await again.content(idOf('h')), content);
    expect(counts).toEqual({ waited: 2, atOnce: 1 });
    await temporary.dispose();
  });

  it('that was damaged since it was read last is found out', async () => {
    const temporary = await makeTemporaryStore();
    const driver = await putInSegment(temporary, content);
    expectBytes(await driver.content(idOf('h')), content);
    const folder = join(temporary.folder, 'segments');
    for (const name of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, name));
      for (let at = bytes.indexOf(content); at >= 0; at = bytes.indexOf(content, at + 1)) bytes[at + 5]! ^= 1;
      writeFileSync(join(folder, name), bytes);
    }
    await expect(driver.content(idOf('h'))).rejects.toMatchObject({ code: 'damaged' });
    await temporary.dispose();
  });
});
