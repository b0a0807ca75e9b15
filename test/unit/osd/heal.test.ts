/** Rotten bytes and their healing, over real OSD servers on loopback: over memory stores, and over disks. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { toEpoch } from '../../../src/protocol/tag.js';
import { openStore } from '../../../src/store/disk-object-store.js';
import { formatStore } from '../../../src/store/format-store.js';
import type { HealSource, OsdConnection, OsdIdentity } from '../../../src/wire/osd-connection.js';
import { type RunningOsd, startOsd } from './osd-harness.js';
import { commit, contentOf, EPOCH, objectNamed, patternBytes, SET_ID, tagAt } from './osd-writer.js';
import { Fleet } from './reconcile-fleet.js';

const A = objectNamed('a');
const WITHIN = { timeout: 20_000, interval: 5 };

function sourcesOf(fleet: Fleet, ...indexes: number[]): HealSource[] {
  return indexes.map((index) => {
    const { mirror, osd } = fleet.mirrors[index]!;
    return { mirror, url: osd.url };
  });
}

async function careOf(connection: OsdConnection): Promise<OsdIdentity['care']> {
  return (await connection.identity()).care;
}

describe('a heal', () => {
  let fleet: Fleet;
  afterEach(() => fleet.stop());

  it('F30: puts the bytes of a peer in the place of rotten ones, and nothing else changes', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: A, bytes: Buffer.from('good') });
    const before = await fleet.connection(0).identity();
    fleet.store(0).damaged.add(A);
    const sources = sourcesOf(fleet, 1);
    await fleet.connection(0).orderHeal({ epoch: fleet.epoch, objectId: A, extents: null, sources });
    await expect
      .poll(() => careOf(fleet.connection(0)), WITHIN)
      .toMatchObject({ objectsHealed: 1, bytesHealed: 4 });
    expect(await contentOf(fleet.connection(0), fleet.epoch, A)).toEqual(Buffer.from('good'));
    expect(await fleet.contents(0)).toEqual(await fleet.contents(1));
    expect((await fleet.connection(0).identity()).rowCount).toBe(before.rowCount);
  });

  it('F30: takes nothing from a peer whose last write is another one, in neither direction', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: A, bytes: Buffer.from('old') });
    await fleet.write([1], { kind: 'replace', objectId: A, bytes: Buffer.from('new') });
    for (const [damaged, peer] of [
      [0, 1],
      [1, 0],
    ] as const) {
      fleet.store(damaged).damaged.add(A);
      const order = { epoch: fleet.epoch, objectId: A, extents: null, sources: sourcesOf(fleet, peer) };
      await fleet.connection(damaged).orderHeal(order);
      await expect.poll(() => careOf(fleet.connection(damaged)), WITHIN).toMatchObject({ objectsDamaged: 1 });
      expect(fleet.store(damaged).damaged.has(A)).toBe(true);
      expect((await careOf(fleet.connection(damaged))).objectsHealed).toBe(0);
      fleet.store(damaged).damaged.delete(A);
    }
  });

  it('I5: takes nothing from a mirror that is not active in this epoch', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: A, bytes: Buffer.from('good') });
    await fleet.connection(0).advance(fleet.epoch, toEpoch(fleet.epoch + 1));
    fleet.store(0).damaged.add(A);
    const epoch = toEpoch(fleet.epoch + 1);
    await fleet.connection(0).orderHeal({ epoch, objectId: A, extents: null, sources: sourcesOf(fleet, 1) });
    await expect.poll(() => careOf(fleet.connection(0)), WITHIN).toMatchObject({ objectsDamaged: 1 });
    expect(fleet.store(0).damaged.has(A)).toBe(true);
  });

  it('goes to the next peer when the first one is rotten too', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1, 2], { kind: 'replace', objectId: A, bytes: Buffer.from('good') });
    fleet.store(0).damaged.add(A);
    fleet.store(1).damaged.add(A);
    const sources = sourcesOf(fleet, 1, 2);
    await fleet.connection(0).orderHeal({ epoch: fleet.epoch, objectId: A, extents: null, sources });
    await expect.poll(() => fleet.store(0).damaged.has(A), WITHIN).toBe(false);
    expect(fleet.store(1).damaged.has(A)).toBe(true);
  });

  it('is refused at an epoch that is over', async () => {
    fleet = await Fleet.start(1);
    const { epoch } = fleet;
    await fleet.fence();
    const order = { epoch, objectId: A, extents: null, sources: [] };
    await expect(fleet.connection(0).orderHeal(order)).rejects.toMatchObject({ code: 'stale-epoch' });
  });
});

describe('a scrub', () => {
  let fleet: Fleet;
  afterEach(() => fleet.stop());

  async function fill(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const objectId = objectNamed(`key-${String(index).padStart(3, '0')}`);
      await fleet.write([0, 1], { kind: 'replace', objectId, bytes: Buffer.alloc(1000, index) });
    }
  }

  it('reads everything, heals what is rotten, and says what it found', async () => {
    fleet = await Fleet.start(2);
    await fill(150);
    fleet.store(0).damaged.add(objectNamed('key-003'));
    fleet.store(0).damaged.add(objectNamed('key-149'));
    await fleet.connection(0).startScrub({ bytesPerSecond: 1e9, sources: sourcesOf(fleet, 1) });
    await expect
      .poll(async () => (await careOf(fleet.connection(0))).scrub, WITHIN)
      .toMatchObject({
        state: 'done',
        objectsExamined: 150,
        bytesExamined: 150_000,
        objectsDamaged: 2,
        objectsHealed: 2,
      });
    expect(fleet.store(0).damaged.size).toBe(0);
    expect(await fleet.contents(0)).toEqual(await fleet.contents(1));
  });

  it('says what nobody could heal', async () => {
    fleet = await Fleet.start(2);
    await fill(3);
    for (const index of [0, 1]) fleet.store(index).damaged.add(objectNamed('key-001'));
    await fleet.connection(0).startScrub({ bytesPerSecond: 1e9, sources: sourcesOf(fleet, 1) });
    await expect
      .poll(async () => (await careOf(fleet.connection(0))).scrub, WITHIN)
      .toMatchObject({ state: 'done', objectsDamaged: 1, objectsHealed: 0 });
  });

  it('goes on where it was after it was stopped, and after a restart', async () => {
    fleet = await Fleet.start(2);
    await fill(200);
    // Slow enough never to end by itself; the first page of 64 objects takes no time that counts.
    const slow = { bytesPerSecond: 200_000, sources: sourcesOf(fleet, 1) };
    await fleet.connection(0).startScrub(slow);
    await expect
      .poll(async () => (await careOf(fleet.connection(0))).scrub?.objectsExamined, WITHIN)
      .toBeGreaterThanOrEqual(64);
    await fleet.connection(0).stopScrub();
    const stopped = (await careOf(fleet.connection(0))).scrub;
    expect(stopped?.state).toBe('stopped');
    await fleet.restart(0, 'same-store');
    expect((await careOf(fleet.connection(0))).scrub).toEqual(stopped);
    await fleet.fence();
    await fleet.activate();
    await fleet.connection(0).startScrub({ ...slow, bytesPerSecond: 1e9 });
    await expect
      .poll(async () => (await careOf(fleet.connection(0))).scrub, WITHIN)
      .toMatchObject({ state: 'done', objectsExamined: 200, startedMs: stopped?.startedMs });
  });

  it('waits while its OSD is not active', async () => {
    fleet = await Fleet.start(2);
    await fill(3);
    await fleet.fence();
    await fleet.connection(0).startScrub({ bytesPerSecond: 1e9, sources: sourcesOf(fleet, 1) });
    expect((await careOf(fleet.connection(0))).scrub).toMatchObject({ state: 'running', objectsExamined: 0 });
    await fleet.activate();
    await expect
      .poll(async () => (await careOf(fleet.connection(0))).scrub, WITHIN)
      .toMatchObject({ state: 'done', objectsExamined: 3 });
  });
});

describe('on disks', () => {
  const folders: string[] = [];
  const running: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of running.splice(0)) await close();
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  async function start(folder: string): Promise<RunningOsd> {
    const quiet = { info: () => {}, warn: () => {}, error: () => {} };
    const store = await openStore(folder, { setId: SET_ID, logger: quiet });
    const osd = await startOsd(store);
    running.push(async () => {
      await osd.close();
      await store.close();
    });
    return osd;
  }

  /** Flips one byte wherever a store has these bytes in a file. */
  async function rotWhere(folder: string, needle: Buffer): Promise<number> {
    let count = 0;
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.endsWith('db')) continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path);
      const at = bytes.indexOf(needle);
      if (at === -1) continue;
      bytes[at] = bytes[at]! ^ 1;
      await writeFile(path, bytes);
      count += 1;
    }
    return count;
  }

  it('F30: rotten chunks of a large object are healed, durably, and only the windows they are in', async () => {
    const osds: RunningOsd[] = [];
    for (const name of ['one', 'two']) {
      const folder = await mkdtemp(join(tmpdir(), `tally-heal-${name}-`));
      folders.push(folder);
      await rm(folder, { recursive: true });
      await formatStore(folder, { setId: SET_ID });
      osds.push(await start(folder));
    }
    const content = patternBytes(3_500_000, 30);
    const [first, second] = osds;
    for (const { connection } of osds) {
      await connection.fence(EPOCH);
      await connection.activate(EPOCH);
      const stage = connection.openStage();
      await stage.write(content);
      const staged = await stage.finish();
      await commit(connection, { kind: 'replace', objectId: A, tag: tagAt(1, 1), staged });
    }
    expect(await rotWhere(folders[0]!, content.subarray(2_200_000, 2_200_064))).toBe(1);
    await expect(contentOf(first!.connection, EPOCH, A)).rejects.toMatchObject({ code: 'damaged' });
    const sources = [{ mirror: 'm1' as never, url: second!.url }];
    await first!.connection.orderHeal({ epoch: EPOCH, objectId: A, extents: null, sources });
    await expect
      .poll(() => careOf(first!.connection), WITHIN)
      .toMatchObject({ objectsHealed: 1, bytesHealed: 1024 * 1024 });
    expect((await contentOf(first!.connection, EPOCH, A))?.equals(content)).toBe(true);
    for (const close of running.splice(0)) await close();
    const again = await start(folders[0]!);
    await again.connection.fence(toEpoch(2));
    await again.connection.activate(toEpoch(2));
    expect((await contentOf(again.connection, toEpoch(2), A))?.equals(content)).toBe(true);
  });
});
