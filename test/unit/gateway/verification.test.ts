/** Mirrors compared object by object while clients write: nothing is cried out that is not so, and nothing is guessed. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Verification, VerificationOrder } from '../../../src/gateway/verification/verification.js';
import { makeTag, tagCounter, tagEpoch, tagGenerator, type Tag } from '../../../src/protocol/tag.js';
import { GatewayRig, idOf } from './gateway-rig.js';

const FULL: VerificationOrder = { repairs: false, isQuick: false, bytesPerSecond: 1e12 };
const REPAIR: VerificationOrder = { ...FULL, repairs: true };
const WITHIN = { timeout: 10_000, interval: 5 };

let rig: GatewayRig;
beforeEach(async () => {
  rig = await new GatewayRig().startAndWait();
});
afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

async function ended(): Promise<Verification> {
  await expect.poll(() => rig.gateway.verification()?.state, WITHIN).toMatch(/done|failed/);
  const verification = rig.gateway.verification();
  if (verification === null) throw new Error('there is one');
  return verification;
}

async function verify(order: VerificationOrder): Promise<Verification> {
  rig.gateway.verify(order);
  return ended();
}

function heldBy(index: number, name: string) {
  const held = rig.osd(index).store.objects.get(idOf(name));
  if (held === undefined) throw new Error(`osd-${index} has no ${name}`);
  return held;
}

function tagAfter(tag: Tag): Tag {
  return makeTag({ epoch: tagEpoch(tag), counter: tagCounter(tag) + 1, generator: tagGenerator(tag) });
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('a verification', () => {
  it('reads everything on every mirror, page by page', async () => {
    for (let index = 0; index < 600; index += 1) await rig.put(`key-${index}`, 'x'.repeat(index));
    await rig.put('large', Buffer.alloc(3_000_000, 7));
    const found = await verify(FULL);
    expect(found).toMatchObject({
      state: 'done',
      objectsCompared: 601,
      objectsChanging: 0,
      differenceCount: 0,
    });
    expect(found.bytesCompared).toBe((600 * 599) / 2 + 3_000_000);
  });

  it('cries nothing out while clients write', async () => {
    const seed = Number(process.env['TALLY_TEST_SEED'] ?? 20_261_127);
    const random = randomOf(seed);
    const names = Array.from({ length: 12 }, (_, index) => `key-${index}`);
    // One mirror is slower than the other now and then, so that the walk meets writes half way.
    for (const osd of rig.osds) {
      osd.onRequest = () =>
        random() < 0.3 ? new Promise((resolve) => setTimeout(resolve, random() * 4)) : undefined;
    }
    let isOver = false;
    const write = async (): Promise<void> => {
      while (!isOver) {
        const name = names[Math.floor(random() * names.length)] ?? 'key-0';
        const what = random();
        if (what < 0.5) await rig.put(name, `${random()}`.repeat(1 + Math.floor(random() * 40)));
        else if (what < 0.75) await rig.storage.remove({ id: idOf(name) });
        else await rig.append(name, 'more').catch(() => undefined);
      }
    };
    const writers = [write(), write(), write(), write()];
    for (let round = 0; round < 12; round += 1) {
      const found = await verify(round % 2 === 0 ? REPAIR : { ...FULL, isQuick: true });
      expect(found, `TALLY_TEST_SEED=${seed}`).toMatchObject({ state: 'done', differences: [] });
    }
    isOver = true;
    await Promise.all(writers);
    for (const osd of rig.osds) osd.onRequest = () => undefined;
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('goes on at its place after the gateway was restarted', async () => {
    for (let index = 0; index < 700; index += 1) await rig.put(`key-${index}`, 'content');
    // A page costs half a second.
    rig.gateway.verify({ ...FULL, bytesPerSecond: 300_000 });
    await expect.poll(() => rig.verificationRecord.saved.at(-1)?.after ?? null, WITHIN).not.toBe(null);
    await rig.gateway.stop();
    const left = rig.verificationRecord.saved.at(-1);
    const savedBefore = rig.verificationRecord.saved.length;
    expect(left).toMatchObject({ state: 'begun', objectsCompared: 256 });
    await rig.startAndWait();
    const found = await ended();
    expect(found).toMatchObject({ id: left?.id, state: 'done', objectsCompared: 700, differenceCount: 0 });
    expect(rig.verificationRecord.saved[savedBefore]?.after).toBe(left?.after);
  });

  it('waits while a mirror is out, and goes on when it is back', async () => {
    await rig.put('key', 'content');
    rig.osd(1).mode = 'down';
    await expect.poll(() => rig.gateway.status().inSync, WITHIN).toHaveLength(1);
    rig.gateway.verify(FULL);
    await expect.poll(() => rig.gateway.verification()?.state, WITHIN).toBe('waiting');
    rig.osd(1).mode = 'up';
    expect(await ended()).toMatchObject({ state: 'done', objectsCompared: 1, differenceCount: 0 });
  });

  it('is stopped by an operator for good: it does not go on after a restart, and the next one begins from the start', async () => {
    expect(await rig.gateway.stopVerification()).toBeNull();
    for (let index = 0; index < 700; index += 1) await rig.put(`key-${index}`, 'content');
    rig.gateway.verify({ ...FULL, bytesPerSecond: 300_000 });
    await expect.poll(() => rig.verificationRecord.saved.at(-1)?.after ?? null, WITHIN).not.toBe(null);
    const stopped = await rig.gateway.stopVerification();
    expect(stopped).toMatchObject({ state: 'stopped', objectsCompared: 256, failure: null });
    expect(stopped?.endedMs).not.toBeNull();
    expect(await rig.gateway.stopVerification()).toBeNull();
    expect(rig.gateway.events()[0]?.message).toContain('was stopped by an operator');
    await rig.gateway.stop();
    await rig.startAndWait();
    expect(rig.gateway.verification()).toEqual(stopped);
    expect(await verify(FULL)).toMatchObject({ state: 'done', objectsCompared: 700 });
  });

  it('that waits for mirrors is stopped, too', async () => {
    rig.osd(1).mode = 'down';
    await expect.poll(() => rig.gateway.status().inSync, WITHIN).toHaveLength(1);
    rig.gateway.verify(FULL);
    await expect.poll(() => rig.gateway.verification()?.state, WITHIN).toBe('waiting');
    expect(await rig.gateway.stopVerification()).toMatchObject({ state: 'stopped' });
  });

  it('runs one at a time', async () => {
    for (let index = 0; index < 300; index += 1) await rig.put(`key-${index}`, 'content');
    const first = rig.gateway.verify({ ...FULL, bytesPerSecond: 300_000 });
    const second = rig.gateway.verify(REPAIR);
    expect(first.isNew).toBe(true);
    expect(second).toMatchObject({
      isNew: false,
      verification: { id: first.verification.id, repairs: false },
    });
  });
});

describe('what a verification finds', () => {
  beforeEach(async () => {
    for (const name of ['a', 'key', 'z']) await rig.put(name, `content of ${name}`);
    await rig.untilTablesAreEmpty();
  });

  it('F30: rotten bytes, healed from the other mirror when asked for', async () => {
    const { store } = rig.osd(0);
    store.damaged.add(idOf('key'));
    const found = await verify(FULL);
    expect(found).toMatchObject({ objectsCompared: 3, differenceCount: 1, repairedCount: 0 });
    expect(found.differences).toMatchObject([
      {
        objectId: idOf('key'),
        kind: 'damaged',
        outcome: 'found',
        mirrors: [
          { mirror: 'osd-0', isDamaged: true },
          { mirror: 'osd-1', isDamaged: false },
        ],
      },
    ]);
    expect(store.damaged.size).toBe(1);
    expect((await verify(REPAIR)).differences).toMatchObject([{ kind: 'damaged', outcome: 'repaired' }]);
    expect(store.damaged.size).toBe(0);
    rig.expectIdenticalMirrors();
  });

  it('F30: bytes that are rotten everywhere need an operator', async () => {
    for (const { store } of rig.osds) store.damaged.add(idOf('key'));
    const { differences } = await verify(REPAIR);
    expect(differences).toMatchObject([{ kind: 'damaged', outcome: 'needs-operator' }]);
  });

  it.each([
    ['content', { bytes: Buffer.from('Content of key') }],
    ['state', { state: { attributes: 'other' } }],
  ] as const)('another %s of the same write is never repaired by a guess', async (kind, change) => {
    const held = heldBy(1, 'key');
    rig.osd(1).store.objects.set(idOf('key'), {
      ...held,
      ...('bytes' in change && { bytes: change.bytes }),
      ...('state' in change &&
        held.state.kind === 'present' && { state: { ...held.state, ...change.state } }),
    });
    const before = rig.contents();
    const { differences, repairedCount } = await verify(REPAIR);
    expect(differences).toMatchObject([{ objectId: idOf('key'), kind, outcome: 'needs-operator' }]);
    expect(repairedCount).toBe(0);
    expect(rig.contents()).toEqual(before);
  });

  it.each([0, 1])('an object that osd-%i lacks, written anew from the other', async (index) => {
    rig.osd(index).store.objects.delete(idOf('key'));
    const found = await verify({ ...FULL, isQuick: true });
    expect(found.differences).toMatchObject([{ kind: 'last-tag', outcome: 'found' }]);
    expect(rig.osd(index).store.objects.has(idOf('key'))).toBe(false);
    expect((await verify(REPAIR)).differences).toMatchObject([{ kind: 'last-tag', outcome: 'repaired' }]);
    expect(await rig.get('key')).toBe('content of key');
    rig.expectIdenticalMirrors();
    expect(await verify(FULL)).toMatchObject({ differenceCount: 0 });
  });

  it.each([0, 1])('an older write on osd-%i: the highest last tag is right', async (index) => {
    const older = heldBy(index, 'key');
    await rig.put('key', 'newer content');
    rig.osd(index).store.objects.set(idOf('key'), older);
    expect((await verify(REPAIR)).differences).toMatchObject([{ kind: 'last-tag', outcome: 'repaired' }]);
    expect(await rig.get('key')).toBe('newer content');
    rig.expectIdenticalMirrors();
  });

  it('a removal that one mirror has not: the object is removed there too', async () => {
    const { state } = heldBy(0, 'key');
    const tombstone = { kind: 'tombstone' as const, lastTag: tagAfter(state.lastTag), lastChecksum: 0 };
    rig.osd(0).store.objects.set(idOf('key'), { state: tombstone, bytes: Buffer.alloc(0) });
    expect((await verify(REPAIR)).differences).toMatchObject([{ kind: 'last-tag', outcome: 'repaired' }]);
    expect(await rig.get('key')).toBe(null);
    rig.expectIdenticalMirrors();
  });

  it('a repair never brings back what a client removes meanwhile', async () => {
    rig.osd(1).store.objects.delete(idOf('key'));
    const removing: Promise<unknown>[] = [];
    rig.osd(0).onRequest = async (method) => {
      // What the repair reads is still there.
      if (method === 'transact') await new Promise((resolve) => setTimeout(resolve, 20));
      if (method !== 'read' || removing.length > 0) return;
      const sink = rig.storage.openContent(idOf('key'), null);
      await sink.write(Buffer.from('of a client'));
      const content = await sink.finish();
      const replacing = rig.storage.replace({ id: idOf('key'), content, attributes: '' });
      removing.push(replacing, rig.storage.remove({ id: idOf('key') }));
    };
    await verify(REPAIR);
    expect(removing).toHaveLength(2);
    await Promise.all(removing);
    expect(await rig.get('key')).toBe(null);
    rig.expectIdenticalMirrors();
  });
});
