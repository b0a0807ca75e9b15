/** F31: the authority's state is lost, or an old one is put back, under a running gateway's feet and between two. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeAuthorityState } from '../../../src/gateway/authority-storage.js';
import { GatewayRig } from './gateway-rig.js';

let rig: GatewayRig;
beforeEach(async () => {
  rig = await new GatewayRig().startAndWait();
});
afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

/** osd-1 is out, and osd-0 alone has what was written since. */
async function writeWithoutOne(): Promise<void> {
  await rig.put('key', 'old');
  rig.osd(1).mode = 'down';
  await rig.put('key', 'new');
  await rig.untilInSync(0);
}

async function untilWaitingFor(reason: RegExp): Promise<void> {
  await expect.poll(() => rig.gateway.status().waitingFor ?? '').toMatch(reason);
}

describe('F31: the state is lost', () => {
  it('is rebuilt from what the mirrors keep, and who was out is not trusted', async () => {
    await writeWithoutOne();
    const { epoch } = rig.gateway.status();
    await rig.gateway.stop();
    rig.authority.saved.length = 0;
    rig.osd(1).restart();
    await rig.start();
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBe('new');
    expect(rig.gateway.status().epoch).toBeGreaterThan(epoch);
    expect(rig.gateway.events().map(({ kind }) => kind)).toContain('authority-rebuilt');
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('is not rebuilt while a mirror is away: that one may know of a later one', async () => {
    await writeWithoutOne();
    await rig.gateway.stop();
    rig.authority.saved.length = 0;
    await rig.start();
    await untilWaitingFor(/lost or was put back.*osd-1 missing/);
    rig.osd(1).mode = 'up';
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBe('new');
  });

  it('that a mirror is copied in full is kept by its source before the copy begins', async () => {
    await rig.gateway.stop();
    const { storeId } = rig.osd(1).store.report();
    rig.osd(1).restartBlank(7);
    const kept: string[] = [];
    rig.osd(1).onRequest = async (method) => {
      if (method === 'beginFullCopy') kept.push((await rig.osd(0).store.authorityRecord()) ?? '');
    };
    rig.suspendsWrites = true;
    await rig.startAndWait();
    expect(kept.map((record) => decodeAuthorityState(record))).toMatchObject([
      {
        phase: 'recovering',
        members: [
          { fullCopyReason: null },
          { storeId, fullCopyReason: expect.stringMatching(/another store/) as unknown },
        ],
      },
    ]);
  });

  it.each([
    ['by rows', () => rig.osd(1).restart()],
    ['in full', () => rig.osd(1).restartBlank(7)],
  ])(
    'that a recovery goes by it is kept by everyone who takes part, before anything is copied: %s',
    async (_how, comeBack) => {
      await writeWithoutOne();
      await rig.gateway.stop();
      comeBack();
      const kept: (string | null)[] = [];
      rig.osd(0).onRequest = async (method) => {
        if (method !== 'startReconcile') return;
        for (const { store } of [rig.osd(0), rig.osd(1)]) kept.push(await store.authorityRecord());
      };
      rig.suspendsWrites = true;
      await rig.startAndWait();
      const { epoch } = rig.gateway.status();
      const states = kept.map((record) => (record === null ? null : decodeAuthorityState(record)));
      expect(states).toMatchObject([0, 1].map(() => ({ phase: 'recovering', epoch })));
    },
  );

  it('every mirror in sync keeps it before anybody writes by it', async () => {
    rig.osd(1).mode = 'down';
    const kept: (string | null)[] = [];
    rig.osd(0).onRequest = async (method) => {
      if (method !== 'transact' || rig.gateway.status().inSync.length > 1) return;
      kept.push(await rig.osd(0).store.authorityRecord());
    };
    await rig.put('key', 'without osd-1');
    await rig.put('key', 'again');
    const record = kept.at(-1) ?? '{}';
    expect((JSON.parse(record) as { inSync?: unknown }).inSync).toEqual(['osd-0']);
  });
});

describe('F31: an old state is put back', () => {
  it('is noticed before anybody is trusted by it, and the later one is taken from the mirrors', async () => {
    const old = rig.authority.saved.at(-1)!;
    await rig.put('key', 'old');
    rig.osd(0).mode = 'down';
    await rig.put('key', 'new');
    await rig.untilInSync(1);
    await rig.gateway.stop();
    rig.authority.saved.push(old);
    rig.osd(0).mode = 'up';
    await rig.start();
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBe('new');
    expect(rig.gateway.events().map(({ kind }) => kind)).toContain('authority-rebuilt');
  });

  it('is not acted on past a mirror that knows better and is back only when it is to be fenced', async () => {
    const old = rig.authority.saved.at(-1)!;
    await rig.put('key', 'old');
    rig.osd(0).mode = 'down';
    await rig.put('key', 'new');
    await rig.untilInSync(1);
    await rig.gateway.stop();
    rig.authority.saved.push(old);
    rig.osd(1).mode = 'down';
    rig.osd(0).mode = 'up';
    // After the look at the mirrors, before the first fence.
    rig.authority.onSave = () => {
      rig.osd(1).mode = 'up';
    };
    // Nothing else is waited for in between.
    await rig.start({ startupWaitMs: 0, readLeaseMs: 0 });
    await rig.untilInSync(0, 1);
    const [object] = [...rig.osd(0).store.objects.values()];
    expect(object?.bytes.toString()).toBe('new');
    expect(rig.gateway.events().map(({ kind }) => kind)).toContain('authority-rebuilt');
  });

  it('once it was acted on, the mirror with the other history is not taken back, and loses nothing', async () => {
    const old = rig.authority.saved.at(-1)!;
    await rig.put('key', 'old');
    rig.osd(0).mode = 'down';
    await rig.put('key', 'first history');
    await rig.untilInSync(1);
    await rig.gateway.stop();
    rig.authority.saved.push(old);
    rig.osd(1).mode = 'down';
    rig.osd(0).mode = 'up';
    await rig.start();
    await rig.untilInSync(0);
    await rig.put('key', 'second history');
    rig.osd(1).mode = 'up';
    await expect
      .poll(() =>
        rig.gateway
          .events()
          .map(({ message }) => message)
          .join('\n'),
      )
      .toMatch(/osd-1 is not taken back: it was fenced at epoch/);
    expect(await rig.get('key')).toBe('second history');
    expect(rig.gateway.status().inSync).toEqual(['osd-0']);
    const { store } = rig.osd(1);
    expect([...store.objects.values()].map(({ bytes }) => bytes.toString())).toEqual(['first history']);
    // A gateway that finds both histories at once decides nothing.
    await rig.gateway.stop();
    await rig.start();
    await untilWaitingFor(/acknowledged by both/);
    const plan = await rig.gateway.planForce('osd-1');
    expect(plan.risks[0]).toMatch(/acknowledged by both: nobody knows what has happened since/);
    await rig.gateway.force('osd-1', plan.words);
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBe('first history');
  });
});
