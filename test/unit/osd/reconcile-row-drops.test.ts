/** Rows that every configured mirror has matched or got, and how they go (DESIGN.md section 5.6; F6, F11, F17). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PushContext } from '../../../src/osd/reconcile/object-push.js';
import { RowDropper } from '../../../src/osd/reconcile/row-dropper.js';
import { RowMerge, type ObjectRows } from '../../../src/osd/reconcile/row-merge.js';
import { repairByRows, STATES_PAGE_MAX } from '../../../src/osd/reconcile/row-repair.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { toStoreId, type Witness } from '../../../src/protocol/token.js';
import { type ClearsReply, ROWS_PAGE_MAX, type RowCursor } from '../../../src/wire/osd-connection.js';
import { objectNamed, tagAt } from './osd-writer.js';
import { type Roles, Steps } from './reconcile-steps.js';

const TEN = Buffer.from('0123456789');
const [A, B] = [objectNamed('a'), objectNamed('b')];
const TWO: Roles = { 0: 'trusted', 1: 'rows' };

let steps: Steps;
let context: PushContext;
beforeEach(async () => {
  steps = await Steps.start(2);
  context = steps.context('fenced', 2);
});
afterEach(() => steps.stop());

async function write(indices: readonly number[], objectId: ObjectId, count = 1): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await steps.fleet.write(indices, { kind: 'replace', objectId, bytes: TEN });
}

async function fence(): Promise<void> {
  await steps.fleet.fence();
  context = steps.context('fenced', 2);
}

function dropper(scope = context.scope): RowDropper {
  return new RowDropper(scope, context.progress, steps.peers(TWO));
}

interface Drop {
  readonly rows: readonly RowCursor[];
  readonly witnesses: readonly Witness[];
}

/** Every request to drop rows from a mirror from now on. */
function watchDrops(index: number, answer?: ClearsReply): Drop[] {
  const drops: Drop[] = [];
  steps.intercept(index, 'dropRows', async (pass, setId, epoch, rows, witnesses) => {
    drops.push({ rows, witnesses });
    return answer ?? pass(setId, epoch, rows, witnesses);
  });
  return drops;
}

async function idsLeft(index: number): Promise<unknown[]> {
  return (await steps.fleet.rows(index)).map(({ objectId, tag }) => [objectId, tag]);
}

async function takeAll(rowsMax: number): Promise<ObjectRows[]> {
  const merge = new RowMerge(steps.peers(TWO), steps.fleet.epoch, rowsMax);
  const objects: ObjectRows[] = [];
  for (let id = await merge.nextId(); id !== null; id = await merge.nextId())
    objects.push(await merge.take(id));
  return objects;
}

async function sequenceOf(index: number): Promise<Witness> {
  const { storeId, commitSequence } = await steps.fleet.connection(index).identity();
  return { storeId, commitSequence };
}

describe('a mirror that was restarted since the reconciliation began', () => {
  it.each(['page', 'everything'] as const)(
    'bears no witness: it may have been put back to an older state, so no row goes anywhere (%s; F17)',
    async (what) => {
      await write([0, 1], A);
      const page = await takeAll(10);
      await fence();
      const drops = [watchDrops(0), watchDrops(1)];
      const before = dropper();
      steps.intercept(1, 'identity', async (pass) => ({ ...(await pass()), incarnation: 'another run' }));
      await expect(what === 'page' ? before.dropPage(page) : before.dropEverything()).rejects.toMatchObject({
        code: 'peer-mismatch',
        message: expect.stringMatching(/m1 was restarted/) as unknown,
      });
      expect(drops).toEqual([[], []]);
    },
  );
});

describe('rows of a page', () => {
  it('go by name, wherever they are, each with the other’s commit sequence as its witness (F17)', async () => {
    await write([0, 1], A);
    await write([0], A);
    await write([1], B);
    const page = await takeAll(10);
    await write([0, 1], objectNamed('c'));
    await fence();
    const drops = [watchDrops(0), watchDrops(1)];
    await dropper().dropPage(page);
    const rows = [
      { objectId: A, tag: tagAt(1, 1) },
      { objectId: A, tag: tagAt(1, 2) },
      { objectId: B, tag: tagAt(1, 3) },
    ];
    expect(drops).toEqual([
      [{ rows, witnesses: [await sequenceOf(1)] }],
      [{ rows, witnesses: [await sequenceOf(0)] }],
    ]);
    expect(context.progress.snapshot().rowsDropped).toBe(4);
    const left = [[objectNamed('c'), tagAt(1, 4)]];
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([left, left]);
  });

  it('of an object with more than are looked at all go, and of its neighbours none', async () => {
    await write([0, 1], A);
    await write([0, 1], B, 4);
    await write([0, 1], objectNamed('c'));
    await fence();
    const page = await takeAll(2);
    await dropper().dropPage(page.filter(({ objectId }) => objectId === B));
    const left = [
      [A, tagAt(1, 1)],
      [objectNamed('c'), tagAt(1, 6)],
    ];
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([left, left]);
    expect(context.progress.snapshot().rowsDropped).toBe(8);
  });

  it('are named so many at a time', async () => {
    await write([0], A, ROWS_PAGE_MAX + 1);
    await fence();
    const drops = watchDrops(0);
    await dropper().dropPage(await takeAll(ROWS_PAGE_MAX + 1));
    expect(drops.map(({ rows }) => rows.length)).toEqual([ROWS_PAGE_MAX, 1]);
    expect(await idsLeft(0)).toEqual([]);
  });

  it('stay when a participant refuses, which ends it; and nothing goes once it is cancelled', async () => {
    await write([0, 1], A);
    await fence();
    const page = await takeAll(10);
    watchDrops(1, { kind: 'refused', code: 'stale-epoch' });
    await expect(dropper().dropPage(page)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('m1 keeps its rows: stale-epoch') as string,
    });
    const drops = [watchDrops(0), watchDrops(1)];
    steps.cancelReason = 'fenced higher';
    await expect(dropper().dropPage(page)).rejects.toMatchObject({ code: 'cancelled' });
    expect(drops).toEqual([[], []]);
  });
});

describe('every row there is', () => {
  it('goes page by page from every participant', async () => {
    await write([0], A, 5);
    await write([1], B, 2);
    await fence();
    const asked: unknown[] = [];
    steps.intercept(0, 'rows', (pass, after, limit, epoch) => {
      asked.push([after?.tag ?? null, limit, epoch]);
      return pass(after, 2, epoch);
    });
    const drops = watchDrops(0);
    await dropper().dropEverything();
    expect(asked).toEqual([null, 2, 4, 5].map((at) => [at && tagAt(1, at), ROWS_PAGE_MAX, 2]));
    expect(drops.map(({ rows }) => rows.length)).toEqual([2, 2, 1]);
    expect(drops[0]).toEqual({
      rows: [1, 2].map((counter) => ({ objectId: A, tag: tagAt(1, counter) })),
      witnesses: [await sequenceOf(1)],
    });
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([[], []]);
    expect(context.progress.snapshot().rowsDropped).toBe(7);
  });

  it('stays once it is cancelled', async () => {
    await write([0, 1], A);
    await fence();
    steps.cancelReason = 'fenced higher';
    let askedCount = 0;
    steps.intercept(0, 'rows', async () => {
      askedCount += 1;
      return [];
    });
    await expect(dropper().dropEverything()).rejects.toMatchObject({ code: 'cancelled' });
    expect(askedCount).toBe(0);
    expect((await idsLeft(0)).length).toBe(1);
  });
});

describe('rows while clients write', () => {
  it('of a hot object go up to the tag that everyone has, and no further', async () => {
    await write([0, 1], A, 5);
    await write([0, 1], B);
    await dropper().dropRows([{ objectId: B, tag: tagAt(1, 6) }], [{ objectId: A, lastTag: tagAt(1, 3) }]);
    const left = [4, 5].map((counter) => [A, tagAt(1, counter)]);
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([left, left]);
    expect(context.progress.snapshot().rowsDropped).toBe(8);
  });

  it('F17: go with witnesses, those of a hot object too', async () => {
    await write([0, 1], A, 2);
    const drops = [watchDrops(0), watchDrops(1)];
    await dropper().dropRows([{ objectId: A, tag: tagAt(1, 1) }], [{ objectId: A, lastTag: tagAt(1, 2) }]);
    const [first, second] = [await sequenceOf(0), await sequenceOf(1)];
    expect(drops.map((own) => own.map(({ witnesses }) => witnesses))).toEqual([
      [[second], [second]],
      [[first], [first]],
    ]);
  });

  it('of a hot object are asked for once more behind each page, until it has none', async () => {
    await write([0, 1], A, 3);
    steps.intercept(0, 'rows', (pass, after, _limit, epoch) => pass(after, 2, epoch));
    const drops = watchDrops(0);
    await dropper().dropRows([], [{ objectId: A, lastTag: tagAt(1, 3) }]);
    expect(drops.map(({ rows }) => rows.length)).toEqual([2, 1]);
    steps.cancelReason = 'fenced higher';
    await expect(dropper().dropRows([], [{ objectId: A, lastTag: tagAt(1, 3) }])).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

describe('F17: how far the participants have come', () => {
  const ABSENT = toStoreId('a'.repeat(32));
  const STRANGER = toStoreId('b'.repeat(32));

  it('is told to each of the others, with the furthest that any of them knows of whoever is absent', async () => {
    await write([0, 1], A);
    await fence();
    const known = [
      [
        { storeId: ABSENT, commitSequence: 5 },
        { storeId: STRANGER, commitSequence: 9 },
      ],
      [{ storeId: ABSENT, commitSequence: 4 }],
    ];
    for (const index of [0, 1]) {
      steps.intercept(index, 'identity', async (pass) => ({
        ...(await pass()),
        witnesses: known[index] ?? [],
      }));
    }
    const drops = [watchDrops(0), watchDrops(1)];
    await dropper({ ...context.scope, absentStoreIds: [ABSENT] }).passWitnessesOn();
    const absent = { storeId: ABSENT, commitSequence: 5 };
    expect(drops).toEqual([
      [{ rows: [], witnesses: [await sequenceOf(1), absent] }],
      [{ rows: [], witnesses: [await sequenceOf(0), absent] }],
    ]);
    expect((await idsLeft(0)).length).toBe(1);
  });
});

describe('recovery by rows, page by page', () => {
  async function repair(limits = steps.limits, roles: Roles = TWO, withDropper = true): Promise<void> {
    await repairByRows({
      context,
      peers: steps.peers(roles),
      dropper: withDropper ? dropper() : null,
      limits,
    });
  }

  it('states are asked for as many objects at a time as one question may have, and only where rows differ', async () => {
    const ids = Array.from({ length: STATES_PAGE_MAX + 2 }, (_, index) =>
      objectNamed(`n${String(index).padStart(3, '0')}`),
    );
    for (const id of ids) await write([0], id);
    await write([0, 1], A);
    await fence();
    const asked: unknown[] = [];
    steps.intercept(1, 'states', (pass, some, epoch) => {
      asked.push([some, epoch]);
      return pass(some, epoch);
    });
    await repair();
    expect(asked).toEqual([
      [ids.slice(0, STATES_PAGE_MAX), 2],
      [ids.slice(STATES_PAGE_MAX), 2],
    ]);
    expect(context.progress.snapshot()).toMatchObject({ rowsMatched: 1, rowsUnmatched: ids.length });
    expect(steps.fleet.store(1).objects.size).toBe(ids.length + 1);
  });

  it('F6: rows stay where nobody is to drop any', async () => {
    await write([0], A);
    await fence();
    await repair(steps.limits, TWO, false);
    expect(context.progress.snapshot()).toMatchObject({ bytesCopied: 10, rowsDropped: 0 });
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([[[A, tagAt(1, 1)]], [[A, tagAt(1, 1)]]]);
  });

  it('an object with more rows than are looked at is left alone where its last write is the same', async () => {
    await write([0, 1], A, 3);
    await write([0], B);
    await fence();
    let pushCount = 0;
    steps.intercept(1, 'push', (pass, push) => {
      pushCount += 1;
      return pass(push);
    });
    steps.fleet.store(1).rowsByKey.delete(`${A}\u0000${tagAt(1, 1)}`);
    await repair({ ...steps.limits, reconcileObjectRowsMax: 2 });
    expect(pushCount).toBe(1);
    expect(context.progress.snapshot()).toMatchObject({ objectsToDo: 1, bytesCopied: 10 });
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([[], []]);
  });

  it('one with more rows than are looked at that only the target knows is forgotten there, with all of its rows', async () => {
    await write([1], A, 3);
    await fence();
    await repair({ ...steps.limits, reconcileObjectRowsMax: 2 });
    expect(steps.fleet.store(1).objects.size).toBe(0);
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([[], []]);
    expect(context.progress.snapshot()).toMatchObject({ objectsDone: 1, bytesUnmatched: 0 });
  });

  it('one with more rows than are looked at, of which nobody has anything, loses its rows alone', async () => {
    await write([0, 1], A, 3);
    await fence();
    for (const index of [0, 1]) {
      steps.fleet.store(index).objects.clear();
      steps.fleet.store(index).rowsByKey.delete(`${A}\u0000${tagAt(1, 1 + index)}`);
    }
    await repair({ ...steps.limits, reconcileObjectRowsMax: 1 });
    expect([await idsLeft(0), await idsLeft(1)]).toEqual([[], []]);
    expect(context.progress.snapshot()).toMatchObject({ objectsToDo: 0 });
  });

  it('F30: where the source is damaged nobody is read in its place who has another last write', async () => {
    await steps.stop();
    steps = await Steps.start(4);
    await write([0, 1, 2], A);
    await write([0, 2], A);
    await fence();
    for (const index of [0, 2]) steps.fleet.store(index).damaged.add(A);
    const readBy: number[] = [];
    for (const index of [0, 1, 2]) {
      steps.intercept(index, 'read', (pass, ...question) => {
        readBy.push(index);
        return pass(...question);
      });
    }
    steps.intercept(1, 'push', () => Promise.resolve({ kind: 'landed' }));
    await repair(steps.limits, { 0: 'trusted', 1: 'trusted', 2: 'trusted', 3: 'rows' }, false);
    // Once for each target, m1 and m3.
    expect(readBy.sort()).toEqual([0, 0, 2, 2]);
    expect(await steps.fleet.connection(3).lostObjects(null, 10)).toMatchObject([
      { objectId: A, lostBytes: 10 },
    ]);
  });

  it('the bytes that are to be copied are those of all targets', async () => {
    await steps.stop();
    steps = await Steps.start(3);
    await write([0], A);
    await steps.fleet.write([0, 1, 2], { kind: 'replace', objectId: B, bytes: TEN });
    await steps.fleet.write([0], { kind: 'extend', objectId: B, offset: 10, bytes: Buffer.from('abc') });
    await fence();
    const roles: Roles = { 0: 'trusted', 1: 'rows', 2: 'rows' };
    await repair(steps.limits, roles, false);
    expect(context.progress.snapshot()).toMatchObject({
      objectsToDo: 2,
      objectsDone: 2,
      bytesUnmatched: 26,
      bytesCopied: 26,
    });
  });

  it('nothing is asked once it is cancelled', async () => {
    await write([0], A);
    await fence();
    steps.cancelReason = 'fenced higher';
    let askedCount = 0;
    steps.intercept(0, 'rows', async () => {
      askedCount += 1;
      return [];
    });
    await expect(repair()).rejects.toMatchObject({ code: 'cancelled' });
    expect(askedCount).toBe(0);
  });
});
