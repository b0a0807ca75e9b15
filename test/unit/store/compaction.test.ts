/** Compaction: what is alive moves out of segments that are mostly dead, and nobody notices. */
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoreLimits } from '../../../src/store/limits.js';
import { auditStore } from './store-audit.js';
import { expectBytes, expectCommitted, idOf, patternBytes, StoreDriver } from './store-driver.js';
import { makeTemporaryStore, type TemporaryStore } from './temporary-store.js';

const LIMITS: Partial<StoreLimits> = {
  segmentBytesMax: 400_000,
  inlineBytesMax: 100,
  compactionBytesPerSecondMax: Infinity,
};
const KEEP = 'keep';

describe('compaction', () => {
  let temporary: TemporaryStore;
  let driver: StoreDriver;

  beforeEach(async () => {
    temporary = await makeTemporaryStore({ limits: LIMITS });
    driver = await new StoreDriver(temporary.store).activate(1);
  });

  afterEach(() => temporary.dispose());

  function segmentFiles(): string[] {
    return readdirSync(join(temporary.folder, 'segments')).sort();
  }

  /** Fills segments with objects of which one in eight stays. */
  async function fillAndRemove(lengthBytes: number, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1)
      expectCommitted(await driver.put(idOf(`${KEEP}-${index}`), patternBytes(lengthBytes, index)));
    for (let index = 0; index < count; index += 1)
      if (index % 8 !== 0) expectCommitted(await driver.remove(idOf(`${KEEP}-${index}`)));
  }

  async function expectKept(lengthBytes: number, count: number): Promise<void> {
    for (let index = 0; index < count; index += 8)
      expectBytes(await driver.content(idOf(`${KEEP}-${index}`)), patternBytes(lengthBytes, index));
  }

  async function useLimits(limits: Partial<StoreLimits>): Promise<void> {
    driver.store = await temporary.reopen({ limits: { ...LIMITS, ...limits } });
    await driver.activate(driver.epoch + 1);
  }

  it.each([
    [30_000, 80, 400_000],
    [300_000, 56, 2_000_000],
  ])(
    'of objects of %i bytes leaves little more than what is alive',
    async (lengthBytes, count, segmentBytesMax) => {
      await useLimits({ segmentBytesMax });
      await fillAndRemove(lengthBytes, count);
      const aliveFiles = Math.ceil(((count / 8) * lengthBytes) / segmentBytesMax);
      await expect.poll(() => segmentFiles().length, { timeout: 20_000 }).toBeLessThanOrEqual(aliveFiles + 2);
      await expectKept(lengthBytes, count);
      driver.store = await temporary.reopen();
      await expectKept(lengthBytes, count);
      await temporary.store.close();
      expect(await auditStore(temporary.folder)).toEqual([]);
    },
  );

  it('is picked up by the next run, and stops with its store', async () => {
    await useLimits({ compactionBytesPerSecondMax: 1 });
    await fillAndRemove(30_000, 80);
    const before = segmentFiles().length;
    await useLimits({});
    await expect.poll(() => segmentFiles().length, { timeout: 20_000 }).toBeLessThan(before - 3);
    await expectKept(30_000, 80);
  });

  it('a read that began before goes on', async () => {
    await useLimits({ segmentBytesMax: 2_000_000 });
    for (let index = 0; index < 40; index += 1)
      expectCommitted(await driver.put(idOf(`${KEEP}-${index}`), patternBytes(300_000, index)));
    const read = await driver.store.read(idOf(`${KEEP}-0`), { kind: 'whole' });
    const blobBytes = driver.store.report().blobBytes;
    for (let index = 1; index < 40; index += 1)
      if (index % 8 !== 0) expectCommitted(await driver.remove(idOf(`${KEEP}-${index}`)));
    await expect.poll(() => segmentFiles().length, { timeout: 20_000 }).toBeLessThan(5);
    const pieces: Buffer[] = [];
    for await (const piece of read!.body) pieces.push(piece);
    expectBytes(Buffer.concat(pieces), patternBytes(300_000, 0));
    expect(driver.store.report().blobBytes).toBe(blobBytes / 8);
  });

  it('F30: a rotten fragment is not passed on as sound, and what lives beside it is kept', async () => {
    await useLimits({ compactionBytesPerSecondMax: 1 });
    await fillAndRemove(30_000, 80);
    await temporary.store.close();
    const needle = patternBytes(30_000, 8).subarray(1_000, 1_064);
    for (const name of segmentFiles()) {
      const path = join(temporary.folder, 'segments', name);
      const bytes = await readFile(path);
      const at = bytes.indexOf(needle);
      if (at < 0) continue;
      bytes[at] = bytes[at]! ^ 1;
      await writeFile(path, bytes);
    }
    await useLimits({});
    await expect(driver.content(idOf(`${KEEP}-8`))).rejects.toMatchObject({ code: 'damaged' });
    for (let index = 0; index < 80; index += 8)
      if (index !== 8)
        expectBytes(await driver.content(idOf(`${KEEP}-${index}`)), patternBytes(30_000, index));
    await temporary.store.close();
    expect(await auditStore(temporary.folder)).toEqual([]);
  });

  it('survives writers that replace what is being moved', async () => {
    for (let round = 0; round < 6; round += 1) {
      const puts = Array.from({ length: 60 }, (_, index) =>
        driver.put(idOf(`${KEEP}-${index}`), patternBytes(20_000 + index, round * 100 + index)),
      );
      for (const reply of await Promise.all(puts)) expectCommitted(reply);
      const some = Array.from({ length: 60 }, (_, index) => index).filter((index) => index % 3 !== round % 3);
      const again = some.map((index) =>
        driver.put(idOf(`${KEEP}-${index}`), patternBytes(20_000, round + index)),
      );
      for (const reply of await Promise.all(again)) expectCommitted(reply);
      for (const index of some)
        expectBytes(await driver.content(idOf(`${KEEP}-${index}`)), patternBytes(20_000, round + index));
    }
    await temporary.store.close();
    expect(await auditStore(temporary.folder)).toEqual([]);
  });
});
