import { afterEach, describe, expect, it } from 'vitest';
import type { RemoteRead } from '../../../src/wire/osd-connection.js';
import { toStoreId } from '../../../src/protocol/token.js';
import { Fleet } from './reconcile-fleet.js';
import { contentOf, objectNamed, patternBytes, tagAt } from './osd-writer.js';

const KEY = objectNamed('key');
const OTHER = objectNamed('other');
const TEN = Buffer.from('0123456789');

let fleet: Fleet;
afterEach(() => fleet.stop());

async function expectEqual(...indices: number[]): Promise<void> {
  const [first, ...others] = await Promise.all(indices.map((index) => fleet.contents(index)));
  for (const other of others) expect(other).toEqual(first);
}

async function expectNoRows(...indices: number[]): Promise<void> {
  for (const index of indices) expect(await fleet.rows(index)).toEqual([]);
}

describe('recovery by rows, two mirrors', () => {
  it('I7: exactly what was missed is copied, of every kind of write, and no row is left', async () => {
    fleet = await Fleet.start(2);
    const names = ['appended', 'patched', 'described', 'removed', 'replaced', 'untouched'];
    for (const name of names) {
      await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed(name), bytes: TEN });
      fleet.clear([0, 1], objectNamed(name));
    }
    const only0 = { objectId: objectNamed('appended') };
    await fleet.write([0], { ...only0, kind: 'extend', offset: 10, bytes: Buffer.from('abc') });
    await fleet.write([0], { ...only0, kind: 'extend', offset: 13, bytes: Buffer.from('de') });
    await fleet.write([0], {
      kind: 'range-write',
      objectId: objectNamed('patched'),
      offset: 2,
      bytes: Buffer.from('XY'),
    });
    await fleet.write([0], {
      kind: 'range-write',
      objectId: objectNamed('patched'),
      offset: 3,
      bytes: Buffer.from('Z!'),
    });
    await fleet.write([0], { kind: 'set-attributes', objectId: objectNamed('described'), attributes: 'new' });
    await fleet.write([0], { kind: 'remove', objectId: objectNamed('removed') });
    await fleet.write([0], {
      kind: 'replace',
      objectId: objectNamed('replaced'),
      bytes: Buffer.from('whole'),
    });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('made'), bytes: Buffer.from('fresh') });
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('shared'), bytes: TEN });

    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });

    expect(progress).toMatchObject({
      phase: 'done',
      isScanned: true,
      failure: null,
      rowsMatched: 1,
      rowsUnmatched: 8,
      objectsToDo: 6,
      objectsDone: 6,
      bytesUnmatched: 5 + 3 + 0 + 0 + 5 + 5,
      bytesCopied: 5 + 3 + 0 + 0 + 5 + 5,
    });
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('F1, F2: a stale mirror with newer rows is taken back to what the trusted one has', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([1], { kind: 'range-write', objectId: KEY, offset: 4, bytes: Buffer.from('STALE!') });
    await fleet.write([1], { kind: 'replace', objectId: OTHER, bytes: TEN });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 6, bytesUnmatched: 6 });
    expect(fleet.store(0).objects.get(KEY)?.bytes).toEqual(TEN);
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('F3: an orphan range that only the stale side has a row for is repaired', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    fleet.clear([0, 1], KEY);
    await fleet.write([1], { kind: 'extend', objectId: KEY, offset: 10, bytes: Buffer.from('orphan') });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    // The orphan's range lies beyond the source's size: nothing is to be copied, the target is cut.
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 0, bytesUnmatched: 6 });
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('F5: unmatched ranges of both sides come from one source, as their union', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0], { kind: 'range-write', objectId: KEY, offset: 0, bytes: Buffer.from('AAAA') });
    await fleet.write([1], { kind: 'range-write', objectId: KEY, offset: 2, bytes: Buffer.from('BBBB') });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 6, rangesDone: 1 });
    expect(fleet.store(1).objects.get(KEY)?.bytes.toString()).toBe('AAAA456789');
    await expectEqual(0, 1);
  });

  it('two trusted mirrors: the shorter history gets the longer one, whoever drives', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([1], { kind: 'replace', objectId: KEY, bytes: Buffer.from('later') });
    await fleet.write([1], { kind: 'replace', objectId: OTHER, bytes: TEN });
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'trusted' })).toMatchObject({
      phase: 'done',
      bytesCopied: 15,
    });
    expect(fleet.store(0).objects.get(KEY)?.bytes.toString()).toBe('later');
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('rows that only one side has not cleared yet copy nothing', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    fleet.clear([1], KEY);
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', objectsToDo: 0, bytesCopied: 0, rowsDropped: 1 });
    await expectNoRows(0, 1);
  });

  it('F17: dropped rows leave the other side as a witness, at what it had reached after the pushes', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    const [first, second] = await Promise.all([0, 1].map((index) => fleet.connection(index).identity()));
    expect(first?.witnesses).toEqual([{ storeId: second?.storeId, commitSequence: second?.commitSequence }]);
    expect(second?.witnesses).toEqual([{ storeId: first?.storeId, commitSequence: first?.commitSequence }]);
  });

  it('large and many: contents stream through stages, pages follow one another', async () => {
    fleet = await Fleet.start(2, { reconcilePageObjectsMax: 7 });
    const big = patternBytes(1_000_000, 9);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    for (let part = 0; part < 3; part += 1) {
      const staged = fleet.connection(0).openStage();
      await staged.write(big);
      const stage = await staged.finish();
      const offset = 10 + part * big.length;
      await fleet.write([0], { kind: 'extend', objectId: KEY, offset, staged: stage });
    }
    for (let count = 0; count < 40; count += 1) {
      await fleet.write([0], {
        kind: 'replace',
        objectId: objectNamed(`n${count}`),
        bytes: patternBytes(count * 17, count),
      });
    }
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', objectsDone: 41 });
    expect(progress.bytesCopied).toBe(3 * big.length + (17 * 39 * 40) / 2);
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
    expect(fleet.store(1).stages.size).toBe(0);
  });

  it.each([
    ['objects', { reconcilePageObjectsMax: 3 }],
    ['rows', { reconcilePageRowsMax: 6 }],
  ])(
    'no more %s than a page has are in hand: its rows are dropped before the next one is copied',
    async (_what, limits) => {
      fleet = await Fleet.start(2, limits);
      for (let number = 0; number < 7; number += 1) {
        const objectId = objectNamed(`n${number}`);
        await fleet.write([0], { kind: 'replace', objectId, bytes: TEN });
        await fleet.write([0], { kind: 'extend', objectId, offset: 10, bytes: TEN });
      }
      const rowsLeft: number[] = [];
      fleet.store(1).onPush = () => rowsLeft.push(fleet.store(0).rowsByKey.size);
      expect(await fleet.reconcile({ 0: 'trusted', 1: 'rows' })).toMatchObject({
        phase: 'done',
        objectsDone: 7,
      });
      expect(rowsLeft).toEqual([14, 14, 14, 8, 8, 8, 2]);
      await expectEqual(0, 1);
      await expectNoRows(0, 1);
    },
  );

  it('an object with more rows than are looked at is copied whole, and all of its rows are dropped', async () => {
    fleet = await Fleet.start(2, { reconcileObjectRowsMax: 8 });
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    for (let count = 0; count < 30; count += 1) {
      await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10 + count, bytes: Buffer.from('x') });
    }
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', rowsUnmatched: 30, rowsMatched: 1, bytesCopied: 40 });
    expect(progress.rowsDropped).toBeGreaterThanOrEqual(32);
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('a removal of what the stale side never had, and an object it lacks a base for, are repaired', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0], { kind: 'remove', objectId: KEY });
    await fleet.write([0], { kind: 'replace', objectId: OTHER, bytes: TEN });
    await fleet.write([0], { kind: 'extend', objectId: OTHER, offset: 10, bytes: Buffer.from('!') });
    // The row that says "all of it" is gone on the source, as if it had been cleared: the extend has nothing to land on.
    for (const [key, row] of fleet.store(0).rowsByKey) {
      if (row.objectId === OTHER && row.kind === 'replace') fleet.store(0).rowsByKey.delete(key);
    }
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 11, bytesUnmatched: 11 });
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });
});

describe('recovery by rows, three mirrors', () => {
  it('F6, F37: with one absent no row is dropped, and the source hands its rows on', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1, 2], { kind: 'replace', objectId: KEY, bytes: TEN });
    const tag = await fleet.write([0], {
      kind: 'extend',
      objectId: KEY,
      offset: 10,
      bytes: Buffer.from('!'),
    });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 1, rowsDropped: 0 });
    const tags = (await fleet.rows(1)).map((row) => row.tag);
    expect(tags).toEqual([tagAt(1, 1), tag]);
    await expectEqual(0, 1);

    // The third one returns while the first, which was the source, is away: the second knows what is missing.
    const second = await fleet.reconcile({ 1: 'trusted', 2: 'rows' });
    expect(second).toMatchObject({ phase: 'done', bytesCopied: 1 });
    await expectEqual(1, 2);
    expect((await fleet.reconcile({ 0: 'trusted', 1: 'trusted', 2: 'trusted' })).rowsDropped).toBeGreaterThan(
      0,
    );
    await expectNoRows(0, 1, 2);
  });

  it('F5: the row of a write that a push has undone does not pass for the write', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1, 2], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.fence();
    await fleet.activate();
    await fleet.write([1, 2], { kind: 'replace', objectId: KEY, bytes: Buffer.from('an orphan') });
    await fleet.fence();
    await fleet.activate();
    await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10, bytes: Buffer.from('!') });
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'rows' })).toMatchObject({ phase: 'done' });
    await expectEqual(0, 1);

    // The second one has a row of the orphan, like the third, and its content no more.
    expect(await fleet.reconcile({ 1: 'trusted', 2: 'rows' })).toMatchObject({ phase: 'done' });
    await expectEqual(1, 2);
  });

  it('the source is the trusted mirror with the highest last tag, for each object', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 2], { kind: 'replace', objectId: KEY, bytes: Buffer.from('two') });
    await fleet.write([1], { kind: 'replace', objectId: OTHER, bytes: Buffer.from('one') });
    await fleet.write([2], { kind: 'replace', objectId: OTHER, bytes: Buffer.from('stale') });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'trusted', 2: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 3 + 3 + 3 });
    expect(fleet.store(2).objects.get(OTHER)?.bytes.toString()).toBe('one');
    await expectEqual(0, 1, 2);
    await expectNoRows(0, 1, 2);
  });

  it('more rows than are looked at go on as one row that stands for all of the object', async () => {
    fleet = await Fleet.start(3, { reconcileObjectRowsMax: 4 });
    await fleet.write([0, 1, 2], { kind: 'replace', objectId: KEY, bytes: TEN });
    for (let count = 0; count < 9; count += 1) {
      await fleet.write([0], { kind: 'range-write', objectId: KEY, offset: count, bytes: Buffer.from('x') });
    }
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'rows' })).toMatchObject({
      phase: 'done',
      bytesCopied: 10,
    });
    await expectEqual(0, 1);
    expect(await fleet.rows(1)).toMatchObject([
      { kind: 'replace', offset: 0, length: 10, tag: tagAt(1, 10) },
    ]);
    expect(await fleet.reconcile({ 1: 'trusted', 2: 'rows' })).toMatchObject({
      phase: 'done',
      bytesCopied: 10,
    });
    await expectEqual(1, 2);
  });
});

async function bytesOf(read: RemoteRead | null): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of read?.body ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a reconciliation that meets trouble', () => {
  it('F30: an object that is intact nowhere is the same everywhere and read nowhere; the others go on', async () => {
    fleet = await Fleet.start(2);
    const other = objectNamed('other');
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: Buffer.from('older') });
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0], { kind: 'replace', objectId: other, bytes: TEN });
    fleet.store(0).damaged.add(KEY);
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'trusted' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 10, bytesUnmatched: 10, rowsDropped: 6 });
    const [m0, m1] = [fleet.connection(0), fleet.connection(1)];
    expect(await m1.states([KEY, other])).toEqual(await m0.states([KEY, other]));
    for (const osd of [m0, m1])
      await expect(contentOf(osd, fleet.epoch, KEY)).rejects.toMatchObject({ code: 'damaged' });
    expect(await contentOf(m1, fleet.epoch, other)).toEqual(TEN);
    expect(await m1.lostObjects(null, 10)).toMatchObject([
      { objectId: KEY, lostBytes: 10, kept: { sizeBytes: 5 } },
    ]);
    const kept = await m1.readKept(fleet.epoch, KEY, { kind: 'whole' });
    expect(await bytesOf(kept)).toEqual(Buffer.from('older'));
    // Who has the damaged bytes says so too.
    await expect
      .poll(() => m0.lostObjects(null, 10), { timeout: 20_000, interval: 5 })
      .toMatchObject([{ objectId: KEY, kept: null }]);
    await fleet.activate();
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    fleet.store(0).damaged.clear();
    await expectEqual(0, 1);
    for (const osd of [m0, m1]) expect(await osd.lostObjects(null, 10)).toEqual([]);
  });

  it('F30: of a large object only what is damaged is lost, and what its writes did not touch stays', async () => {
    fleet = await Fleet.start(2);
    const bytes = patternBytes(3 * 1024 * 1024, 3);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: bytes.subarray(0, 1024) });
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes });
    const damaged = { offset: 1024 * 1024 + 5, length: 3 };
    fleet.store(0).lost.afterPush(
      {
        objectId: KEY,
        state: fleet.store(0).objects.get(KEY)!.state,
        content: { kind: 'extents', extents: [damaged] },
        lost: [damaged],
      },
      undefined,
    );
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'rows' })).toMatchObject({
      phase: 'done',
      bytesCopied: 2 * 1024 * 1024,
    });
    const m1 = fleet.connection(1);
    const range = { kind: 'between', first: 2 * 1024 * 1024, last: null } as const;
    const read = await m1.read(fleet.epoch, KEY, range);
    expect((await bytesOf(read)).equals(bytes.subarray(2 * 1024 * 1024))).toBe(true);
    await expect(contentOf(m1, fleet.epoch, KEY)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('F30: a target of an earlier release, which knows nothing of lost bytes, is left as it is', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    fleet.store(0).damaged.add(KEY);
    await fleet.restart(1, 'same-store', { least: 1, greatest: 1 });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress.failure).toMatch(/^damaged: .*on m1: intact nowhere, .* earlier release/);
    expect(fleet.store(1).objects.size).toBe(0);
    expect((await fleet.rows(0)).length).toBe(1);
  });

  it('F30: another trusted mirror with the same last write stands in for damaged bytes', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    fleet.store(0).damaged.add(KEY);
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'trusted', 2: 'rows' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 10 });
    expect(fleet.store(2).objects.get(KEY)?.bytes).toEqual(TEN);
  });

  it('F30: nor does a trusted mirror with another last write stand in', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: Buffer.from('the older!') });
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    fleet.store(0).damaged.add(KEY);
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'trusted', 2: 'rows' })).toMatchObject({ phase: 'done' });
    for (const index of [1, 2]) {
      const osd = fleet.connection(index);
      await expect(contentOf(osd, fleet.epoch, KEY)).rejects.toMatchObject({ code: 'damaged' });
      expect(await osd.lostObjects(null, 10)).toMatchObject([{ objectId: KEY, lostBytes: 10 }]);
    }
  });

  it('F15: an object that changes once is planned again, as a whole; twice under the fence is a failure', async () => {
    fleet = await Fleet.start(2);
    const change = (counter: number): void => {
      const held = fleet.store(1).objects.get(KEY);
      if (held === undefined) throw new Error('the object is there');
      fleet.store(1).objects.set(KEY, { ...held, state: { ...held.state, lastTag: tagAt(1, counter) } });
    };
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10, bytes: Buffer.from('!') });
    let changesLeft = 1;
    fleet.store(1).onPush = () => {
      changesLeft -= 1;
      if (changesLeft >= 0) change(100 + changesLeft);
    };
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'rows' })).toMatchObject({
      phase: 'done',
      bytesCopied: 11,
      bytesUnmatched: 11,
    });
    await expectEqual(0, 1);

    await fleet.activate();
    await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 11, bytes: Buffer.from('!') });
    changesLeft = 2;
    const failed = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(failed).toMatchObject({
      phase: 'failed',
      failure: expect.stringMatching(/^changed: .*key.* on m1/) as string,
    });
    expect((await fleet.rows(0)).length).toBe(1);
  });

  it('a fence at a higher epoch cancels it; the next one finishes the work', async () => {
    fleet = await Fleet.start(2, { reconcileObjectsInFlight: 1 });
    for (let count = 0; count < 50; count += 1) {
      await fleet.write([0], { kind: 'replace', objectId: objectNamed(`n${count}`), bytes: TEN });
    }
    await fleet.fence();
    const order = fleet.order({ 0: 'trusted', 1: 'rows' });
    let pushCount = 0;
    let overtaken = Promise.resolve();
    fleet.store(1).onPush = () => {
      pushCount += 1;
      if (pushCount === 10) overtaken = fleet.fence();
    };
    const cancelled = await fleet.drive(order);
    await overtaken;
    expect(cancelled).toMatchObject({
      phase: 'failed',
      failure: expect.stringMatching(/^cancelled: /) as string,
    });
    expect(fleet.store(1).objects.size).toBeLessThan(50);
    await expect(fleet.connection(0).startReconcile(order)).resolves.toMatchObject({ phase: 'failed' });

    const progress = await fleet.drive(fleet.order({ 0: 'trusted', 1: 'rows' }));
    expect(progress.phase).toBe('done');
    expect(progress.bytesCopied).toBeLessThan(500);
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('F28: the driver dies half-way; a new one at a higher epoch finishes the work', async () => {
    fleet = await Fleet.start(2, { reconcileObjectsInFlight: 1 });
    for (let count = 0; count < 30; count += 1) {
      await fleet.write([0], { kind: 'replace', objectId: objectNamed(`n${count}`), bytes: TEN });
    }
    await fleet.fence();
    let pushCount = 0;
    const halfWay = new Promise<void>((resolve) => {
      fleet.store(1).onPush = () => {
        pushCount += 1;
        if (pushCount === 10) resolve();
      };
    });
    await fleet.connection(0).startReconcile(fleet.order({ 0: 'trusted', 1: 'rows' }));
    await halfWay;
    await fleet.restart(0, 'same-store');
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'rows' });
    expect(progress.phase).toBe('done');
    await expectEqual(0, 1);
    await expectNoRows(0, 1);
  });

  it('orders that do not fit are refused, the same one again is the same reconciliation', async () => {
    fleet = await Fleet.start(2);
    await fleet.fence();
    const osd = fleet.connection(0);
    const order = fleet.order({ 0: 'trusted', 1: 'rows' });
    await expect(osd.startReconcile({ ...order, setId: 'other' })).rejects.toMatchObject({
      code: 'wrong-set',
    });
    const { epoch, driver } = fleet.order({ 1: 'trusted', 0: 'rows' });
    await expect(osd.startReconcile({ ...order, driver })).rejects.toMatchObject({ code: 'not-driver' });
    expect(await fleet.drive(order)).toMatchObject({ phase: 'done', epoch });
    expect(await osd.startReconcile(order)).toMatchObject({ phase: 'done' });
    await fleet.fence();
    await fleet.drive(fleet.order({ 0: 'trusted', 1: 'rows' }));
    await expect(osd.startReconcile(order)).rejects.toMatchObject({ code: 'stale-epoch' });
    await expect(osd.reconcileProgress(epoch)).rejects.toMatchObject({ code: 'unknown-reconciliation' });
    await fleet.activate();
    const active = fleet.order({ 0: 'trusted', 1: 'rows' });
    expect(await osd.startReconcile(active)).toMatchObject({ phase: 'done' });
  });

  it('F16: a participant that is another store than the order says stops it before anything is copied', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.fence();
    const order = fleet.order({ 0: 'trusted', 1: 'rows' });
    const participants = order.participants.map((participant) =>
      participant.mirror === order.driver
        ? participant
        : { ...participant, storeId: toStoreId('d'.repeat(32)) },
    );
    const progress = await fleet.drive({ ...order, participants });
    expect(progress).toMatchObject({
      phase: 'failed',
      failure: expect.stringMatching(/^peer-mismatch: m1/) as string,
    });
    expect(fleet.store(1).objects.size).toBe(0);
  });
});
