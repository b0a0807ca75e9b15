/** What every `ObjectStore` does, whatever it is made of. Run it with `describeObjectStore` on each implementation. */
import { crc32c } from '@node-rs/crc32';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FULL_COPY_DOUBT } from '../../src/protocol/recovery-plan.js';
import { toEpoch } from '../../src/protocol/tag.js';
import { makeToken, toStoreId, toToken } from '../../src/protocol/token.js';
import type { ObjectState, TagRow } from '../../src/protocol/write.js';
import type { ObjectStore, StoreListEntry, StoreListRequest } from '../../src/store/object-store.js';
import {
  expectBytes,
  expectCommitted,
  idOf,
  patternBytes,
  PEER,
  readContent,
  SET_ID,
  StoreDriver,
  tagOf,
} from '../unit/store/store-driver.js';

/** One store under test. */
export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Closes it and opens it again; what was committed is there. */
  reopen(): Promise<ObjectStore>;
  dispose(): Promise<void>;
}

const LARGE_BYTES = 300_000;

export function describeObjectStore(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let tested: StoreUnderTest;
    let driver: StoreDriver;

    beforeEach(async () => {
      tested = await makeStore();
      driver = await new StoreDriver(tested.store).activate(1);
    });

    afterEach(async () => {
      await tested.dispose();
    });

    async function restart(): Promise<void> {
      await driver.store.close();
      driver.store = await tested.reopen();
    }

    describe('writes', () => {
      it.each([0, 1, 100, 20_000, LARGE_BYTES])('keeps %i bytes over a restart', async (lengthBytes) => {
        const bytes = patternBytes(lengthBytes, 1);
        expectCommitted(await driver.put(idOf('a'), bytes, '{"type":"text"}'));
        await restart();
        expectBytes(await driver.content(idOf('a')), bytes);
        expect(await driver.store.head(idOf('a'))).toMatchObject({
          kind: 'present',
          sizeBytes: lengthBytes,
          attributes: '{"type":"text"}',
          lastTag: driver.lastTags.get(idOf('a')),
        });
      });

      it.each([0, 10, 20_000, LARGE_BYTES])('takes %i staged bytes', async (lengthBytes) => {
        const bytes = patternBytes(lengthBytes, 2);
        const staged = await driver.stage(bytes, 7_001);
        expect(staged).toMatchObject({ lengthBytes, contentChecksum: crc32c(bytes) });
        const content = { kind: 'stage', stageId: staged.stageId } as const;
        expectCommitted(await driver.write({ id: idOf('a'), kind: 'replace', bytes, content }));
        expectBytes(await driver.content(idOf('a')), bytes);
        const again = await driver.write({ id: idOf('b'), kind: 'replace', bytes, content });
        expect(again).toMatchObject({ kind: 'refused', code: 'unknown-stage' });
      });

      it('a discarded or aborted stage can not be named', async () => {
        const bytes = patternBytes(LARGE_BYTES, 3);
        const { stageId } = await driver.stage(bytes);
        await driver.store.discardStage(stageId);
        const content = { kind: 'stage', stageId } as const;
        const reply = await driver.write({ id: idOf('a'), kind: 'replace', bytes, content });
        expect(reply).toMatchObject({ kind: 'refused', code: 'unknown-stage', lastTag: null });
        const writer = driver.store.openStage();
        await writer.write(bytes);
        await writer.abort();
        await writer.abort();
        await driver.store.discardStage('no-such-stage');
        expect(await driver.store.head(idOf('a'))).toBeNull();
      });

      it.each([100, LARGE_BYTES])('a stage keeps no view of its pieces (%i bytes)', async (lengthBytes) => {
        const bytes = patternBytes(lengthBytes, 9);
        const piece = Buffer.from(bytes);
        const writer = driver.store.openStage();
        const busy = writer.write(piece);
        piece.fill(0);
        await busy;
        const { stageId } = await writer.finish();
        await driver.write({ id: idOf('a'), kind: 'replace', bytes, content: { kind: 'stage', stageId } });
        expectBytes(await driver.content(idOf('a')), bytes);
      });

      it('many writes at once come to as much as one after the other, each with a reply of its own', async () => {
        const first = driver.request({ id: idOf('a'), kind: 'replace', bytes: patternBytes(5_000, 1) });
        const wrong = driver.request({ id: idOf('b'), kind: 'replace', bytes: patternBytes(5_000, 2) });
        const small = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('the last') });
        const large = driver.request({ id: idOf('c'), kind: 'replace', bytes: patternBytes(LARGE_BYTES, 3) });
        const { store } = driver;
        expect(await store.writeMany([])).toEqual([]);
        const requests = [first, { ...wrong, contentChecksum: wrong.contentChecksum ^ 1 }, small, large];
        const outcomes = await store.writeMany(requests);
        expect(outcomes.map(({ kind }) => kind)).toEqual(['committed', 'refused', 'committed', 'committed']);
        expectBytes(await driver.content(idOf('a')), Buffer.from('the last'));
        expect(await store.head(idOf('b'))).toBeNull();
        expectBytes(await driver.content(idOf('c')), patternBytes(LARGE_BYTES, 3));
        // Once more: all of them are there, but for the one that was refused.
        const again = await store.writeMany([first, wrong, small]);
        expect(again).toMatchObject([{ isDuplicate: true }, { isDuplicate: false }, { isDuplicate: true }]);
      });

      it('content that is not what the transaction states changes nothing', async () => {
        const request = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('abc') });
        const { store } = driver;
        const wrong = { ...request, contentChecksum: request.contentChecksum ^ 1 };
        expect(await store.write(wrong)).toMatchObject({ kind: 'refused', code: 'checksum-mismatch' });
        const short = { ...request, content: { kind: 'bytes', bytes: Buffer.from('ab') } } as const;
        expect(await store.write(short)).toMatchObject({ kind: 'refused', code: 'checksum-mismatch' });
        expect(store.report()).toMatchObject({ blank: true, objectCount: 0, tagTable: { rowCount: 0 } });
        expectCommitted(await store.write(request));
        expect(store.report()).toMatchObject({
          blank: false,
          objectCount: 1,
          tagTable: { rowCount: 1, rowBytes: 3 },
        });
      });

      it('splices range writes and extends, inside and past the end', async () => {
        const expected = patternBytes(50_000, 4);
        expectCommitted(await driver.put(idOf('a'), expected.subarray(0, 40_000)));
        const end = patternBytes(10_000, 5);
        expectCommitted(await driver.append(idOf('a'), end));
        end.copy(expected, 40_000);
        for (const [offset, length] of [
          [0, 1],
          [100, 30_000],
          [39_999, 2],
          [49_999, 1],
        ] as const) {
          const bytes = patternBytes(length, offset);
          expectCommitted(await driver.overwrite(idOf('a'), offset, bytes));
          bytes.copy(expected, offset);
        }
        const past = patternBytes(1_000, 6);
        expectCommitted(await driver.overwrite(idOf('a'), 49_500, past));
        await restart();
        const grown = Buffer.concat([expected.subarray(0, 49_500), past]);
        expectBytes(await driver.content(idOf('a')), grown);
      });

      it('changes attributes and keeps content, and the other way round', async () => {
        const bytes = patternBytes(LARGE_BYTES, 7);
        expectCommitted(await driver.put(idOf('a'), bytes, 'one'));
        expectCommitted(await driver.write({ id: idOf('a'), kind: 'set-attributes', attributes: 'zwei·☃' }));
        expectCommitted(await driver.append(idOf('a'), Buffer.from('!')));
        expect(await driver.store.head(idOf('a'))).toMatchObject({
          attributes: 'zwei·☃',
          sizeBytes: LARGE_BYTES + 1,
        });
        expectBytes(await driver.content(idOf('a')), Buffer.concat([bytes, Buffer.from('!')]));
      });

      it('transactions on one object take effect in the order of their submission', async () => {
        const id = idOf('a');
        const replies = [driver.put(id, Buffer.from('0'))];
        for (let index = 1; index < 100; index += 1)
          replies.push(driver.append(id, patternBytes(index * 50, index)));
        for (const reply of await Promise.all(replies)) expectCommitted(reply);
        const parts = Array.from({ length: 99 }, (_, index) => patternBytes((index + 1) * 50, index + 1));
        expectBytes(await driver.content(id), Buffer.concat([Buffer.from('0'), ...parts]));
      });

      it('the commit sequence rises by one with each commit, and a fence leaves it as it is (F17)', async () => {
        const before = driver.store.report().commitSequence;
        const reply = expectCommitted(await driver.put(idOf('a'), Buffer.from('a')));
        expect(reply.commitSequence).toBe(before + 1);
        await driver.activate(2);
        expect(driver.store.report().commitSequence).toBe(before + 1);
        await restart();
        expect(driver.store.report().commitSequence).toBe(before + 1);
      });
    });

    describe('refusals (DESIGN.md section 4)', () => {
      it('F14: a write of another epoch than the active one, or of another set, changes nothing', async () => {
        const request = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('a') });
        const foreign = { ...request, transaction: { ...request.transaction, setId: 'other' } };
        expect(await driver.store.write(foreign)).toMatchObject({ kind: 'refused', code: 'wrong-set' });
        await driver.recover(2);
        expect(await driver.store.write(request)).toMatchObject({ kind: 'refused', code: 'stale-epoch' });
        const early = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('a') });
        expect(await driver.store.write(early)).toMatchObject({ kind: 'refused', code: 'not-active' });
        await driver.store.activate(toEpoch(2));
        expectCommitted(await driver.store.write(early));
      });

      it('F29: a restarted store takes no writes before it is fenced and activated anew', async () => {
        await restart();
        expect(driver.store.report().fence).toMatchObject({ fencedEpoch: 1, activeEpoch: 0 });
        const reply = await driver.put(idOf('a'), Buffer.from('a'));
        expect(reply).toMatchObject({ kind: 'refused', code: 'not-active' });
        expect(await driver.store.activate(toEpoch(1))).toMatchObject({ kind: 'refuse' });
      });

      it('an exclusion moves an active store to the next epoch', async () => {
        expect(await driver.store.advance(toEpoch(1), toEpoch(3))).toMatchObject({ kind: 'move' });
        driver.epoch = toEpoch(3);
        expectCommitted(await driver.put(idOf('a'), Buffer.from('a')));
        await restart();
        expect(driver.store.report().fence.fencedEpoch).toBe(3);
      });

      it('F23: a range write or extend that does not build on the last write is a gap, with the last tag', async () => {
        const id = idOf('a');
        expect(await driver.append(id, Buffer.from('x'))).toMatchObject({ code: 'gap', lastTag: null });
        driver.sizes.delete(id);
        expectCommitted(await driver.put(id, Buffer.from('123456')));
        const lastTag = driver.lastTags.get(id);
        const stale = await driver.write({
          id,
          kind: 'extend',
          bytes: Buffer.from('x'),
          previousTag: tagOf(1, 0),
        });
        expect(stale).toEqual({ kind: 'refused', code: 'gap', lastTag });
        driver.lastTags.set(id, lastTag!);
        const hole = await driver.write({ id, kind: 'extend', bytes: Buffer.from('x'), offset: 10 });
        expect(hole).toEqual({ kind: 'refused', code: 'gap', lastTag });
        expectBytes(await driver.content(id), Buffer.from('123456'));
      });

      it('F24: the same tag gets the same answer, also after a restart; other content is refused', async () => {
        const request = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('abc') });
        const [first, second] = await Promise.all([driver.store.write(request), driver.store.write(request)]);
        expect(expectCommitted(first).isDuplicate).toBe(false);
        expect(second).toEqual({ ...first, isDuplicate: true });
        const other = { ...request, transaction: { ...request.transaction, checksum: 99 } };
        expect(await driver.store.write(other)).toMatchObject({ kind: 'refused', code: 'tag-conflict' });
        expect(driver.store.report().tagTable.rowCount).toBe(1);
      });

      it('F4, F20: a write below the last tag of its object is a duplicate and changes nothing', async () => {
        const early = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('early') });
        expectCommitted(await driver.put(idOf('a'), Buffer.from('late')));
        const reply = expectCommitted(await driver.store.write(early));
        expect(reply.isDuplicate).toBe(true);
        expectBytes(await driver.content(idOf('a')), Buffer.from('late'));
        expect(await driver.clear([reply.token])).toEqual({ kind: 'cleared', rowCount: 0 });
      });

      it('F10: a clear that names a commit which this store never made: it doubts itself, durably', async () => {
        const reply = expectCommitted(await driver.put(idOf('a'), Buffer.from('a')));
        const { storeId } = driver.store.report();
        const token = makeToken({ storeId, commitSequence: 1_000, tag: tagOf(1, 1), objectId: idOf('a') });
        expect(await driver.clear([reply.token, token])).toEqual({ kind: 'refused', code: 'state-lost' });
        expect(driver.store.report().selfDoubt).toMatch(/lost state|state was lost/);
        expect(driver.store.report().tagTable.rowCount).toBe(1);
        await restart();
        expect(driver.store.report().selfDoubt).toMatch(/lost state|state was lost/);
        await driver.activate(2);
        expect(await driver.put(idOf('b'), Buffer.from('b'))).toMatchObject({ code: 'self-doubt' });
        await driver.store.setSelfDoubt(null);
        expectCommitted(await driver.put(idOf('b'), Buffer.from('b')));
      });
    });

    describe('the tag table', () => {
      it('has one row for each write until its token comes back', async () => {
        const puts = [];
        for (const name of ['b', 'a', 'c'])
          puts.push(expectCommitted(await driver.put(idOf(name), Buffer.from(name))));
        expectCommitted(await driver.append(idOf('a'), Buffer.from('xy')));
        await restart();
        const rows = await driver.allRows();
        expect(rows.map(({ objectId, kind, length }) => [objectId, kind, length])).toEqual([
          [idOf('a'), 'replace', 1],
          [idOf('a'), 'extend', 2],
          [idOf('b'), 'replace', 1],
          [idOf('c'), 'replace', 1],
        ]);
        expect(driver.store.report().tagTable).toEqual({ rowCount: 4, rowBytes: 5 });
        await driver.activate(2);
        const tokens = puts.map(({ token }) => token);
        const witnesses = [{ storeId: PEER, commitSequence: 17 }];
        expect(await driver.clear(tokens, witnesses)).toEqual({ kind: 'cleared', rowCount: 3 });
        expect(await driver.clear(tokens, witnesses)).toEqual({ kind: 'cleared', rowCount: 0 });
        expect(await driver.clear([], [])).toEqual({ kind: 'cleared', rowCount: 0 });
        await restart();
        expect(await driver.allRows()).toHaveLength(1);
        expect(driver.store.report()).toMatchObject({ witnesses, tagTable: { rowCount: 1, rowBytes: 2 } });
      });

      it('F14: clears of an old epoch, of another set or of another store are refused whole', async () => {
        const { token } = expectCommitted(await driver.put(idOf('a'), Buffer.from('a')));
        const foreign = toToken(toStoreId('e'.repeat(32)) + token.slice(32));
        expect(await driver.clear([token, foreign])).toEqual({ kind: 'refused', code: 'foreign-token' });
        expect(await driver.clear([toToken('rubbish')])).toEqual({ kind: 'refused', code: 'foreign-token' });
        const batch = { epoch: toEpoch(1), clears: [{ token, witnesses: [] }], floor: driver.floor };
        const { store } = driver;
        expect(await store.clear({ ...batch, setId: 'other' })).toEqual({
          kind: 'refused',
          code: 'wrong-set',
        });
        await driver.recover(2);
        expect(await store.clear({ ...batch, setId: SET_ID })).toEqual({
          kind: 'refused',
          code: 'stale-epoch',
        });
        expect(await driver.clear([token])).toEqual({ kind: 'refused', code: 'not-active' });
        expect(await driver.clear([])).toEqual({ kind: 'refused', code: 'not-active' });
        expect(await driver.allRows()).toHaveLength(1);
      });

      it('pages in order of UTF-8 bytes, then of tags', async () => {
        const names = ['\u{1f600}', '\uffee', 'z', 'ä', 'za', 'z\u0001', 'a/b', 'a'];
        for (const name of names) {
          await driver.put(idOf(name), Buffer.from(name));
          await driver.append(idOf(name), Buffer.from('+'));
        }
        const sorted = [...names].sort((left, right) =>
          Buffer.compare(Buffer.from(left), Buffer.from(right)),
        );
        const rows: TagRow[] = [];
        for (;;) {
          const page = await driver.store.rows(rows.at(-1) ?? null, 3);
          rows.push(...page);
          if (page.length < 3) break;
        }
        expect(rows.map(({ objectId }) => objectId)).toEqual(
          sorted.flatMap((name) => [idOf(name), idOf(name)]),
        );
        for (let index = 0; index < rows.length; index += 2)
          expect(rows[index]!.tag < rows[index + 1]!.tag).toBe(true);
      });

      it('gives the rows of single objects, however many are asked for at once', async () => {
        const names = Array.from({ length: 300 }, (_, index) => `${index % 7}/${index}`);
        for (const name of names) await driver.put(idOf(name), Buffer.from(name));
        for (const name of names.slice(0, 40)) await driver.append(idOf(name), Buffer.from('+'));
        for (let count = 0; count < 200; count += 1) await driver.append(idOf('3/3'), Buffer.from('+'));
        const all = await driver.allRows();
        // What is a prefix of another name, and what has no rows, too.
        const asked = ['3/3', 'none', '3', ...names.toReversed(), '6/6', 'zzz'].map((name) => idOf(name));
        const found = await Promise.all(asked.map((id) => driver.store.rowsOf(id, 1000)));
        expect(found).toEqual(asked.map((id) => all.filter(({ objectId }) => objectId === id)));
        const few = await Promise.all(asked.map((id) => driver.store.rowsOf(id, 2)));
        expect(few).toEqual(found.map((rows) => rows.slice(0, 2)));
        expect(found[0]).toHaveLength(202);
      });

      it('knows when the oldest row was written', async () => {
        expect(await driver.store.oldestRowMs()).toBeNull();
        const { token } = expectCommitted(await driver.put(idOf('a'), Buffer.from('a')));
        expect(await driver.store.oldestRowMs()).toBeTypeOf('number');
        await driver.clear([token]);
        expect(await driver.store.oldestRowMs()).toBeNull();
      });

      it('F27: the writer drops rows that nobody needs, at the active epoch', async () => {
        await driver.put(idOf('a'), Buffer.from('a'));
        const [row] = await driver.allRows();
        const { objectId, tag } = row!;
        const drop = { setId: SET_ID, epoch: toEpoch(1), rows: [{ objectId, tag }], witnesses: [] };
        expect(await driver.store.dropRows(drop)).toEqual({ kind: 'cleared', rowCount: 1 });
        expect(await driver.allRows()).toEqual([]);
        expect(await driver.content(idOf('a'))).toEqual(Buffer.from('a'));
      });

      it('reconciliation drops rows at its own epoch only', async () => {
        await driver.put(idOf('a'), Buffer.from('a'));
        const [row] = await driver.allRows();
        const { objectId, tag } = row!;
        const witnesses = [{ storeId: PEER, commitSequence: 5 }];
        const drop = { setId: SET_ID, epoch: toEpoch(1), rows: [{ objectId, tag }], witnesses };
        const later = { ...drop, epoch: toEpoch(2) };
        expect(await driver.store.dropRows(later)).toMatchObject({ kind: 'refused', code: 'not-active' });
        await driver.recover(2);
        expect(await driver.store.dropRows(drop)).toMatchObject({ kind: 'refused', code: 'stale-epoch' });
        const own = { ...drop, epoch: toEpoch(2) };
        expect(await driver.store.dropRows(own)).toEqual({ kind: 'cleared', rowCount: 1 });
        expect(await driver.store.dropRows(own)).toEqual({ kind: 'cleared', rowCount: 0 });
        expect(driver.store.report().witnesses).toEqual(witnesses);
        expect(await driver.allRows()).toEqual([]);
      });
    });

    describe('tombstones', () => {
      async function tombstoneCount(): Promise<number> {
        const summaries = await driver.store.summaries(null, 1_000);
        return summaries.filter(({ sizeBytes }) => sizeBytes === null).length;
      }

      /** Dropping happens in the background. */
      async function expectTombstones(count: number): Promise<void> {
        await expect.poll(tombstoneCount, { interval: 1 }).toBe(count);
      }

      it('F21: one stays until its row is cleared and the floor has passed it', async () => {
        const put = expectCommitted(await driver.put(idOf('a'), Buffer.from('a')));
        const remove = expectCommitted(await driver.remove(idOf('a')));
        expect(await driver.content(idOf('a'))).toBeNull();
        expect(await driver.store.head(idOf('a'))).toMatchObject({ kind: 'tombstone' });
        await driver.clear([put.token, remove.token]);
        await expectTombstones(1);
        driver.floor = tagOf(1, driver.counter + 1);
        await driver.clear([]);
        await expectTombstones(0);
        expect(await driver.store.head(idOf('a'))).toBeNull();
        await restart();
        expect(await driver.store.summaries(null, 10)).toEqual([]);
      });

      it('F21: one whose row is not cleared outlives its floor, restarts and epochs', async () => {
        const remove = expectCommitted(await driver.remove(idOf('a')));
        driver.floor = tagOf(1, driver.counter + 1);
        await driver.clear([]);
        await restart();
        await driver.activate(2);
        await expectTombstones(1);
        await driver.clear([remove.token]);
        await expectTombstones(0);
      });

      it('F35: a store that is being rebuilt takes writes, and keeps its tombstones until it is in sync', async () => {
        await driver.recover(2);
        expect(await driver.store.rebuild(toEpoch(2))).toMatchObject({ kind: 'move' });
        const remove = expectCommitted(await driver.remove(idOf('a')));
        driver.floor = tagOf(2, driver.counter + 1);
        await driver.clear([remove.token]);
        await expectTombstones(1);
        expect(await driver.store.activate(toEpoch(2))).toMatchObject({ kind: 'refuse' });
        await driver.activate(3);
        await expectTombstones(0);
      });

      it('one of an earlier run goes when its epoch is over', async () => {
        const remove = expectCommitted(await driver.remove(idOf('a')));
        await driver.clear([remove.token]);
        await restart();
        await expectTombstones(1);
        await driver.activate(2);
        await expectTombstones(0);
      });

      it('F22: a late duplicate of a settled write is refused', async () => {
        const request = driver.request({ id: idOf('a'), kind: 'replace', bytes: Buffer.from('a') });
        const put = expectCommitted(await driver.store.write(request));
        const remove = expectCommitted(await driver.remove(idOf('a')));
        driver.floor = tagOf(1, driver.counter + 1);
        await driver.clear([put.token, remove.token]);
        await expectTombstones(0);
        expect(await driver.store.write(request)).toMatchObject({ kind: 'refused', code: 'settled' });
        expect(await driver.store.head(idOf('a'))).toBeNull();
      });

      it('a new object takes the place of one', async () => {
        await driver.put(idOf('a'), Buffer.from('a'));
        await driver.remove(idOf('a'));
        await driver.put(idOf('a'), Buffer.from('b'));
        await restart();
        expectBytes(await driver.content(idOf('a')), Buffer.from('b'));
        expect(driver.store.report()).toMatchObject({ objectCount: 1, tombstoneCount: 0 });
        await driver.activate(2);
        await driver.remove(idOf('a'));
        expect(driver.store.report()).toMatchObject({ objectCount: 0, tombstoneCount: 1 });
      });
    });

    describe('reads', () => {
      it.each([10, LARGE_BYTES])('of ranges, in an object of %i bytes', async (sizeBytes) => {
        const bytes = patternBytes(sizeBytes, 8);
        await driver.put(idOf('a'), bytes);
        const last = sizeBytes - 1;
        const cases = [
          [{ kind: 'between', first: 0, last: 0 }, bytes.subarray(0, 1)],
          [{ kind: 'between', first: 3, last: null }, bytes.subarray(3)],
          [{ kind: 'between', first: last, last: sizeBytes + 100 }, bytes.subarray(last)],
          [{ kind: 'suffix', lengthBytes: 4 }, bytes.subarray(sizeBytes - 4)],
          [{ kind: 'suffix', lengthBytes: sizeBytes * 2 }, bytes],
          [{ kind: 'none' }, Buffer.alloc(0)],
        ] as const;
        for (const [range, expected] of cases) expectBytes(await driver.content(idOf('a'), range), expected);
        const beyond = await driver.store.read(idOf('a'), { kind: 'between', first: sizeBytes, last: null });
        expect(beyond?.extent).toBeNull();
        expect(await driver.store.read(idOf('b'), { kind: 'whole' })).toBeNull();
      });

      it('one keeps seeing its state while later writes replace and remove the object', async () => {
        const bytes = patternBytes(3 * 1024 * 1024 + 5, 9);
        await driver.put(idOf('a'), bytes);
        const read = await driver.store.read(idOf('a'), { kind: 'whole' });
        await driver.put(idOf('a'), patternBytes(LARGE_BYTES, 10));
        const iterator = read!.body[Symbol.asyncIterator]();
        const first = await iterator.next();
        await driver.remove(idOf('a'));
        const pieces: Buffer[] = first.done === true ? [] : [first.value];
        for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
          pieces.push(next.value);
        expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
      });
    });

    describe('listing', () => {
      async function list(request: Partial<StoreListRequest>): Promise<[string[], boolean]> {
        const whole = { container: 'bucket', prefix: '', after: '', delimiter: '', limit: 1_000, ...request };
        const { entries, truncated } = await driver.store.list(whole);
        return [entries.map(nameOf), truncated];
      }

      function nameOf(entry: StoreListEntry): string {
        return entry.kind === 'object' ? entry.id.split('\u0000')[1]! : `(${entry.prefix})`;
      }

      beforeEach(async () => {
        const names = [
          'a',
          'a/1',
          'a/2',
          'a/b/3',
          'a0',
          'b',
          'b/',
          'ä',
          '\uffee',
          '\u{1f600}',
          '\u{1f600}/x',
        ];
        for (const name of names) await driver.put(idOf(name), Buffer.from(name));
        await driver.put(idOf('a', 'bucket2'), Buffer.from('other'));
        await driver.put(idOf('gone'), Buffer.from('gone'));
        await driver.remove(idOf('gone'));
      });

      it('is in order of UTF-8 bytes, without removed objects and other containers', async () => {
        const all = ['a', 'a/1', 'a/2', 'a/b/3', 'a0', 'b', 'b/', 'ä', '\uffee', '\u{1f600}', '\u{1f600}/x'];
        expect(await list({})).toEqual([all, false]);
        expect(await list({ container: 'bucket2' })).toEqual([['a'], false]);
        expect(await list({ container: 'bucket3' })).toEqual([[], false]);
        expect(await list({ prefix: 'a/' })).toEqual([['a/1', 'a/2', 'a/b/3'], false]);
        expect(await list({ after: 'a/2' })).toEqual([all.slice(3), false]);
        expect(await list({ after: 'a', prefix: 'b' })).toEqual([['b', 'b/'], false]);
        expect(await list({ after: 'c', prefix: 'b' })).toEqual([[], false]);
      });

      it('rolls names up to the delimiter', async () => {
        const rolled = ['a', '(a/)', 'a0', 'b', '(b/)', 'ä', '\uffee', '\u{1f600}', '(\u{1f600}/)'];
        expect(await list({ delimiter: '/' })).toEqual([rolled, false]);
        expect(await list({ delimiter: '/', prefix: 'a/' })).toEqual([['a/1', 'a/2', '(a/b/)'], false]);
        expect(await list({ delimiter: '/', after: 'a/' })).toEqual([rolled.slice(2), false]);
        expect(await list({ delimiter: '/', after: 'a/1' })).toEqual([rolled.slice(2), false]);
      });

      it.each(['', '/'])('pages with delimiter "%s" give what one page gives', async (delimiter) => {
        const [whole] = await list({ delimiter });
        for (const limit of [1, 2, 3]) {
          const paged: string[] = [];
          for (let after = ''; ; after = paged.at(-1)!.replace(/^\((.*)\)$/, '$1')) {
            const [names, truncated] = await list({ delimiter, limit, after });
            paged.push(...names);
            if (!truncated) break;
          }
          expect(paged).toEqual(whole);
        }
      });

      it('summaries merge objects and tombstones in order of their ids', async () => {
        const whole = await driver.store.summaries(null, 1_000);
        expect(whole).toHaveLength(13);
        expect(whole.find(({ objectId }) => objectId === idOf('gone'))?.sizeBytes).toBeNull();
        const ids = whole.map(({ objectId }) => Buffer.from(objectId));
        expect([...ids].sort((left, right) => Buffer.compare(left, right))).toEqual(ids);
        const paged = [];
        for (;;) {
          const page = await driver.store.summaries(paged.at(-1)?.objectId ?? null, 4);
          paged.push(...page);
          if (page.length < 4) break;
        }
        expect(paged).toEqual(whole);
      });
    });

    describe('pushes', () => {
      const present = (sizeBytes: number, counter: number): ObjectState => ({
        kind: 'present',
        sizeBytes,
        lastTag: tagOf(1, counter),
        lastChecksum: 7,
        attributes: 'pushed',
      });

      it('land whole objects, tombstones and nothing, with the rows of the source (F37)', async () => {
        const id = idOf('a');
        await driver.put(id, patternBytes(LARGE_BYTES, 11));
        const [row] = await driver.allRows();
        await driver.recover(2);
        const bytes = patternBytes(100_000, 12);
        const rows = [{ ...row!, tag: tagOf(1, 50), length: 3 }];
        expect(await driver.push({ objectId: id, state: present(100_000, 50), rows }, bytes)).toEqual({
          kind: 'landed',
        });
        await restart();
        expectBytes(await driver.content(id), bytes);
        expect(await driver.store.head(id)).toEqual(present(100_000, 50));
        expect((await driver.allRows()).map(({ tag, length }) => [tag, length])).toEqual([[tagOf(1, 50), 3]]);
        expect(driver.store.report().tagTable).toEqual({ rowCount: 1, rowBytes: 3 });
        await driver.recover(3);
        const grave: ObjectState = { kind: 'tombstone', lastTag: tagOf(1, 60), lastChecksum: 1 };
        expect(await driver.push({ objectId: id, state: grave })).toEqual({ kind: 'landed' });
        expect(await driver.store.head(id)).toEqual(grave);
        expect(await driver.push({ objectId: id, state: null })).toEqual({ kind: 'landed' });
        expect(await driver.store.head(id)).toBeNull();
        expect(driver.store.report()).toMatchObject({
          objectCount: 0,
          tombstoneCount: 0,
          tagTable: { rowCount: 0 },
        });
      });

      it('land extents on what the target has, cut or grown to the size of the source', async () => {
        const id = idOf('a');
        const base = patternBytes(50_000, 13);
        await driver.put(id, base);
        await driver.recover(2);
        const extents = [
          { offset: 10, length: 20_000 },
          { offset: 50_000, length: 10_000 },
        ];
        const bytes = patternBytes(30_000, 14);
        const state = present(60_000, 9);
        const content = { kind: 'extents', extents } as const;
        expect(await driver.push({ objectId: id, state, content }, bytes)).toEqual({ kind: 'landed' });
        const expected = Buffer.concat([base, bytes.subarray(20_000)]);
        bytes.copy(expected, 10, 0, 20_000);
        expectBytes(await driver.content(id), expected);
        const cut = { kind: 'extents', extents: [{ offset: 99, length: 1 }] } as const;
        const shorter = { objectId: id, state: present(100, 10), content: cut };
        expect(await driver.push(shorter, Buffer.from('x'))).toEqual({ kind: 'landed' });
        expectBytes(await driver.content(id), Buffer.concat([expected.subarray(0, 99), Buffer.from('x')]));
      });

      it('land the same whether their bytes come along or were staged before', async () => {
        await driver.recover(2);
        const sizes = [0, 1, 1024, 20_000, 100_000, 300_000];
        const pushes = sizes.flatMap((sizeBytes, index) => {
          const bytes = patternBytes(sizeBytes, index);
          const state = present(sizeBytes, 20 + index);
          const inline = { bytes: { kind: 'bytes', bytes }, contentChecksum: crc32c(bytes) } as const;
          return [
            driver.push({ objectId: idOf(`staged-${index}`), state }, bytes),
            driver.push({ objectId: idOf(`inline-${index}`), state, ...inline }),
          ];
        });
        for (const reply of await Promise.all(pushes)) expect(reply).toEqual({ kind: 'landed' });
        await restart();
        for (const [index, sizeBytes] of sizes.entries()) {
          for (const way of ['staged', 'inline'])
            expectBytes(await driver.content(idOf(`${way}-${index}`)), patternBytes(sizeBytes, index));
        }
      });

      it('refuse extents that have nothing to land on', async () => {
        await driver.recover(2);
        const content = { kind: 'extents', extents: [{ offset: 0, length: 1 }] } as const;
        const push = { objectId: idOf('a'), state: present(1, 9), content };
        expect(await driver.push(push, Buffer.from('x'))).toEqual({ kind: 'refused', code: 'no-base' });
        const whole = { ...push, content: { kind: 'whole' } as const };
        expect(await driver.push(whole, Buffer.from('x'))).toEqual({ kind: 'landed' });
        const gap = {
          ...push,
          state: present(9, 10),
          content: { kind: 'extents', extents: [{ offset: 8, length: 1 }] } as const,
        };
        expect(await driver.push(gap, Buffer.from('x'))).toEqual({ kind: 'refused', code: 'no-base' });
      });

      describe('of an object whose bytes are intact nowhere', () => {
        const id = idOf('a');
        const older = patternBytes(LARGE_BYTES, 21);
        const newer = patternBytes(100_000, 22);
        const lost = [{ offset: 30_000, length: 40_000 }];
        const intact = Buffer.concat([newer.subarray(0, 30_000), newer.subarray(70_000)]);
        const part = (first: number, last: number) => ({ kind: 'between', first, last }) as const;

        async function keptContent(): Promise<Buffer | null> {
          const read = await driver.store.readKept(id, { kind: 'whole' });
          if (read === null) return null;
          const pieces: Buffer[] = [];
          for await (const piece of read.body) pieces.push(piece);
          return Buffer.concat(pieces);
        }

        beforeEach(async () => {
          await driver.put(id, older, 'older');
          await driver.recover(2);
          const push = { objectId: id, state: present(100_000, 50), lost };
          expect(await driver.push(push, intact)).toEqual({ kind: 'landed' });
          driver.lastTags.set(id, tagOf(1, 50));
          driver.sizes.set(id, 100_000);
        });

        it('land without these, which nobody can read then, and keep what it was aside', async () => {
          await restart();
          const state = present(100_000, 50);
          expect(await driver.store.head(id)).toEqual(state);
          expectBytes(await driver.content(id, part(0, 29_999)), newer.subarray(0, 30_000));
          expectBytes(await driver.content(id, part(70_000, 99_999)), newer.subarray(70_000));
          await expect(driver.content(id)).rejects.toMatchObject({ code: 'damaged' });
          await expect(driver.content(id, part(69_999, 70_000))).rejects.toMatchObject({ code: 'damaged' });
          expect(await driver.store.lostObjects(null, 10)).toMatchObject([
            { objectId: id, state, lostBytes: 40_000, kept: { attributes: 'older' } },
          ]);
          expect(await driver.store.lostObjects(id, 10)).toEqual([]);
          expectBytes(await keptContent(), older);
        });

        it('keep the first copy when the next write is lost as well', async () => {
          const whole = [{ offset: 0, length: 5 }];
          const push = { objectId: id, state: present(5, 60), lost: whole };
          expect(await driver.push(push)).toEqual({ kind: 'landed' });
          await restart();
          expect(await driver.store.lostObjects(null, 10)).toMatchObject([{ lostBytes: 5 }]);
          expectBytes(await keptContent(), older);
        });

        it('on the bytes of the target, where the source sent a part', async () => {
          const content = { kind: 'extents', extents: [{ offset: 10, length: 20 }] } as const;
          const push = {
            objectId: id,
            state: present(100_000, 60),
            content,
            lost: [{ offset: 15, length: 5 }],
          };
          expect(await driver.push(push, Buffer.from('0123456789abcde'))).toEqual({ kind: 'landed' });
          expectBytes(await driver.content(id, part(10, 14)), Buffer.from('01234'));
          expectBytes(await driver.content(id, part(20, 29)), Buffer.from('56789abcde'));
          await expect(driver.content(id, part(14, 15))).rejects.toMatchObject({ code: 'damaged' });
          expect(await driver.store.lostObjects(null, 10)).toMatchObject([{ lostBytes: 40_005 }]);
        });

        it.each(['replace', 'remove', 'heal', 'push'] as const)('is whole again after a %s', async (how) => {
          if (how === 'push') await driver.push({ objectId: id, state: present(3, 60) }, Buffer.from('new'));
          else await driver.store.activate(driver.epoch);
          if (how === 'replace') await driver.put(id, Buffer.from('new'));
          if (how === 'remove') await driver.remove(id);
          if (how === 'heal') {
            const { stageId, contentChecksum } = await driver.stage(newer.subarray(30_000, 70_000));
            const heal = { epoch: driver.epoch, objectId: id, lastTag: tagOf(1, 50), extents: lost };
            expect(await driver.store.heal({ ...heal, stageId, contentChecksum })).toEqual({
              kind: 'landed',
            });
          }
          await restart();
          expect(await driver.store.lostObjects(null, 10)).toEqual([]);
          expect(await keptContent()).toBeNull();
          const content = await driver.content(id);
          if (how === 'remove') expect(content).toBeNull();
          else expectBytes(content, how === 'heal' ? newer : Buffer.from('new'));
        });

        it('stays so while a part of it is written, and is whole once all of that is', async () => {
          await driver.store.activate(driver.epoch);
          await driver.overwrite(id, 30_000, patternBytes(10_000, 23));
          expect(await driver.store.lostObjects(null, 10)).toMatchObject([{ lostBytes: 30_000 }]);
          expectBytes(await keptContent(), older);
          await driver.overwrite(id, 40_000, patternBytes(30_000, 24));
          await restart();
          expect(await driver.store.lostObjects(null, 10)).toEqual([]);
          expect(await keptContent()).toBeNull();
          expectBytes(await driver.content(id, part(40_000, 69_999)), patternBytes(30_000, 24));
        });
      });

      it('F15, F36: land by compare-and-set, and only under the fence of their recovery', async () => {
        const id = idOf('a');
        await driver.put(id, Buffer.from('old'));
        const push = { objectId: id, state: present(1, 9) };
        expect(await driver.push(push, Buffer.from('x'))).toMatchObject({ code: 'not-fenced' });
        await driver.recover(2);
        const stale = { ...push, epoch: toEpoch(1) };
        expect(await driver.push(stale, Buffer.from('x'))).toMatchObject({ code: 'stale-epoch' });
        const other = { ...push, expectedLastTag: tagOf(1, 2) };
        expect(await driver.push(other, Buffer.from('x'))).toMatchObject({ code: 'changed' });
        const damaged = { ...push, contentChecksum: 1 };
        expect(await driver.push(damaged, Buffer.from('x'))).toMatchObject({ code: 'checksum-mismatch' });
        const lost = { ...push, bytes: { kind: 'stage', stageId: 'no-such-stage' } as const };
        expect(await driver.push(lost)).toMatchObject({ code: 'unknown-stage' });
        expectBytes(await driver.content(id), Buffer.from('old'));
      });
    });

    it('F31: keeps the copy of the authority’s state over restarts', async () => {
      expect(await driver.store.authorityRecord()).toBeNull();
      await driver.store.setAuthorityRecord('first');
      await driver.store.setAuthorityRecord('{"epoch":2}');
      await restart();
      expect(await driver.store.authorityRecord()).toBe('{"epoch":2}');
    });

    it('F17: is another store from the begin of a full copy on, incomplete until its end, and keeps its cursor', async () => {
      const copyId = toStoreId('c'.repeat(32));
      await driver.store.setSelfDoubt('a hole in the commit ring');
      await driver.store.setAuthorityRecord('of another history');
      await driver.store.beginFullCopy(copyId);
      expect(await driver.store.authorityRecord()).toBeNull();
      expect(await driver.store.fullCopyCursor()).toBeNull();
      const cursor = { objectId: idOf('name'), objectsCompared: 7 };
      await driver.store.setFullCopyCursor(cursor);
      await restart();
      expect(driver.store.report()).toMatchObject({ storeId: copyId, selfDoubt: FULL_COPY_DOUBT });
      expect(await driver.store.fullCopyCursor()).toEqual(cursor);
      await driver.store.beginFullCopy(PEER);
      await restart();
      expect(driver.store.report()).toMatchObject({ storeId: PEER, selfDoubt: FULL_COPY_DOUBT });
      expect(await driver.store.fullCopyCursor()).toBeNull();
      await driver.store.setFullCopyCursor(cursor);
      await driver.store.endFullCopy();
      await restart();
      expect(driver.store.report()).toMatchObject({ storeId: PEER, selfDoubt: null });
      expect(await driver.store.fullCopyCursor()).toBeNull();
      await driver.activate(2);
      const { token } = expectCommitted(await driver.put(idOf('new'), Buffer.from('new')));
      expect(token.startsWith(PEER)).toBe(true);
    });

    it('refuses everything once it is closed', async () => {
      await driver.store.close();
      await expect(driver.put(idOf('a'), Buffer.from('a'))).rejects.toMatchObject({ code: 'closed' });
      await expect(readContent(driver.store, idOf('a'))).rejects.toMatchObject({ code: 'closed' });
    });
  });
}
