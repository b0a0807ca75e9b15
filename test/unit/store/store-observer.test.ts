import { afterEach, describe, expect, it } from 'vitest';
import type { WrittenBatch } from '../../../src/store/store-observer.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import type { Token } from '../../../src/protocol/token.js';
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

  it('sees no batch of clears alone while contents are on their way, and one as soon as none is', async () => {
    const batches: WrittenBatch[] = [];
    const observer = {
      batchWritten: (batch: WrittenBatch) => batches.push(batch),
      segmentSynced: () => undefined,
    };
    temporary = await makeTemporaryStore({ observer });
    const driver = await new StoreDriver(temporary.store).activate(1);
    const writeSome = async (first: number): Promise<Token[]> => {
      const requests = Array.from({ length: 8 }, (_, index) =>
        driver.request({ id: idOf(`${first + index}`), kind: 'replace', bytes: patternBytes(4096, index) }),
      );
      const outcomes = await temporary!.store.writeMany(requests);
      return outcomes.flatMap((outcome) => (outcome.kind === 'committed' ? [outcome.token] : []));
    };
    const tokens = await writeSome(0);
    expect(tokens).toHaveLength(8);
    batches.length = 0;
    const [more, cleared] = await Promise.all([writeSome(8), driver.clear(tokens)]);
    expect(cleared).toEqual({ kind: 'cleared', rowCount: 8 });
    expect(batches).toMatchObject([{ transactionCount: 8, isSynced: true }]);
    expect(await driver.clear(more)).toEqual({ kind: 'cleared', rowCount: 8 });
    expect(batches).toMatchObject([{ isSynced: true }, { transactionCount: 0, isSynced: false }]);
  });
});
