/** One reconciliation from its order to its end, and which of several it is that runs (DESIGN.md section 5.4 to 5.7). */
import { afterEach, describe, expect, it } from 'vitest';
import type { PacerTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import { Reconciler } from '../../../src/osd/reconcile/reconciler.js';
import { ReconcileRun } from '../../../src/osd/reconcile/reconcile-run.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { FULL_COPY_DOUBT } from '../../../src/protocol/recovery-plan.js';
import { type Epoch, toEpoch } from '../../../src/protocol/tag.js';
import { toStoreId } from '../../../src/protocol/token.js';
import type { OsdConnection, OsdIdentity, ReconcileOrder } from '../../../src/wire/osd-connection.js';
import { linkTo } from './in-process-osd.js';
import { objectNamed } from './osd-writer.js';
import { type Roles, Steps } from './reconcile-steps.js';

const KEY = objectNamed('key');
const TEN = Buffer.from('0123456789');
const TWO: Roles = { 0: 'trusted', 1: 'rows' };
const UNLIMITED = { bytesPerSecond: null, sharePercent: 100, isPaused: false } as const;
const PAUSED = { ...UNLIMITED, isPaused: true };
const timer: PacerTimer = { now: () => 0, after: () => () => undefined };
const clients = { quietSinceMs: null };

let steps: Steps;
afterEach(() => steps.stop());

function write(indices: readonly number[], objectId = KEY, bytes = TEN) {
  return steps.fleet.write(indices, { kind: 'replace', objectId, bytes });
}

/** A connection that tells when it is closed. */
function closing(url: string, closed: string[]): OsdConnection {
  const link = linkTo(url);
  return new Proxy(link, {
    get: (_target, property) =>
      property === 'close' ? async () => void closed.push(url) : link[property as keyof OsdConnection],
  });
}

function runOf(order: ReconcileOrder, closed: string[] = []) {
  const self = linkTo(order.participants.find(({ mirror }) => mirror === order.driver)?.url ?? '');
  const connect = (url: string): OsdConnection => closing(url, closed);
  const { limits } = steps;
  return new ReconcileRun({ order, self, connect, limits, timer, clients, noteLost: () => undefined });
}

function watchIdentity(index: number, changes: Partial<OsdIdentity> = {}): { count: number } {
  const asked = { count: 0 };
  steps.intercept(index, 'identity', async (pass) => {
    asked.count += 1;
    return { ...(await pass()), ...changes };
  });
  return asked;
}

async function settle(): Promise<void> {
  for (let count = 0; count < 20; count += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('who takes part in a reconciliation', () => {
  it.each([
    ['of another set', { setId: 'other' }, 'm1: it is of another mirror set'],
    ['another store', { storeId: toStoreId('d'.repeat(32)) }, `m1: it is store ${'d'.repeat(32)}`],
    ['fenced elsewhere', { fencedEpoch: toEpoch(7) }, 'm1: it is fenced at 7'],
    ['active', { activeEpoch: toEpoch(2) }, 'm1: it is active at 2'],
    [
      'several of these',
      { setId: 'other', fencedEpoch: toEpoch(7) },
      'm1: it is of another mirror set, it is fenced at 7',
    ],
  ])('F16: nobody who is %s: it ends before anything is copied', async (_what, changes, message) => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.fence();
    watchIdentity(1, changes);
    const run = runOf(steps.fleet.order(TWO));
    await expect(run.run()).rejects.toMatchObject({ code: 'peer-mismatch' });
    expect(run.progress).toMatchObject({ phase: 'failed', failure: `peer-mismatch: ${message}` });
    expect(steps.fleet.store(1).objects.size).toBe(0);
  });

  it('beside clients nobody who is not active', async () => {
    steps = await Steps.start(2);
    await steps.fleet.fence();
    const run = runOf({ ...steps.fleet.order(TWO), mode: 'online' });
    await expect(run.run()).rejects.toThrow(/^peer-mismatch: m[01]: it is active at 0$/);
  });

  it('nobody who needs a full copy that has not begun', async () => {
    steps = await Steps.start(2);
    await steps.fleet.fence();
    const run = runOf(steps.fleet.order({ 0: 'trusted', 1: 'full-copy' }));
    await expect(run.run()).rejects.toThrow('peer-mismatch: m1: no full copy into it has begun');
  });

  it('without a driver that is trusted there is no full copy', async () => {
    steps = await Steps.start(3);
    await steps.fleet.admit({ 0: 'trusted', 2: 'full-copy' });
    await steps.fleet.fence();
    const order = steps.fleet.order({ 0: 'trusted', 1: 'rows', 2: 'full-copy' });
    const run = runOf({ ...order, driver: toMirrorId('m1') });
    await expect(run.run()).rejects.toThrow('peer-mismatch: the driver is no trusted participant');
  });

  it('of equal sources the driver’s own store is read, in whatever order they are named', async () => {
    steps = await Steps.start(3);
    await write([0, 1]);
    await steps.fleet.fence();
    const readBy: number[] = [];
    for (const index of [0, 1]) {
      steps.intercept(index, 'read', (pass, ...question) => {
        readBy.push(index);
        return pass(...question);
      });
    }
    const order = steps.fleet.order({ 0: 'trusted', 1: 'trusted', 2: 'rows' });
    await runOf({ ...order, driver: toMirrorId('m1') }).run();
    expect(readBy).toEqual([1]);
  });
});

describe('a reconciliation as it ends', () => {
  it('has closed its connections to peers, and not the one to its own store', async () => {
    steps = await Steps.start(3);
    await steps.fleet.fence();
    const order = steps.fleet.order({ 0: 'trusted', 1: 'rows', 2: 'rows' });
    const [, first, second] = order.participants.map(({ url }) => url);
    const closed: string[] = [];
    await runOf(order, closed).run();
    expect(closed).toEqual([first, second]);
    watchIdentity(1, { setId: 'other' });
    await expect(runOf(order, closed).run()).rejects.toThrow('peer-mismatch');
    expect(closed.length).toBe(4);
  });

  it('says why it failed, whatever it was', async () => {
    steps = await Steps.start(2);
    await steps.fleet.fence();
    steps.intercept(1, 'identity', () => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- anything may be thrown
      return Promise.reject('no error at all');
    });
    const run = runOf(steps.fleet.order(TWO));
    await expect(run.run()).rejects.toBe('no error at all');
    expect(run.progress).toMatchObject({ phase: 'failed', failure: 'no error at all' });
  });

  it('F17: has told everyone how far the others have come, also where no row was to go', async () => {
    steps = await Steps.start(2);
    await write([0, 1]);
    steps.fleet.clear([0, 1], KEY);
    await steps.fleet.fence();
    const run = runOf(steps.fleet.order(TWO));
    await run.run();
    expect(run.progress).toMatchObject({ phase: 'done', isScanned: true, rowsDropped: 0 });
    for (const index of [0, 1])
      expect((await steps.fleet.connection(index).identity()).witnesses.length).toBe(1);
  });

  it('of one mirror that is all there are has dropped its rows, and told nobody anything', async () => {
    steps = await Steps.start(1);
    await write([0]);
    await steps.fleet.fence();
    const dropsOf: unknown[] = [];
    steps.intercept(0, 'dropRows', (pass, setId, epoch, rows, witnesses) => {
      dropsOf.push([rows.length, witnesses]);
      return pass(setId, epoch, rows, witnesses);
    });
    const run = runOf(steps.fleet.order({ 0: 'trusted' }));
    await run.run();
    expect(run.progress).toMatchObject({ phase: 'done', isScanned: true, rowsDropped: 1 });
    expect(dropsOf).toEqual([[1, []]]);
  });

  it('I4: of one mirror that is alone of several has dropped nothing', async () => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.fence();
    const run = runOf(steps.fleet.order({ 0: 'trusted' }));
    await run.run();
    expect(run.progress).toMatchObject({ phase: 'done', rowsDropped: 0 });
    expect((await steps.fleet.rows(0)).length).toBe(1);
  });

  it('I4: rows that a full copy is to bring stay until it is through, then all go', async () => {
    steps = await Steps.start(3);
    await write([0, 1, 2]);
    await write([0]);
    await steps.fleet.admit({ 0: 'trusted', 2: 'full-copy' });
    await steps.fleet.fence();
    const rowsAtCopy: number[] = [];
    steps.intercept(2, 'push', (pass, push) => {
      rowsAtCopy.push(steps.fleet.store(0).rowsByKey.size);
      return pass(push);
    });
    const run = runOf(steps.fleet.order({ 0: 'trusted', 1: 'rows', 2: 'full-copy' }));
    await run.run();
    expect(rowsAtCopy).toEqual([2]);
    expect(run.progress).toMatchObject({ phase: 'done', bytesCopied: 20 });
    for (const index of [0, 1, 2]) expect(await steps.fleet.rows(index)).toEqual([]);
    expect((await steps.fleet.connection(2).identity()).selfDoubt).toBeNull();
  });

  it('beside clients it is full copies or rows, and the end of a copy is the authority’s to say', async () => {
    steps = await Steps.start(3);
    await write([0]);
    const roles: Roles = { 0: 'trusted', 1: 'rows', 2: 'full-copy' };
    await steps.fleet.admit(roles);
    const run = runOf({ ...steps.fleet.order(roles), mode: 'online' });
    await run.run();
    expect(run.progress).toMatchObject({ phase: 'done', isScanned: true, bytesCopied: 10, rowsDropped: 0 });
    expect(steps.fleet.store(1).objects.size).toBe(0);
    expect(steps.fleet.store(2).objects.size).toBe(1);
    expect((await steps.fleet.connection(2).identity()).selfDoubt).toBe(FULL_COPY_DOUBT);
  });
});

describe('a reconciliation that is cancelled', () => {
  it('before it begins asks nothing of anybody, and says the first reason', async () => {
    steps = await Steps.start(2);
    await steps.fleet.fence();
    const asked = watchIdentity(1);
    const run = runOf(steps.fleet.order(TWO));
    run.cancel('the first reason');
    run.cancel('the second reason');
    await expect(run.run()).rejects.toMatchObject({ code: 'cancelled' });
    expect(run.progress).toMatchObject({ phase: 'failed', failure: 'cancelled: the first reason' });
    expect(asked.count).toBe(0);
  });

  it('while it is paused ends at once, with the first reason; it goes on when it is not', async () => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.admit(TWO);
    const order: ReconcileOrder = { ...steps.fleet.order(TWO), mode: 'online', pace: PAUSED };
    const cancelled = runOf(order);
    const failure = expect(cancelled.run()).rejects.toThrow('cancelled: the first reason');
    await settle();
    cancelled.cancel('the first reason');
    cancelled.cancel('the second reason');
    await failure;
    const resumed = runOf(order);
    const work = resumed.run();
    await settle();
    expect(resumed.progress).toMatchObject({ phase: 'matching', rowsUnmatched: 0 });
    resumed.setPace(UNLIMITED);
    await work;
    expect(resumed.progress).toMatchObject({ phase: 'done', bytesCopied: 10 });
  });
});

describe('the reconciliations that an OSD drives', () => {
  interface Log {
    readonly level: string;
    readonly fields: unknown;
    readonly message: string;
  }

  function reconcilerOf() {
    const logs: Log[] = [];
    const violations: unknown[] = [];
    const log =
      (level: string) =>
      (fields: unknown, message: string): void =>
        void logs.push({ level, fields, message });
    const reconciler = new Reconciler({
      self: linkTo(steps.fleet.mirrors[0]?.osd.url ?? ''),
      connect: linkTo,
      logger: { info: log('info'), warn: log('warn'), error: log('error'), fatal: log('fatal') },
      limits: steps.limits,
      timer,
      clients,
      onInvariantViolation: (violation) => void violations.push(violation),
    });
    return { reconciler, logs, violations };
  }

  async function untilOver(reconciler: Reconciler, epoch: Epoch): Promise<void> {
    await expect.poll(() => reconciler.progressOf(epoch)?.phase, { interval: 1 }).toMatch(/^(done|failed)$/);
    await settle();
  }

  it('are none at first, then the latest one is remembered, by its epoch', async () => {
    steps = await Steps.start(2);
    await steps.fleet.fence();
    const { reconciler, logs, violations } = reconcilerOf();
    const { epoch } = steps.fleet;
    expect(reconciler.latestProgress).toBeNull();
    expect(reconciler.progressOf(epoch)).toBeNull();
    expect(reconciler.setPace(epoch, PAUSED)).toBeNull();
    expect(reconciler.start(steps.fleet.order(TWO))).toMatchObject({ epoch, phase: 'matching' });
    await untilOver(reconciler, epoch);
    expect(reconciler.latestProgress).toMatchObject({ epoch, phase: 'done' });
    expect(reconciler.progressOf(toEpoch(1))).toBeNull();
    expect(reconciler.setPace(toEpoch(1), PAUSED)).toBeNull();
    expect(logs.map(({ level }) => level)).toEqual(['info']);
    expect(violations).toEqual([]);
    await reconciler.close();
  });

  it('F28: a later one cancels the one before, and begins when that has stopped', async () => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.fence();
    const { reconciler, logs } = reconcilerOf();
    let release = (): void => undefined;
    const isHeld = new Promise<void>((resolve) => (release = resolve));
    steps.intercept(1, 'push', async (pass, push) => {
      await isHeld;
      return pass(push);
    });
    const first = steps.fleet.epoch;
    reconciler.start(steps.fleet.order(TWO));
    await settle();
    await steps.fleet.fence();
    const asked = watchIdentity(1);
    reconciler.start(steps.fleet.order(TWO));
    await settle();
    expect(asked.count).toBe(0);
    release();
    await untilOver(reconciler, steps.fleet.epoch);
    expect(reconciler.latestProgress).toMatchObject({ phase: 'done', bytesCopied: 10 });
    expect(logs).toMatchObject([
      { level: 'warn', fields: { epoch: first, progress: { phase: 'failed' } } },
      { level: 'info', fields: { progress: { phase: 'done' } } },
    ]);
    await reconciler.close();
  });

  it('are cancelled by a fence above them, and by no other', async () => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.admit(TWO);
    const { reconciler } = reconcilerOf();
    const { epoch } = steps.fleet;
    reconciler.cancelBelow(epoch);
    reconciler.start({ ...steps.fleet.order(TWO), mode: 'online', pace: PAUSED });
    await settle();
    reconciler.cancelBelow(epoch);
    await settle();
    expect(reconciler.progressOf(epoch)).toMatchObject({ phase: 'matching' });
    reconciler.cancelBelow(toEpoch(epoch + 1));
    await untilOver(reconciler, epoch);
    expect(reconciler.progressOf(epoch)).toMatchObject({
      phase: 'failed',
      failure: `cancelled: the store was fenced at epoch ${epoch + 1}`,
    });
    await reconciler.close();
  });

  it('are paced by their epoch', async () => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.admit(TWO);
    const { reconciler } = reconcilerOf();
    const { epoch } = steps.fleet;
    reconciler.start({ ...steps.fleet.order(TWO), mode: 'online', pace: PAUSED });
    reconciler.setPace(toEpoch(epoch + 1), UNLIMITED);
    await settle();
    expect(reconciler.progressOf(epoch)).toMatchObject({ phase: 'matching' });
    expect(reconciler.setPace(epoch, UNLIMITED)).toMatchObject({ epoch });
    await untilOver(reconciler, epoch);
    expect(reconciler.progressOf(epoch)).toMatchObject({ phase: 'done', bytesCopied: 10 });
    await reconciler.close();
  });

  it('end with the OSD, which waits for the one that runs; none begins afterwards', async () => {
    steps = await Steps.start(2);
    await write([0]);
    await steps.fleet.admit(TWO);
    const { reconciler, logs } = reconcilerOf();
    const order: ReconcileOrder = { ...steps.fleet.order(TWO), mode: 'online', pace: PAUSED };
    reconciler.start(order);
    await settle();
    await reconciler.close();
    expect(reconciler.latestProgress).toMatchObject({ phase: 'failed', failure: 'cancelled: the OSD stops' });
    expect(logs.length).toBe(1);
    const asked = watchIdentity(1);
    reconciler.start({ ...order, pace: UNLIMITED });
    await untilOver(reconciler, steps.fleet.epoch);
    expect(reconciler.latestProgress).toMatchObject({ phase: 'failed', failure: 'cancelled: the OSD stops' });
    expect(asked.count).toBe(0);
    await reconcilerOf().reconciler.close();
  });

  it('F30: tell of bytes that are intact nowhere', async () => {
    steps = await Steps.start(2);
    await write([0]);
    steps.fleet.store(0).damaged.add(KEY);
    await steps.fleet.fence();
    const { reconciler, logs } = reconcilerOf();
    const { epoch } = steps.fleet;
    reconciler.start(steps.fleet.order(TWO));
    await untilOver(reconciler, epoch);
    const fields = { epoch, place: '"bucket/key" on m0', lost: [{ offset: 0, length: 10 }] };
    expect(logs).toMatchObject([{ level: 'error', fields }, { level: 'info' }]);
    await reconciler.close();
  });

  it('tell of our own bugs, and of no other failure', async () => {
    steps = await Steps.start(2);
    await steps.fleet.fence();
    const { reconciler, violations } = reconcilerOf();
    const bug = new InvariantViolation('it can’t be');
    for (const error of [new Error('lost'), bug]) {
      steps.intercept(1, 'identity', () => Promise.reject(error));
      reconciler.start(steps.fleet.order(TWO));
      await untilOver(reconciler, steps.fleet.epoch);
    }
    expect(violations).toEqual([bug]);
    await reconciler.close();
  });
});
