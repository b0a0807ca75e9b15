/** What copying beside clients may take (DESIGN.md section 5), by a clock that the test turns. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CopyPacer, CopyPaused } from '../../../src/osd/reconcile/copy-pacer.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import { ManualTimer } from '../../fakes/manual-timer.js';

const MEBIBYTE = 1024 * 1024;
const UNLIMITED: CopyPace = { bytesPerSecond: null, sharePercent: 100, isPaused: false };

let timer: ManualTimer;
beforeEach(() => {
  timer = new ManualTimer();
});

/** Copies so many objects, some at once, each of which takes `workMs`. Resolves with the time that all took. */
async function copy(
  pacer: CopyPacer,
  objects: {
    readonly count: number;
    readonly atOnce: number;
    readonly bytes: number;
    readonly workMs: number;
  },
): Promise<number> {
  const startMs = timer.now();
  const { count, atOnce, bytes, workMs } = objects;
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await pacer.run(bytes, () => timer.sleep(workMs));
    }
  };
  await timer.turnUntil(Promise.all(Array.from({ length: atOnce }, worker)));
  return timer.now() - startMs;
}

describe('the pace of copying', () => {
  it.each([
    ['null', null],
    ['unlimited', UNLIMITED],
  ])('%s: nobody waits', async (_name, pace) => {
    const pacer = new CopyPacer(pace, timer);
    expect(await copy(pacer, { count: 100, atOnce: 10, bytes: 50 * MEBIBYTE, workMs: 10 })).toBe(100);
  });

  it('bytes: 100 MiB at 10 MiB/s take 10 s, however fast the disk and however many are copied at once', async () => {
    for (const atOnce of [1, 8]) {
      const pacer = new CopyPacer({ ...UNLIMITED, bytesPerSecond: 10 * MEBIBYTE }, timer);
      const tookMs = await copy(pacer, { count: 101, atOnce, bytes: MEBIBYTE, workMs: 1 });
      expect(tookMs).toBeCloseTo(10_001, 0);
    }
  });

  it.each([50, 20, 5])('share: %d %% of the time is work, the rest is rest', async (sharePercent) => {
    for (const atOnce of [1, 8]) {
      const pacer = new CopyPacer({ ...UNLIMITED, sharePercent }, timer);
      const workMs = 10;
      const count = 800;
      const workedMs = (count / atOnce) * workMs;
      const tookMs = await copy(pacer, { count, atOnce, bytes: 0, workMs });
      // After the last slice nobody waits for the rest of it.
      const share = workedMs / (tookMs + (50 * (100 - sharePercent)) / sharePercent);
      expect(share * 100).toBeCloseTo(sharePercent, 0);
    }
  });

  it('share: a rest begins when all that is under way has ended, and pays for all of it', async () => {
    const pacer = new CopyPacer({ ...UNLIMITED, sharePercent: 50 }, timer);
    const slow = pacer.run(0, () => timer.sleep(400));
    const quick = pacer.run(0, () => timer.sleep(60)).then(() => pacer.run(0, async () => timer.now()));
    await timer.turnUntil(slow);
    expect(timer.now()).toBe(400);
    expect(await timer.turnUntil(quick)).toBe(800);
  });

  it('pause: what is under way ends, nothing begins, and content in the middle of its way gives up', async () => {
    const pacer = new CopyPacer(UNLIMITED, timer);
    let begun = 0;
    const midway = pacer.run(0, async () => {
      for (;;) {
        await timer.sleep(10);
        await pacer.goOn(MEBIBYTE);
      }
    });
    const givenUp = expect(midway).rejects.toThrow(CopyPaused);
    await timer.turn(25);
    pacer.setPace({ ...UNLIMITED, isPaused: true });
    const next = pacer.run(0, async () => (begun += 1));
    await timer.turn(60_000);
    await givenUp;
    expect(begun).toBe(0);
    pacer.setPace(UNLIMITED);
    await next;
    expect(begun).toBe(1);
  });

  it('a new pace holds at once, for those who wait too', async () => {
    const pacer = new CopyPacer({ ...UNLIMITED, bytesPerSecond: MEBIBYTE }, timer);
    const all = Promise.all([1, 2, 3].map(() => pacer.run(1000 * MEBIBYTE, async () => timer.now())));
    await timer.turn(5000);
    pacer.setPace({ ...UNLIMITED, bytesPerSecond: 1000 * MEBIBYTE });
    expect(await timer.turnUntil(all)).toEqual([0, 5000, 6000]);
  });

  it.each([
    ['paused', { ...UNLIMITED, isPaused: true }],
    ['waiting for its bytes', { ...UNLIMITED, bytesPerSecond: MEBIBYTE }],
    ['waiting for the end of a rest', { ...UNLIMITED, sharePercent: 5 }],
  ])('nobody who is %s keeps a cancelled run from ending', async (_name, pace) => {
    const pacer = new CopyPacer(pace, timer);
    const waiting = [1, 2, 3].map(() =>
      pacer.run(MEBIBYTE, () => timer.sleep(100)).then(() => pacer.run(MEBIBYTE, async () => undefined)),
    );
    const ended = Promise.all(waiting.map((one) => expect(one).rejects.toThrow('the OSD stops')));
    await timer.turn(150);
    pacer.cancel(new Error('the OSD stops'));
    await ended;
    await expect(pacer.run(0, async () => undefined)).rejects.toThrow('the OSD stops');
  });
});
