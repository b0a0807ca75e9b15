import { afterEach, describe, expect, it } from 'vitest';
import type { WrittenBatch } from '../../../src/store/store-observer.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { expectCommitted, idOf, patternBytes, StoreDriver } from './store-driver.js';
import { makeTemporaryStore, type TemporaryStore } from './temporary-store.js';

let temporary: TemporaryStore | null = null;
afterEach(() => temporary?.dispose());

describe('the observer of a store', () => {
  it('is told of every sync of a segment; how much of the segments is dead is counted', async () => {
    const syncsMs: number[] = [];
    const observer = { batchWritten: () => undefined, segmentSynced: (ms: number) => void syncsMs.push(ms) };
    temporary = await makeTemporaryStore({ observer });
    const driver = await new StoreDriver(temporary.store).activate(1);
    expect(temporary.store.segments()).toEqual({ segmentCount: 0, writtenBytes: 0, deadBytes: 0 });
    expectCommitted(await driver.put(idOf('small'), Buffer.from('in the record')));
    expect(syncsMs).toEqual([]);
    const lengthBytes = 300_000;
    expectCommitted(await driver.put(idOf('a'), patternBytes(lengthBytes, 1)));
    expect(syncsMs).toHaveLength(1);
    expect(syncsMs[0]).toBeGreaterThan(0);
    const alive = temporary.store.segments();
    expect(alive.segmentCount).toBe(1);
    expect(alive.writtenBytes).toBeGreaterThan(lengthBytes);
    expect(alive.deadBytes).toBeLessThan(lengthBytes / 10);
    expectCommitted(await driver.put(idOf('a'), patternBytes(lengthBytes, 2)));
    expect(temporary.store.segments().deadBytes).toBeGreaterThanOrEqual(lengthBytes);
  });

  it('is told of every batch once, and whether it was synced', async () => {
    const batches: WrittenBatch[] = [];
    const observer = {
      batchWritten: (batch: WrittenBatch) => batches.push(batch),
      segmentSynced: () => undefined,
    };
    temporary = await makeTemporaryStore({ observer });
    await temporary.store.fence(toEpoch(1));
    expect(batches).toMatchObject([{ transactionCount: 0, isSynced: true }]);
    expect(batches[0]?.durationMs).toBeGreaterThan(0);
  });
});
