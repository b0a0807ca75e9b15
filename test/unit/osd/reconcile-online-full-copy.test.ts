/** A full copy beside clients, step by step (DESIGN.md section 5.5; F16, F30, F34 to F37). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CopyPacer, type PacerTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import type { PushContext } from '../../../src/osd/reconcile/object-push.js';
import { copyEverythingOnline } from '../../../src/osd/reconcile/online-full-copy.js';
import type { Extent } from '../../../src/protocol/extent.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import type { ReconcileProgress, RemotePush, RemotePushReply } from '../../../src/wire/osd-connection.js';
import { objectNamed, patternBytes, tagAt } from './osd-writer.js';
import { type Roles, Steps } from './reconcile-steps.js';

const KEY = objectNamed('key');
const OTHER = objectNamed('other');
const COPYING: Roles = { 0: 'trusted', 2: 'full-copy' };
const TWO_SOURCES: Roles = { 0: 'trusted', 1: 'trusted', 2: 'full-copy' };
const ATTEMPTS_MAX = 20;

let steps: Steps;
beforeEach(async () => {
  steps = await Steps.start(3);
});
afterEach(() => steps.stop());

function contextFor(roles: Roles): PushContext {
  return steps.context('online', Object.keys(roles).length);
}

/** From m0 to m2. */
async function copy(roles: Roles = COPYING, context = contextFor(roles)): Promise<ReconcileProgress> {
  const peers = steps.peers(roles);
  const [source, ...otherSources] = peers.filter(({ isTrusted }) => isTrusted);
  const target = peers.find(({ needsFullCopy }) => needsFullCopy);
  await copyEverythingOnline({
    context,
    source: source!,
    otherSources,
    target: target!,
    limits: steps.limits,
  });
  return context.progress.snapshot();
}

function watchPushes(answer?: (push: RemotePush) => RemotePushReply | null): RemotePush[] {
  const pushes: RemotePush[] = [];
  steps.intercept(2, 'push', async (pass, push) => {
    pushes.push(push);
    return answer?.(push) ?? pass(push);
  });
  return pushes;
}

function held(index: number): Map<ObjectId, object> {
  const objects = [...steps.fleet.store(index).objects];
  return new Map(objects.map(([id, { state, bytes }]) => [id, { state, bytes: bytes.toString('latin1') }]));
}

async function write(name: ObjectId, indices: readonly number[], text = '0123456789') {
  return steps.fleet.write(indices, { kind: 'replace', objectId: name, bytes: Buffer.from(text) });
}

/** Marks bytes that a mirror can't give. */
function lose(index: number, objectId: ObjectId, lost: readonly Extent[]): void {
  const store = steps.fleet.store(index);
  const { state } = store.objects.get(objectId)!;
  store.lost.afterPush({ objectId, state, content: { kind: 'extents', extents: lost }, lost }, undefined);
}

describe('what a full copy beside clients does to an object', () => {
  it('copies what differs, by compare-and-set, and only that', async () => {
    await write(KEY, [0, 2], 'older');
    await write(OTHER, [0, 2]);
    for (const id of [KEY, OTHER]) steps.fleet.clear([0, 2], id);
    await write(KEY, [0]);
    await write(objectNamed('new'), [0], 'new');
    await steps.fleet.admit(COPYING);
    const pushes = watchPushes();
    expect(await copy()).toMatchObject({
      objectsToDo: 2,
      objectsDone: 2,
      bytesUnmatched: 13,
      bytesCopied: 13,
      rangesDone: 2,
      objectsCompared: 3,
      objectsToCompare: 3,
      objectsDeleted: 0,
    });
    expect(held(2)).toEqual(held(0));
    expect(pushes.length).toBe(2);
    expect(pushes).toContainEqual(
      expect.objectContaining({ objectId: KEY, expectedLastTag: tagAt(1, 1), lastTag: tagAt(1, 3) }),
    );
    expect(await steps.fleet.connection(2).fullCopyCursor()).toEqual({ objectId: OTHER, objectsCompared: 3 });
  });

  it('deletes what only the target has, and tells of it once it has landed', async () => {
    await write(KEY, [2]);
    await steps.fleet.admit(COPYING);
    let answer: RemotePushReply | null = { kind: 'refused', code: 'unknown-stage' };
    const pushes = watchPushes(() => {
      const given = answer;
      answer = null;
      return given;
    });
    expect(await copy()).toMatchObject({ objectsDeleted: 1, objectsToDo: 1, bytesUnmatched: 0 });
    expect(pushes.map(({ state, lastTag }) => [state, lastTag])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(held(2).size).toBe(0);
  });

  it('F35: leaves a tombstone that only the target has', async () => {
    await steps.fleet.write([2], { kind: 'remove', objectId: KEY });
    await steps.fleet.admit(COPYING);
    const pushes = watchPushes();
    expect(await copy()).toMatchObject({
      objectsToDo: 1,
      objectsDone: 1,
      objectsDeleted: 0,
      bytesUnmatched: 0,
    });
    expect(pushes).toEqual([]);
    expect(held(2).size).toBe(1);
  });

  it('carries a tombstone of the source over, which is no deletion', async () => {
    await write(KEY, [0, 2]);
    await steps.fleet.write([0], { kind: 'remove', objectId: KEY });
    await steps.fleet.admit(COPYING);
    expect(await copy()).toMatchObject({
      objectsToDo: 1,
      objectsDeleted: 0,
      bytesUnmatched: 0,
      rangesDone: 1,
    });
    expect(held(2)).toEqual(held(0));
  });

  it('what neither side has, but the target has rows of, leaves no row there', async () => {
    await write(KEY, [2]);
    steps.fleet.store(2).objects.clear();
    await steps.fleet.admit(COPYING);
    expect(await copy()).toMatchObject({
      objectsToDo: 1,
      objectsDone: 1,
      objectsDeleted: 0,
      objectsCompared: 0,
    });
    expect(await steps.fleet.rows(2)).toEqual([]);
  });

  it('F37: rows that the target lacks come without bytes where nothing else differs', async () => {
    await write(KEY, [0, 2]);
    steps.fleet.clear([2], KEY);
    await steps.fleet.admit(COPYING);
    const pushes = watchPushes();
    expect(await copy()).toMatchObject({ objectsToDo: 1, bytesUnmatched: 0, bytesCopied: 0 });
    expect(pushes).toMatchObject([{ content: { kind: 'extents', extents: [] }, bytes: { kind: 'none' } }]);
    expect((await steps.fleet.rows(2)).map(({ tag }) => tag)).toEqual([tagAt(1, 1)]);
  });

  it('F37: where it was written since the look, it comes with its content of now and the rows of now', async () => {
    await write(KEY, [0, 2]);
    steps.fleet.clear([2], KEY);
    await steps.fleet.admit(COPYING);
    steps.intercept(0, 'evidence', async (pass, epoch, ids) => {
      await steps.fleet.write([0], { kind: 'extend', objectId: KEY, offset: 10, bytes: Buffer.from('abc') });
      steps.intercept(0, 'evidence', (again, ...question) => again(...question));
      return pass(epoch, ids);
    });
    expect(await copy()).toMatchObject({ bytesUnmatched: 13, bytesCopied: 13 });
    expect(held(2)).toEqual(held(0));
    expect((await steps.fleet.rows(2)).map(({ tag }) => tag)).toEqual([tagAt(1, 1), tagAt(2, 1)]);
  });

  it('I7: of what is smaller by now less is copied, and less was to do', async () => {
    await write(KEY, [0]);
    await steps.fleet.admit(COPYING);
    steps.intercept(0, 'evidence', async (pass, epoch, ids) => {
      await write(KEY, [0], 'new');
      steps.intercept(0, 'evidence', (again, ...question) => again(...question));
      return pass(epoch, ids);
    });
    expect(await copy()).toMatchObject({ bytesUnmatched: 3, bytesCopied: 3, objectsToDo: 1, objectsDone: 1 });
  });

  it('more rows than are told, on either side, come as one that stands for all of the object', async () => {
    for (let count = 0; count < 300; count += 1) await write(KEY, [0], String(count));
    await write(OTHER, [0, 2]);
    await write(OTHER, [0]);
    await steps.fleet.admit(COPYING);
    await copy();
    const rows = await steps.fleet.rows(2);
    expect(rows.map(({ objectId, tag }) => [objectId, tag])).toEqual([
      [KEY, tagAt(1, 300)],
      [OTHER, tagAt(1, 301)],
      [OTHER, tagAt(1, 302)],
    ]);
  });

  it('rows of the target that the source has none of stay, as far as the source may have their writes', async () => {
    await write(KEY, [0, 2]);
    await write(KEY, [0]);
    steps.fleet.clear([0], KEY);
    await steps.fleet.admit(COPYING);
    await copy();
    expect(await steps.fleet.rows(2)).toMatchObject([{ tag: tagAt(1, 1), offset: 1, length: 0 }]);
  });

  it('a row too many of the target makes one row of all', async () => {
    await steps.stop();
    steps = await Steps.start(3, { reconcileObjectRowsMax: 2 });
    for (let count = 0; count < 3; count += 1) await write(KEY, [2], String(count));
    await write(KEY, [0]);
    await steps.fleet.admit(COPYING);
    await copy();
    expect(await steps.fleet.rows(2)).toMatchObject([{ tag: tagAt(1, 4), kind: 'replace', length: 10 }]);
  });
});

describe('a full copy beside clients that meets trouble', () => {
  beforeEach(async () => {
    await write(KEY, [0, 1]);
    await steps.fleet.admit(TWO_SOURCES);
  });

  it('a stage that the target knows no more is filled again', async () => {
    const pushes = watchPushes(() => (pushes.length < 5 ? { kind: 'refused', code: 'unknown-stage' } : null));
    expect(await copy()).toMatchObject({ objectsDone: 1, bytesCopied: 10, bytesUnmatched: 10 });
    expect(pushes.length).toBe(5);
  });

  it.each([
    'changed',
    'would-go-back',
    'no-base',
    'stale-epoch',
    'not-fenced',
    'checksum-mismatch',
    'no-space',
    'io-error',
  ] as const)('a push that is refused as %s ends it: nobody else writes to the target', async (code) => {
    const pushes = watchPushes(() => ({ kind: 'refused', code }));
    await expect(copy()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(`m2 .*${code}`) as string,
    });
    expect(pushes.length).toBe(1);
    expect(await steps.fleet.connection(2).fullCopyCursor()).toBeNull();
  });

  it('a source without evidence ends it', async () => {
    steps.intercept(0, 'evidence', async () => []);
    await expect(copy()).rejects.toMatchObject({ code: 'peer-mismatch' });
  });

  it('whatever else keeps content from its target ends it', async () => {
    steps.intercept(0, 'read', () => Promise.reject(new Error('the connection is lost')));
    await expect(copy(TWO_SOURCES)).rejects.toThrow('the connection is lost');
  });

  it('an object that is written before each read is given up after so many attempts, as changed', async () => {
    let readCount = 0;
    steps.intercept(0, 'read', async () => {
      readCount += 1;
      return null;
    });
    const pushes = watchPushes();
    await expect(copy()).rejects.toMatchObject({
      code: 'changed',
      message: expect.stringContaining('"bucket/key" on m0 changes faster than it can be copied') as string,
    });
    expect(readCount).toBe(ATTEMPTS_MAX);
    expect(pushes).toEqual([]);
  });

  it('one that rests in between is copied as it is then', async () => {
    let readCount = 0;
    steps.intercept(0, 'read', async (pass, ...question) => {
      readCount += 1;
      if (readCount < ATTEMPTS_MAX) await write(KEY, [0], `${readCount}`);
      return pass(...question);
    });
    expect(await copy()).toMatchObject({ objectsDone: 1, bytesCopied: 2, bytesUnmatched: 2 });
    expect(held(2)).toEqual(held(0));
  });

  it('nothing is asked once it is cancelled, not even in the middle of a page', async () => {
    let readCount = 0;
    steps.intercept(0, 'read', async () => {
      readCount += 1;
      steps.cancelReason = 'the OSD stops';
      return null;
    });
    await expect(copy()).rejects.toMatchObject({ code: 'cancelled' });
    expect(readCount).toBe(1);
    let askedCount = 0;
    steps.intercept(0, 'summaries', (pass, ...question) => {
      askedCount += 1;
      return pass(...question);
    });
    await expect(copy()).rejects.toMatchObject({ code: 'cancelled' });
    expect(askedCount).toBe(0);
  });
});

describe('F30: a full copy from a source that is damaged', () => {
  const LOST = [{ offset: 2, length: 1 }];
  beforeEach(async () => {
    await write(KEY, [2], 'yesterday');
    await write(KEY, [0, 1]);
    await steps.fleet.admit(TWO_SOURCES);
  });

  it('takes the bytes from another mirror in sync', async () => {
    lose(0, KEY, LOST);
    expect(await copy(TWO_SOURCES)).toMatchObject({ bytesCopied: 10, bytesUnmatched: 10 });
    expect(held(2)).toEqual(held(0));
    expect(steps.lostNotes).toEqual([]);
  });

  it('what is intact nowhere is lost on the target too, and the copy goes on', async () => {
    for (const index of [0, 1]) lose(index, KEY, LOST);
    expect(await copy(TWO_SOURCES)).toMatchObject({ objectsDone: 1, bytesCopied: 0, bytesUnmatched: 0 });
    expect(await steps.fleet.connection(2).lostObjects(null, 10)).toMatchObject([
      { objectId: KEY, lostBytes: 10, kept: { sizeBytes: 9 } },
    ]);
    expect(steps.lostNotes.length).toBe(1);
  });

  it('what is damaged here and changed there is nothing lost: it is tried again', async () => {
    lose(0, KEY, LOST);
    let readCount = 0;
    steps.intercept(1, 'read', async (pass, ...question) => {
      readCount += 1;
      return readCount === 1 ? null : pass(...question);
    });
    expect(await copy(TWO_SOURCES)).toMatchObject({ bytesCopied: 10, bytesUnmatched: 10 });
    expect(steps.lostNotes).toEqual([]);
    expect(readCount).toBe(2);
  });

  it('what was written while it was looked at is tried again', async () => {
    for (const index of [0, 1]) lose(index, KEY, LOST);
    let examineCount = 0;
    steps.intercept(0, 'examine', async (pass, requests) => {
      examineCount += 1;
      const answers = await pass(requests);
      await write(KEY, [0], 'new');
      return answers;
    });
    expect(await copy(TWO_SOURCES)).toMatchObject({ bytesCopied: 3, bytesUnmatched: 3 });
    expect(examineCount).toBe(1);
    expect(steps.lostNotes).toEqual([]);
  });

  it('a source that is never the same for long enough is given up as damaged, with the reason', async () => {
    for (const index of [0, 1]) lose(index, KEY, LOST);
    const { state } = steps.fleet.store(0).objects.get(KEY)!;
    if (state.kind !== 'present') throw new Error('it is there');
    let examineCount = 0;
    steps.intercept(0, 'examine', async (_pass, requests) => {
      examineCount += 1;
      // It says that all of it is intact, and still can't give it.
      return requests.map(() => ({ state, contentChecksum: 1 }));
    });
    await expect(copy(TWO_SOURCES)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(
        /"bucket\/key" on m0 is damaged; "bucket\/key" on m1 is damaged/,
      ) as string,
    });
    expect(examineCount).toBe(ATTEMPTS_MAX);
  });

  it('a connection that is lost while the rest is read ends it', async () => {
    for (const index of [0, 1]) lose(index, KEY, LOST);
    const { state } = steps.fleet.store(0).objects.get(KEY)!;
    if (state.kind !== 'present') throw new Error('it is there');
    steps.intercept(0, 'examine', async (_pass, requests) => {
      steps.intercept(0, 'read', () => Promise.reject(new Error('the connection is lost')));
      return requests.map(() => ({ state, contentChecksum: 1 }));
    });
    await expect(copy(TWO_SOURCES)).rejects.toThrow('the connection is lost');
  });
});

describe('the pages and the pace of a full copy beside clients', () => {
  const UNLIMITED: CopyPace = { bytesPerSecond: null, sharePercent: 100, isPaused: false };
  const PAUSED: CopyPace = { ...UNLIMITED, isPaused: true };
  const timer: PacerTimer = { now: () => 0, after: () => () => undefined };

  async function turns(): Promise<void> {
    for (let count = 0; count < 20; count += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  function paced(pace: CopyPace): PushContext {
    return { ...contextFor(COPYING), pacer: new CopyPacer(pace, timer, { quietSinceMs: null }) };
  }

  it('the cursor goes on disk page by page, after the page has landed; it goes on behind it', async () => {
    await steps.stop();
    steps = await Steps.start(3, { reconcilePageObjectsMax: 2 });
    for (let count = 0; count < 5; count += 1) await write(objectNamed(`n${count}`), [0]);
    await steps.fleet.admit(COPYING);
    const events: string[] = [];
    steps.intercept(2, 'push', async (pass, push) => {
      const reply = await pass(push);
      events.push(`pushed ${push.objectId}`);
      return reply;
    });
    steps.intercept(2, 'setFullCopyCursor', (pass, epoch, cursor) => {
      events.push(`cursor ${cursor.objectId}`);
      return pass(epoch, cursor);
    });
    const names = [0, 1, 2, 3, 4].map((count) => objectNamed(`n${count}`));
    await copy();
    const expected = names.flatMap((name, index) =>
      index % 2 === 1 || index === 4 ? [`pushed ${name}`, `cursor ${name}`] : [`pushed ${name}`],
    );
    expect(events).toEqual(expected);
    events.splice(0);
    expect(await copy()).toMatchObject({ objectsCompared: 5, objectsToCompare: 5, objectsToDo: 0 });
    expect(events).toEqual([]);
  });

  it('while it is paused nothing is asked of anybody', async () => {
    await write(KEY, [0]);
    await steps.fleet.admit(COPYING);
    let askedCount = 0;
    steps.intercept(0, 'summaries', (pass, ...question) => {
      askedCount += 1;
      return pass(...question);
    });
    const context = paced(PAUSED);
    const work = copy(COPYING, context);
    await turns();
    expect(askedCount).toBe(0);
    context.pacer.setPace(UNLIMITED);
    expect(await work).toMatchObject({ objectsDone: 1 });
  });

  it('content that is paused on its way is sent again, from a new look, and is no attempt that failed', async () => {
    const bytes = patternBytes(300_000, 1);
    const stage = steps.fleet.connection(0).openStage();
    await stage.write(bytes);
    await steps.fleet.write([0], { kind: 'replace', objectId: KEY, staged: await stage.finish() });
    await steps.fleet.admit(COPYING);
    const context = paced(UNLIMITED);
    const pauses = ATTEMPTS_MAX + 1;
    let evidenceCount = 0;
    steps.intercept(0, 'evidence', (pass, ...question) => {
      evidenceCount += 1;
      return pass(...question);
    });
    steps.intercept(2, 'openStage', (pass, lengthBytes) => {
      const opened = pass(lengthBytes);
      if (evidenceCount > pauses) return opened;
      const write = async (piece: Buffer): Promise<void> => {
        context.pacer.setPace(PAUSED);
        await opened.write(piece);
      };
      return { write, finish: () => opened.finish(), abort: () => opened.abort() };
    });
    const work = copy(COPYING, context);
    for (let pause = 1; pause <= pauses; pause += 1) {
      await expect.poll(() => evidenceCount, { interval: 1 }).toBe(pause);
      await turns();
      context.pacer.setPace(UNLIMITED);
    }
    expect(await work).toMatchObject({ bytesCopied: 300_000, bytesUnmatched: 300_000 });
    expect(evidenceCount).toBe(pauses + 1);
    expect(held(2)).toEqual(held(0));
    expect(steps.fleet.store(2).stages.size).toBe(0);
  });
});
