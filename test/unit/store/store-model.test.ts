/** The disk against the memory store: the same requests get the same answers and leave the same content, over restarts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import type { TagRow } from '../../../src/protocol/write.js';
import type { StoreLimits } from '../../../src/store/limits.js';
import type { ObjectStore } from '../../../src/store/object-store.js';
import { MemoryObjectStore } from '../../fakes/memory-object-store.js';
import { auditStore } from './store-audit.js';
import { idOf, patternBytes, PEER, readContent, SET_ID, StoreDriver, tagOf } from './store-driver.js';
import { makeTemporaryStore } from './temporary-store.js';

/** So small that blobs, spills and consolidation happen all the time. */
const TIGHT_LIMITS: Partial<StoreLimits> = {
  inlineBytesMax: 64,
  extentCountMax: 6,
  smallExtentBytes: 200,
  consolidatedBytesMax: 1_000,
  objectCacheBytesMax: 2_000,
  openBlobsMax: 2,
  writeGatherBytes: 100,
  segmentBytesMax: 20_000,
  compactionDeadShare: 0.3,
  compactionBytesPerSecondMax: Infinity,
  batchTransactionsMax: 4,
  rowsIndexedMax: 3,
};

const name = fc.constantFrom('a', 'b', 'ä/\u{1f600}', '\uffee');
const length = fc.integer({ min: 0, max: 300 });

type Step =
  | { kind: 'put' | 'append' | 'overwrite' | 'stage'; name: string; length: number; at: number }
  | {
      kind: 'remove' | 'attributes' | 'stale' | 'retry' | 'push-extents' | 'push-whole';
      name: string;
      length: number;
      at: number;
    }
  | { kind: 'clear' | 'restart' | 'activate' | 'floor' | 'drop'; name: string; length: number; at: number };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind'][]>(
    ...([
      'put',
      'append',
      'append',
      'overwrite',
      'overwrite',
      'stage',
      'remove',
      'attributes',
      'stale',
      'retry',
    ] as const),
    ...(['push-extents', 'push-whole', 'clear', 'clear', 'restart', 'activate', 'floor', 'drop'] as const),
  ),
  name,
  length,
  at: fc.double({ min: 0, max: 1, noNaN: true }),
});

async function activateNext(driver: StoreDriver): Promise<void> {
  await driver.activate(driver.epoch + 1);
}

class Pair {
  readonly drivers: StoreDriver[];
  readonly #reopen: () => Promise<ObjectStore>;
  readonly #memory: MemoryObjectStore;
  #lastRequest: Parameters<ObjectStore['write']>[0] | null = null;
  #pushes = 0;

  constructor(disk: ObjectStore, memory: MemoryObjectStore, reopen: () => Promise<ObjectStore>) {
    this.drivers = [new StoreDriver(disk), new StoreDriver(memory)];
    this.#reopen = reopen;
    this.#memory = memory;
  }

  async both<T>(perform: (driver: StoreDriver) => Promise<T>): Promise<T> {
    const [disk, memory] = [await perform(this.drivers[0]!), await perform(this.drivers[1]!)];
    expect(disk).toEqual(memory);
    return disk;
  }

  async run({ kind, name: of, length: bytesCount, at }: Step, index: number): Promise<unknown> {
    const id = idOf(of);
    const bytes = patternBytes(bytesCount, index);
    const head = await this.drivers[1]!.store.head(id);
    const sizeBytes = head?.kind === 'present' ? head.sizeBytes : 0;
    const offset = Math.floor(at * (sizeBytes + 1));
    for (const driver of this.drivers) {
      // What the driver believes is set right after refusals.
      driver.sizes.set(id, sizeBytes);
      if (head === null) driver.lastTags.delete(id);
      else driver.lastTags.set(id, head.lastTag);
    }
    switch (kind) {
      case 'put':
        return this.both((driver) => this.#write(driver, { id, kind: 'replace', bytes }));
      case 'append':
        return this.both((driver) => this.#write(driver, { id, kind: 'extend', bytes }));
      case 'overwrite':
        return this.both((driver) => this.#write(driver, { id, kind: 'range-write', bytes, offset }));
      case 'stage':
        return this.both((driver) => driver.putStaged(id, bytes));
      case 'remove':
        return this.both((driver) => this.#write(driver, { id, kind: 'remove' }));
      case 'attributes':
        return this.both((driver) => this.#write(driver, { id, kind: 'set-attributes', attributes: of }));
      case 'stale':
        return this.both((driver) =>
          driver.write({
            id,
            kind: 'replace',
            bytes,
            tag: tagOf(driver.epoch, Math.floor(at * driver.counter)),
          }),
        );
      case 'retry':
        if (this.#lastRequest === null) return null;
        return this.both((driver) => driver.store.write(this.#lastRequest!));
      case 'floor':
        for (const driver of this.drivers) driver.floor = tagOf(driver.epoch, driver.counter + 1);
        return null;
      case 'restart':
        return this.#restart();
      case 'activate':
        return this.both(activateNext);
      case 'clear':
      case 'drop':
        return this.#clear(kind, at, index);
      case 'push-extents':
      case 'push-whole':
        return this.#push(kind, id, { bytes, offset, sizeBytes });
    }
  }

  #write(
    driver: StoreDriver,
    write: Parameters<StoreDriver['request']>[0],
  ): ReturnType<StoreDriver['write']> {
    const request = driver.request(write);
    this.#lastRequest = request;
    return driver.send(request);
  }

  async #restart(): Promise<void> {
    this.drivers[0]!.store = await this.#reopen();
    this.#memory.reopen();
    await this.both(activateNext);
  }

  async #clear(kind: 'clear' | 'drop', at: number, index: number): Promise<void> {
    const rows = await this.both((driver) => driver.allRows());
    const some = rows.filter((_, position) => (position + index) % 3 !== Math.floor(at * 3));
    const witnesses = [{ storeId: PEER, commitSequence: index }];
    if (kind === 'clear') {
      await this.both((driver) =>
        driver.clear(
          some.map((row) => this.drivers[1]!.tokenOf(row)),
          witnesses,
        ),
      );
      return;
    }
    await this.both(async (driver) => {
      await driver.recover(driver.epoch + 1);
      const reply = await driver.store.dropRows({
        setId: SET_ID,
        epoch: driver.epoch,
        rows: some,
        witnesses,
      });
      await driver.store.activate(driver.epoch);
      return reply;
    });
  }

  /** Recoveries whose source has that content, and half of the rows. */
  async #push(
    kind: Step['kind'],
    id: ObjectId,
    content: { bytes: Buffer; offset: number; sizeBytes: number },
  ): Promise<void> {
    const { bytes, offset, sizeBytes } = content;
    this.#pushes += 1;
    const rows = (await this.drivers[1]!.allRows())
      .filter((row: TagRow) => row.objectId === id)
      .filter((_, at) => at % 2 === 0);
    await this.both(async (driver) => {
      const lastTag = tagOf(driver.epoch, 1_000_000 + this.#pushes);
      await driver.recover(driver.epoch + 1);
      const isWhole = kind === 'push-whole';
      const size = isWhole
        ? bytes.length
        : Math.max(Math.floor((sizeBytes + offset) / 2), offset + bytes.length);
      const state = {
        kind: 'present',
        sizeBytes: size,
        lastTag,
        lastChecksum: 5,
        attributes: 'pushed',
      } as const;
      const extents = [{ offset, length: bytes.length }];
      const reply = await driver.push(
        { objectId: id, state, rows, content: isWhole ? { kind: 'whole' } : { kind: 'extents', extents } },
        bytes,
      );
      await driver.store.activate(driver.epoch);
      return reply;
    });
  }

  /** The disk drops tombstones in the background. */
  async settleTombstones(): Promise<void> {
    const [disk, memory] = this.drivers.map(({ store }) => store);
    const count = (): number => disk!.report().tombstoneCount;
    await expect.poll(count, { interval: 1, timeout: 20_000 }).toBe(memory!.report().tombstoneCount);
  }

  async compare(): Promise<void> {
    const summaries = await this.both((driver) => driver.store.summaries(null, 1_000));
    await this.both((driver) => driver.allRows());
    await this.both((driver) =>
      driver.store.list({ container: 'bucket', prefix: '', after: '', delimiter: '/', limit: 9 }),
    );
    await this.both(async ({ store }) => ({ ...store.report(), blobBytes: 0, fence: 0 }));
    for (const { objectId } of summaries) {
      const [disk, memory] = await Promise.all(this.drivers.map(({ store }) => readContent(store, objectId)));
      expect(disk?.equals(memory!) ?? memory === null).toBe(true);
    }
  }
}

describe('the store', () => {
  it('answers and keeps what the model does, over restarts and recoveries', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const temporary = await makeTemporaryStore({ limits: TIGHT_LIMITS });
        try {
          const { storeId } = temporary.store.report();
          const memory = new MemoryObjectStore({ setId: SET_ID, storeId, clock: () => 1_000 });
          const pair = new Pair(temporary.store, memory, () => temporary.reopen());
          await pair.both(activateNext);
          for (const [index, one] of steps.entries()) {
            await pair.run(one, index);
            await pair.settleTombstones();
          }
          await pair.compare();
          // What a close leaves to be removed, the next opening removes.
          await (await temporary.reopen()).close();
          expect(await auditStore(temporary.folder)).toEqual([]);
        } finally {
          await temporary.dispose();
        }
      }),
      { numRuns: 100 },
    );
  });
});
