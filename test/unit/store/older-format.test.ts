/** A store as version 1 of the format left it: larger contents in files of their own. The fixture was written by that version. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { auditStore } from './store-audit.js';
import { expectBytes, expectCommitted, idOf, patternBytes, StoreDriver, tagOf } from './store-driver.js';
import { openTemporary } from './temporary-store.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tally-version-1-'));
  const text = await readFile(new URL('store-version-1.json', import.meta.url), 'utf8');
  for (const [name, content] of Object.entries(JSON.parse(text) as Record<string, string>)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), Buffer.from(content, 'base64'));
  }
});

afterEach(() => rm(folder, { recursive: true }));

function pieces(): Buffer {
  const bytes = patternBytes(20_000, 3);
  return Buffer.concat([bytes.subarray(0, 5_000), patternBytes(17_000, 4)]);
}

it('opens, reads, and becomes one of this version', async () => {
  const store = await openTemporary(folder);
  const driver = new StoreDriver(store);
  expectBytes(await driver.content(idOf('small')), patternBytes(1_000, 1));
  expectBytes(await driver.content(idOf('large')), patternBytes(30_000, 2));
  expectBytes(await driver.content(idOf('pieces')), pieces());
  expect(store.report()).toMatchObject({ formatVersion: 3, objectCount: 4 });
  await store.close();
  expect(JSON.parse(await readFile(join(folder, 'store.json'), 'utf8'))).toMatchObject({ formatVersion: 3 });
  expect(await auditStore(folder)).toEqual([]);
});

it('mixes blobs of both kinds, and removes files that nobody needs any more', async () => {
  let store = await openTemporary(folder);
  const driver = await new StoreDriver(store).activate(2);
  driver.sizes.set(idOf('pieces'), 22_000);
  driver.lastTags.set(idOf('pieces'), (await store.head(idOf('pieces')))!.lastTag);
  expectCommitted(await driver.append(idOf('pieces'), patternBytes(40_000, 6)));
  expectCommitted(await driver.put(idOf('large'), patternBytes(50_000, 7)));
  expectCommitted(await driver.remove(idOf('gone')));
  await store.close();
  store = await openTemporary(folder);
  driver.store = store;
  expectBytes(await driver.content(idOf('pieces')), Buffer.concat([pieces(), patternBytes(40_000, 6)]));
  expectBytes(await driver.content(idOf('large')), patternBytes(50_000, 7));
  await store.close();
  expect(await auditStore(folder)).toEqual([]);
});

it('F30: a rotten byte in the file of a blob is an error', async () => {
  const path = join(folder, 'blobs/000000000/000/00000000000001.blob');
  const bytes = await readFile(path);
  bytes[20_000] = bytes[20_000]! ^ 1;
  await writeFile(path, bytes);
  const store = await openTemporary(folder);
  await expect(new StoreDriver(store).content(idOf('large'))).rejects.toMatchObject({ code: 'damaged' });
  await store.close();
});

it('stays of a version that earlier releases know until bytes of an object are lost', async () => {
  const store = await openTemporary(folder);
  const driver = new StoreDriver(store);
  await driver.recover(9);
  const state = {
    kind: 'present',
    sizeBytes: 3,
    lastTag: tagOf(8, 1),
    lastChecksum: 1,
    attributes: '',
  } as const;
  const push = { objectId: idOf('lost'), state, lost: [{ offset: 0, length: 3 }] };
  expect(await driver.push(push)).toEqual({ kind: 'landed' });
  await store.close();
  expect(JSON.parse(await readFile(join(folder, 'store.json'), 'utf8'))).toMatchObject({ formatVersion: 4 });
  const again = await openTemporary(folder);
  expect(again.report()).toMatchObject({ formatVersion: 4, objectCount: 5 });
  expect(await again.lostObjects(null, 10)).toMatchObject([{ lostBytes: 3 }]);
  await again.close();
  expect(await auditStore(folder)).toEqual([]);
});
