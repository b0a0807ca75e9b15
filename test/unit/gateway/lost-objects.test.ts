/** F30: an object whose last write is intact nowhere, as operators and clients meet it; everything else goes on. */
import { afterEach, describe, expect, it } from 'vitest';
import { LostObjects } from '../../../src/gateway/lost-objects.js';
import type { MirrorSet } from '../../../src/gateway/mirror-set.js';
import { silentLogger } from '../osd/osd-harness.js';
import { presentState, tagOf } from '../protocol/protocol-builders.js';
import { GatewayRig, idOf } from './gateway-rig.js';

const WITHIN = { timeout: 15_000, interval: 5 };

let rig: GatewayRig;
afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

/** osd-1 misses a write, whose bytes rot on osd-0 before it is back. */
async function onlyRottenBytesAreLeft(): Promise<void> {
  rig = await new GatewayRig().startAndWait();
  await rig.put('key', 'older');
  rig.osd(1).mode = 'down';
  await rig.put('key', 'newer!');
  await rig.put('other', 'x');
  rig.osd(0).store.damaged.add(idOf('key'));
  rig.osd(1).mode = 'up';
  await rig.untilInSync(0, 1);
}

async function untilLost(): Promise<void> {
  await expect
    .poll(() => rig.gateway.status().lostObjects, WITHIN)
    .toMatchObject([{ bucket: 'bucket', key: 'key', lostBytes: 6, kept: { mirror: 'osd-1', sizeBytes: 5 } }]);
}

describe('an object whose last write is intact nowhere', () => {
  it('holds up no recovery, is shown to nobody, and is told of', async () => {
    await onlyRottenBytesAreLeft();
    expect(await rig.get('other')).toBe('x');
    await expect(rig.get('key')).rejects.toMatchObject({ kind: 'damaged' });
    await untilLost();
    expect(rig.gateway.status().lostObjectCount).toBe(1);
    const told = rig.gateway.events().filter(({ kind }) => kind === 'lost-bytes');
    // Told before osd-1 was asked as well, it is told again with what osd-1 keeps.
    expect(told.length).toBeLessThanOrEqual(2);
    expect(told.at(-1)?.message).toMatch(/^bucket\/key: 6 of its 6 bytes are intact nowhere .*osd-1 keeps/);
  });

  it('is told of again once a mirror is in sync that keeps what it was before, and not a third time', async () => {
    const objectId = idOf('key');
    const loss = { objectId, state: presentState(tagOf(1, 2), 6), lostBytes: 6 };
    const connections = {
      'osd-0': { lostObjects: async () => [{ ...loss, kept: null }], orderHeal: async () => undefined },
      'osd-1': {
        lostObjects: async () => [{ ...loss, kept: presentState(tagOf(1, 1), 5) }],
        orderHeal: async () => undefined,
      },
    };
    const set = {
      ...{ members: [], epoch: 1, inSync: ['osd-0'] },
      connectionOf: (mirror: keyof typeof connections) => connections[mirror],
    };
    const told: string[] = [];
    const lost = new LostObjects({
      set: set as unknown as MirrorSet,
      ...{ logger: silentLogger(), pauseMs: 0, onEvent: (message: string) => told.push(message) },
    });
    await lost.look();
    set.inSync = ['osd-0', 'osd-1'];
    await lost.look();
    await lost.look();
    expect(told).toEqual([
      expect.stringMatching(/intact nowhere \(osd-0\)\. Write it anew/),
      expect.stringMatching(/intact nowhere \(osd-0, osd-1\); osd-1 keeps what it was before, 5 bytes/),
    ]);
  });

  it.each(['replace', 'remove'] as const)('is put right by a client’s %s', async (how) => {
    await onlyRottenBytesAreLeft();
    await untilLost();
    if (how === 'replace') await rig.put('key', 'anew');
    else await rig.storage.remove({ id: idOf('key') });
    rig.osd(0).store.damaged.clear();
    expect(await rig.get('key')).toBe(how === 'replace' ? 'anew' : null);
    rig.expectIdenticalMirrors();
    await expect.poll(() => rig.gateway.status().lostObjectCount, WITHIN).toBe(0);
    await rig.untilTablesAreEmpty();
  });

  it('is healed by itself once a mirror has the bytes', async () => {
    await onlyRottenBytesAreLeft();
    await untilLost();
    rig.osd(0).store.damaged.clear();
    expect(await rig.get('key')).toBe('newer!');
    await expect(rig.osd(1).store.readKept(idOf('key'), { kind: 'whole' })).resolves.not.toBeNull();
    rig.osd(1).restart();
    await rig.untilInSync(0, 1);
    await expect.poll(() => rig.gateway.status().lostObjectCount, WITHIN).toBe(0);
    rig.expectIdenticalMirrors();
  });
});

describe('tally force, for an object', () => {
  it.each([
    ['put-back', 'older'],
    ['give-up', null],
  ] as const)('%s: says what is lost, wants these words, and has it on record', async (choice, after) => {
    await onlyRottenBytesAreLeft();
    const order = { objectId: idOf('key'), choice };
    const plan = await rig.gateway.planForceObject(order);
    expect(plan.risks.join('\n')).toMatch(/its last write is lost, 6 bytes.*\n.*osd-1 keeps/);
    await expect(rig.gateway.forceObject(order, 'yes')).rejects.toMatchObject({ code: 'wrong-words' });
    await rig.gateway.forceObject(order, plan.words);
    rig.osd(0).store.damaged.clear();
    expect(await rig.get('key')).toBe(after);
    rig.expectIdenticalMirrors();
    expect(rig.authority.saved.at(-1)?.forced).toMatchObject([{ words: plan.words, risks: plan.risks }]);
    expect(rig.gateway.events().some(({ kind }) => kind === 'forced')).toBe(true);
    expect(rig.gateway.status().lostObjectCount).toBe(0);
    await rig.untilTablesAreEmpty();
  });

  it('is refused for an object that is whole', async () => {
    await onlyRottenBytesAreLeft();
    const order = { objectId: idOf('other'), choice: 'give-up' } as const;
    await expect(rig.gateway.planForceObject(order)).rejects.toMatchObject({ code: 'not-lost' });
  });
});
