/** Copying to a mirror that is back yields to clients, as an operator says while it runs (DESIGN.md section 5). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CopyPace } from '../../../src/protocol/pace.js';
import { ManualTimer } from '../../fakes/manual-timer.js';
import { GatewayRig, idOf } from './gateway-rig.js';

const MEBIBYTE = 1024 * 1024;
const MISSED = 300;
/** Larger than what is sent in one piece. */
const LARGE_BYTES = 4 * MEBIBYTE;

let rig: GatewayRig;
let timer: ManualTimer;
beforeEach(async () => {
  timer = new ManualTimer();
  rig = await new GatewayRig(2, timer).startAndWait();
});
afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

async function missWrites(largeCount = 0): Promise<void> {
  rig.osd(1).mode = 'down';
  await rig.put('first', 'missed');
  await rig.untilInSync(0);
  for (let index = 0; index < MISSED; index += 1) await rig.put(`missed-${index}`, `content ${index}`);
  for (let index = 0; index < largeCount; index += 1) await rig.put(`large-${index}`, largeContent(index));
}

function largeContent(index: number): Buffer {
  return Buffer.alloc(LARGE_BYTES, `large ${index}`);
}

/** The mirror is back, and copied to as the clock of the OSDs is turned. */
async function begin(): Promise<void> {
  rig.gateway.setPace({ bytesPerSecond: MEBIBYTE });
  rig.osd(1).mode = 'up';
  await expect.poll(() => rig.gateway.status().mirrors[1]?.condition).toBe('rebuilding');
  await turnUntilArrived(1);
}

async function turnUntilArrived(count: number): Promise<void> {
  await expect
    .poll(
      async () => {
        await timer.turn(0.1);
        return arrived();
      },
      { timeout: 20_000, interval: 1 },
    )
    .toBeGreaterThanOrEqual(count);
}

/** Changes the pace, and waits until the OSD that copies has heard of it. */
async function change(pace: Partial<CopyPace>): Promise<void> {
  const isTold = new Promise<void>((resolve) => {
    rig.osd(0).onRequest = (method) => {
      if (method === 'setReconcilePace') resolve();
    };
  });
  rig.gateway.setPace(pace);
  await isTold;
  await timer.turn(0);
}

function arrived(): number {
  return rig.osd(1).store.objects.size;
}

/** Turns the clock of the OSDs until both mirrors are in sync. */
async function turnUntilInSync(stepMs: number): Promise<void> {
  await expect
    .poll(
      async () => {
        await timer.turn(stepMs);
        return rig.gateway.isReady ? rig.gateway.status().inSync.length : 0;
      },
      { timeout: 20_000, interval: 1 },
    )
    .toBe(2);
}

async function expectEqualMirrors(): Promise<void> {
  await rig.untilTablesAreEmpty();
  rig.expectIdenticalMirrors();
}

describe('copying while clients write', () => {
  it('goes at the rate that was set, by the clock of the OSD that copies', async () => {
    await missWrites(5);
    await begin();
    // 20 MiB: the last piece is let in when those before it are paid for.
    await turnUntilInSync(100);
    expect(timer.now()).toBeGreaterThan(19_000);
    await expectEqualMirrors();
    expect(rig.gateway.operations()[0]?.progress?.phase).toBe('done');
  });

  it('stops when it is paused, takes new writes all the same, and goes on when it is resumed', async () => {
    await missWrites();
    await begin();
    await turnUntilArrived(50);
    await change({ isPaused: true });
    const before = arrived();
    expect(before).toBeLessThan(MISSED);
    await rig.put('new', 'at once');
    await rig.put('new-large', largeContent(1));
    for (const name of ['new', 'new-large'])
      await expect.poll(() => rig.osd(1).store.objects.has(idOf(name))).toBe(true);
    await timer.turn(3_600_000);
    expect(arrived()).toBe(before + 2);
    expect(rig.gateway.status().mirrors[1]?.condition).toBe('rebuilding');
    expect(rig.gateway.status().operation?.state).toBe('running');
    await change({ isPaused: false, bytesPerSecond: null });
    await rig.untilInSync(0, 1);
    await expectEqualMirrors();
  });

  it('I7: a large object that is paused in the middle of its way is sent again, not left for the fence', async () => {
    await missWrites(1);
    await begin();
    await turnUntilArrived(50);
    await timer.turn(1000);
    await change({ isPaused: true });
    await timer.turn(3_600_000);
    expect(rig.osd(1).store.objects.has(idOf('large-0'))).toBe(false);
    expect(rig.gateway.status().mirrors[1]?.condition).toBe('rebuilding');
    await change({ isPaused: false, bytesPerSecond: null });
    await rig.untilInSync(0, 1);
    await expectEqualMirrors();
    const progress = rig.gateway.operations()[0]?.progress;
    expect(progress?.bytesCopied).toBeLessThanOrEqual(progress?.bytesUnmatched ?? 0);
  });

  it('I2: a mirror that is lost while it is paused comes back, without a client that waits', async () => {
    await missWrites();
    await begin();
    await change({ isPaused: true });
    rig.osd(1).mode = 'down';
    await rig.put('new', 'while it is away again');
    rig.osd(1).restart();
    rig.gateway.setPace({ isPaused: false, bytesPerSecond: null });
    await rig.untilInSync(0, 1);
    await expectEqualMirrors();
  });

  it('begins with the configured pace again after a restart of the gateway', async () => {
    rig.gateway.setPace({ isPaused: true, sharePercent: 5, bytesPerSecond: MEBIBYTE });
    expect(rig.gateway.events()[0]).toMatchObject({ kind: 'pace' });
    await rig.gateway.stop();
    rig.catchUpPace = { bytesPerSecond: 7 * MEBIBYTE, sharePercent: 60 };
    await rig.startAndWait();
    expect(rig.gateway.pace()).toEqual({ bytesPerSecond: 7 * MEBIBYTE, sharePercent: 60, isPaused: false });
  });

  it('in suspended mode writes wait for it, so it has no pace', async () => {
    await rig.gateway.stop();
    rig.suspendsWrites = true;
    await rig.startAndWait();
    expect(rig.gateway.pace()).toBeNull();
    expect(rig.gateway.setPace({ isPaused: true })).toBeNull();
    await missWrites();
    rig.osd(1).mode = 'up';
    await rig.untilInSync(0, 1);
    await expectEqualMirrors();
  });
});
