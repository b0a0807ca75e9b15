/** A gateway that forwards its writes to an OSD which issues the tags: what holds for direct writes holds here too. */
import { afterEach, describe, expect, it } from 'vitest';
import { describeObjectStorage } from '../../conformance/object-storage.js';
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import type { FaultyOsd } from '../../fakes/faulty-osd.js';
import { GatewayRig, idOf } from './gateway-rig.js';

let rig: GatewayRig;

async function startForwarding(mirrorCount = 2): Promise<GatewayRig> {
  rig = new GatewayRig(mirrorCount);
  rig.writes = 'forwarded';
  return rig.startAndWait();
}

afterEach(async () => {
  const fatal = rig.fatal;
  await rig.gateway.stop();
  expect(fatal).toEqual([]);
});

describeObjectStorage(
  'MirroredObjectStorage over two memory OSDs, one of which issues the tags',
  async () => {
    await startForwarding();
    return { storage: rig.storage, close: async () => rig.gateway.stop() };
  },
);

function writerName(): MirrorId | undefined {
  return rig.authority.saved.at(-1)?.writer;
}

/** Who issues the tags now, and the other one. */
function roles(): { readonly writer: FaultyOsd; readonly peer: FaultyOsd } {
  const writer = rig.osds.find(({ mirror }) => mirror === writerName());
  const peer = rig.osds.find((osd) => osd !== writer);
  if (writer === undefined || peer === undefined) throw new Error('no writer is named');
  return { writer, peer };
}

function indexOf(osd: FaultyOsd): number {
  return rig.osds.indexOf(osd);
}

describe('a write that is forwarded', () => {
  it('I2: is on both mirrors with the same tag when it is acknowledged, and sent by the gateway to one of them', async () => {
    await startForwarding();
    const requests: string[] = [];
    for (const osd of rig.osds) {
      osd.onRequest = (method) => {
        if (method === 'transact' || method === 'forward') requests.push(`${method} ${osd.mirror}`);
      };
    }
    const head = await rig.put('key', 'content');
    for (const { store } of rig.osds) {
      const state = { lastTag: head.lastTag, sizeBytes: 7 };
      expect(store.objects.get(idOf('key'))).toMatchObject({ state });
    }
    const { writer, peer } = roles();
    expect(requests).toEqual([`forward ${writer.mirror}`, `transact ${peer.mirror}`]);
  });

  it('section 3.6: leaves both tag tables empty within a second of quiet, and no tombstone', async () => {
    await startForwarding();
    const names = Array.from({ length: 50 }, (_, index) => `key-${index % 10}`);
    await Promise.all(names.map((name, index) => rig.put(name, `content ${index}`)));
    await rig.storage.remove({ id: idOf('key-1') });
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
    for (const { store } of rig.osds) expect(store.report().tombstoneCount).toBe(0);
  });

  it('I1: keeps the order of its object when many come at once', async () => {
    await startForwarding();
    await rig.put('log', '');
    await Promise.all(Array.from({ length: 30 }, () => rig.append('log', 'x')));
    expect(await rig.get('log')).toBe('x'.repeat(30));
    rig.expectIdenticalMirrors();
  });

  it('has its writer on the authority’s disk before the writer is told', async () => {
    rig = new GatewayRig();
    rig.writes = 'forwarded';
    const steps: string[] = [];
    rig.authority.onSave = ({ phase, writer }) => steps.push(`${phase} ${writer ?? 'nobody'}`);
    rig.osd(0).onRequest = (method) => {
      if (method === 'appointWriter') steps.push('appointed osd-0');
    };
    await rig.startAndWait();
    expect(steps).toEqual(['recovering nobody', 'active osd-0', 'appointed osd-0']);
    expect(rig.gateway.status().writer).toBe('osd-0');
  });

  it('is what a gateway goes over to, and back from, when it is started anew', async () => {
    await startForwarding();
    const forwarded = await rig.put('key', 'forwarded');
    await rig.gateway.stop();
    rig.writes = 'direct';
    await rig.startAndWait();
    expect(rig.gateway.status().writer).toBeNull();
    const direct = await rig.put('key', 'direct');
    expect(direct.lastTag > forwarded.lastTag).toBe(true);
    await rig.gateway.stop();
    rig.writes = 'forwarded';
    await rig.startAndWait();
    expect((await rig.put('key', 'forwarded again')).lastTag > direct.lastTag).toBe(true);
    rig.expectIdenticalMirrors();
  });
});

describe('F12 forwarded', () => {
  it('is not acknowledged without a mirror before the authority has its exclusion on disk', async () => {
    await startForwarding();
    const { writer, peer } = roles();
    const steps: string[] = [];
    rig.authority.onSave = ({ inSync }) => steps.push(`saved ${inSync.join()}`);
    peer.mode = 'answers-lost';
    await rig.put('key', 'content').then(() => steps.push('acknowledged'));
    expect(steps).toEqual(['saved osd-0,osd-1', `saved ${writer.mirror}`, 'acknowledged']);
    expect(await rig.get('key')).toBe('content');
    peer.mode = 'up';
    await rig.untilInSync(0, 1);
    rig.expectIdenticalMirrors();
    await rig.untilTablesAreEmpty();
  });

  it('a mirror that hangs is given up by the authority, and the writer answers without it', async () => {
    await startForwarding();
    const { peer } = roles();
    peer.onRequest = (method) => (method === 'transact' ? new Promise(() => undefined) : undefined);
    peer.mode = 'silent';
    await rig.put('key', 'content');
    await rig.untilInSync(indexOf(roles().writer));
    expect(await rig.get('key')).toBe('content');
  });

  it('a writer whose own disk is full is left out like anybody else, and another one named', async () => {
    await startForwarding();
    const { writer, peer } = roles();
    writer.store.fault = { kind: 'no-space', detail: 'full' };
    await rig.put('key', 'content');
    expect(rig.gateway.status()).toMatchObject({ inSync: [peer.mirror], writer: peer.mirror });
    expect(await rig.get('key')).toBe('content');
  });
});

describe('F24 forwarded', () => {
  it('a write whose answer was lost on the way gets the tag that it has, and is written once', async () => {
    await startForwarding();
    const { writer } = roles();
    await rig.put('key', 'first');
    const before = await rig.put('counter', '');
    writer.mode = 'answers-lost';
    const writing = rig.append('counter', 'x');
    // The second attempt arrives.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    writer.mode = 'up';
    const after = await writing;
    expect(await rig.get('counter')).toBe('x');
    expect(after.lastTag > before.lastTag).toBe(true);
    expect((await rig.storage.head(idOf('counter')))?.lastTag).toBe(after.lastTag);
    rig.expectIdenticalMirrors();
  });
});

describe('a writer that is lost', () => {
  it.each(['down', 'answers-lost', 'silent'] as const)(
    'when it is %s another one is named by a recovery, and every write has its outcome, once',
    async (mode) => {
      await startForwarding();
      const { writer, peer } = roles();
      await rig.put('log', '');
      const writing = Array.from({ length: 8 }, (_, index) => rig.append('log', String(index)));
      writer.mode = mode;
      const lengths = (await Promise.all(writing)).map(({ sizeBytes }) => sizeBytes);
      expect(lengths).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      await rig.untilInSync(indexOf(peer));
      expect(rig.gateway.status().writer).toBe(peer.mirror);
      expect(await rig.get('log')).toBe('01234567');
      writer.restart();
      await rig.untilInSync(0, 1);
      rig.expectIdenticalMirrors();
      await rig.untilTablesAreEmpty();
    },
  );

  it('F2: does not bring back a write that only it has, and that nobody acknowledged', async () => {
    await startForwarding();
    const { writer, peer } = roles();
    await rig.put('key', 'first');
    await rig.untilTablesAreEmpty();
    // The write is applied by the writer alone, then the gateway hears of it no more.
    peer.onRequest = (method) => (method === 'transact' ? new Promise(() => undefined) : undefined);
    const writing = rig.put('key', 'second');
    await expect.poll(() => writer.store.objects.get(idOf('key'))?.bytes.toString()).toBe('second');
    writer.mode = 'down';
    peer.onRequest = () => undefined;
    const written = await writing;
    expect(await rig.get('key')).toBe('second');
    await rig.storage.remove({ id: idOf('key') });
    writer.mode = 'up';
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBeNull();
    expect(rig.authority.saved.at(-1)?.epoch).toBeGreaterThan(
      Number.parseInt(written.lastTag.slice(0, 12), 16),
    );
    rig.expectIdenticalMirrors();
  });

  it('F29: and restarted has no right to write before a new activation', async () => {
    await startForwarding();
    const { writer } = roles();
    await rig.put('key', 'before');
    const { epoch } = rig.gateway.status();
    writer.restart();
    await rig.put('key', 'after');
    expect(rig.gateway.status().epoch).toBeGreaterThan(epoch);
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBe('after');
    rig.expectIdenticalMirrors();
  });

  it('changes nothing, and says so, when no mirror can be reached', async () => {
    await startForwarding();
    await rig.put('key', 'before');
    for (const osd of rig.osds) osd.mode = 'down';
    await expect(rig.put('key', 'after')).rejects.toMatchObject({ kind: 'unavailable' });
    for (const osd of rig.osds) osd.mode = 'up';
    await rig.untilInSync(0, 1);
    expect(await rig.get('key')).toBe('before');
  });

  it('leaves the outcome unknown when nobody comes back who could decide it', async () => {
    await startForwarding();
    for (const osd of rig.osds) osd.mode = 'answers-lost';
    const writing = rig.put('key', 'content');
    await expect(writing).rejects.toMatchObject({ kind: 'outcome-unknown' });
  });
});

describe('a mirror that comes back to forwarded writes', () => {
  const MISSED = 150;

  async function missWrites(): Promise<FaultyOsd> {
    const { peer } = roles();
    for (const name of ['kept', 'appended', 'removed']) await rig.put(name, name);
    peer.mode = 'down';
    await Promise.all(Array.from({ length: MISSED }, (_, index) => rig.put(`missed-${index}`, `${index}`)));
    await rig.append('appended', ' and more');
    await rig.storage.remove({ id: idOf('removed') });
    return peer;
  }

  it('I7: is rebuilding while the writer sends it what is new, and then equal, with empty tables', async () => {
    await startForwarding();
    const peer = await missWrites();
    const conditions = new Set<string>();
    peer.onRequest = (method) => {
      if (method === 'evidence') conditions.add(rig.gateway.status().mirrors[indexOf(peer)]?.condition ?? '');
    };
    peer.mode = 'up';
    let writeCount = 0;
    while (rig.gateway.status().inSync.length < 2 || !rig.gateway.isReady) {
      await rig.put(`new-${writeCount % 7}`, `written meanwhile ${writeCount}`);
      await rig.append('appended', '.');
      writeCount += 1;
    }
    expect([...conditions]).toEqual(['rebuilding']);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
    expect(await rig.get('appended')).toBe(`appended and more${'.'.repeat(writeCount)}`);
  });

  it('I6, I7: is equal too where writes wait during the whole recovery', async () => {
    rig = new GatewayRig();
    rig.writes = 'forwarded';
    rig.suspendsWrites = true;
    await rig.startAndWait();
    const peer = await missWrites();
    peer.restart();
    await rig.untilInSync(0, 1);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('has its rows forgone when it stays away for too long, and is then copied in full', async () => {
    rig = new GatewayRig();
    rig.writes = 'forwarded';
    rig.tagTableRowsMax = 20;
    await rig.startAndWait();
    const peer = await missWrites();
    await expect
      .poll(() => rig.authority.saved.at(-1)?.members.some(({ rowsForgone }) => rowsForgone === true))
      .toBe(true);
    await rig.put('after', 'no row is kept for this');
    await expect.poll(() => roles().writer.store.report().tagTable.rowCount, { timeout: 20_000 }).toBe(0);
    peer.restart();
    await rig.untilInSync(0, 1);
    rig.expectIdenticalMirrors();
  });
});

describe('F26 forwarded', () => {
  it('a read that meets a write of which only the writer knows the tag waits for its outcome', async () => {
    await startForwarding();
    const { writer, peer } = roles();
    await rig.put('key', 'old');
    let letThrough = (): void => undefined;
    const isHeld = new Promise<void>((resolve) => {
      letThrough = resolve;
    });
    peer.onRequest = (method) => (method === 'transact' ? isHeld : undefined);
    const writing = rig.put('key', 'new');
    await expect.poll(() => writer.store.objects.get(idOf('key'))?.bytes.toString()).toBe('new');
    // Whichever mirror is asked, no answer is given that the next one could contradict.
    const seen: string[] = [];
    const reads = Array.from({ length: 6 }, () =>
      rig.get('key').then((content) => {
        seen.push(String(content));
      }),
    );
    const listing = rig.storage.list({
      container: 'bucket',
      prefix: '',
      after: '',
      delimiter: '',
      limit: 10,
    });
    let isListed = false;
    void listing.then(() => {
      isListed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen).not.toContain('new');
    letThrough();
    const head = await writing;
    await Promise.all(reads);
    expect(await rig.get('key')).toBe('new');
    const page = await listing;
    expect(isListed).toBe(true);
    expect(page.entries).toHaveLength(1);
    expect((await rig.storage.head(idOf('key')))?.lastTag).toBe(head.lastTag);
  });
});

describe('three mirrors and a writer among them', () => {
  it('go on without the writer, and without another one, and are identical in the end', async () => {
    await startForwarding(3);
    await rig.put('key', 'one');
    const { writer } = roles();
    writer.mode = 'down';
    await rig.put('key', 'two');
    const [first, second] = rig.gateway.status().inSync;
    expect([first, second]).not.toContain(writer.mirror);
    expect(rig.gateway.status().writer).toBe(first);
    await rig.put('removed', 'x');
    await rig.storage.remove({ id: idOf('removed') });
    writer.restart();
    await rig.untilInSync(0, 1, 2);
    expect(await rig.get('key')).toBe('two');
    rig.expectIdenticalMirrors();
    await rig.untilTablesAreEmpty();
  });
});
