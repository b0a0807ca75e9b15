/** One mirror is copied to while clients write, step by step (DESIGN.md section 5, the four rules; F34 to F37). */
import { afterEach, describe, expect, it } from 'vitest';
import { CopyPacer, type PacerTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import type { PushContext } from '../../../src/osd/reconcile/object-push.js';
import { catchUpOnline } from '../../../src/osd/reconcile/online-catch-up.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import type { Tag } from '../../../src/protocol/tag.js';
import type { ReconcileProgress, RemotePush, RemotePushReply } from '../../../src/wire/osd-connection.js';
import { objectNamed, patternBytes, tagAt } from './osd-writer.js';
import { type Roles, Steps } from './reconcile-steps.js';

const KEY = objectNamed('key');
const TEN = Buffer.from('0123456789');
const TWO: Roles = { 0: 'trusted', 1: 'rows' };
/** More than a pass may leave for the fence. */
const MANY = 33;

let steps: Steps;
afterEach(() => steps.stop());

async function catchUp(roles: Roles, context = contextFor(roles)): Promise<ReconcileProgress> {
  await catchUpOnline({ context, peers: steps.peers(roles), limits: steps.limits });
  return context.progress.snapshot();
}

function contextFor(roles: Roles): PushContext {
  return steps.context('online', Object.keys(roles).length);
}

/** What a mirror has of everything, tombstones too. */
function held(index: number): Map<ObjectId, object> {
  const objects = [...steps.fleet.store(index).objects];
  return new Map(objects.map(([id, { state, bytes }]) => [id, { state, bytes: bytes.toString('latin1') }]));
}

function expectEqual(...indices: number[]): void {
  for (const index of indices) expect(held(index)).toEqual(held(0));
}

async function tagsOf(index: number): Promise<Tag[]> {
  return (await steps.fleet.rows(index)).map(({ tag }) => tag);
}

async function writeMany(count: number, indices: readonly number[] = [0]): Promise<ObjectId[]> {
  const ids = Array.from({ length: count }, (_, index) => objectNamed(`n${String(index).padStart(3, '0')}`));
  for (const objectId of ids) await steps.fleet.write(indices, { kind: 'replace', objectId, bytes: TEN });
  return ids;
}

/** Every push that reaches a mirror from now on, and what comes of it. */
function watchPushes(index: number, answer?: (push: RemotePush) => RemotePushReply | null): RemotePush[] {
  const pushes: RemotePush[] = [];
  steps.intercept(index, 'push', async (pass, push) => {
    pushes.push(push);
    return answer?.(push) ?? pass(push);
  });
  return pushes;
}

/** The names of all objects that a mirror is asked for evidence of, one array for each question. */
function watchEvidence(index: number): (readonly ObjectId[])[] {
  const questions: (readonly ObjectId[])[] = [];
  steps.intercept(index, 'evidence', (pass, epoch, ids) => {
    questions.push(ids);
    return pass(epoch, ids);
  });
  return questions;
}

describe('catching up beside clients, two mirrors', () => {
  it('I7: exactly what was missed is copied, and every row that both have goes', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('shared'), bytes: TEN });
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10, bytes: Buffer.from('abc') });
    await fleet.write([0], { kind: 'range-write', objectId: KEY, offset: 2, bytes: Buffer.from('XY') });
    await fleet.write([0], { kind: 'replace', objectId: objectNamed('new'), bytes: Buffer.from('new') });
    await fleet.write([0], { kind: 'remove', objectId: objectNamed('gone') });
    await fleet.admit(TWO);
    const pushes = watchPushes(1);
    expect(await catchUp(TWO)).toMatchObject({
      isScanned: true,
      rowsMatched: 2,
      rowsUnmatched: 4,
      objectsToDo: 3,
      objectsDone: 3,
      bytesUnmatched: 3 + 2 + 3,
      bytesCopied: 3 + 2 + 3,
      rangesDone: 2 + 1 + 1,
      rowsDropped: 6 + 6,
    });
    expectEqual(1);
    expect(await tagsOf(0)).toEqual([]);
    expect(await tagsOf(1)).toEqual([]);
    const claims = pushes.map(
      ({ objectId, ...push }) => [objectId, [push.expectedLastTag, push.lastTag]] as const,
    );
    expect(new Map(claims)).toEqual(
      new Map([
        [objectNamed('gone'), [null, tagAt(1, 6)]],
        [KEY, [tagAt(1, 2), tagAt(1, 4)]],
        [objectNamed('new'), [null, tagAt(1, 5)]],
      ]),
    );
  });

  it('F36: what changes on the target between the look and the push does not land, and is looked at again', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await writeMany(MANY);
    await fleet.admit(TWO);
    const first = objectNamed('n000');
    let interlude: Promise<unknown> | null = null;
    steps.intercept(1, 'push', async (pass, push) => {
      if (push.objectId === first) {
        interlude ??= fleet.write([0, 1], { kind: 'replace', objectId: first, bytes: Buffer.from('newer') });
        await interlude;
      }
      return pass(push);
    });
    const progress = await catchUp(TWO);
    expect(fleet.store(1).objects.get(first)?.bytes.toString()).toBe('newer');
    expectEqual(1);
    // What did not land is in no figure of bytes.
    expect(progress).toMatchObject({ objectsToDo: MANY, objectsDone: MANY, bytesUnmatched: (MANY - 1) * 10 });
    expect(progress.bytesCopied).toBe(progress.bytesUnmatched);
    expect(await tagsOf(0)).toEqual([]);
    expect(await tagsOf(1)).toEqual([]);
  });

  it('F34: the target is never taken back within the epoch, and no row of what it is ahead by goes', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.admit(TWO);
    const ahead = await fleet.write([1], { kind: 'replace', objectId: KEY, bytes: Buffer.from('ahead') });
    let askedCount = 0;
    steps.intercept(0, 'identity', (pass) => {
      askedCount += 1;
      return pass();
    });
    expect(await catchUp(TWO)).toMatchObject({
      bytesUnmatched: 0,
      bytesCopied: 0,
      objectsToDo: 1,
      rowsDropped: 0,
    });
    expect(fleet.store(1).objects.get(KEY)?.bytes.toString()).toBe('ahead');
    expect(await tagsOf(0)).toEqual([tagAt(1, 1)]);
    expect(await tagsOf(1)).toEqual([ahead]);
    // How far anybody has come is of no interest where no row can go.
    expect(askedCount).toBe(0);
  });

  it('F1: what an earlier epoch left on the target alone is taken back, and forgotten where the source knows nothing', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([1], { kind: 'range-write', objectId: KEY, offset: 4, bytes: Buffer.from('STALE!') });
    await fleet.write([1], { kind: 'replace', objectId: objectNamed('orphan'), bytes: TEN });
    await fleet.admit(TWO);
    expect(await catchUp(TWO)).toMatchObject({ bytesCopied: 6, bytesUnmatched: 6, objectsDone: 2 });
    expectEqual(1);
    expect(fleet.store(1).objects.size).toBe(1);
  });

  it('what was removed on the target and is there again on the source is copied', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0, 1], { kind: 'remove', objectId: KEY });
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: Buffer.from('again') });
    await fleet.admit(TWO);
    expect(await catchUp(TWO)).toMatchObject({ bytesCopied: 5, objectsDone: 1 });
    expectEqual(1);
  });

  it('F35: a removal that only the target remembers stays remembered there, and with it its row', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    for (let count = 0; count < MANY; count += 1)
      await fleet.write([1], { kind: 'remove', objectId: objectNamed(`n${count}`) });
    await fleet.admit(TWO);
    const questions = watchEvidence(0);
    const pushes = watchPushes(1);
    expect(await catchUp(TWO)).toMatchObject({ objectsToDo: 0, rowsDropped: 0 });
    expect(pushes).toEqual([]);
    expect(fleet.store(1).objects.size).toBe(MANY);
    expect((await tagsOf(1)).length).toBe(MANY);
    // It is nothing that another pass could do.
    expect(questions.length).toBe(1);
  });

  it('F37: rows and bytes of what was written after the state was read are no part of the push', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    const tag = await fleet.write([0], {
      kind: 'extend',
      objectId: KEY,
      offset: 10,
      bytes: Buffer.from('abc'),
    });
    await fleet.admit(TWO);
    const pushes = watchPushes(1);
    let later: Promise<Tag> | undefined;
    steps.intercept(0, 'evidence', async (pass, epoch, ids) => {
      const [witness] = await pass(epoch, ids);
      later ??= fleet.write([0], {
        kind: 'range-write',
        objectId: KEY,
        offset: 0,
        bytes: Buffer.from('later'),
      });
      await later;
      const [{ rows } = { rows: [] }] = await pass(epoch, ids);
      return [{ ...witness!, rows }];
    });
    // The source has moved on since, so this push does not land either; what it was to be is what counts.
    let order: readonly unknown[] = [];
    steps.intercept(0, 'read', async (_pass, _epoch, _id, range) => {
      order = [...order, range];
      return null;
    });
    const progress = await catchUp(TWO);
    expect(order).toEqual([{ kind: 'between', first: 10, last: 12 }]);
    expect(progress).toMatchObject({ objectsToDo: 1, bytesUnmatched: 0, bytesCopied: 0, rowsDropped: 0 });
    expect(pushes).toEqual([]);
    expect(await tagsOf(0)).toEqual([tagAt(1, 1), tag, tagAt(2, 1)]);
  });

  it('where last tags differ and no row says why, somebody has just written: the next pass looks again', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await writeMany(MANY);
    await fleet.admit(TWO);
    const questions = watchEvidence(1);
    const passes = new Set<number>();
    const pushes = watchPushes(1, () => {
      passes.add(questions.length);
      return null;
    });
    steps.intercept(0, 'evidence', async (pass, epoch, ids) => {
      const witnesses = await pass(epoch, ids);
      return questions.length > 1 ? witnesses : witnesses.map((witness) => ({ ...witness, rows: [] }));
    });
    expect(await catchUp(TWO)).toMatchObject({ objectsToDo: MANY, bytesCopied: MANY * 10 });
    expect(pushes.length).toBe(MANY);
    expect([...passes]).toEqual([2]);
    expectEqual(1);
  });

  it('rows that only one side has not cleared yet go without a push', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('other'), bytes: TEN });
    fleet.clear([1], KEY);
    fleet.clear([0], objectNamed('other'));
    await fleet.admit(TWO);
    const pushes = watchPushes(1);
    let tablesAskedFor = 0;
    steps.intercept(0, 'rows', (pass, ...question) => {
      tablesAskedFor += 1;
      return pass(...question);
    });
    expect(await catchUp(TWO)).toMatchObject({ objectsToDo: 0, rowsDropped: 2, rowsUnmatched: 2 });
    expect(pushes).toEqual([]);
    expect(await tagsOf(0)).toEqual([]);
    expect(await tagsOf(1)).toEqual([]);
    // Those that are to go are named by then: the table was read once, to its end.
    expect(tablesAskedFor).toBe(2);
  });

  it('F17: rows go with the commit sequences of the others as witnesses', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.admit(TWO);
    await catchUp(TWO);
    const [first, second] = await Promise.all([0, 1].map((index) => fleet.connection(index).identity()));
    expect(first?.witnesses).toEqual([{ storeId: second?.storeId, commitSequence: second?.commitSequence }]);
    expect(second?.witnesses).toEqual([{ storeId: first?.storeId, commitSequence: first?.commitSequence }]);
  });

  it('an object with more rows than are told one by one is copied whole, and all of its rows go', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    for (let count = 0; count < 256; count += 1)
      await fleet.write([0, 1], { kind: 'range-write', objectId: KEY, offset: 0, bytes: Buffer.from('x') });
    // Of the rows that are told all are equal.
    await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10, bytes: Buffer.from('!') });
    await fleet.admit(TWO);
    const pushes = watchPushes(1);
    expect(await catchUp(TWO)).toMatchObject({ bytesCopied: 11, bytesUnmatched: 11, objectsDone: 1 });
    expect(pushes).toMatchObject([
      { content: { kind: 'whole' }, rows: [{ kind: 'replace', offset: 0, length: 11, tag: tagAt(1, 258) }] },
    ]);
    expectEqual(1);
    expect(await tagsOf(0)).toEqual([]);
    expect(await tagsOf(1)).toEqual([]);
  });

  it.each([
    ['source', 0],
    ['target', 1],
  ])('so is one with more on the %s alone', async (_side, index) => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    for (let count = 0; count < 257; count += 1)
      await fleet.write([index], {
        kind: 'range-write',
        objectId: KEY,
        offset: count % 10,
        bytes: TEN.subarray(0, 1),
      });
    if (index === 1) await fleet.write([0], { kind: 'range-write', objectId: KEY, offset: 3, bytes: TEN });
    await fleet.admit(TWO);
    const pushes = watchPushes(1);
    await catchUp(TWO);
    expect(pushes).toMatchObject([{ content: { kind: 'whole' }, rows: [{ kind: 'replace', offset: 0 }] }]);
    expectEqual(1);
    expect(await tagsOf(0)).toEqual([]);
    expect(await tagsOf(1)).toEqual([]);
  });

  it('a participant that gives less evidence than it was asked for ends it, and no row goes', async () => {
    steps = await Steps.start(3);
    const { fleet } = steps;
    const roles: Roles = { 0: 'trusted', 1: 'trusted', 2: 'rows' };
    await fleet.write([0, 1, 2], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.admit(roles);
    for (const silent of [0, 1, 2]) {
      steps.intercept(silent, 'evidence', async () => []);
      await expect(catchUp(roles)).rejects.toMatchObject({
        code: 'peer-mismatch',
        message: expect.stringContaining(`m${silent}`) as string,
      });
      steps.intercept(silent, 'evidence', (pass, epoch, ids) => pass(epoch, ids));
      expect((await tagsOf(0)).length).toBe(1);
    }
  });
});

describe('catching up beside clients, three mirrors', () => {
  const BOTH_TRUSTED: Roles = { 0: 'trusted', 1: 'trusted', 2: 'rows' };

  it('I4, F37: with one absent no row goes, and the target gets the source’s', async () => {
    steps = await Steps.start(3);
    const { fleet } = steps;
    await fleet.write([0, 1, 2], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10, bytes: TEN });
    await fleet.admit(TWO);
    expect(await catchUp(TWO)).toMatchObject({ bytesCopied: 10, rowsDropped: 0 });
    expectEqual(1);
    expect(await tagsOf(1)).toEqual([tagAt(1, 1), tagAt(1, 2)]);
    expect(await tagsOf(0)).toEqual([tagAt(1, 1), tagAt(1, 2)]);
  });

  it('F6: the source is the mirror in sync with the highest last tag; nobody in sync is pushed to', async () => {
    steps = await Steps.start(3);
    const { fleet } = steps;
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([1], { kind: 'replace', objectId: KEY, bytes: Buffer.from('later') });
    await fleet.admit(BOTH_TRUSTED);
    const pushes = [watchPushes(0), watchPushes(1)];
    await catchUp(BOTH_TRUSTED);
    expect(pushes).toEqual([[], []]);
    expect(fleet.store(2).objects.get(KEY)?.bytes.toString()).toBe('later');
    expect(fleet.store(0).objects.get(KEY)?.bytes).toEqual(TEN);
  });

  it.each([
    [0, 1],
    [1, 0],
  ])(
    'I4: a row goes once every configured mirror has its write, and not before: m%d is ahead of m%d',
    async (first, second) => {
      steps = await Steps.start(3);
      const { fleet } = steps;
      const [both, one] = [objectNamed('both'), objectNamed('one')];
      await fleet.write([0, 1], { kind: 'replace', objectId: both, bytes: TEN });
      const ahead = await fleet.write([first], { kind: 'extend', objectId: both, offset: 10, bytes: TEN });
      const alone = await fleet.write([first], { kind: 'replace', objectId: one, bytes: TEN });
      await fleet.admit(BOTH_TRUSTED);
      expect(await catchUp(BOTH_TRUSTED)).toMatchObject({ bytesCopied: 30, rowsDropped: 3 });
      expect(held(2)).toEqual(held(first));
      expect(await tagsOf(first)).toEqual([ahead, alone]);
      expect(await tagsOf(second)).toEqual([]);
      expect(await tagsOf(2)).toEqual([ahead, alone]);
    },
  );

  it('I4: of an object that one mirror in sync has not got yet no row goes, however many there are', async () => {
    steps = await Steps.start(3);
    const { fleet } = steps;
    for (let count = 0; count < 257; count += 1)
      await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.write([0, 1], { kind: 'replace', objectId: objectNamed('other'), bytes: TEN });
    await fleet.admit(BOTH_TRUSTED);
    expect(await catchUp(BOTH_TRUSTED)).toMatchObject({ bytesCopied: 20, rowsDropped: 3 });
    expect((await tagsOf(0)).length).toBe(257);
    expect(await tagsOf(2)).toEqual([tagAt(1, 257)]);
  });

  it('several targets: one that has everything takes nothing from one that does not', async () => {
    steps = await Steps.start(3);
    const { fleet } = steps;
    const roles: Roles = { 0: 'trusted', 1: 'rows', 2: 'rows' };
    await fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.admit(roles);
    const pushes = watchPushes(1);
    expect(await catchUp(roles)).toMatchObject({ objectsToDo: 1, bytesCopied: 10, rowsDropped: 3 });
    expect(pushes).toEqual([]);
    expectEqual(1, 2);
  });

  it('I4: what one target did not take keeps its row, though the other one took it', async () => {
    steps = await Steps.start(3);
    const { fleet } = steps;
    const roles: Roles = { 0: 'trusted', 1: 'rows', 2: 'rows' };
    await fleet.write([0], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fleet.admit(roles);
    watchPushes(2, () => ({ kind: 'refused', code: 'changed' }));
    expect(await catchUp(roles)).toMatchObject({
      objectsToDo: 2,
      objectsDone: 2,
      bytesCopied: 10,
      rowsDropped: 0,
    });
    expect(await tagsOf(0)).toEqual([tagAt(1, 1)]);
    expect(await tagsOf(1)).toEqual([tagAt(1, 1)]);
  });
});

describe('the passes of a catch-up', () => {
  it('all objects are asked about, as many at a time as one question may have', async () => {
    steps = await Steps.start(2, { reconcilePagesInFlight: 1 });
    const ids = await writeMany(201);
    await steps.fleet.admit(TWO);
    const questions = watchEvidence(1);
    expect(await catchUp(TWO)).toMatchObject({ objectsDone: 201, rowsDropped: 402 });
    expect(questions.map(({ length }) => length)).toEqual([100, 100, 1]);
    expect(questions.flat()).toEqual(ids);
  });

  it.each([
    [MANY, 2],
    [MANY - 1, 1],
  ])('after one in which %d objects were copied, %d in all', async (count, passCount) => {
    steps = await Steps.start(3);
    await writeMany(count);
    await steps.fleet.admit(TWO);
    const questions = watchEvidence(0);
    // One mirror is absent, so the rows stay, and with them the objects are on the list of every pass.
    expect(await catchUp(TWO)).toMatchObject({ objectsDone: count, isScanned: true });
    expect(questions.length).toBe(passCount);
  });

  it('there is an end to them, though objects change all the time: the fence does the rest', async () => {
    steps = await Steps.start(2);
    await writeMany(MANY);
    await steps.fleet.admit(TWO);
    const questions = watchEvidence(0);
    watchPushes(1, () => ({ kind: 'refused', code: 'changed' }));
    expect(await catchUp(TWO)).toMatchObject({ isScanned: true, bytesCopied: 0, rowsDropped: 0 });
    expect(questions.length).toBe(50);
  });

  it('F30: damaged bytes of the source wait for the fence, and are no reason for another pass', async () => {
    steps = await Steps.start(2);
    const ids = await writeMany(MANY);
    for (const id of ids) steps.fleet.store(0).damaged.add(id);
    await steps.fleet.admit(TWO);
    const questions = watchEvidence(0);
    const pushes = watchPushes(1);
    expect(await catchUp(TWO)).toMatchObject({ bytesUnmatched: 0, bytesCopied: 0, rowsDropped: 0 });
    expect(questions.length).toBe(1);
    expect(pushes).toEqual([]);
  });

  it('a source that is written between the look and the read is looked at again', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    await writeMany(MANY);
    await fleet.admit(TWO);
    let interlude: Promise<unknown> | null = null;
    steps.intercept(0, 'read', async (pass, epoch, id, range) => {
      const objectId = objectNamed('n000');
      interlude ??= fleet.write([0, 1], { kind: 'replace', objectId, bytes: Buffer.from('new') });
      await interlude;
      return pass(epoch, id, range);
    });
    expect(await catchUp(TWO)).toMatchObject({ bytesCopied: (MANY - 1) * 10, objectsToDo: MANY });
    expectEqual(1);
  });
});

describe('a catch-up that meets trouble', () => {
  it.each(['changed', 'would-go-back', 'no-base', 'unknown-stage'] as const)(
    'a push that is refused as %s is left for later',
    async (code) => {
      steps = await Steps.start(2);
      await writeMany(1);
      await steps.fleet.admit(TWO);
      watchPushes(1, () => ({ kind: 'refused', code }));
      expect(await catchUp(TWO)).toMatchObject({ bytesUnmatched: 0, objectsToDo: 1, rowsDropped: 0 });
    },
  );

  it.each(['stale-epoch', 'not-fenced', 'checksum-mismatch', 'no-space', 'io-error'] as const)(
    'a push that is refused as %s ends it, and says who and why',
    async (code) => {
      steps = await Steps.start(2);
      await writeMany(1);
      await steps.fleet.admit(TWO);
      watchPushes(1, () => ({ kind: 'refused', code }));
      await expect(catchUp(TWO)).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(`m1 .*${code}`) as string,
      });
    },
  );

  it('whatever else keeps a push from its target ends it too', async () => {
    steps = await Steps.start(2);
    await writeMany(1);
    await steps.fleet.admit(TWO);
    steps.intercept(1, 'push', () => Promise.reject(new Error('the connection is lost')));
    await expect(catchUp(TWO)).rejects.toThrow('the connection is lost');
  });

  it('nothing is asked of anybody once it is cancelled', async () => {
    steps = await Steps.start(2);
    await writeMany(1);
    await steps.fleet.admit(TWO);
    const questions = watchEvidence(0);
    steps.cancelReason = 'the OSD stops';
    await expect(catchUp(TWO)).rejects.toMatchObject({ code: 'cancelled' });
    expect(questions).toEqual([]);
  });
});

describe('the pace of a catch-up', () => {
  const UNLIMITED: CopyPace = { bytesPerSecond: null, sharePercent: 100, isPaused: false };
  const PAUSED: CopyPace = { ...UNLIMITED, isPaused: true };
  const timer: PacerTimer = { now: () => 0, after: () => () => undefined };
  const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  function paced(pace: CopyPace): PushContext {
    return { ...contextFor(TWO), pacer: new CopyPacer(pace, timer, { quietSinceMs: null }) };
  }

  it('while it is paused nothing is asked of anybody', async () => {
    steps = await Steps.start(2);
    await writeMany(3);
    await steps.fleet.admit(TWO);
    let askedCount = 0;
    steps.intercept(0, 'rows', (pass, ...question) => {
      askedCount += 1;
      return pass(...question);
    });
    const context = paced(PAUSED);
    const work = catchUp(TWO, context);
    for (let count = 0; count < 20; count += 1) await turns();
    expect(askedCount).toBe(0);
    context.pacer.setPace(UNLIMITED);
    expect(await work).toMatchObject({ objectsDone: 3 });
  });

  it('content that is paused on its way is sent again when copying goes on, not left for the fence', async () => {
    steps = await Steps.start(2);
    const { fleet } = steps;
    const bytes = patternBytes(300_000, 1);
    const stage = fleet.connection(0).openStage();
    await stage.write(bytes);
    await fleet.write([0], { kind: 'replace', objectId: KEY, staged: await stage.finish() });
    await fleet.admit(TWO);
    const context = paced(UNLIMITED);
    let stageCount = 0;
    steps.intercept(1, 'openStage', (pass, lengthBytes) => {
      const opened = pass(lengthBytes);
      stageCount += 1;
      if (stageCount > 2) return opened;
      const write = async (piece: Buffer): Promise<void> => {
        context.pacer.setPace(PAUSED);
        await opened.write(piece);
      };
      return { write, finish: () => opened.finish(), abort: () => opened.abort() };
    });
    const work = catchUp(TWO, context);
    for (let wanted = 1; wanted <= 3; wanted += 1) {
      await expect.poll(() => stageCount, { interval: 1 }).toBe(wanted);
      for (let count = 0; count < 20; count += 1) await turns();
      context.pacer.setPace(UNLIMITED);
    }
    expect(await work).toMatchObject({ bytesCopied: 300_000, bytesUnmatched: 300_000, objectsToDo: 1 });
    expectEqual(1);
    expect(fleet.store(1).stages.size).toBe(0);
  });
});
