/** One object from a source to a target under the fence (DESIGN.md section 5.4; F15, F30, F36). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Slots } from '../../../src/osd/reconcile/bounded-work.js';
import { CopyPacer } from '../../../src/osd/reconcile/copy-pacer.js';
import {
  findLostOf,
  type ObjectPush,
  type PushContext,
  pushObject,
  takeTurn,
} from '../../../src/osd/reconcile/object-push.js';
import type { Extent } from '../../../src/protocol/extent.js';
import {
  INLINE_CONTENT_BYTES_MAX,
  type RemotePush,
  type RemotePushReply,
} from '../../../src/wire/osd-connection.js';
import { ManualTimer } from '../../fakes/manual-timer.js';
import { objectNamed, tagAt } from './osd-writer.js';
import { type Roles, Steps } from './reconcile-steps.js';

const KEY = objectNamed('key');
const TEN = Buffer.from('0123456789');
const ROLES: Roles = { 0: 'trusted', 1: 'trusted', 2: 'rows' };
const WHOLE = { kind: 'whole' } as const;

let steps: Steps;
let context: PushContext;
beforeEach(async () => {
  steps = await Steps.start(3);
});
afterEach(() => steps.stop());

async function fence(): Promise<void> {
  await steps.fleet.fence();
  context = steps.context('fenced', 3);
}

/** What m0 has of the key, on its way to m2; counted as to do. */
async function makePush(changes: Partial<ObjectPush> = {}): Promise<ObjectPush> {
  const [first, second, target] = steps.peers(ROLES);
  const [state = null] = await first!.osd.states([KEY]);
  const [present = null] = await target!.osd.states([KEY]);
  const push: ObjectPush = {
    objectId: KEY,
    sources: [first!, second!],
    state,
    content: WHOLE,
    rows: [],
    target: target!,
    targetLastTag: present?.lastTag ?? null,
    ...changes,
  };
  const bytes = push.content.kind === 'whole' ? 10 : 4;
  context.progress.objectToDo(bytes);
  return push;
}

function extents(...parts: [offset: number, length: number][]): ObjectPush['content'] {
  return { kind: 'extents', extents: parts.map(([offset, length]) => ({ offset, length })) };
}

/** Whatever is pushed to m2 from now on; answered as the test says, as long as it says anything. */
function watchPushes(...answers: (RemotePushReply | null)[]): RemotePush[] {
  const pushes: RemotePush[] = [];
  steps.intercept(2, 'push', async (pass, push) => {
    pushes.push(push);
    return answers[pushes.length - 1] ?? pass(push);
  });
  return pushes;
}

function refused(code: Extract<RemotePushReply, { kind: 'refused' }>['code']): RemotePushReply {
  return { kind: 'refused', code };
}

/** Marks bytes that a mirror can't give. */
function lose(index: number, lost: readonly Extent[]): void {
  const store = steps.fleet.store(index);
  const { state } = store.objects.get(KEY)!;
  store.lost.afterPush(
    { objectId: KEY, state, content: { kind: 'extents', extents: lost }, lost },
    undefined,
  );
}

function bytesOf(index: number): string | undefined {
  return steps.fleet.store(index).objects.get(KEY)?.bytes.toString();
}

describe('a push under the fence', () => {
  beforeEach(async () => {
    await steps.fleet.write([0, 1, 2], { kind: 'replace', objectId: KEY, bytes: Buffer.from('..........') });
    await steps.fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fence();
  });

  it('F36: lands by compare-and-set, with its content, its state and its rows', async () => {
    const pushes = watchPushes();
    const rows = await steps.fleet.rows(0);
    await pushObject(context, await makePush({ rows }));
    expect(pushes).toMatchObject([{ epoch: 2, expectedLastTag: tagAt(1, 1), lastTag: tagAt(1, 2), rows }]);
    expect(pushes[0]).not.toHaveProperty('lost');
    expect(bytesOf(2)).toBe('0123456789');
    expect(context.progress.snapshot()).toMatchObject({ bytesCopied: 10, bytesUnmatched: 10, rangesDone: 1 });
  });

  it('I7: of ranges no more is sent than the source has of them', async () => {
    const pushes = watchPushes();
    await pushObject(context, await makePush({ content: extents([2, 1], [4, 1], [9, 5], [20, 5]) }));
    expect(pushes).toMatchObject([{ content: extents([2, 1], [4, 1], [9, 1]), bytes: { kind: 'bytes' } }]);
    expect(bytesOf(2)).toBe('..2.4....9');
    expect(context.progress.snapshot()).toMatchObject({ bytesCopied: 3, rangesDone: 3 });
  });

  it('where nothing is to be copied nobody is read', async () => {
    let readCount = 0;
    for (const index of [0, 1]) {
      steps.intercept(index, 'read', async () => {
        readCount += 1;
        return null;
      });
    }
    const pushes = watchPushes();
    await pushObject(context, await makePush({ content: extents([20, 5]) }));
    await pushObject(context, await makePush({ state: null, targetLastTag: tagAt(1, 2) }));
    expect(pushes).toMatchObject([
      { bytes: { kind: 'none' }, contentChecksum: 0 },
      { bytes: { kind: 'none' }, contentChecksum: 0, lastTag: null, state: null },
    ]);
    expect(readCount).toBe(0);
    expect(steps.fleet.store(2).objects.size).toBe(0);
  });

  it('a target without anything that ranges could land in gets everything', async () => {
    const pushes = watchPushes(refused('no-base'));
    await pushObject(context, await makePush({ content: extents([2, 4]) }));
    expect(pushes.map(({ content }) => content)).toEqual([extents([2, 4]), WHOLE]);
    expect(bytesOf(2)).toBe('0123456789');
    expect(context.progress.snapshot()).toMatchObject({ bytesUnmatched: 10, bytesCopied: 10 });
  });

  it('F15: a target that is not what it was is asked again, and gets everything', async () => {
    const pushes = watchPushes();
    await pushObject(context, await makePush({ content: extents([2, 4]), targetLastTag: tagAt(1, 77) }));
    expect(pushes).toMatchObject([
      { expectedLastTag: tagAt(1, 77), content: extents([2, 4]) },
      { expectedLastTag: tagAt(1, 1), content: WHOLE },
    ]);
    expect(context.progress.snapshot()).toMatchObject({ bytesUnmatched: 10, bytesCopied: 10 });
  });

  it('a target that has the state by now is left as it is', async () => {
    const pushes = watchPushes(refused('changed'));
    const push = await makePush();
    steps.intercept(2, 'states', () => Promise.resolve([push.state]));
    await pushObject(context, push);
    expect(pushes.length).toBe(1);
    expect(context.progress.snapshot()).toMatchObject({ bytesCopied: 0, bytesUnmatched: 10 });
  });

  it('that the source knows nothing of the object is no state that a target could have already', async () => {
    const pushes = watchPushes(refused('changed'), { kind: 'landed' });
    steps.intercept(2, 'states', () => Promise.resolve([null]));
    await pushObject(context, await makePush({ state: null }));
    expect(pushes).toMatchObject([{}, { lastTag: null, expectedLastTag: null }]);
  });

  it.each([
    [
      'changed',
      [refused('changed'), refused('changed')],
      'changed',
      /"bucket\/key" on m2 changed under the fence/,
    ],
    ['no-base', [refused('no-base')], 'refused', /"bucket\/key" on m2 was refused: no-base/],
    ['stale-epoch', [refused('stale-epoch')], 'cancelled', /m2 is fenced higher/],
    ['not-fenced', [refused('not-fenced')], 'refused', /not-fenced/],
    ['would-go-back', [refused('would-go-back')], 'refused', /would-go-back/],
    ['unknown-stage', [refused('unknown-stage')], 'refused', /unknown-stage/],
    ['checksum-mismatch', [refused('checksum-mismatch')], 'refused', /checksum-mismatch/],
    ['no-space', [refused('no-space')], 'refused', /no-space/],
    ['io-error', [refused('io-error')], 'refused', /io-error/],
  ])('is over when everything that could be sent was refused: %s', async (_code, answers, code, message) => {
    const pushes = watchPushes(...answers);
    await expect(pushObject(context, await makePush())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(pushes.length).toBe(answers.length);
  });

  it('the second try is the last, whatever it is refused for', async () => {
    const pushes = watchPushes(refused('no-base'), refused('no-base'));
    await expect(pushObject(context, await makePush({ content: extents([2, 4]) }))).rejects.toMatchObject({
      code: 'refused',
    });
    expect(pushes.length).toBe(2);
  });

  it('nothing is pushed any more once it is cancelled, neither before content is read nor after', async () => {
    const pushes = watchPushes();
    let readCount = 0;
    steps.intercept(0, 'read', (pass, ...question) => {
      readCount += 1;
      steps.cancelReason = 'fenced higher';
      return pass(...question);
    });
    const push = await makePush();
    await expect(pushObject(context, push)).rejects.toMatchObject({ code: 'cancelled' });
    await expect(pushObject(context, push)).rejects.toMatchObject({ code: 'cancelled' });
    expect(readCount).toBe(1);
    expect(pushes).toEqual([]);
  });
});

describe('F30: a push whose source is damaged', () => {
  beforeEach(async () => {
    await steps.fleet.write([2], { kind: 'replace', objectId: KEY, bytes: Buffer.from('..........') });
    await steps.fleet.write([0, 1], { kind: 'replace', objectId: KEY, bytes: TEN });
    await fence();
  });

  it('is made from the next one that has the same state', async () => {
    lose(0, [{ offset: 2, length: 1 }]);
    const pushes = watchPushes();
    await pushObject(context, await makePush());
    expect(pushes.length).toBe(1);
    expect(bytesOf(2)).toBe('0123456789');
    expect(steps.lostNotes).toEqual([]);
  });

  it('is not made from another when the first can’t be reached: that ends it', async () => {
    steps.intercept(0, 'read', () => Promise.reject(new Error('the connection is lost')));
    const pushes = watchPushes();
    await expect(pushObject(context, await makePush())).rejects.toThrow('the connection is lost');
    expect(pushes).toEqual([]);
  });

  it('goes without what is intact nowhere: everyone is told, and the figures are of the rest', async () => {
    const heals: unknown[] = [];
    for (const index of [0, 1]) {
      lose(index, [{ offset: 2, length: 1 }]);
      steps.intercept(index, 'orderHeal', (_pass, order) => {
        heals.push([index, order]);
        return Promise.reject(new Error('too many orders'));
      });
    }
    const pushes = watchPushes();
    await pushObject(context, await makePush());
    // What is examined is examined by the window.
    const lost = [{ offset: 0, length: 10 }];
    expect(pushes).toMatchObject([{ lost, content: WHOLE, bytes: { kind: 'none' } }]);
    expect(steps.lostNotes).toEqual([['"bucket/key" on m0', lost]]);
    expect(heals).toEqual(
      [0, 1].map((index) => [index, { epoch: 2, objectId: KEY, extents: null, sources: [] }]),
    );
    expect(context.progress.snapshot()).toMatchObject({ bytesUnmatched: 0, bytesCopied: 0 });
    expect(await steps.fleet.connection(2).lostObjects(null, 10)).toMatchObject([{ lostBytes: 10 }]);
  });

  it('goes as it is when a second look finds all of it intact', async () => {
    let readCount = 0;
    for (const index of [0, 1]) {
      steps.intercept(index, 'read', async (pass, ...question) => {
        readCount += 1;
        if (readCount === 1) lose(0, [{ offset: 2, length: 1 }]);
        if (readCount === 2) lose(1, [{ offset: 2, length: 1 }]);
        const read = await pass(...question);
        return read;
      });
    }
    steps.intercept(0, 'examine', async (pass, requests) => {
      steps.fleet.store(0).lost.afterHeal(KEY, [{ offset: 0, length: 10 }]);
      return pass(requests);
    });
    const pushes = watchPushes();
    await pushObject(context, await makePush());
    expect(pushes[0]).not.toHaveProperty('lost');
    expect(bytesOf(2)).toBe('0123456789');
    expect(steps.lostNotes).toEqual([]);
    expect(context.progress.snapshot()).toMatchObject({ bytesUnmatched: 10, bytesCopied: 10 });
  });

  it('fails when no source stays as it is even for that', async () => {
    for (const index of [0, 1]) {
      lose(index, [{ offset: 2, length: 1 }]);
      steps.intercept(index, 'examine', (_pass, requests) =>
        Promise.resolve(requests.map(() => ({ state: statePresent(), contentChecksum: 1 }))),
      );
    }
    await expect(pushObject(context, await makePush())).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/no source stays as it is: "bucket\/key" on m0 is damaged/) as string,
    });
  });

  it('fails as it does otherwise when the source of the rest can’t be reached', async () => {
    for (const index of [0, 1]) lose(index, [{ offset: 2, length: 1 }]);
    let readCount = 0;
    steps.intercept(0, 'read', (pass, ...question) => {
      readCount += 1;
      if (readCount > 1) return Promise.reject(new Error('the connection is lost'));
      return pass(...question);
    });
    // A part of it is intact.
    steps.intercept(0, 'examine', (_pass, requests) =>
      Promise.resolve(requests.map(() => ({ state: statePresent(), contentChecksum: 1 }))),
    );
    await expect(pushObject(context, await makePush())).rejects.toMatchObject({
      message: 'the connection is lost',
    });
  });

  it('fails as changed when the source that was looked at has nothing of it by now', async () => {
    for (const index of [0, 1]) lose(index, [{ offset: 2, length: 1 }]);
    steps.intercept(0, 'states', () => Promise.resolve([null]));
    const pushes = watchPushes();
    const state = statePresent();
    await expect(pushObject(context, await makePush({ state }))).rejects.toMatchObject({ code: 'changed' });
    expect(pushes).toEqual([]);
    expect(steps.lostNotes).toEqual([]);
  });

  it('fails as changed when the sources have another state by now, and says so of each', async () => {
    for (const index of [0, 1]) {
      const { objects } = steps.fleet.store(index);
      const there = objects.get(KEY)!;
      objects.set(KEY, { ...there, state: { ...there.state, lastTag: tagAt(1, 9) } });
    }
    const [state] = await steps.fleet.connection(0).states([KEY]);
    const push = await makePush({ state: { ...state!, lastTag: tagAt(1, 2) } });
    steps.intercept(0, 'examine', (_pass, requests) =>
      Promise.resolve(
        requests.map(() => ({ state: { ...statePresent(), lastTag: tagAt(1, 2) }, contentChecksum: null })),
      ),
    );
    await expect(pushObject(context, push)).rejects.toMatchObject({
      code: 'changed',
      message: expect.stringMatching(
        /^changed: an object changed: "bucket\/key" on m0 has another last tag; "bucket\/key" on m1 has another last tag/,
      ) as string,
    });
  });

  it('what is no present object has no bytes that could be lost', async () => {
    const push = await makePush();
    expect(await findLostOf(context, { ...push, state: null })).toBeNull();
    const tombstone = { kind: 'tombstone', lastTag: tagAt(1, 2), lastChecksum: 0 } as const;
    expect(await findLostOf(context, { ...push, state: tombstone })).toBeNull();
  });

  function statePresent() {
    const { state } = steps.fleet.store(0).objects.get(KEY)!;
    if (state.kind !== 'present') throw new Error('it is there');
    return state;
  }
});

describe('whose turn it is', () => {
  const LARGE = INLINE_CONTENT_BYTES_MAX + 1;

  /** How many of three are at work at once. */
  async function atOnce(bytes: number, limits: Partial<PushContext>): Promise<number> {
    await fence();
    let underWay = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
    };
    await Promise.all([1, 2, 3].map(() => takeTurn({ ...context, ...limits }, bytes, work)));
    return most;
  }

  it('content that is small holds as much memory as it has bytes', async () => {
    const smallBytes = new Slots(2 * INLINE_CONTENT_BYTES_MAX);
    expect(await atOnce(INLINE_CONTENT_BYTES_MAX, { smallBytes })).toBe(2);
    expect(await atOnce(1, { smallBytes })).toBe(3);
  });

  it('content that streams holds one of the places for such, whatever its size', async () => {
    expect(await atOnce(LARGE, { largeSlots: new Slots(2), smallBytes: new Slots(1) })).toBe(2);
    expect(await atOnce(100 * LARGE, { largeSlots: new Slots(1) })).toBe(1);
  });

  it('content that is small is paid for before it goes; what streams is paid for on its way', async () => {
    await fence();
    const timer = new ManualTimer();
    const pace = { bytesPerSecond: 1000, sharePercent: 100, isPaused: false };
    const tookMs = async (bytes: number): Promise<number> => {
      const pacer = new CopyPacer(pace, timer, { quietSinceMs: null });
      const startMs = timer.now();
      const turns = [1, 2].map(() => takeTurn({ ...context, pacer }, bytes, async () => undefined));
      await timer.turnUntil(Promise.all(turns));
      return timer.now() - startMs;
    };
    expect(await tookMs(500)).toBe(500);
    expect(await tookMs(LARGE)).toBe(0);
  });
});
