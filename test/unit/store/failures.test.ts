/** A disk that is full, fails or hangs; and what is shared, pinned and bounded. */
import { readdirSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DiskCall, failure, WatchedDisk } from './faulty-files.js';
import { auditStore, readSegmentTable } from './store-audit.js';
import { expectBytes, expectCommitted, idOf, patternBytes, StoreDriver } from './store-driver.js';
import { makeTemporaryStore, openTemporary, type TemporaryStore } from './temporary-store.js';

const LARGE = patternBytes(600_000, 1);

describe('the store', () => {
  let disk: WatchedDisk;
  let temporary: TemporaryStore;
  let driver: StoreDriver;

  beforeEach(async () => {
    disk = new WatchedDisk();
    temporary = await makeTemporaryStore({ files: disk.files, openDatabase: disk.openDatabase });
    driver = await new StoreDriver(temporary.store).activate(1);
    expectCommitted(await driver.put(idOf('a'), Buffer.from('before')));
  });

  afterEach(async () => {
    disk.hook = () => {};
    await temporary.dispose();
  });

  function failOn(call: DiskCall, code: string): void {
    disk.hook = (made, when) => {
      if (made === call && when === 'before') throw failure(code);
    };
  }

  async function expectUnchanged(): Promise<void> {
    disk.hook = () => {};
    const store = await temporary.reopen();
    expectBytes(await new StoreDriver(store).content(idOf('a')), Buffer.from('before'));
    expect(store.report().tagTable.rowCount).toBe(1);
    await store.close();
    expect(await auditStore(temporary.folder)).toEqual([]);
  }

  it.each(['createFile', 'write'] as const)(
    'ENOSPC from %s: the write is refused, nothing changed, and it goes on',
    async (call) => {
      failOn(call, 'ENOSPC');
      expect(await driver.put(idOf('b'), LARGE)).toMatchObject({ kind: 'refused', code: 'no-space' });
      await expect(driver.putStaged(idOf('b'), LARGE)).rejects.toMatchObject({ code: 'no-space' });
      disk.hook = () => {};
      const small = expectCommitted(await driver.put(idOf('c'), Buffer.from('c')));
      await driver.clear([small.token]);
      await driver.remove(idOf('c'));
      await driver.clear(
        (await driver.allRows()).filter(({ kind }) => kind === 'remove').map((row) => driver.tokenOf(row)),
      );
      await expectUnchanged();
    },
  );

  it.each(['datasync', 'write', 'syncFolder', 'commit'] as const)(
    'a failing %s: io-error, and no more writes in this run',
    async (call) => {
      failOn(call, 'EIO');
      await expect(driver.put(idOf('b'), LARGE)).rejects.toMatchObject({ code: 'io-error' });
      disk.hook = () => {};
      await expect(driver.put(idOf('c'), Buffer.from('c'))).rejects.toMatchObject({ code: 'io-error' });
      await expect(driver.store.fence(driver.epoch)).rejects.toMatchObject({ code: 'io-error' });
      expectBytes(await driver.content(idOf('a')), Buffer.from('before'));
      await expectUnchanged();
    },
  );

  it('"no space" from an fsync comes too late to be an answer', async () => {
    failOn('datasync', 'ENOSPC');
    await expect(driver.put(idOf('b'), LARGE)).rejects.toMatchObject({ code: 'io-error' });
  });

  it('refuses writes while the disk has only its reserve left, but removes', async () => {
    await temporary.reopen({ limits: { freeReserveBytes: Number.MAX_SAFE_INTEGER } });
    driver.store = temporary.store;
    await driver.activate(2);
    expect(await driver.put(idOf('b'), Buffer.from('b'))).toMatchObject({ code: 'no-space' });
    await expect(driver.stage(LARGE)).rejects.toMatchObject({ code: 'no-space' });
    expectCommitted(await driver.remove(idOf('a')));
  });

  /** What is alive and what was written, of all segments. */
  async function readSegments(): Promise<{ liveBytes: number; fileCount: number }> {
    await temporary.store.close();
    expect(await auditStore(temporary.folder)).toEqual([]);
    const segments = await readSegmentTable(temporary.folder);
    const names = await readdir(join(temporary.folder, 'segments'));
    return { liveBytes: segments.reduce((sum, row) => sum + row.liveBytes, 0), fileCount: names.length };
  }

  it('removes a segment when the last reference and the last reader of what is in it are gone', async () => {
    driver.store = await temporary.reopen({ limits: { segmentBytesMax: 4096 } });
    await driver.activate(2);
    expectCommitted(await driver.put(idOf('b'), LARGE));
    expectCommitted(await driver.overwrite(idOf('b'), 1_000, Buffer.from('in the middle')));
    const read = await driver.store.read(idOf('b'), { kind: 'whole' });
    expectCommitted(await driver.put(idOf('b'), Buffer.from('small')));
    expectCommitted(await driver.put(idOf('c'), LARGE));
    expectCommitted(await driver.put(idOf('d'), Buffer.from('d')));
    const listed = (): number => readdirSync(join(temporary.folder, 'segments')).length;
    expect(listed()).toBe(2);
    const pieces: Buffer[] = [];
    for await (const piece of read!.body) pieces.push(piece);
    const expected = Buffer.from(LARGE);
    expected.write('in the middle', 1_000);
    expectBytes(Buffer.concat(pieces), expected);
    await expect.poll(listed, { interval: 1 }).toBe(1);
    await driver.put(idOf('e'), Buffer.from('e'));
    expect((await readSegments()).fileCount).toBe(1);
  });

  it('aborted and discarded stages leave nothing alive, and their space is written again', async () => {
    for (let round = 0; round < 3; round += 1) {
      const writer = driver.store.openStage();
      for (let index = 0; index < 5; index += 1) await writer.write(LARGE);
      await writer.abort();
      const { stageId } = await driver.stage(LARGE);
      await driver.store.discardStage(stageId);
    }
    expect(await readSegments()).toEqual({ liveBytes: 0, fileCount: 1 });
    const [name] = await readdir(join(temporary.folder, 'segments'));
    expect((await stat(join(temporary.folder, 'segments', name!))).size).toBeLessThan(6 * LARGE.length);
  });

  it('an upload that is aborted after more than a segment leaves none behind', async () => {
    driver.store = await temporary.reopen({
      limits: { segmentBytesMax: 1_000_000, fragmentBytesMax: 400_000 },
    });
    await driver.activate(2);
    const writer = driver.store.openStage();
    for (let index = 0; index < 40; index += 1) await writer.write(LARGE);
    await writer.abort();
    await driver.put(idOf('b'), Buffer.from('b'));
    await expect.poll(() => readdirSync(join(temporary.folder, 'segments')).length, { interval: 1 }).toBe(0);
  });

  it('transactions that wait share a batch, and one that is alone does not wait for others', async () => {
    let commitCount = 0;
    disk.hook = (call, when) => {
      if (call === 'commit' && when === 'before') commitCount += 1;
    };
    await driver.put(idOf('alone'), Buffer.from('alone'));
    expect(commitCount).toBe(1);
    const replies = await Promise.all(
      Array.from({ length: 300 }, (_, index) => driver.put(idOf(`name-${index}`), Buffer.from('x'))),
    );
    expect(commitCount).toBeLessThan(12);
    const sequences = replies.map((reply) => expectCommitted(reply).commitSequence);
    expect(Math.max(...sequences)).toBe(driver.store.report().commitSequence);
    const rows = await driver.allRows();
    for (const row of rows)
      expect(row.commitSequence).toBeLessThanOrEqual(driver.store.report().commitSequence);
  });

  it('turns away what passes its queue, and takes no harm', async () => {
    await temporary.reopen({ limits: { queueDepthMax: 10, batchTransactionsMax: 2, stageCountMax: 1 } });
    driver.store = temporary.store;
    await driver.activate(2);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => driver.put(idOf(`name-${index}`), Buffer.from('x'))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(outcomes.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'overloaded' } });
    const stage = driver.store.openStage();
    expect(() => driver.store.openStage()).toThrow(/too many/);
    await stage.abort();
    await driver.store.openStage().abort();
  });

  it('opens in time for what was in flight, not for what it holds', async () => {
    const count = 30_000;
    const bytes = Buffer.from('x');
    await temporary.reopen({});
    driver.store = temporary.store;
    await driver.activate(2);
    for (let at = 0; at < count; at += 5_000) {
      const puts = Array.from({ length: 5_000 }, (_, index) => driver.put(idOf(`name-${at + index}`), bytes));
      const replies = await Promise.all(puts);
      await driver.clear(replies.map((reply) => expectCommitted(reply).token));
    }
    await temporary.store.close();
    await (await openTemporary(temporary.folder)).close(); // the log that was in flight goes into a table
    const startMs = performance.now();
    temporary.store = await openTemporary(temporary.folder);
    const elapsedMs = performance.now() - startMs;
    expect(temporary.store.report()).toMatchObject({ objectCount: count + 1, tagTable: { rowCount: 1 } });
    expect(elapsedMs).toBeLessThan(500);
  }, 60_000);

  it('10,000 appends of 100 bytes stay quick, and read back whole', async () => {
    await temporary.reopen({});
    driver.store = temporary.store;
    await driver.activate(2);
    const piece = patternBytes(100, 3);
    await driver.put(idOf('log'), piece);
    for (let round = 1; round < 200; round += 1) {
      const appends = Array.from({ length: 50 }, () => driver.append(idOf('log'), piece));
      for (const reply of await Promise.all(appends)) expectCommitted(reply);
    }
    const content = await driver.content(idOf('log'));
    expect(content?.length).toBe(100 + 199 * 50 * 100);
    expectBytes(content!.subarray(-200), Buffer.concat([piece, piece]));
  }, 60_000);
});
