import { describe, expect, it } from 'vitest';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import type { CommitBatch } from '../../../src/store/group-commit.js';
import { type LoadObject, ObjectTable } from '../../../src/store/object-table.js';
import { waitFor } from '../../../src/store/object-turn.js';

/** Room for some twenty entries. */
const IDLE_BYTES_MAX = 20_000;

function idOf(index: number): ObjectId {
  return makeObjectId('bucket', `key-${index}`);
}

/** As much of a batch as the table sees: it is written when the test says so. */
class TestBatch {
  readonly #callbacks: (() => void)[] = [];

  afterwards(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  write(): void {
    for (const callback of this.#callbacks) callback();
  }

  asBatch(): CommitBatch {
    return this as unknown as CommitBatch;
  }
}

function makeTable(idleBytesMax = IDLE_BYTES_MAX): {
  readonly table: ObjectTable;
  readonly loads: ObjectId[];
} {
  const loads: ObjectId[] = [];
  const load: LoadObject = (id, listener) => {
    loads.push(id);
    setImmediate(() => listener.loaded(null, true));
  };
  return { table: new ObjectTable(load, idleBytesMax), loads };
}

async function visit(table: ObjectTable, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index += 1) await table.look(idOf(index), () => undefined);
}

describe('the objects in memory', () => {
  it('are loaded once while they are few', async () => {
    const { table, loads } = makeTable();
    await visit(table, 0, 10);
    await visit(table, 0, 10);
    expect(loads).toHaveLength(10);
  });

  it('are loaded anew when many others came between, and those of the last generation are not', async () => {
    const { table, loads } = makeTable();
    await visit(table, 0, 1000);
    loads.length = 0;
    await visit(table, 995, 1000);
    expect(loads).toHaveLength(0);
    await visit(table, 0, 5);
    expect(loads).toHaveLength(5);
  });

  it('that were only written go soon, and those that somebody has looked at stay', async () => {
    const { table, loads } = makeTable(16 * 1024 * 1024);
    const write = async (from: number, to: number): Promise<void> => {
      for (let index = from; index < to; index += 1)
        await table.perform(idOf(index), () => ({ kind: 'done', result: undefined }));
    };
    const loadsOf = (index: number): number => loads.filter((id) => id === idOf(index)).length;
    await write(0, 2);
    await visit(table, 0, 1);
    await write(2, 2000);
    await visit(table, 0, 2);
    expect([loadsOf(0), loadsOf(1)]).toEqual([1, 2]);
    // A write of one that was looked at does not make it one that was only written.
    await write(1, 2);
    await write(2000, 4000);
    await visit(table, 0, 2);
    expect([loadsOf(0), loadsOf(1)]).toEqual([1, 2]);
    expect(loads.length).toBeLessThan(4010);
  });

  it('stay as long as a batch that changes them is not written, however many others come', async () => {
    const { table, loads } = makeTable();
    const batch = new TestBatch();
    const change = (): Promise<string> =>
      table.perform(idOf(0), (entry) => {
        table.change(entry, batch.asBatch(), null);
        return { kind: 'done', result: 'changed' };
      });
    expect(await change()).toBe('changed');
    await visit(table, 1, 1000);
    const isPending = (): Promise<boolean> =>
      table.look(idOf(0), ({ pendingBatch }) => pendingBatch !== null);
    expect(await isPending()).toBe(true);
    batch.write();
    expect(await isPending()).toBe(false);
    expect(loads.filter((id) => id === idOf(0))).toHaveLength(1);
    await visit(table, 1000, 2000);
    await visit(table, 0, 1);
    expect(loads.filter((id) => id === idOf(0))).toHaveLength(2);
  });

  it('change in the order in which it was asked for, also when one has to wait and one does not', async () => {
    const { table } = makeTable();
    await visit(table, 0, 1);
    const order: string[] = [];
    let isFetched = false;
    const first = table.perform(idOf(0), () => {
      if (!isFetched) {
        const until = waitFor(async () => {
          isFetched = true;
        });
        return { kind: 'wait', until };
      }
      order.push('first');
      return { kind: 'done', result: null };
    });
    const second = table.perform(idOf(0), () => {
      order.push('second');
      return { kind: 'done', result: null };
    });
    await Promise.all([first, second]);
    const third = table.perform(idOf(0), () => {
      order.push('third');
      return { kind: 'done', result: null };
    });
    expect(order).toEqual(['first', 'second', 'third']);
    await third;
  });

  it('hear of what is thrown in their turn, and go on', async () => {
    const { table } = makeTable();
    await visit(table, 0, 1);
    const fail = (): never => {
      throw new Error('no');
    };
    await expect(table.perform(idOf(0), fail)).rejects.toThrow('no');
    await expect(table.perform(idOf(1), fail)).rejects.toThrow('no');
    expect(await table.perform(idOf(0), () => ({ kind: 'done', result: 1 }))).toBe(1);
  });
});
