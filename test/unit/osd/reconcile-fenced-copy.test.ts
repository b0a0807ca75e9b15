/** What a full copy under the fence does to each object, step by step (DESIGN.md section 5.5). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyEverything } from '../../../src/osd/reconcile/full-copy.js';
import { STATES_PAGE_MAX } from '../../../src/osd/reconcile/row-repair.js';
import type { ReconcileProgress } from '../../../src/wire/osd-connection.js';
import { objectNamed, tagAt } from './osd-writer.js';
import { Steps } from './reconcile-steps.js';

const KEY = objectNamed('key');
const TEN = Buffer.from('0123456789');

let steps: Steps;
let pushCount: number;
beforeEach(async () => {
  steps = await Steps.start(2);
  pushCount = 0;
});
afterEach(() => steps.stop());

/** From m0 to m1, with everyone who is configured or without somebody. */
async function copy(isComplete: boolean): Promise<ReconcileProgress> {
  await steps.fleet.fence();
  await steps.fleet.connection(1).beginFullCopy(steps.fleet.epoch, steps.fleet.store(1).storeId);
  const context = steps.context('fenced', isComplete ? 2 : 1);
  const [source, target] = steps.peers({ 0: 'trusted', 1: 'full-copy' });
  steps.intercept(1, 'push', (pass, push) => {
    pushCount += 1;
    return pass(push);
  });
  await copyEverything({ context, source: source!, otherSources: [], target: target!, limits: steps.limits });
  return context.progress.snapshot();
}

function write(indices: readonly number[], objectId = KEY) {
  return steps.fleet.write(indices, { kind: 'replace', objectId, bytes: TEN });
}

describe('a full copy under the fence', () => {
  it('F37: brings rows that the target lacks, unless all rows are to go in the end anyway', async () => {
    await write([0, 1]);
    steps.fleet.clear([1], KEY);
    expect(await copy(true)).toMatchObject({ objectsToDo: 0 });
    expect(pushCount).toBe(0);
    expect(await copy(false)).toMatchObject({
      objectsToDo: 1,
      objectsDone: 1,
      bytesUnmatched: 0,
      bytesCopied: 0,
    });
    expect((await steps.fleet.rows(1)).map(({ tag }) => tag)).toEqual([tagAt(1, 1)]);
  });

  it('leaves alone what is the same with its rows', async () => {
    await write([0, 1]);
    expect(await copy(false)).toMatchObject({ objectsToDo: 0, objectsCompared: 1 });
    expect(pushCount).toBe(0);
  });

  it('takes from the target the rows of what neither side has, where they are not the source’s too', async () => {
    await write([1], objectNamed('a'));
    await write([0, 1], objectNamed('b'));
    for (const index of [0, 1]) steps.fleet.store(index).objects.clear();
    expect(await copy(false)).toMatchObject({ objectsToDo: 1, objectsCompared: 0, objectsDeleted: 0 });
    expect((await steps.fleet.rows(1)).map(({ objectId }) => objectId)).toEqual([objectNamed('b')]);
  });

  it('counts as deleted what only the target had, and no tombstone', async () => {
    await write([1]);
    await write([1], objectNamed('orphan'));
    await steps.fleet.write([1], { kind: 'remove', objectId: objectNamed('removed') });
    await write([0], objectNamed('new'));
    await write([0, 1], objectNamed('older'));
    await write([0], objectNamed('older'));
    expect(await copy(true)).toMatchObject({ objectsDeleted: 2, objectsDone: 5, bytesCopied: 20 });
    expect([...steps.fleet.store(1).objects.keys()]).toEqual([objectNamed('older'), objectNamed('new')]);
  });

  it('asks for as many states at a time as one question may have', async () => {
    const ids = Array.from({ length: STATES_PAGE_MAX + 1 }, (_, index) =>
      objectNamed(`n${String(index).padStart(3, '0')}`),
    );
    for (const id of ids) await write([0], id);
    const asked: unknown[] = [];
    steps.intercept(0, 'states', (pass, some, epoch) => {
      asked.push([some, epoch]);
      return pass(some, epoch);
    });
    expect(await copy(true)).toMatchObject({ objectsDone: ids.length, bytesCopied: 10 * ids.length });
    expect(asked).toEqual([
      [ids.slice(0, STATES_PAGE_MAX), 2],
      [ids.slice(STATES_PAGE_MAX), 2],
    ]);
  });

  it('asks nothing of anybody once it is cancelled', async () => {
    await write([0]);
    steps.cancelReason = 'fenced higher';
    let askedCount = 0;
    steps.intercept(0, 'summaries', async () => {
      askedCount += 1;
      return [];
    });
    await expect(copy(true)).rejects.toMatchObject({ code: 'cancelled' });
    expect(askedCount).toBe(0);
  });
});
