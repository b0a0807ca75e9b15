import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import { type Database, openDatabase } from '../../../src/store/database.js';
import { IdFilter } from '../../../src/store/id-filter.js';
import { IdIndex } from '../../../src/store/id-index.js';
import { objectKey, tombstoneKey } from '../../../src/store/keys.js';
import { DEFAULT_LIMITS } from '../../../src/store/limits.js';

function idOf(index: number, version = ''): ObjectId {
  return makeObjectId('bucket', `folder/key-${index}`, version);
}

const FIRST_LAYER_IDS = 65_536;

describe('a filter of ids', () => {
  it('has all that was added, through all of its layers, and hardly any other', () => {
    const filter = new IdFilter(1024 * 1024);
    const count = 3 * FIRST_LAYER_IDS;
    for (let index = 0; index < count; index += 1) filter.add(idOf(index));
    let missing = 0;
    for (let index = 0; index < count; index += 1) if (!filter.mayHave(idOf(index))) missing += 1;
    expect(missing).toBe(0);
    let mistaken = 0;
    for (let index = 0; index < 100_000; index += 1) if (filter.mayHave(idOf(index, 'v'))) mistaken += 1;
    expect(mistaken).toBeLessThan(300);
  });

  it('has all that was added when there is no room for another layer', () => {
    const filter = new IdFilter(1);
    const count = 4 * FIRST_LAYER_IDS;
    for (let index = 0; index < count; index += 1) filter.add(idOf(index));
    let missing = 0;
    for (let index = 0; index < count; index += 1) if (!filter.mayHave(idOf(index))) missing += 1;
    expect(missing).toBe(0);
  });

  it('has nothing at first, and ids of any script', () => {
    const filter = new IdFilter(1024);
    const ids = ['a', 'ä', '☃', '𝄞', 'a/b'].map((name) => makeObjectId('bucket', name));
    for (const id of ids) expect(filter.mayHave(id)).toBe(false);
    for (const id of ids) filter.add(id);
    for (const id of ids) expect(filter.mayHave(id)).toBe(true);
  });
});

describe('the index of ids', () => {
  const bytesMax = 1024 * 1024;
  const silent = (): void => undefined;
  const logger = { info: silent, warn: silent, error: silent };
  let folder: string;
  let database: Database;
  let index: IdIndex;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tally-ids-'));
    database = await openDatabase(folder, { createIfMissing: true, limits: DEFAULT_LIMITS });
    index = new IdIndex({ database, logger, bytesMax });
  });

  afterEach(async () => {
    await index.stop();
    await database.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function untilComplete(): Promise<void> {
    while (!index.hasNone(idOf(-1))) await turn();
  }

  it('is sure of nothing before it has seen all that is stored, objects and tombstones alike', async () => {
    const batch = database.batch();
    const count = 1000;
    for (let number = 0; number < count; number += 1)
      batch.put((number % 2 === 0 ? objectKey : tombstoneKey)(idOf(number)), Buffer.of(1));
    await batch.write();
    index.start(count);
    for (let number = 0; number < 2 * count; number += 1) expect(index.hasNone(idOf(number))).toBe(false);
    await untilComplete();
    for (let number = 0; number < count; number += 1) expect(index.hasNone(idOf(number))).toBe(false);
    let newCount = 0;
    for (let number = count; number < 2 * count; number += 1) if (index.hasNone(idOf(number))) newCount += 1;
    expect(newCount).toBeGreaterThan(0.98 * count);
  });

  it('knows what was put while it looked at what is stored', async () => {
    index.start(0);
    index.put(idOf(1));
    await untilComplete();
    expect(index.hasNone(idOf(1))).toBe(false);
    expect(index.hasNone(idOf(2))).toBe(true);
    index.put(idOf(2));
    expect(index.hasNone(idOf(2))).toBe(false);
  });

  it('is sure of nothing in a store that has far more than it has room for, nor when it was stopped on its way', async () => {
    index.start(bytesMax + 1);
    await index.stop();
    expect(index.hasNone(idOf(1))).toBe(false);
    const stopped = new IdIndex({ database, logger, bytesMax });
    stopped.start(0);
    await stopped.stop();
    expect(stopped.hasNone(idOf(1))).toBe(false);
  });
});
