import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, describe, expect, it } from 'vitest';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { type Epoch, toEpoch } from '../../../src/protocol/tag.js';
import { toStoreId } from '../../../src/protocol/token.js';
import { type DiskObjectStore, openStore } from '../../../src/store/disk-object-store.js';
import { formatStore } from '../../../src/store/format-store.js';
import { objectKey } from '../../../src/store/keys.js';
import type {
  ReconcileParticipant,
  ReconcileProgress,
  RemoteRead,
} from '../../../src/wire/osd-connection.js';
import { parseRecordDamage } from '../../../src/wire/record-damage.js';
import { type RunningOsd, silentLogger, startOsd } from './osd-harness.js';
import { commit, contentOf, EPOCH, objectNamed, patternBytes, SET_ID, tagAt } from './osd-writer.js';

interface DiskOsd {
  readonly store: DiskObjectStore;
  readonly running: RunningOsd;
}

const folders: string[] = [];
const osds: DiskOsd[] = [];

async function startDisk(): Promise<DiskOsd> {
  const folder = await mkdtemp(join(tmpdir(), 'tally-reconcile-'));
  folders.push(folder);
  await formatStore(join(folder, 'store'), { setId: SET_ID });
  const store = await openStore(join(folder, 'store'), { logger: silentLogger() });
  const osd = { store, running: await startOsd(store) };
  osds.push(osd);
  return osd;
}

afterEach(async () => {
  for (const { running, store } of osds.splice(0)) {
    await running.close();
    await store.close();
    expect(running.violations).toEqual([]);
  }
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function reconcile(
  epoch: Epoch,
  from: DiskOsd,
  to: DiskOsd,
  need: 'rows' | 'full-copy',
): Promise<ReconcileProgress> {
  for (const { running } of [from, to]) await running.connection.fence(epoch);
  if (need === 'full-copy') await to.running.connection.beginFullCopy(epoch, toStoreId('c'.repeat(32)));
  const participant = (
    osd: DiskOsd,
    name: string,
    role: ReconcileParticipant['role'],
  ): ReconcileParticipant => ({
    mirror: toMirrorId(name),
    url: osd.running.url,
    storeId: osd.store.report().storeId,
    role,
  });
  const driver = from.running.connection;
  let progress = await driver.startReconcile({
    setId: SET_ID,
    epoch,
    driver: toMirrorId('from'),
    participants: [
      participant(from, 'from', { kind: 'trusted' }),
      participant(to, 'to', {
        kind: 'stale',
        need: need === 'rows' ? { kind: need } : { kind: need, reason: 'test' },
      }),
    ],
    complete: true,
    mode: 'fenced',
    absentStoreIds: [],
    pace: null,
  });
  while (progress.phase !== 'done' && progress.phase !== 'failed') {
    await new Promise((resolve) => setTimeout(resolve, 10));
    progress = await driver.reconcileProgress(epoch);
  }
  return progress;
}

/** Every object that is there. Tombstones go when each store finds the time. */
async function contents(osd: DiskOsd, epoch: Epoch): Promise<object[]> {
  const { connection } = osd.running;
  const found: object[] = [];
  for (const { objectId, sizeBytes } of await connection.summaries(null, 1000)) {
    if (sizeBytes === null) continue;
    const [state] = await connection.states([objectId]);
    const bytes = await contentOf(connection, epoch, objectId);
    found.push({ objectId, state, bytes: bytes?.toString('base64') });
  }
  return found;
}

describe('reconciliation of real stores', () => {
  it('I7: rows, and then a full copy to a new disk, make stores byte-identical with empty tag tables', async () => {
    const [first, second] = [await startDisk(), await startDisk()];
    for (const { running } of [first, second]) {
      await running.connection.fence(EPOCH);
      await running.connection.activate(EPOCH);
    }
    const sizes = [0, 1, 100, 20_000, 400_000];
    let counter = 0;
    for (let index = 0; index < 60; index += 1) {
      const objectId = objectNamed(`n${index}`);
      const bytes = patternBytes(sizes[index % sizes.length] ?? 0, index);
      counter += 1;
      const base = tagAt(1, counter);
      for (const osd of index % 3 === 0 ? [first] : [first, second]) {
        await write(osd, { objectId, tag: base, bytes });
      }
      if (index % 4 !== 1) continue;
      counter += 1;
      const extend = { kind: 'extend', objectId, tag: tagAt(1, counter), previousTag: base } as const;
      await commit(first.running.connection, { ...extend, offset: bytes.length, bytes: Buffer.from('more') });
    }
    await commit(first.running.connection, {
      kind: 'remove',
      objectId: objectNamed('n7'),
      tag: tagAt(1, counter + 1),
    });

    const byRows = await reconcile(toEpoch(2), first, second, 'rows');
    expect(byRows).toMatchObject({ phase: 'done', failure: null });
    expect(byRows.bytesCopied).toBe(byRows.bytesUnmatched);
    expect(await contents(second, toEpoch(2))).toEqual(await contents(first, toEpoch(2)));
    for (const { store } of [first, second])
      expect(store.report().tagTable).toEqual({ rowCount: 0, rowBytes: 0 });

    const third = await startDisk();
    const fullCopy = await reconcile(toEpoch(3), second, third, 'full-copy');
    expect(fullCopy).toMatchObject({ phase: 'done', failure: null });
    expect(await contents(third, toEpoch(3))).toEqual(await contents(second, toEpoch(3)));
    expect(third.store.report()).toMatchObject({ selfDoubt: null, tagTable: { rowCount: 0 } });
  });

  it('F30: of a large object whose only copy has rotted, the windows of it that are intact are copied, and the rest is told of', async () => {
    const [first, second] = [await startDisk(), await startDisk()];
    for (const { running } of [first, second]) {
      await running.connection.fence(EPOCH);
      await running.connection.activate(EPOCH);
    }
    const objectId = objectNamed('large');
    const [older, newer] = [patternBytes(300_000, 1), patternBytes(3_500_000, 2)];
    for (const osd of [first, second]) await write(osd, { objectId, tag: tagAt(1, 1), bytes: older });
    await write(first, { objectId, tag: tagAt(1, 2), bytes: newer });
    expect(await rotWhere(folders[0] ?? '', newer.subarray(2_200_000, 2_200_064))).toBe(1);

    const progress = await reconcile(toEpoch(2), first, second, 'rows');
    const windowBytes = 1024 * 1024;
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: newer.length - windowBytes });
    const { connection } = second.running;
    expect(await connection.lostObjects(null, 10)).toMatchObject([
      { objectId, lostBytes: windowBytes, kept: { sizeBytes: older.length } },
    ]);
    const range = { kind: 'between', first: 3 * windowBytes, last: null } as const;
    const rest = await collect(await connection.read(toEpoch(2), objectId, range));
    expect(rest.equals(newer.subarray(3 * windowBytes))).toBe(true);
    await expect(contentOf(connection, toEpoch(2), objectId)).rejects.toMatchObject({ code: 'damaged' });
    const kept = await collect(await connection.readKept(toEpoch(2), objectId, { kind: 'whole' }));
    expect(kept.equals(older)).toBe(true);

    await connection.activate(toEpoch(2));
    const anew = { kind: 'replace', objectId, tag: tagAt(2, 1), epoch: toEpoch(2) } as const;
    await commit(connection, { ...anew, bytes: Buffer.from('anew') });
    expect(await connection.lostObjects(null, 10)).toEqual([]);
    expect(await connection.readKept(toEpoch(2), objectId, { kind: 'whole' })).toBeNull();
  });
});

describe('F19: a record in the database of a real store is damaged', () => {
  const objectId = objectNamed('b');

  /** Two stores with three objects, of which the second lacks the last write of one. */
  async function startBehind(): Promise<readonly [DiskOsd, DiskOsd]> {
    const [first, second] = [await startDisk(), await startDisk()];
    for (const { running } of [first, second]) {
      await running.connection.fence(EPOCH);
      await running.connection.activate(EPOCH);
    }
    for (const [index, name] of ['a', 'b', 'c'].entries())
      for (const osd of [first, second])
        await write(osd, {
          objectId: objectNamed(name),
          tag: tagAt(1, index + 1),
          bytes: patternBytes(500, index),
        });
    await write(first, { objectId, tag: tagAt(1, 9), bytes: patternBytes(500, 9) });
    return [first, second];
  }

  async function damageRecord(index: number): Promise<DiskOsd> {
    const osd = osds[index]!;
    await osd.running.close();
    await osd.store.close();
    const folder = join(folders[index]!, 'store');
    const database = new ClassicLevel<Buffer, Buffer>(join(folder, 'db'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    });
    const value = Buffer.from((await database.get(objectKey(objectId)))!);
    value[10]! ^= 1;
    await database.put(objectKey(objectId), value, { sync: true });
    await database.close();
    const store = await openStore(folder, { logger: silentLogger() });
    osds[index] = { store, running: await startOsd(store) };
    return osds[index];
  }

  it.each([
    ['the target', 'rows', 1, 'to'],
    ['the target', 'full-copy', 1, 'to'],
    ['the source', 'rows', 0, 'from'],
    ['the source', 'full-copy', 0, 'from'],
  ] as const)('%s by %s: the failure names the mirror and the object', async (_, need, index, name) => {
    await startBehind();
    await damageRecord(index);
    const { phase, failure } = await reconcile(toEpoch(2), osds[0]!, osds[1]!, need);
    expect(phase).toBe('failed');
    expect(parseRecordDamage(failure ?? '')).toEqual({
      mirror: name,
      detail: 'the record of "bucket/b" fails its checksum',
    });
  });
});

async function collect(read: RemoteRead | null): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of read?.body ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Flips one byte wherever a store has these bytes in a segment. Returns in how many files. */
async function rotWhere(folder: string, needle: Buffer): Promise<number> {
  let count = 0;
  const segments = join(folder, 'store', 'segments');
  for (const entry of await readdir(segments, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const at = bytes.indexOf(needle);
    if (at === -1) continue;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(path, bytes);
    count += 1;
  }
  return count;
}

async function write(
  { running }: DiskOsd,
  {
    objectId,
    tag,
    bytes,
  }: { objectId: ReturnType<typeof objectNamed>; tag: ReturnType<typeof tagAt>; bytes: Buffer },
): Promise<void> {
  if (bytes.length <= 256 * 1024) {
    await commit(running.connection, { kind: 'replace', objectId, tag, bytes });
    return;
  }
  const stage = running.connection.openStage();
  await stage.write(bytes);
  await commit(running.connection, { kind: 'replace', objectId, tag, staged: await stage.finish() });
}
