import { StoreError } from '../../../src/store/object-store.js';
import { afterEach, describe, expect, it } from 'vitest';
import { FULL_COPY_DOUBT } from '../../../src/protocol/recovery-plan.js';
import { Fleet } from './reconcile-fleet.js';
import { objectNamed, patternBytes } from './osd-writer.js';

const TEN = Buffer.from('0123456789');

let fleet: Fleet;
afterEach(() => fleet.stop());

async function expectEqual(...indices: number[]): Promise<void> {
  const [first, ...others] = await Promise.all(indices.map((index) => fleet.contents(index)));
  for (const other of others) expect(other).toEqual(first);
}

describe('a full copy', () => {
  it('F16: a blank target gets everything, tombstones included, and rows are dropped in the end', async () => {
    fleet = await Fleet.start(2, { reconcilePageObjectsMax: 5 });
    for (let count = 0; count < 12; count += 1) {
      await fleet.write([0, 1], {
        kind: 'replace',
        objectId: objectNamed(`n${count}`),
        bytes: patternBytes(100, count),
      });
    }
    await fleet.write([0, 1], { kind: 'remove', objectId: objectNamed('n3') });
    await fleet.restart(1, 'blank');
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'full-copy' });
    expect(progress).toMatchObject({
      phase: 'done',
      objectsCompared: 12,
      objectsToDo: 12,
      objectsDone: 12,
      bytesUnmatched: 1100,
      bytesCopied: 1100,
      objectsDeleted: 0,
    });
    await expectEqual(0, 1);
    expect(await fleet.rows(0)).toEqual([]);
    expect(await fleet.rows(1)).toEqual([]);
    const identity = await fleet.connection(1).identity();
    expect(identity.selfDoubt).toBeNull();
    expect(await fleet.connection(1).fullCopyCursor()).toBeNull();
  });

  it('copies what differs, deletes what only the target has, leaves alone what is the same', async () => {
    fleet = await Fleet.start(2);
    for (const name of ['a', 'b', 'c']) {
      await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed(name), bytes: TEN });
    }
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('b'), bytes: Buffer.from('newer') });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('c'), bytes: Buffer.from('orphan') });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('d'), bytes: TEN });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('A'), bytes: TEN });
    await fleet.write([1], { kind: 'remove', objectId: objectNamed('gone') });
    let pushCount = 0;
    fleet.store(1).onPush = () => (pushCount += 1);
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'full-copy' });
    expect(progress).toMatchObject({
      phase: 'done',
      objectsCompared: 6,
      objectsDeleted: 2,
      bytesCopied: 15,
      objectsDone: 5,
    });
    expect(pushCount).toBe(5);
    await expectEqual(0, 1);
    expect([...fleet.store(1).objects.keys()]).toEqual(['a', 'b', 'c'].map(objectNamed));
  });

  it('I4: with a third mirror absent the target ends up with the rows of its source, and only those', async () => {
    fleet = await Fleet.start(3);
    for (const name of ['a', 'b']) {
      await fleet.write([0, 1, 2], { kind: 'replace', objectId: objectNamed(name), bytes: TEN });
    }
    fleet.clear([0, 1, 2], objectNamed('a'));
    await fleet.write([0, 1], { kind: 'extend', objectId: objectNamed('b'), offset: 10, bytes: TEN });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('orphan'), bytes: TEN });
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('c'), bytes: TEN });
    fleet.clear([1], objectNamed('b'));
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'full-copy' });
    expect(progress).toMatchObject({ phase: 'done', rowsDropped: 0, bytesCopied: 0, objectsDeleted: 1 });
    const withoutSequence = (await fleet.rows(0)).map((row) => ({ ...row, commitSequence: 0 }));
    expect((await fleet.rows(1)).map((row) => ({ ...row, commitSequence: 0 }))).toEqual(withoutSequence);
    expect(withoutSequence.length).toBe(3);
    await expectEqual(0, 1);
    expect(await fleet.reconcile({ 1: 'trusted', 2: 'rows' })).toMatchObject({
      phase: 'done',
      bytesCopied: 20,
    });
  });

  it('several trusted mirrors are made equal first, then the target gets the outcome', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('a'), bytes: TEN });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('b'), bytes: TEN });
    await fleet.restart(2, 'blank');
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'trusted', 2: 'full-copy' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 40, bytesUnmatched: 40 });
    await expectEqual(0, 1, 2);
    for (const index of [0, 1, 2]) expect(await fleet.rows(index)).toEqual([]);
  });

  it('F30: damaged bytes of the driver come from another trusted mirror', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1], {
      kind: 'replace',
      objectId: objectNamed('a'),
      bytes: patternBytes(600_000, 1).subarray(0, 250_000),
    });
    fleet.store(0).damaged.add(objectNamed('a'));
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'trusted', 2: 'full-copy' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 250_000 });
    fleet.store(0).damaged.clear();
    await expectEqual(0, 1, 2);
    expect(fleet.store(2).stages.size).toBe(0);
  });

  it('F30: what is intact nowhere is lost there too, and everything else is copied', async () => {
    fleet = await Fleet.start(2);
    for (const name of ['a', 'b'])
      await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed(name), bytes: TEN });
    await fleet.restart(1, 'blank');
    fleet.store(0).damaged.add(objectNamed('a'));
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'full-copy' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 10, bytesUnmatched: 10 });
    expect(await fleet.connection(1).lostObjects(null, 10)).toMatchObject([
      { objectId: objectNamed('a'), lostBytes: 10, kept: null },
    ]);
    expect(fleet.store(1).objects.get(objectNamed('b'))?.bytes).toEqual(TEN);
  });

  it('an interrupted one leaves the doubt and the cursor; the next one goes on there and copies the rest', async () => {
    fleet = await Fleet.start(2, { reconcilePageObjectsMax: 5, reconcileObjectsInFlight: 1 });
    for (let count = 10; count < 40; count += 1) {
      await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed(`n${count}`), bytes: TEN });
    }
    await fleet.restart(1, 'blank');
    let pushCount = 0;
    fleet.store(1).onPush = () => {
      pushCount += 1;
      if (pushCount === 19) throw new StoreError('io-error', 'the disk failed');
    };
    expect(await fleet.reconcile({ 0: 'trusted', 1: 'full-copy' })).toMatchObject({ phase: 'failed' });
    expect((await fleet.connection(1).identity()).selfDoubt).toBe(FULL_COPY_DOUBT);
    expect(await fleet.connection(1).fullCopyCursor()).toEqual({
      objectId: objectNamed('n24'),
      objectsCompared: 15,
    });
    expect((await fleet.rows(0)).length).toBe(30);
    // What changes between the two attempts, before and behind the cursor, is not missed.
    await fleet.activate([0]);
    await fleet.write([0], { kind: 'remove', objectId: objectNamed('n12') });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('n13'), bytes: Buffer.from('changed') });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('n01'), bytes: Buffer.from('new') });
    const progress = await fleet.reconcile({ 0: 'trusted', 1: 'full-copy' });
    expect(progress).toMatchObject({ phase: 'done', objectsCompared: 30, bytesCopied: 12 * 10 + 7 + 3 });
    await expectEqual(0, 1);
    expect(await fleet.rows(0)).toEqual([]);
  });
});

describe('a full copy while clients write', () => {
  const copying = { 0: 'trusted', 1: 'full-copy' } as const;

  /** In the middle of the copy, once. */
  function atPush(count: number, work: () => Promise<unknown>): void {
    let pushCount = 0;
    fleet.store(1).onPush = () => {
      pushCount += 1;
      if (pushCount === count) interlude = work();
    };
  }
  let interlude: Promise<unknown> = Promise.resolve();

  async function writeAll(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const objectId = objectNamed(`n${String(index).padStart(2, '0')}`);
      await fleet.write([0], { kind: 'replace', objectId, bytes: TEN });
    }
  }

  it('I7: copies what there is, however it is written meanwhile, and the rows say the rest', async () => {
    fleet = await Fleet.start(2, { reconcilePageObjectsMax: 5, reconcileObjectsInFlight: 2 });
    await writeAll(30);
    await fleet.restart(1, 'blank');
    atPush(12, async () => {
      await fleet.write([0], { kind: 'remove', objectId: objectNamed('n01') });
      await fleet.write([0], { kind: 'extend', objectId: objectNamed('n02'), offset: 10, bytes: TEN });
      await fleet.write([0], { kind: 'replace', objectId: objectNamed('n29'), bytes: Buffer.from('new') });
      await fleet.write([0], { kind: 'replace', objectId: objectNamed('z'), bytes: Buffer.from('new') });
    });
    const progress = await fleet.reconcileOnline(copying);
    await interlude;
    expect(progress).toMatchObject({ phase: 'done', rowsDropped: 0, leftMs: null });
    expect(progress.bytesCopied).toBe(progress.bytesUnmatched);
    // The end is the authority's to say.
    expect((await fleet.connection(1).identity()).selfDoubt).toBe(FULL_COPY_DOUBT);
    await fleet.connection(1).endFullCopy(fleet.epoch);
    expect(await fleet.reconcileOnline({ 0: 'trusted', 1: 'rows' })).toMatchObject({ phase: 'done' });
    await fleet.fence();
    await expectEqual(0, 1);
  });

  it('goes on behind its cursor, and copies nothing twice', async () => {
    fleet = await Fleet.start(2, { reconcilePageObjectsMax: 5, reconcileObjectsInFlight: 1 });
    await writeAll(30);
    await fleet.restart(1, 'blank');
    const pushed: string[] = [];
    let hasFailed = false;
    fleet.store(1).onPush = ({ objectId }) => {
      if (pushed.length === 18 && !hasFailed) {
        hasFailed = true;
        throw new StoreError('io-error', 'the disk failed');
      }
      pushed.push(objectId);
    };
    expect(await fleet.reconcileOnline(copying)).toMatchObject({ phase: 'failed' });
    expect(await fleet.connection(1).fullCopyCursor()).toMatchObject({ objectsCompared: 15 });
    const progress = await fleet.reconcileOnline(copying);
    expect(progress).toMatchObject({ phase: 'done', objectsCompared: 30, objectsToCompare: 30 });
    expect(progress.bytesCopied).toBe(12 * TEN.length);
    expect(pushed).toEqual([...new Set(pushed)]);
  });

  it('yesterday’s disk: copies what differs, forgets what is gone but no tombstone (F35), and no more', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('same'), bytes: TEN });
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('older'), bytes: TEN });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('gone'), bytes: TEN });
    await fleet.write([1], { kind: 'remove', objectId: objectNamed('removed') });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('older'), bytes: Buffer.from('newer') });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('added'), bytes: Buffer.from('new') });
    for (const name of ['same', 'older', 'added']) fleet.clear([0], objectNamed(name));
    const pushed: string[] = [];
    fleet.store(1).onPush = ({ objectId }) => pushed.push(objectId);
    const progress = await fleet.reconcileOnline(copying);
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 8, objectsDeleted: 1 });
    expect(pushed.sort()).toEqual(['added', 'gone', 'older'].map(objectNamed));
    expect([...fleet.store(1).objects.keys()].sort()).toEqual(
      ['added', 'older', 'removed', 'same'].map(objectNamed),
    );
  });

  it('F37: with a third mirror absent the target gets the rows of its source too, also where nothing else differs', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('same'), bytes: TEN });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('new'), bytes: TEN });
    fleet.clear([1], objectNamed('same'));
    expect(await fleet.reconcileOnline(copying)).toMatchObject({ phase: 'done', bytesCopied: 10 });
    const withoutSequence = (await fleet.rows(0)).map((row) => ({ ...row, commitSequence: 0 }));
    expect((await fleet.rows(1)).map((row) => ({ ...row, commitSequence: 0 }))).toEqual(withoutSequence);
    expect(withoutSequence.length).toBe(2);
  });

  it('F30: damaged bytes of the driver come from another mirror in sync', async () => {
    fleet = await Fleet.start(3);
    await fleet.write([0, 1], {
      kind: 'replace',
      objectId: objectNamed('a'),
      bytes: patternBytes(200_000, 1),
    });
    fleet.store(0).damaged.add(objectNamed('a'));
    const progress = await fleet.reconcileOnline({ 0: 'trusted', 1: 'trusted', 2: 'full-copy' });
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 200_000 });
  });

  it('F30: what is intact nowhere is lost there too, the copy goes on, and what the target had is kept', async () => {
    fleet = await Fleet.start(2);
    const a = objectNamed('a');
    await fleet.write([1], { kind: 'replace', objectId: a, bytes: Buffer.from('yesterday') });
    await fleet.write([0], { kind: 'replace', objectId: a, bytes: TEN });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('b'), bytes: TEN });
    fleet.store(0).damaged.add(a);
    const progress = await fleet.reconcileOnline(copying);
    expect(progress).toMatchObject({ phase: 'done', bytesCopied: 10, bytesUnmatched: 10 });
    expect(await fleet.connection(1).lostObjects(null, 10)).toMatchObject([
      { objectId: a, lostBytes: 10, kept: { sizeBytes: 9 } },
    ]);
    expect((await fleet.connection(1).states([a]))[0]).toEqual((await fleet.connection(0).states([a]))[0]);
  });

  it('F16: a target into which no full copy has begun is refused', async () => {
    fleet = await Fleet.start(2);
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('a'), bytes: TEN });
    await fleet.fence();
    const progress = await fleet.drive(fleet.order(copying));
    expect(progress.failure).toMatch(/^peer-mismatch: .*no full copy into it has begun/);
  });
});
