/** Tables of several participants, read side by side in bounded memory (DESIGN.md section 5.4, 5.5). */
import { afterEach, describe, expect, it } from 'vitest';
import { PagedStream } from '../../../src/osd/reconcile/paged-stream.js';
import {
  type FullCopyOptions,
  isSame,
  lacksRows,
  type Pair,
  PairWalk,
} from '../../../src/osd/reconcile/pair-walk.js';
import { type ObjectRows, RowMerge } from '../../../src/osd/reconcile/row-merge.js';
import type { OsdLimits } from '../../../src/osd/limits.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { ROWS_PAGE_MAX, SUMMARIES_PAGE_MAX } from '../../../src/wire/osd-connection.js';
import { objectNamed, tagAt } from './osd-writer.js';
import { Steps } from './reconcile-steps.js';

const TEN = Buffer.from('0123456789');
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(objectNamed) as [ObjectId, ObjectId, ObjectId, ObjectId];

describe('a table that is read page by page', () => {
  function tableOf(pages: readonly (readonly number[])[]) {
    const asked: (number | null)[] = [];
    const left = [...pages];
    const stream = new PagedStream<number>({
      name: 'the numbers',
      fetch: async (after) => {
        asked.push(after);
        return left.shift() ?? [];
      },
      compare: (first, second) => first - second,
    });
    return { stream, asked };
  }

  async function all(stream: PagedStream<number>): Promise<number[]> {
    const items: number[] = [];
    for (;;) {
      await stream.fill();
      if (stream.head === null) return items;
      items.push(stream.head);
      stream.advance();
    }
  }

  it('gives every item in order, and asks behind the last one of a page only when that is used up', async () => {
    const { stream, asked } = tableOf([
      [1, 2],
      [3, 4],
    ]);
    expect(stream.isFilled).toBe(false);
    await stream.fill();
    await stream.fill();
    expect(stream.isFilled).toBe(true);
    expect(asked).toEqual([null]);
    expect(await all(stream)).toEqual([1, 2, 3, 4]);
    expect(asked).toEqual([null, 2, 4]);
  });

  it('ends with the first empty page, and asks no more then', async () => {
    const { stream, asked } = tableOf([[1]]);
    await all(stream);
    expect(stream.isFilled).toBe(true);
    stream.advance();
    expect(await all(stream)).toEqual([]);
    expect(asked.length).toBe(2);
  });

  it.each([
    ['goes back', [[1, 2], [2]]],
    ['repeats itself', [[1, 1]]],
    ['is out of order', [[1, 3, 2]]],
  ])('one that %s is a bad table, not an endless one', async (_what, pages) => {
    await expect(all(tableOf(pages).stream)).rejects.toMatchObject({
      code: 'bad-table',
      message: expect.stringContaining('the numbers is not in order') as string,
    });
  });
});

let steps: Steps | null = null;
afterEach(async () => {
  await steps?.stop();
  steps = null;
});

async function start(limits: Partial<OsdLimits> = {}): Promise<Steps> {
  steps = await Steps.start(3, limits);
  return steps;
}

function write(indices: readonly number[], objectId: ObjectId, bytes = TEN) {
  return steps!.fleet.write(indices, { kind: 'replace', objectId, bytes });
}

describe('the tag tables of several participants, joined', () => {
  function mergeOf(rowsMax = 10, afterId: ObjectId | null = null): RowMerge {
    const peers = steps!.peers({ 0: 'trusted', 1: 'rows', 2: 'rows' });
    return new RowMerge(peers, steps!.fleet.epoch, rowsMax, afterId);
  }

  async function takeAll(merge: RowMerge): Promise<ObjectRows[]> {
    const objects: ObjectRows[] = [];
    for (;;) {
      const id = await merge.nextId();
      if (id === null) return objects;
      objects.push(await merge.take(id));
    }
  }

  function tagsOf({ rows }: ObjectRows): unknown[] {
    return [...rows.values()].map((own) => own.map(({ tag }) => tag));
  }

  it('are every object that has rows anywhere, in order, with each mirror’s rows of it', async () => {
    await start();
    await write([1], D);
    await write([0, 1, 2], B);
    await write([2], A);
    await write([0, 1], B);
    await write([0, 2], B);
    const objects = await takeAll(mergeOf());
    expect(objects.map(({ objectId }) => objectId)).toEqual([A, B, D]);
    expect(objects.map(tagsOf)).toEqual([
      [[], [], [tagAt(1, 3)]],
      [
        [tagAt(1, 2), tagAt(1, 4), tagAt(1, 5)],
        [tagAt(1, 2), tagAt(1, 4)],
        [tagAt(1, 2), tagAt(1, 5)],
      ],
      [[], [tagAt(1, 1)], []],
    ]);
    expect([...(objects[1]?.rows.keys() ?? [])]).toEqual(['m0', 'm1', 'm2']);
  });

  it('F3, F6: a row matches when all have it with the same range; of what does not each range is counted', async () => {
    await start();
    await write([0, 1, 2], A);
    await write([0, 1], A);
    await write([2], A);
    await write([0, 1, 2], A);
    const { rowsByKey } = steps!.fleet.store(2);
    const [key, row] = [...rowsByKey].at(-1)!;
    rowsByKey.set(key, { ...row, length: 3 });
    const [object] = await takeAll(mergeOf());
    expect(object).toMatchObject({ matchedCount: 1, unmatchedCount: 2 + 2, isOverLimit: false });
  });

  it('an object that has no row has none, and costs the others nothing', async () => {
    await start();
    await write([0, 1, 2], B);
    const merge = mergeOf();
    const none = await merge.take(A);
    expect(none).toMatchObject({ objectId: A, matchedCount: 0, unmatchedCount: 0, isOverLimit: false });
    expect(tagsOf(none)).toEqual([[], [], []]);
    expect((await takeAll(merge)).map(({ objectId }) => objectId)).toEqual([B]);
  });

  it('rows of objects up to a place are passed over', async () => {
    await start();
    for (const id of [A, B, C]) await write([0, 1, 2], id);
    expect((await takeAll(mergeOf(10, B))).map(({ objectId }) => objectId)).toEqual([C]);
  });

  it('of an object with more rows than are looked at, on any mirror, only the counts are kept', async () => {
    await start();
    for (let count = 0; count < 3; count += 1) await write([0, 1, 2], A);
    await write([1], A);
    const [atLimit] = await takeAll(mergeOf(4));
    expect(atLimit).toMatchObject({ isOverLimit: false });
    expect(tagsOf(atLimit!).map((tags) => (tags as unknown[]).length)).toEqual([3, 4, 3]);
    const [over] = await takeAll(mergeOf(3));
    expect(over).toMatchObject({ isOverLimit: true, matchedCount: 3, unmatchedCount: 1 });
    expect(tagsOf(over!)).toEqual([[], [], []]);
  });

  it('are read behind the last row of a page, one table or another at a time', async () => {
    await start();
    for (let count = 0; count < 5; count += 1) await write(count % 2 === 0 ? [0, 2] : [0], A);
    await write([1], B);
    const asked: unknown[] = [];
    steps!.intercept(0, 'rows', (pass, after, limit, epoch) => {
      asked.push([after && { objectId: after.objectId, tag: after.tag }, limit, epoch]);
      return pass(after, 2, epoch);
    });
    const objects = await takeAll(mergeOf());
    expect(objects.map(({ unmatchedCount }) => unmatchedCount)).toEqual([5, 1]);
    expect(asked).toEqual(
      [null, 2, 4, 5].map((counter) => [
        counter === null ? null : { objectId: A, tag: tagAt(1, counter) },
        ROWS_PAGE_MAX,
        1,
      ]),
    );
  });

  it.each([
    ['object', [B, A], [1, 2]],
    ['tag', [A, A], [2, 1]],
    ['row', [A, A], [1, 1]],
  ] as const)('a table that is not in order by %s is a bad one', async (_what, ids, counters) => {
    await start();
    await write([0], A);
    const [row] = await steps!.fleet.rows(0);
    const table = ids.map((objectId, index) => ({ ...row!, objectId, tag: tagAt(1, counters[index] ?? 0) }));
    steps!.intercept(0, 'rows', async (_pass, after) => (after === null ? table : []));
    await expect(takeAll(mergeOf())).rejects.toMatchObject({
      code: 'bad-table',
      message: expect.stringContaining('the tag table of m0') as string,
    });
  });
});

describe('two sides of a full copy, walked together', () => {
  function optionsOf(): FullCopyOptions {
    const [source, target] = steps!.peers({ 0: 'trusted', 1: 'full-copy' });
    const context = steps!.context('fenced', 2);
    return { context, source: source!, otherSources: [], target: target!, limits: steps!.limits };
  }

  async function walkAll(options: FullCopyOptions): Promise<Pair[][]> {
    const { walk } = await PairWalk.begin(options);
    const pages: Pair[][] = [];
    for (;;) {
      const page = await walk.nextPage();
      if (page.length === 0) return pages;
      pages.push(page);
    }
  }

  function idsOf(pages: readonly (readonly Pair[])[]): ObjectId[][] {
    return pages.map((page) => page.map(({ objectId }) => objectId));
  }

  it('are every object that either knows or has rows of, in order, with what each has', async () => {
    await start();
    await write([0], A);
    await write([1], B);
    await write([0, 1], C);
    await write([1], D);
    steps!.fleet.store(1).objects.delete(D);
    const [page = []] = await walkAll(optionsOf());
    expect(
      page.map(({ source, target, rows }) => [source?.lastTag, target?.lastTag, rows.unmatchedCount]),
    ).toEqual([
      [tagAt(1, 1), undefined, 1],
      [undefined, tagAt(1, 2), 1],
      [tagAt(1, 3), tagAt(1, 3), 0],
      [undefined, undefined, 1],
    ]);
    expect(page.map(isSame)).toEqual([false, false, true, true]);
  });

  it('a page ends at so many objects', async () => {
    await start({ reconcilePageObjectsMax: 2 });
    for (const id of [A, B, C]) await write([0, 1], id);
    expect(idsOf(await walkAll(optionsOf()))).toEqual([[A, B], [C]]);
  });

  it('a page ends at so many rows of both', async () => {
    await start({ reconcilePageRowsMax: 4 });
    for (const id of [A, B, C]) await write([0, 1], id);
    expect(idsOf(await walkAll(optionsOf()))).toEqual([[A, B], [C]]);
  });

  it('a page ends at so many bytes to copy; what is the same costs none', async () => {
    await start({ reconcilePageBytesMax: 20 });
    await write([0, 1], A);
    for (const id of [B, C, D]) await write([0], id);
    await write([1], objectNamed('e'));
    expect(idsOf(await walkAll(optionsOf()))).toEqual([
      [A, B, C],
      [D, objectNamed('e')],
    ]);
  });

  it('begin behind the cursor, on both sides and in both tag tables, with its count', async () => {
    await start();
    for (const id of [A, B, C]) await write([0, 1], id);
    await steps!.fleet.write([0, 1], { kind: 'remove', objectId: D });
    await write([0], objectNamed('e'));
    const options = optionsOf();
    const fresh = await PairWalk.begin(options);
    expect(fresh.isResumed).toBe(false);
    // As many as the side has that has more of them, tombstones too.
    expect(options.context.progress.snapshot()).toMatchObject({ objectsCompared: 0, objectsToCompare: 5 });

    steps!.intercept(1, 'fullCopyCursor', async () => ({ objectId: B, objectsCompared: 7 }));
    const resumed = optionsOf();
    const asked: unknown[] = [];
    steps!.intercept(0, 'summaries', (pass, after, limit, epoch) => {
      asked.push([after, limit, epoch]);
      return pass(after, limit, epoch);
    });
    const { walk, isResumed } = await PairWalk.begin(resumed);
    expect(isResumed).toBe(true);
    expect(resumed.context.progress.snapshot()).toMatchObject({ objectsCompared: 7, objectsToCompare: 7 });
    const page = await walk.nextPage();
    expect(idsOf([page])).toEqual([[C, D, objectNamed('e')]]);
    expect(page.map(({ rows }) => rows.matchedCount)).toEqual([1, 1, 0]);
    expect(asked).toEqual([
      [B, SUMMARIES_PAGE_MAX, 1],
      [objectNamed('e'), SUMMARIES_PAGE_MAX, 1],
    ]);
  });

  it('what is passed goes on the target’s disk as the cursor, and is counted, but for what neither has', async () => {
    await start();
    await write([0], A);
    await write([1], B);
    await write([1], C);
    steps!.fleet.store(1).objects.delete(C);
    const cursors: unknown[] = [];
    steps!.intercept(
      1,
      'setFullCopyCursor',
      async (_pass, epoch, cursor) => void cursors.push([epoch, cursor]),
    );
    steps!.intercept(1, 'fullCopyCursor', async () => ({ objectId: objectNamed('0'), objectsCompared: 3 }));
    const options = optionsOf();
    const { walk } = await PairWalk.begin(options);
    const page = await walk.nextPage();
    await walk.passed(page.slice(0, 1));
    await walk.passed(page.slice(1));
    await walk.passed([]);
    expect(cursors).toEqual([
      [1, { objectId: A, objectsCompared: 4 }],
      [1, { objectId: C, objectsCompared: 5 }],
    ]);
    expect(options.context.progress.snapshot().objectsCompared).toBe(5);
  });

  it('objects out of order make a bad table', async () => {
    await start();
    await write([0], A);
    const [summary] = await steps!.fleet.connection(0).summaries(null, 10);
    const table = [summary!, { ...summary!, objectId: objectNamed('0') }];
    steps!.intercept(0, 'summaries', async (_pass, after) => (after === null ? table : []));
    await expect(walkAll(optionsOf())).rejects.toMatchObject({
      code: 'bad-table',
      message: expect.stringContaining('the objects of m0') as string,
    });
  });

  it('F37: the target lacks a row when the source has one that it has not, or there are too many to tell', async () => {
    await start({ reconcileObjectRowsMax: 2 });
    await write([0, 1], A);
    await write([0, 1], B);
    await write([0], B);
    await write([0, 1], C);
    await write([1], C);
    for (let count = 0; count < 3; count += 1) await write([0, 1], D);
    const options = optionsOf();
    const [page = []] = await walkAll(options);
    const { source, target } = options;
    expect(page.map((pair) => lacksRows(pair, source, target))).toEqual([false, true, false, true]);
  });
});
