/** What copying beside clients may take (DESIGN.md section 5), by a clock that the test turns. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ClientLoad } from '../../../src/osd/client-load.js';
import { CopyPacer, CopyPaused, systemTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import { ManualTimer } from '../../fakes/manual-timer.js';

const MEBIBYTE = 1024 * 1024;
const UNLIMITED: CopyPace = { bytesPerSecond: null, sharePercent: 100, isPaused: false };

/** Somebody is served all the time. */
const BUSY = { quietSinceMs: null };

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
    const pacer = new CopyPacer(pace, timer, BUSY);
    expect(await copy(pacer, { count: 100, atOnce: 10, bytes: 50 * MEBIBYTE, workMs: 10 })).toBe(100);
  });

  it('bytes: 100 MiB at 10 MiB/s take 10 s, however fast the disk and however many are copied at once', async () => {
    for (const atOnce of [1, 8]) {
      const pacer = new CopyPacer({ ...UNLIMITED, bytesPerSecond: 10 * MEBIBYTE }, timer, BUSY);
      const tookMs = await copy(pacer, { count: 101, atOnce, bytes: MEBIBYTE, workMs: 1 });
      expect(tookMs).toBeCloseTo(10_001, 0);
    }
  });

  it.each([50, 20, 5])('share: %d %% of the time is work, the rest is rest', async (sharePercent) => {
    for (const atOnce of [1, 8]) {
      const pacer = new CopyPacer({ ...UNLIMITED, sharePercent }, timer, BUSY);
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
    const pacer = new CopyPacer({ ...UNLIMITED, sharePercent: 50 }, timer, BUSY);
    const slow = pacer.run(0, () => timer.sleep(400));
    const quick = pacer.run(0, () => timer.sleep(60)).then(() => pacer.run(0, async () => timer.now()));
    await timer.turnUntil(slow);
    expect(timer.now()).toBe(400);
    expect(await timer.turnUntil(quick)).toBe(800);
  });

  it('share: what was worked before the others began is paid for too', async () => {
    const pacer = new CopyPacer({ ...UNLIMITED, sharePercent: 50 }, timer, BUSY);
    await timer.turnUntil(pacer.run(0, () => timer.sleep(40)));
    const slow = pacer.run(0, () => timer.sleep(200));
    const quick = pacer.run(0, () => timer.sleep(20)).then(() => pacer.run(0, async () => timer.now()));
    await timer.turnUntil(slow);
    expect(await timer.turnUntil(quick)).toBe(480);
  });

  it('share: all of the time means that nobody waits for the end of anybody', async () => {
    const pacer = new CopyPacer(UNLIMITED, timer, BUSY);
    const slow = pacer.run(0, () => timer.sleep(400));
    const quick = pacer.run(0, () => timer.sleep(60)).then(() => pacer.run(0, async () => timer.now()));
    expect(await timer.turnUntil(quick)).toBe(60);
    await timer.turnUntil(slow);
  });

  it('share: copying works all the time while no client is served', async () => {
    const never = new ClientLoad(() => timer.now());
    const pacer = new CopyPacer({ ...UNLIMITED, sharePercent: 5 }, timer, never);
    expect(await copy(pacer, { count: 800, atOnce: 8, bytes: 0, workMs: 10 })).toBe(1000);
  });

  it('share: a client is yielded to from its first request on until a moment after its last one', async () => {
    const clients = new ClientLoad(() => timer.now());
    const pacer = new CopyPacer({ ...UNLIMITED, sharePercent: 5 }, timer, clients);
    const inFlightMax = 4;
    let doneCount = 0;
    let isOver = false;
    const worker = async (): Promise<void> => {
      while (!isOver) {
        await pacer.run(0, () => timer.sleep(10));
        doneCount += 1;
      }
    };
    const workers = Promise.all(Array.from({ length: inFlightMax }, worker));
    const countIn = async (ms: number): Promise<number> => {
      const before = doneCount;
      await timer.turn(ms);
      return doneCount - before;
    };
    const fullSpeed = inFlightMax * (1000 / 10);
    expect(await countIn(1000)).toBeGreaterThan(0.9 * fullSpeed);
    const served = clients.during(() => timer.sleep(10_000));
    const beside = (await countIn(10_000)) / 10;
    expect(beside).toBeLessThan(0.08 * fullSpeed);
    expect(beside).toBeGreaterThan(0);
    await served;
    // The rest that has begun does not outlast the client.
    await timer.turn(110);
    expect(await countIn(1000)).toBeGreaterThan(0.9 * fullSpeed);
    isOver = true;
    await timer.turnUntil(workers);
  });

  it('share: a client who comes back again and again is not overrun in between', async () => {
    const clients = new ClientLoad(() => timer.now());
    const pacer = new CopyPacer({ ...UNLIMITED, sharePercent: 50 }, timer, clients);
    let isOver = false;
    const comeAgain = async (): Promise<void> => {
      while (!isOver) {
        await clients.during(() => timer.sleep(5));
        await timer.sleep(60);
      }
    };
    const client = comeAgain();
    const tookMs = await copy(pacer, { count: 800, atOnce: 8, bytes: 0, workMs: 10 });
    expect(tookMs).toBeGreaterThan(1900);
    expect(tookMs).toBeLessThan(2100);
    isOver = true;
    await timer.turnUntil(client);
  });

  it('pause: what is under way ends, nothing begins, and content in the middle of its way gives up', async () => {
    const pacer = new CopyPacer(UNLIMITED, timer, BUSY);
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

  it('pause: who gave up holds nobody up when copying goes on', async () => {
    const share = { ...UNLIMITED, sharePercent: 50 };
    const pacer = new CopyPacer(share, timer, BUSY);
    const midway = pacer.run(0, async () => {
      await timer.sleep(10);
      await pacer.goOn(0);
    });
    const givenUp = expect(midway).rejects.toThrow(CopyPaused);
    pacer.setPace({ ...share, isPaused: true });
    await timer.turn(20);
    await givenUp;
    pacer.setPace(share);
    let doneAtMs = 0;
    const next = pacer.run(0, () => timer.sleep(60)).then(() => pacer.run(0, async () => timer.now()));
    void next.then((nowMs) => (doneAtMs = nowMs));
    await timer.turn(1000);
    expect(doneAtMs).toBe(20 + 60 + 60);
  });

  it('a new pace forgets what was worked so far, also of what is under way', async () => {
    const share = { ...UNLIMITED, sharePercent: 50 };
    const pacer = new CopyPacer(share, timer, BUSY);
    const slow = pacer.run(0, () => timer.sleep(400)).then(() => pacer.run(0, async () => timer.now()));
    await timer.turn(390);
    pacer.setPace(share);
    expect(await timer.turnUntil(slow)).toBe(400);
  });

  it('work that is not paced is not paced later on', async () => {
    const pacer = new CopyPacer(null, timer, BUSY);
    pacer.setPace({ ...UNLIMITED, isPaused: true });
    expect(await pacer.run(MEBIBYTE, async () => 'done')).toBe('done');
  });

  it('a new pace holds at once, for those who wait too', async () => {
    const pacer = new CopyPacer({ ...UNLIMITED, bytesPerSecond: MEBIBYTE }, timer, BUSY);
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
    const pacer = new CopyPacer(pace, timer, BUSY);
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

describe('the clock of the system', () => {
  it('goes on, wakes who has set it, and nobody who has thought better of it', async () => {
    const startMs = systemTimer.now();
    const woken: string[] = [];
    const cancel = systemTimer.after(1, () => woken.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      systemTimer.after(5, () => {
        woken.push('set');
        resolve();
      });
    });
    expect(woken).toEqual(['set']);
    expect(systemTimer.now()).toBeGreaterThan(startMs);
  });
});
