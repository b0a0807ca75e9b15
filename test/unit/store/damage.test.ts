/** F19 and its kin: what is damaged, missing or mixed up is refused or put on record, never passed over. */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatStore } from '../../../src/store/format-store.js';
import { readLevelLog } from '../../../src/store/level-log.js';
import {
  expectBytes,
  expectCommitted,
  idOf,
  patternBytes,
  readContent,
  SET_ID,
  StoreDriver,
} from './store-driver.js';
import { makeTemporaryStore, openTemporary, type TemporaryStore } from './temporary-store.js';

const OBJECT_COUNT = 60;
/** Every byte so far from the one before is flipped. `npm run test:damage` flips every single one, which takes some twenty minutes. */
const FLIP_STRIDE = Number(process.env['TALLY_DAMAGE_STRIDE'] ?? 997);
const FLIP_START = Number(process.env['TALLY_DAMAGE_START'] ?? 3);

/** More than the last record of the log. */
const LAST_RECORDS_BYTES = 2000;

describe('a store that was damaged', () => {
  let temporary: TemporaryStore;
  let folder: string;

  beforeEach(async () => {
    temporary = await makeTemporaryStore();
    const driver = await new StoreDriver(temporary.store).activate(1);
    for (let index = 0; index < OBJECT_COUNT; index += 1) {
      expectCommitted(await driver.put(idOf(`name-${index}`), patternBytes(700, index)));
    }
    await driver.put(idOf('large'), patternBytes(200_000, 99));
    await temporary.store.close();
    folder = join(temporary.folder, '..', 'damaged');
    await cp(temporary.folder, folder, { recursive: true });
  });

  afterEach(() => temporary.dispose());

  async function findFile(pattern: RegExp): Promise<string> {
    const names = await readdir(folder, { recursive: true });
    return join(
      folder,
      names
        .filter((name) => pattern.test(name))
        .sort()
        .at(-1)!,
    );
  }

  const refused = { name: 'StoreError', code: 'incomplete-store' };

  it.each([
    ['the superblock', /store\.json$/],
    ['CURRENT', /CURRENT$/],
    ['the manifest', /MANIFEST-\d+$/],
    ['the log', /\.log$/],
    ['a table', /\.ldb$/],
  ])('F19: without %s it does not open, and nothing is created or removed', async (_what, pattern) => {
    if (pattern.source.includes('ldb')) {
      const store = await openTemporary(folder); // moves the log's content into a table
      await store.close();
    }
    await rm(await findFile(pattern));
    const before = (await readdir(folder, { recursive: true })).sort();
    await expect(openTemporary(folder)).rejects.toMatchObject(refused);
    expect((await readdir(folder, { recursive: true })).sort()).toEqual(before);
  });

  it('F19: any flipped byte of the log is noticed, or takes nothing away', async () => {
    const log = await findFile(/\.log$/);
    const sound = await readFile(log);
    let doubtCount = 0;
    expect(sound.length).toBeGreaterThan(40_000);
    for (let at = FLIP_START; at < sound.length; at += FLIP_STRIDE) {
      const flipped = Buffer.from(sound);
      flipped[at] = flipped[at]! ^ 0x40;
      const damaged = join(folder, '..', `flipped-${at}`);
      await cp(folder, damaged, { recursive: true });
      await writeFile(join(damaged, 'db', log.split('/').at(-1)!), flipped);
      const store = await openTemporary(damaged);
      const { selfDoubt, objectCount, tagTable } = store.report();
      if (selfDoubt === null) {
        expect({ at, objectCount, rowCount: tagTable.rowCount }).toEqual({
          at,
          objectCount: OBJECT_COUNT + 1,
          rowCount: OBJECT_COUNT + 1,
        });
      } else doubtCount += 1;
      await store.close();
      const again = await openTemporary(damaged);
      expect(again.report().selfDoubt).toBe(selfDoubt);
      await again.close();
      await rm(damaged, { recursive: true });
    }
    expect(doubtCount).toBeGreaterThan(20);
  }, 7_200_000);

  it('F19: doubt survives a crash between the look at the log and the note in the database', async () => {
    const log = await findFile(/\.log$/);
    const bytes = await readFile(log);
    bytes[5_000] = bytes[5_000]! ^ 1;
    await writeFile(log, bytes);
    const failing = openTemporary(folder, { openDatabase: () => Promise.reject(new Error('crash')) });
    await expect(failing).rejects.toThrow('crash');
    await writeFile(log, await readFile(await findFile(/\.log$/)));
    const store = await openTemporary(folder);
    expect(store.report().selfDoubt).toMatch(/fails its checksum/);
    const driver = new StoreDriver(store);
    await driver.activate(2);
    expect(await driver.put(idOf('a'), Buffer.from('a'))).toMatchObject({ code: 'self-doubt' });
    await store.close();
  });

  it('F19: no bit of the last records can flip so that the log seems to end a little earlier', async () => {
    const sound = await readFile(await findFile(/\.log$/));
    const recordCount = readLevelLog(sound).records.length;
    for (let at = sound.length - LAST_RECORDS_BYTES; at < sound.length; at += 1) {
      for (const bit of [0x01, 0x40, 0x80]) {
        const flipped = Buffer.from(sound);
        flipped[at]! ^= bit;
        const { damage, records } = readLevelLog(flipped);
        if (damage === null)
          expect({ at, bit, count: records.length }).toEqual({ at, bit, count: recordCount });
      }
    }
  });

  it('a torn tail of the log is what a crash leaves, and no damage', async () => {
    const log = await findFile(/\.log$/);
    const sound = await readFile(log);
    for (let lost = 1; lost < LAST_RECORDS_BYTES; lost += 1)
      expect(readLevelLog(sound.subarray(0, sound.length - lost)).damage, `${lost} lost`).toBeNull();
    await writeFile(log, sound.subarray(0, sound.length - 10));
    const store = await openTemporary(folder);
    expect(store.report().selfDoubt).toBeNull();
    await store.close();
  });

  it('F16: a database of another store, or a store of another set, does not open', async () => {
    await expect(openTemporary(folder, { setId: 'other' })).rejects.toMatchObject(refused);
    const other = join(folder, '..', 'other');
    await formatStore(other, { setId: SET_ID });
    await rm(join(folder, 'db'), { recursive: true });
    await cp(join(other, 'db'), join(folder, 'db'), { recursive: true });
    await expect(openTemporary(folder)).rejects.toMatchObject(refused);
  });

  it('is never formatted over, and opens once at a time', async () => {
    await expect(formatStore(folder, { setId: SET_ID })).rejects.toMatchObject({ code: 'in-use' });
    const store = await openTemporary(folder);
    await expect(openTemporary(folder)).rejects.toMatchObject({ code: 'in-use' });
    expect(await store.head(idOf('name-1'))).not.toBeNull();
    await store.close();
  });

  /** Where a file of a segment has the content of the large object. */
  async function findLarge(): Promise<{ path: string; bytes: Buffer; at: number }> {
    const path = await findFile(/\.segment$/);
    const bytes = await readFile(path);
    const at = bytes.indexOf(patternBytes(200_000, 99).subarray(0, 64));
    expect(at).toBeGreaterThan(0);
    return { path, bytes, at };
  }

  it('F30: a rotten chunk of a blob is an error, and the other chunks are still read', async () => {
    const { path, bytes, at } = await findLarge();
    bytes[at + 100_000] = bytes[at + 100_000]! ^ 1;
    await writeFile(path, bytes);
    const store = await openTemporary(folder);
    const driver = new StoreDriver(store);
    await expect(readContent(store, idOf('large'))).rejects.toMatchObject({ code: 'damaged' });
    const range = { kind: 'between', first: 140_000, last: null } as const;
    expectBytes(await driver.content(idOf('large'), range), patternBytes(200_000, 99).subarray(140_000));
    await store.close();
  });

  it.each([
    ['is cut short', (bytes: Buffer, at: number): Buffer => bytes.subarray(0, at + 200_000)],
    ['holds another blob', (bytes: Buffer, at: number): Buffer => Buffer.from(bytes).fill(7, at + 200_000)],
    ['is missing', () => null],
  ])(
    'F30: a segment that %s is an error',
    async (_what, change: (bytes: Buffer, at: number) => Buffer | null) => {
      const { path, bytes, at } = await findLarge();
      const changed = change(bytes, at);
      if (changed === null) await rm(path);
      else await writeFile(path, changed);
      const store = await openTemporary(folder);
      await expect(readContent(store, idOf('large'))).rejects.toMatchObject({ code: 'damaged' });
      // It is still a store: what comes in now goes to another segment.
      const driver = await new StoreDriver(store).activate(2);
      expectCommitted(await driver.put(idOf('large'), patternBytes(200_000, 98)));
      expectBytes(await driver.content(idOf('large')), patternBytes(200_000, 98));
      await store.close();
    },
  );

  it('F30: a flipped byte of a record in a table is an error, not content', async () => {
    const store = await openTemporary(folder); // moves the log's content into a table
    await store.close();
    const table = await findFile(/\.ldb$/);
    const bytes = await readFile(table);
    const needle = patternBytes(700, 7).subarray(100, 140);
    const at = bytes.indexOf(needle);
    expect(at).toBeGreaterThan(0);
    bytes[at] = bytes[at]! ^ 1;
    await writeFile(table, bytes);
    const again = await openTemporary(folder);
    await expect(readContent(again, idOf('name-7'))).rejects.toMatchObject({ code: 'damaged' });
    await again.close();
  });
});
