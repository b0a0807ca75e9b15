/** A mirror that was away is brought up while clients write (DESIGN.md section 5, the four rules; F34 to F37). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayRig, idOf } from './gateway-rig.js';

const MISSED = 300;

let rig: GatewayRig;
beforeEach(async () => {
  rig = await new GatewayRig().startAndWait();
});
afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

/** osd-1 misses writes of every kind. */
async function missWrites(): Promise<void> {
  for (const name of ['kept', 'appended', 'removed']) await rig.put(name, name);
  rig.osd(1).mode = 'down';
  await rig.put('first', 'missed');
  await rig.untilInSync(0);
  for (let index = 0; index < MISSED; index += 1) await rig.put(`missed-${index}`, `content ${index}`);
  await rig.append('appended', ' and more');
  await rig.storage.remove({ id: idOf('removed') });
}

describe('a mirror that comes back with a long backlog', () => {
  it('I7: is rebuilding while clients write, and then equal, with empty tables', async () => {
    await missWrites();
    const conditions = new Set<string>();
    rig.osd(1).onRequest = (method) => {
      if (method === 'evidence') conditions.add(rig.gateway.status().mirrors[1]?.condition ?? '');
    };
    rig.osd(1).mode = 'up';
    let writeCount = 0;
    while (rig.gateway.status().inSync.length < 2 || !rig.gateway.isReady) {
      await rig.put(`new-${writeCount % 7}`, `written meanwhile ${writeCount}`);
      await rig.append('appended', '.');
      writeCount += 1;
    }
    expect([...conditions]).toEqual(['rebuilding']);
    expect(rig.authority.saved.some(({ rebuilding }) => rebuilding?.includes(rig.osd(1).mirror))).toBe(true);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
    expect(await rig.get('appended')).toBe(`appended and more${'.'.repeat(writeCount)}`);
    const progress = rig.gateway.operations()[0]?.progress;
    expect(progress?.bytesCopied).toBeLessThanOrEqual(progress?.bytesUnmatched ?? 0);
  });

  it('gets new writes at once, also while old ones are still to be copied', async () => {
    await missWrites();
    let release = (): void => undefined;
    const isHeld = new Promise<void>((resolve) => {
      release = resolve;
    });
    rig.osd(1).onRequest = (method) => (method === 'push' ? isHeld : undefined);
    rig.osd(1).mode = 'up';
    await expect.poll(() => rig.gateway.status().mirrors[1]?.condition).toBe('rebuilding');
    await rig.put('new', 'at once');
    await expect.poll(() => rig.osd(1).store.objects.has(idOf('new'))).toBe(true);
    expect(rig.osd(1).store.objects.has(idOf('missed-0'))).toBe(false);
    release();
    await rig.untilInSync(0, 1);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('I2: may be lost again in the middle of it, and comes back again, without a client that notices', async () => {
    await missWrites();
    let pushes = 0;
    rig.osd(1).onRequest = (method) => {
      if (method !== 'push') return;
      pushes += 1;
      if (pushes === 50) rig.osd(1).restart();
      if (pushes === 120) rig.osd(1).mode = 'down';
    };
    rig.osd(1).mode = 'up';
    await expect.poll(() => rig.osd(1).mode, { timeout: 10_000 }).toBe('down');
    await rig.put('new', 'while it is away again');
    rig.osd(1).mode = 'up';
    await rig.untilInSync(0, 1);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('F29: the mirror that is copied from may restart in the middle of it', async () => {
    await missWrites();
    let pushes = 0;
    rig.osd(1).onRequest = (method) => {
      if (method === 'push' && (pushes += 1) === 50) rig.osd(0).restart();
    };
    rig.osd(1).mode = 'up';
    await rig.untilInSync(0, 1);
    await rig.put('new', 'afterwards');
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });
});

describe('suspended mode', () => {
  it('writes wait until all is copied, and nobody is rebuilding', async () => {
    await rig.gateway.stop();
    rig.suspendsWrites = true;
    await rig.startAndWait();
    await missWrites();
    rig.osd(1).mode = 'up';
    await rig.untilInSync(0, 1);
    expect(rig.authority.saved.some(({ rebuilding }) => rebuilding !== undefined)).toBe(false);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });
});
