/** Content on its way from a source to a target, and what of it is intact nowhere (F30). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ContentOrder, relayContent } from '../../../src/osd/reconcile/content-relay.js';
import { findLoss, type LossQuestion } from '../../../src/osd/reconcile/lost-content.js';
import type { ReconcilePeer } from '../../../src/osd/reconcile/reconcile-peer.js';
import type { Extent } from '../../../src/protocol/extent.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { PUSH_EXTENTS_MAX } from '../../../src/wire/contract.js';
import { ContentChecksum } from '../../../src/wire/content-checksum.js';
import {
  EXAMINATIONS_MAX,
  EXAMINED_WINDOW_BYTES as WINDOW,
  INLINE_CONTENT_BYTES_MAX,
  OsdRefusal,
  type RemoteStage,
} from '../../../src/wire/osd-connection.js';
import { objectNamed, patternBytes, tagAt } from './osd-writer.js';
import { Steps } from './reconcile-steps.js';

const KEY = objectNamed('key');
const CONTENT = patternBytes(INLINE_CONTENT_BYTES_MAX + 100, 7);

let steps: Steps;
let source: ReconcilePeer;
let target: ReconcilePeer;
beforeEach(async () => {
  steps = await Steps.start(2);
  const stage = steps.fleet.connection(0).openStage();
  await stage.write(CONTENT);
  await steps.fleet.write([0], { kind: 'replace', objectId: KEY, staged: await stage.finish() });
  [source, target] = steps.peers({ 0: 'trusted', 1: 'rows' }) as [ReconcilePeer, ReconcilePeer];
});
afterEach(() => steps.stop());

function orderOf(...parts: [offset: number, length: number][]): ContentOrder {
  const extents = parts.map(([offset, length]) => ({ offset, length }));
  return { epoch: toEpoch(1), objectId: KEY, lastTag: tagAt(1, 1), extents };
}

function checksumOf(bytes: Buffer): number {
  const checksum = new ContentChecksum();
  checksum.update(bytes);
  return checksum.value;
}

/** What is opened at the target. */
function watchStages(change: (opened: RemoteStage) => Partial<RemoteStage> = () => ({})) {
  const seen: { readonly lengths: unknown[]; readonly events: string[] } = { lengths: [], events: [] };
  steps.intercept(1, 'openStage', (pass, lengthBytes) => {
    seen.lengths.push(lengthBytes);
    const opened = pass(lengthBytes);
    const changed = change(opened);
    return {
      write: (piece, onTaken) => {
        seen.events.push(`write ${piece.length}`);
        return (changed.write ?? opened.write.bind(opened))(piece, onTaken);
      },
      finish: () => {
        seen.events.push('finish');
        return (changed.finish ?? opened.finish.bind(opened))();
      },
      abort: () => {
        seen.events.push('abort');
        opened.abort();
      },
    };
  });
  return seen;
}

describe('content on its way', () => {
  it('is small: gathered in one piece, extent by extent, with its checksum', async () => {
    const seen = watchStages();
    const relayed = await relayContent(orderOf([5, 10], [200_000, 3]), source, target.osd);
    const bytes = Buffer.concat([CONTENT.subarray(5, 15), CONTENT.subarray(200_000, 200_003)]);
    expect(relayed).toEqual({ bytes: { kind: 'bytes', bytes }, contentChecksum: checksumOf(bytes) });
    expect(seen.lengths).toEqual([]);
  });

  it('is large: each piece is the source’s again once the target has taken it', async () => {
    const given: Buffer[] = [];
    steps.intercept(0, 'read', async (pass, ...asked) => {
      const read = await pass(...asked);
      if (read === null) return null;
      const pieces = (async function* () {
        for await (const piece of read.body) yield Buffer.from(piece);
      })();
      const giveBack = (piece: Buffer): void => {
        piece.fill(0xff);
        given.push(piece);
      };
      return { ...read, body: { [Symbol.asyncIterator]: () => pieces, giveBack } };
    });
    await relayContent(orderOf([0, CONTENT.length]), source, target.osd);
    expect(given.reduce((sum, piece) => sum + piece.length, 0)).toBe(CONTENT.length);
    expect([...steps.fleet.store(1).stages.values()].map((staged) => staged.equals(CONTENT))).toEqual([true]);
  });

  it('is none: nobody is asked for it', async () => {
    steps.intercept(0, 'read', () => Promise.reject(new Error('nothing is to be read')));
    expect(await relayContent(orderOf(), source, target.osd)).toEqual({
      bytes: { kind: 'none' },
      contentChecksum: 0,
    });
  });

  it('is large: streams into a stage of the target, whose length is said before, piece by piece as it may go on', async () => {
    const seen = watchStages();
    const relayed = await relayContent(orderOf([0, CONTENT.length]), source, target.osd, async (bytes) => {
      seen.events.push(`go on ${bytes}`);
    });
    expect(relayed).toMatchObject({ bytes: { kind: 'stage' }, contentChecksum: checksumOf(CONTENT) });
    expect(seen.lengths).toEqual([CONTENT.length]);
    const pieces = [65_536, 65_536, 65_536, 65_536, 100];
    expect(seen.events).toEqual([
      ...pieces.flatMap((bytes) => [`go on ${bytes}`, `write ${bytes}`]),
      'finish',
    ]);
    expect([...steps.fleet.store(1).stages.values()].map((staged) => staged.equals(CONTENT))).toEqual([true]);
  });

  it('is large by one byte', async () => {
    const seen = watchStages();
    await relayContent(orderOf([0, INLINE_CONTENT_BYTES_MAX]), source, target.osd);
    expect(seen.lengths).toEqual([]);
    await relayContent(orderOf([0, INLINE_CONTENT_BYTES_MAX + 1]), source, target.osd);
    expect(seen.lengths).toEqual([INLINE_CONTENT_BYTES_MAX + 1]);
  });

  it.each([
    ['another length', { lengthBytes: 1 }],
    ['another checksum', { contentChecksum: 1 }],
  ])('a target that staged %s is refused, and keeps nothing of it', async (_what, difference) => {
    const seen = watchStages((opened) => ({
      finish: async () => ({ ...(await opened.finish()), ...difference }),
    }));
    await expect(relayContent(orderOf([0, CONTENT.length]), source, target.osd)).rejects.toMatchObject({
      code: 'refused',
    });
    expect(seen.events.at(-1)).toBe('abort');
  });

  it('whatever ends it on its way ends the stage', async () => {
    const seen = watchStages();
    const paused = new Error('copying is paused');
    const work = relayContent(orderOf([0, CONTENT.length]), source, target.osd, () => Promise.reject(paused));
    await expect(work).rejects.toBe(paused);
    expect(seen.events).toEqual(['abort']);
  });

  it.each([10, CONTENT.length])(
    'of a source with another last write nothing is taken: %d bytes',
    async (length) => {
      const order = { ...orderOf([0, length]), lastTag: tagAt(1, 2) };
      await expect(relayContent(order, source, target.osd)).rejects.toMatchObject({
        code: 'source-unfit',
        isDamaged: false,
        message: '"bucket/key" on m0 has another last tag',
      });
    },
  );

  it('of a source that has nothing at all either', async () => {
    const order = { ...orderOf([0, 10]), objectId: objectNamed('nothing') };
    await expect(relayContent(order, source, target.osd)).rejects.toMatchObject({ isDamaged: false });
  });

  it('F30: damage on its way is damage, and says where', async () => {
    steps.fleet.store(0).damaged.add(KEY);
    await expect(relayContent(orderOf([0, 10]), source, target.osd)).rejects.toMatchObject({
      code: 'source-unfit',
      isDamaged: true,
      message: '"bucket/key" on m0 is damaged',
      cause: { code: 'damaged' },
    });
  });

  it('another refusal, or a lost connection, is neither', async () => {
    for (const error of [new OsdRefusal('stale-epoch', 409, 'fenced'), new Error('lost')]) {
      steps.intercept(0, 'read', () => Promise.reject(error));
      await expect(relayContent(orderOf([0, 10]), source, target.osd)).rejects.toBe(error);
    }
  });

  it('a source that sends fewer bytes than it said is unfit', async () => {
    steps.intercept(0, 'read', async (pass, epoch, id) =>
      pass(epoch, id, { kind: 'between', first: 0, last: 3 }),
    );
    await expect(relayContent(orderOf([0, 10]), source, target.osd)).rejects.toMatchObject({
      isDamaged: false,
      message: '"bucket/key" on m0 is shorter than its size',
    });
  });
});

describe('F30: what of an object is intact nowhere', () => {
  const SIZE = 3 * WINDOW + 10;
  let questions: (readonly Extent[])[];
  let cancelChecks: number;

  function questionOf(extents: readonly Extent[]): LossQuestion {
    cancelChecks = 0;
    const checkCancelled = (): void => void (cancelChecks += 1);
    return { epoch: toEpoch(1), objectId: KEY, lastTag: tagAt(1, 1), extents, checkCancelled };
  }

  /** A mirror says that so much of the object is damaged. */
  function damage(index: number, isDamaged: (extent: Extent) => boolean, counter = 1): void {
    questions = [];
    steps.intercept(index, 'examine', async (_pass, requests) => {
      questions.push(requests.map(({ extent }) => extent));
      const { state } = steps.fleet.store(0).objects.get(KEY)!;
      if (state.kind !== 'present') throw new Error('it is there');
      const lastTag = tagAt(1, counter);
      return requests.map(({ extent }) => ({
        state: { ...state, lastTag },
        contentChecksum: isDamaged(extent) ? null : 1,
      }));
    });
  }

  const WHOLE = [{ offset: 0, length: SIZE }];

  it('is asked window by window, and only of what is to be copied', async () => {
    damage(0, () => false);
    const { source: chosen, lost } = await findLoss(
      questionOf([
        { offset: WINDOW - 5, length: 10 },
        { offset: 2 * WINDOW, length: WINDOW },
      ]),
      [source],
    );
    expect(questions).toEqual([
      [
        { offset: WINDOW - 5, length: 5 },
        { offset: WINDOW, length: 5 },
        { offset: 2 * WINDOW, length: WINDOW },
      ],
    ]);
    expect(lost).toEqual([]);
    expect(chosen).toBe(source);
  });

  it('is what is damaged, in one piece where it touches', async () => {
    damage(0, ({ offset }) => offset >= WINDOW && offset < 3 * WINDOW);
    const { lost } = await findLoss(questionOf(WHOLE), [source]);
    expect(lost).toEqual([{ offset: WINDOW, length: 2 * WINDOW }]);
  });

  it('is that of the source that has the most of it; of equal ones the first is taken', async () => {
    damage(0, ({ offset }) => offset < 2 * WINDOW);
    damage(1, ({ offset }) => offset < WINDOW);
    const both = [source, target];
    expect(await findLoss(questionOf(WHOLE), both)).toEqual({
      source: target,
      lost: [{ offset: 0, length: WINDOW }],
    });
    damage(0, ({ offset }) => offset < WINDOW);
    expect((await findLoss(questionOf(WHOLE), both)).source).toBe(source);
  });

  it('a source with another last write says nothing of it, nor one whose very record is damaged', async () => {
    damage(0, () => false, 2);
    damage(1, () => true);
    expect((await findLoss(questionOf(WHOLE), [source, target])).source).toBe(target);
    const broken = new OsdRefusal('damaged', 500, 'the record is damaged');
    steps.intercept(0, 'examine', () => Promise.reject(broken));
    expect((await findLoss(questionOf(WHOLE), [source, target])).source).toBe(target);
    await expect(findLoss(questionOf(WHOLE), [source])).rejects.toMatchObject({ code: 'damaged' });
  });

  it('a source where the object is not there says nothing either', async () => {
    steps.intercept(0, 'examine', (_pass, requests) =>
      Promise.resolve(requests.map(() => ({ state: null, contentChecksum: null }))),
    );
    await expect(findLoss(questionOf(WHOLE), [source])).rejects.toMatchObject({ code: 'damaged' });
  });

  it('another refusal, or a lost connection, ends it', async () => {
    for (const error of [new OsdRefusal('stale-epoch', 409, 'fenced'), new Error('lost')]) {
      steps.intercept(0, 'examine', () => Promise.reject(error));
      await expect(findLoss(questionOf(WHOLE), [source])).rejects.toBe(error);
    }
  });

  it('no more is asked at once than one question may have, and a cancelled run asks no more', async () => {
    const windowCount = EXAMINATIONS_MAX + 2;
    damage(0, ({ offset }) => offset === (windowCount - 1) * WINDOW);
    const question = questionOf([{ offset: 0, length: windowCount * WINDOW }]);
    const { lost } = await findLoss(question, [source]);
    expect(questions.map(({ length }) => length)).toEqual([EXAMINATIONS_MAX, 2]);
    expect(questions[1]?.[0]).toEqual({ offset: EXAMINATIONS_MAX * WINDOW, length: WINDOW });
    expect(lost).toEqual([{ offset: (windowCount - 1) * WINDOW, length: WINDOW }]);
    expect(cancelChecks).toBe(2);
    const cancelled = {
      ...question,
      checkCancelled: () => {
        throw new Error('cancelled');
      },
    };
    await expect(findLoss(cancelled, [source])).rejects.toThrow('cancelled');
    expect(questions.length).toBe(2);
  });

  it('more parts than a push can name are named as one for each extent that has any, from the first to the last', async () => {
    const windowCount = 10;
    // Every second byte of the beginning is to be copied, and most of the rest in one.
    const singles = Array.from({ length: PUSH_EXTENTS_MAX - 2 }, (_, index) => ({
      offset: 2 * index,
      length: 1,
    }));
    const intact = { offset: 2 * WINDOW, length: 5 };
    const rest = { offset: 4 * WINDOW, length: (windowCount - 4) * WINDOW };
    damage(0, ({ offset, length }) => length === 1 || (offset / WINDOW) % 2 === 1);
    const { lost } = await findLoss(questionOf([...singles, intact, rest]), [source]);
    expect(lost).toEqual([...singles, { offset: 5 * WINDOW, length: 5 * WINDOW }]);
  });

  it('as many as a push can name are named one by one', async () => {
    const singles = Array.from({ length: PUSH_EXTENTS_MAX - 2 }, (_, index) => ({
      offset: 2 * index,
      length: 1,
    }));
    const rest = { offset: WINDOW, length: 3 * WINDOW };
    damage(0, ({ offset }) => offset !== 2 * WINDOW);
    expect((await findLoss(questionOf([...singles, rest]), [source])).lost).toEqual([
      ...singles,
      { offset: WINDOW, length: WINDOW },
      { offset: 3 * WINDOW, length: WINDOW },
    ]);
  });

  it('a source that is written while it is asked says nothing of it', async () => {
    damage(0, () => false);
    steps.intercept(0, 'examine', (_pass, requests) => {
      const { state } = steps.fleet.store(0).objects.get(KEY)!;
      if (state.kind !== 'present') throw new Error('it is there');
      const answer = (index: number) => ({
        state: { ...state, lastTag: tagAt(1, 1 + index) },
        contentChecksum: 1,
      });
      return Promise.resolve(requests.map((_request, index) => answer(Math.min(index, 1))));
    });
    await expect(findLoss(questionOf(WHOLE), [source])).rejects.toMatchObject({ code: 'damaged' });
  });
});
