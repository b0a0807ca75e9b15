/** A full disk: removals alone make room, and nothing that is alive is touched by it. */
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '../../../src/store/database.js';
import type { WriteReply } from '../../../src/store/object-store.js';
import { DEFAULT_LIMITS, limitsForDisk, type StoreLimits } from '../../../src/store/limits.js';
import { WatchedDisk } from './faulty-files.js';
import { LimitedDisk } from './limited-disk.js';
import { auditStore } from './store-audit.js';
import {
  expectBytes,
  expectCommitted,
  idOf,
  patternBytes,
  readContent,
  StoreDriver,
} from './store-driver.js';
import { makeTemporaryStore, openTemporary, type TemporaryStore } from './temporary-store.js';

const DISK_BYTES = 12_000_000;
const RESERVE_BYTES = 2_000_000;
const SEGMENT_BYTES = 800_000;
const LIMITS: Partial<StoreLimits> = {
  segmentBytesMax: SEGMENT_BYTES,
  fragmentBytesMax: 200_000,
  packBytesMax: 200_000,
  freeReserveBytes: RESERVE_BYTES,
  inlineBytesMax: 100,
  compactionBytesPerSecondMax: Infinity,
  reclaimIntervalMs: 5,
};
const OBJECT_BYTES = 60_000;
/** So much of what was removed is put again; more than the store's reserves would let in is not asked for. */
const RETAKEN_SHARE = 1 / 2;
const WITHIN = { timeout: 10_000, interval: 10 };

describe('a full disk', () => {
  let watched: WatchedDisk;
  let disk: LimitedDisk;
  let temporary: TemporaryStore;
  let driver: StoreDriver;
  let openDatabase: OpenDatabase;
  let nowMs = 0;

  beforeEach(async () => {
    watched = new WatchedDisk();
    openDatabase = watched.openDatabase;
    disk = new LimitedDisk(DISK_BYTES, watched.files);
    temporary = await makeTemporaryStore(options());
    driver = await new StoreDriver(temporary.store).activate(1);
  });

  afterEach(async () => {
    watched.hook = () => {};
    await temporary.dispose();
  });

  /** Free space is asked for anew each time. */
  function options(limits: Partial<StoreLimits> = {}) {
    const clock = (): number => (nowMs += 1_000);
    return {
      limits: { ...LIMITS, ...limits },
      files: disk.files,
      openDatabase,
      clock,
    };
  }

  async function reopen(limits: Partial<StoreLimits>): Promise<void> {
    driver.store = await temporary.reopen(options(limits));
    await driver.activate(driver.epoch + 1);
  }

  /** Puts objects until one is refused; returns how many were taken. */
  async function fill(lengthBytes = OBJECT_BYTES): Promise<number> {
    for (let index = 0; ; index += 1) {
      const reply = await driver.put(idOf(`object-${index}`), patternBytes(lengthBytes, index));
      if (reply.kind === 'committed') {
        await driver.clear([reply.token]);
        continue;
      }
      expect(reply.code).toBe('no-space');
      expect(driver.store.report().fault).toMatchObject({ kind: 'no-space' });
      return index;
    }
  }

  /** Returns how many it removed. */
  async function removeSome(count: number, isKept: (index: number) => boolean): Promise<number> {
    let removedCount = 0;
    for (let index = 0; index < count; index += 1) {
      if (isKept(index)) continue;
      const reply = expectCommitted(await driver.remove(idOf(`object-${index}`)));
      await driver.clear([reply.token]);
      removedCount += 1;
    }
    return removedCount;
  }

  /**
   * A share of what was removed is taken again: a first write may fit by chance, and what is free at one moment says less, as the
   * store rests once it is at ease and removals write a bit as well.
   */
  async function expectRoomAgain(removedCount: number, lengthBytes = OBJECT_BYTES): Promise<void> {
    for (let index = 0; index < removedCount * RETAKEN_SHARE; index += 1) {
      const bytes = patternBytes(lengthBytes, index + 7);
      const id = idOf(`after-${index}`);
      await expect.poll(async () => (await driver.put(id, bytes)).kind, WITHIN).toBe('committed');
      expectBytes(await driver.content(id), bytes);
    }
    await expect.poll(() => driver.store.report().fault, WITHIN).toBeNull();
  }

  async function expectKept(count: number, isKept: (index: number) => boolean): Promise<void> {
    for (let index = 0; index < count; index += 1)
      if (isKept(index))
        expectBytes(await driver.content(idOf(`object-${index}`)), patternBytes(OBJECT_BYTES, index));
    await temporary.store.close();
    expect(await auditStore(temporary.folder)).toEqual([]);
  }

  it('has room again when everything was removed from a segment that is still written to', async () => {
    await reopen({ segmentBytesMax: 4_000_000 });
    const count = await fill();
    expect(readdirSync(join(temporary.folder, 'segments')).length).toBeLessThan(4);
    const removedCount = await removeSome(count, () => false);
    await expectRoomAgain(removedCount);
  });

  it('has room again when some of what is in a segment that is still written to was removed', async () => {
    await reopen({ segmentBytesMax: 4_000_000 });
    const count = await fill();
    const isKept = (index: number): boolean => index < count - 40 || index % 4 === 0;
    const removedCount = await removeSome(count, isKept);
    await expectRoomAgain(removedCount);
    await expectKept(count, isKept);
  });

  it('has room again when a third of every segment was removed, too little to be compacted at other times', async () => {
    const count = await fill();
    const isKept = (index: number): boolean => index % 3 !== 0;
    const removedCount = await removeSome(count, isKept);
    await expectRoomAgain(removedCount);
    expect(disk.leastFreeBytes).toBeGreaterThanOrEqual(RESERVE_BYTES / 2);
    await expectKept(count, isKept);
  });

  it('has room again when the store is opened after the removals', async () => {
    await reopen({ reclaimIntervalMs: 1_000_000 });
    const count = await fill();
    const isKept = (index: number): boolean => index % 3 !== 0;
    const removedCount = await removeSome(count, isKept);
    expect(driver.store.report().fault).toMatchObject({ kind: 'no-space' });
    await reopen({});
    await expectRoomAgain(removedCount);
    await expectKept(count, isKept);
  });

  it('has room again when contents were removed that were small enough for LevelDB', async () => {
    await reopen({ inlineBytesMax: 16_384, busyInlineBytesMax: 16_384, deadInlineBytesMin: 100_000 });
    const count = await fill(16_000);
    const removedCount = await removeSome(count, () => false);
    await expectRoomAgain(removedCount, 16_000);
  });

  it('has room again when somebody read LevelDB while it compacted', async () => {
    const inlineLimits = { inlineBytesMax: 16_384, busyInlineBytesMax: 16_384 };
    await reopen(inlineLimits);
    const count = await fill(16_000);
    openDatabase = async (...parameters) => {
      const database = await watched.openDatabase(...parameters);
      const compactRange = database.compactRange.bind(database);
      let isFirst = true;
      database.compactRange = async (first: Buffer, last: Buffer) => {
        const iterator = isFirst ? database.iterator() : null;
        isFirst = false;
        await iterator?.next();
        await compactRange(first, last);
        await iterator?.close();
      };
      return database;
    };
    // Everything is in tables then, and compacted once when all of it was removed.
    await reopen({ ...inlineLimits, deadInlineBytesMin: count * 16_000 });
    const removedCount = await removeSome(count, () => false);
    await expectRoomAgain(removedCount, 16_000);
  });

  it('copies nothing while the copy would take what LevelDB needs, and goes on when there is more', async () => {
    const count = await fill();
    const isKept = (index: number): boolean => index % 3 !== 0;
    const freeBytes = disk.freeBytes(temporary.folder);
    disk.sizeBytes -= freeBytes - RESERVE_BYTES / 2;
    disk.leastFreeBytes = Number.MAX_SAFE_INTEGER;
    const before = readdirSync(join(temporary.folder, 'segments'));
    const removedCount = await removeSome(count, isKept);
    for (let round = 0; round < 20; round += 1) await driver.store.head(idOf(`object-${round}`));
    expect(driver.store.report().fault).toMatchObject({ kind: 'no-space' });
    expect(before).toEqual(expect.arrayContaining(readdirSync(join(temporary.folder, 'segments'))));
    disk.sizeBytes = DISK_BYTES;
    await expectRoomAgain(removedCount);
    await expectKept(count, isKept);
  });

  it('keeps what is being read', async () => {
    const count = await fill();
    const read = await driver.store.read(idOf('object-3'), { kind: 'whole' });
    const removedCount = await removeSome(count, (index) => index % 3 !== 0);
    await expectRoomAgain(removedCount);
    const pieces: Buffer[] = [];
    for await (const piece of read!.body) pieces.push(piece);
    expectBytes(Buffer.concat(pieces), patternBytes(OBJECT_BYTES, 3));
  });

  it('keeps content that has arrived and waits for its transaction', async () => {
    const { stageId } = await driver.stage(patternBytes(OBJECT_BYTES, 5_000));
    const count = await fill();
    const removedCount = await removeSome(count, (index) => index % 3 !== 0);
    await expectRoomAgain(removedCount);
    const content = { kind: 'stage', stageId } as const;
    const bytes = patternBytes(OBJECT_BYTES, 5_000);
    const write = (): Promise<WriteReply> =>
      driver.store.write(driver.request({ id: idOf('late'), kind: 'replace', bytes, content }));
    await expect.poll(async () => (await write()).kind, WITHIN).toBe('committed');
    expectBytes(await driver.content(idOf('late')), bytes);
  });

  it('comes to rest: what is left to gain is not copied over and over', async () => {
    const count = await fill();
    await removeSome(count, (index) => index % 14 !== 0);
    let writeCount = 0;
    watched.hook = (call, when) => {
      if (call === 'write' && when === 'before') writeCount += 1;
    };
    const writesOfRounds = async (): Promise<number> => {
      writeCount = 0;
      for (let round = 0; round < 20; round += 1) await delay(5);
      return writeCount;
    };
    await expect.poll(writesOfRounds, WITHIN).toBe(0);
    expect(await writesOfRounds()).toBe(0);
    expect(disk.freeBytes(temporary.folder)).toBeLessThan((RESERVE_BYTES + SEGMENT_BYTES) * (1 + 1 / 8));
  });

  it.each(['kill', 'power-cut'] as const)('a crash (%s) while room is made loses nothing', async (crash) => {
    const count = await fill();
    const isKept = (index: number): boolean => index % 3 !== 0;
    const clones: string[] = [];
    let callCount = 0;
    watched.hook = () => {
      callCount += 1;
      if (callCount % 23 !== 0 || clones.length >= 30) return;
      const folder = join(temporary.folder, '..', `clone-${clones.length}`);
      watched.clone(temporary.folder, folder, crash);
      clones.push(folder);
    };
    await removeSome(count, isKept);
    await expect.poll(() => driver.store.report().fault, WITHIN).toBeNull();
    watched.hook = () => {};
    expect(clones.length).toBeGreaterThan(5);
    for (const folder of clones) {
      const store = await openTemporary(folder, { limits: LIMITS });
      for (let index = 0; index < count; index += 1)
        if (isKept(index))
          expectBytes(await readContent(store, idOf(`object-${index}`)), patternBytes(OBJECT_BYTES, index));
      await store.close();
      expect(await auditStore(folder)).toEqual([]);
      await rm(folder, { recursive: true });
    }
  });
});

describe('segments', () => {
  const MEBI = 1024 * 1024;

  it.each([
    [0, 4],
    [88, 4],
    [1024, 16],
    [10_240, 160],
    [16_384, 256],
    [4_000_000, 256],
  ])('of a disk of %i MiB are %i MiB long', (diskMebibytes, segmentMebibytes) => {
    const limits = limitsForDisk(diskMebibytes * MEBI);
    expect(limits.segmentBytesMax).toBe(segmentMebibytes * MEBI);
    expect(limits.fragmentBytesMax).toBeLessThanOrEqual(limits.segmentBytesMax / 4);
    expect(limits.packBytesMax).toBeLessThanOrEqual(limits.fragmentBytesMax);
  });

  it('of a large disk are what was measured to be quick', () => {
    expect({ ...DEFAULT_LIMITS, ...limitsForDisk(1e12) }).toEqual(DEFAULT_LIMITS);
  });
});
