/** Copies the store at every kind of disk call, as a crash would leave it, and opens the copy. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import type { StoreLimits } from '../../../src/store/limits.js';
import { type DiskCall, WatchedDisk } from './faulty-files.js';
import { auditStore } from './store-audit.js';
import { idOf, patternBytes, readContent, StoreDriver } from './store-driver.js';
import { makeTemporaryStore, openTemporary } from './temporary-store.js';

const LIMITS: Partial<StoreLimits> = {
  inlineBytesMax: 200,
  extentCountMax: 8,
  smallExtentBytes: 2_000,
  writeGatherBytes: 500,
  busyInlineBytesMax: 100,
  busyWritesMin: 2,
  segmentBytesMax: 40_000,
  compactionDeadShare: 0.3,
  compactionBytesPerSecondMax: Infinity,
};

/** What may be found of one object after a crash: every state from the last acknowledged one on. */
class Expectation {
  /** All states that were asked for, oldest first; null: removed or never there. */
  readonly states: (Buffer | null)[] = [null];
  acknowledged = 0;

  allows(found: Buffer | null): boolean {
    return this.states
      .slice(this.acknowledged)
      .some((state) => (state === null ? found === null : found?.equals(state) === true));
  }
}

interface Clone {
  readonly folder: string;
  readonly where: string;
  readonly expected: ReadonlyMap<ObjectId, Expectation>;
}

function snapshot(expectations: ReadonlyMap<ObjectId, Expectation>): Map<ObjectId, Expectation> {
  const copy = new Map<ObjectId, Expectation>();
  for (const [id, { states, acknowledged }] of expectations) {
    copy.set(id, Object.assign(new Expectation(), { states: [...states], acknowledged }));
  }
  return copy;
}

function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Four writers on six objects. Each object has one writer, so its states follow one another. */
async function runTraffic(
  driver: StoreDriver,
  random: () => number,
  expectations: Map<ObjectId, Expectation>,
): Promise<void> {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const writeOne = async (id: ObjectId, round: number): Promise<void> => {
    const expectation = expectations.get(id) ?? new Expectation();
    expectations.set(id, expectation);
    const before = expectation.states.at(-1) ?? null;
    const bytes = patternBytes(
      Math.floor(random() * 1_500),
      round * 7 + id.length + Math.floor(random() * 1e6),
    );
    const choice = random();
    const position = expectation.states.length;
    let reply;
    if (before === null || choice < 0.3) {
      expectation.states.push(bytes);
      reply = choice < 0.15 ? await driver.putStaged(id, bytes) : await driver.put(id, bytes);
    } else if (choice < 0.6) {
      expectation.states.push(Buffer.concat([before, bytes]));
      reply = await driver.append(id, bytes);
    } else if (choice < 0.85) {
      const offset = Math.floor(random() * before.length);
      const after = Buffer.concat([before, Buffer.alloc(Math.max(0, offset + bytes.length - before.length))]);
      bytes.copy(after, offset);
      expectation.states.push(after);
      reply = await driver.overwrite(id, offset, bytes);
    } else {
      expectation.states.push(null);
      reply = await driver.remove(id);
    }
    if (reply.kind !== 'committed') throw new Error(`refused: ${reply.code}`);
    expectation.acknowledged = position;
    if (random() < 0.5) await driver.clear([reply.token]);
  };
  await Promise.all(
    names.map(async (name) => {
      for (let round = 0; round < 12; round += 1) await writeOne(idOf(name), round);
    }),
  );
}

async function checkClone({ folder, where, expected }: Clone): Promise<void> {
  const store = await openTemporary(folder, { limits: LIMITS });
  expect(store.report().selfDoubt, where).toBeNull();
  for (const [id, expectation] of expected) {
    const found = await readContent(store, id);
    expect(expectation.allows(found), `${where}: ${id} has ${found?.length ?? 'no'} bytes`).toBe(true);
    const head = await store.head(id);
    // F7, F8: what the last write left and its row come and go together, until the row is cleared.
    const rows = await store.rows(null, 10_000);
    for (const row of rows) if (row.objectId === id) expect(head!.lastTag >= row.tag, where).toBe(true);
  }
  await store.close();
  expect(await auditStore(folder), where).toEqual([]);
}

describe('after a crash', () => {
  const CALLS: readonly DiskCall[] = [
    'createFile',
    'write',
    'datasync',
    'syncFolder',
    'removeFile',
    'commit',
  ];

  it.each(['kill', 'power-cut'] as const)(
    'F7, F8, F9 (%s): every acknowledged write is whole, nothing is torn, no file is left over',
    async (crash) => {
      const seed = Math.floor(Math.random() * 1e9);
      const random = makeRandom(seed);
      const disk = new WatchedDisk();
      const ports = { files: disk.files, openDatabase: disk.openDatabase };
      const temporary = await makeTemporaryStore({ limits: LIMITS, ...ports });
      const expectations = new Map<ObjectId, Expectation>();
      const clones: Clone[] = [];
      const counts = new Map<string, number>();
      disk.hook = (call, when) => {
        const where = `seed ${seed}: ${crash} ${when} ${call}`;
        const count = (counts.get(where) ?? 0) + 1;
        counts.set(where, count);
        // The first of each kind, and then some.
        if (count > 1 && random() > 0.04) return;
        const folder = join(temporary.folder, '..', `clone-${clones.length}`);
        disk.clone(temporary.folder, folder, crash);
        clones.push({ folder, where: `${where} #${count}`, expected: snapshot(expectations) });
      };
      try {
        await runTraffic(await new StoreDriver(temporary.store).activate(1), random, expectations);
        disk.hook = () => {};
        for (const call of CALLS)
          expect(
            clones.some(({ where }) => where.includes(`before ${call} `)),
            call,
          ).toBe(true);
        for (const clone of clones) {
          await checkClone(clone);
          await rm(clone.folder, { recursive: true });
        }
      } finally {
        disk.hook = () => {};
        await temporary.dispose();
      }
    },
    120_000,
  );
});
