import { afterEach, describe, expect, it } from 'vitest';
import type { WrittenBatch } from '../../../src/store/store-observer.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { makeTemporaryStore, type TemporaryStore } from './temporary-store.js';

let temporary: TemporaryStore | null = null;
afterEach(() => temporary?.dispose());

describe('the observer of a store', () => {
  it('is told of every batch once, and whether it was synced', async () => {
    const batches: WrittenBatch[] = [];
    temporary = await makeTemporaryStore({ observer: { batchWritten: (batch) => batches.push(batch) } });
    await temporary.store.fence(toEpoch(1));
    expect(batches).toMatchObject([{ transactionCount: 0, isSynced: true }]);
    expect(batches[0]?.durationMs).toBeGreaterThan(0);
  });
});
