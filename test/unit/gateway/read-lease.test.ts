/** F14: a gateway that does not know yet that another one took its place answers no read with what is out of date. */
import { afterEach, describe, expect, it } from 'vitest';
import { type OsdConnection, OsdUnreachable } from '../../../src/wire/osd-connection.js';
import type { FaultyOsd } from '../../fakes/faulty-osd.js';
import { GatewayRig, idOf } from './gateway-rig.js';

let rig: GatewayRig;
const LONG_MS = 600_000;
const READ_LEASE_MS = 300;

afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

/** A link of one gateway alone. */
class OwnLink {
  /** `unnoticed`: nothing arrives, and who looks after the mirrors does not hear of it. */
  mode: 'up' | 'down' | 'unnoticed' = 'up';
  readonly asked: string[] = [];
  readonly connection: OsdConnection;
  readonly #hanging: (() => void)[] = [];

  constructor(osd: FaultyOsd) {
    this.connection = new Proxy(osd.connection, {
      get: (target, property: keyof OsdConnection) => {
        const method: unknown = target[property];
        if (typeof method !== 'function' || property === 'close' || property === 'openStage') return method;
        return async (...parameters: unknown[]) => {
          this.asked.push(property);
          if (this.mode === 'unnoticed' && property === 'identity')
            await new Promise<void>((resolve) => this.#hanging.push(resolve));
          if (this.mode !== 'up') throw new OsdUnreachable('cut off', true);
          return (method as (...given: unknown[]) => unknown)(...parameters);
        };
      },
    });
  }

  /** Whoever still waits is told that nobody is there. */
  breakOff(): void {
    this.mode = 'down';
    for (const resume of this.#hanging) resume();
  }
}

/** Of the gateway that is started next: its links, by OSD. */
function ownLinks(of: GatewayRig): Map<FaultyOsd, OwnLink> {
  const links = new Map(of.osds.map((osd) => [osd, new OwnLink(osd)]));
  of.linkTo = (osd) => links.get(osd)?.connection ?? osd.connection;
  return links;
}

describe('F14: a gateway that another one has replaced', () => {
  it('reads nothing from a mirror that was left out since, though that mirror does not know it', async () => {
    rig = new GatewayRig();
    const itsLinks = ownLinks(rig);
    await rig.start({ readLeaseMs: READ_LEASE_MS, gateWaitMs: 300 });
    await rig.untilInSync(0, 1);
    const zombie = rig.gateway;
    const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`);
    for (const key of keys) await rig.put(key, 'before');

    // The network breaks in two: this gateway keeps osd-0, and hears nothing of osd-1. Nothing tells it so for a long time.
    const away = itsLinks.get(rig.osd(1));
    if (away !== undefined) away.mode = 'unnoticed';
    const newLinks = ownLinks(rig);
    const cut = newLinks.get(rig.osd(0));
    if (cut !== undefined) cut.mode = 'down';
    await rig.start({ readLeaseMs: READ_LEASE_MS });
    await rig.untilInSync(1);
    for (const key of keys) await rig.put(key, 'after');

    const reads = keys.map(async (key) => {
      const read = await zombie.storage.read(idOf(key), { kind: 'whole' });
      return read?.bytes?.toString() ?? null;
    });
    const answers = await Promise.allSettled(reads);
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : 'none'))).toEqual(
      keys.map(() => 'none'),
    );
    away?.breakOff();
    await zombie.stop();
    rig.fatal.length = 0;
  });

  it('costs a read nothing: the mirror that it reads from is the only one that is asked', async () => {
    rig = new GatewayRig();
    const links = ownLinks(rig);
    await rig.startAndWait();
    await rig.put('key', 'content');
    await rig.untilTablesAreEmpty();
    for (const { asked } of links.values()) asked.length = 0;
    for (let count = 0; count < 100; count += 1) expect(await rig.get('key')).toBe('content');
    const asked = [...links.values()].flatMap((link) => link.asked).filter((method) => method !== 'identity');
    expect(asked.filter((method) => method === 'read')).toHaveLength(100);
    expect(asked.filter((method) => method !== 'read' && method !== 'transact')).toEqual([]);
  });
});

describe('F14: a gateway that replaces another one', () => {
  it('waits for nothing when every mirror that was in sync is there', async () => {
    rig = await new GatewayRig().startAndWait();
    const before = rig.gateway;
    await rig.start({ readLeaseMs: LONG_MS });
    await rig.untilInSync(0, 1);
    await rig.put('key', 'content');
    await before.stop();
    rig.fatal.length = 0;
  });

  it('waits for nothing when the one before stopped cleanly, though a mirror is missing', async () => {
    rig = await new GatewayRig().startAndWait();
    await rig.gateway.stop();
    rig.osd(0).mode = 'down';
    await rig.start({ readLeaseMs: LONG_MS });
    await rig.untilInSync(1);
  });

  it('waits for nothing to leave out a mirror that it has had in sync itself', async () => {
    rig = new GatewayRig();
    await rig.start({ readLeaseMs: LONG_MS });
    await rig.untilInSync(0, 1);
    rig.osd(0).mode = 'down';
    await rig.put('key', 'content');
    await rig.untilInSync(1);
    expect(await rig.get('key')).toBe('content');
  });

  it('says what it waits for, and goes on at once when the mirror is back', async () => {
    rig = await new GatewayRig().startAndWait();
    const before = rig.gateway;
    rig.osd(0).mode = 'down';
    await rig.start({ readLeaseMs: LONG_MS });
    await expect
      .poll(() => rig.gateway.status().waitingFor, { timeout: 20_000 })
      .toMatch(/a gateway that was here before might still answer reads from osd-0/);
    rig.osd(0).mode = 'up';
    await rig.untilInSync(0, 1);
    await before.stop();
    rig.fatal.length = 0;
  });
});

it('reads go on for as long as the mirrors in sync say so', async () => {
  rig = new GatewayRig();
  await rig.start({ readLeaseMs: 60 });
  await rig.untilInSync(0, 1);
  await rig.put('key', 'content');
  for (let count = 0; count < 10; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await rig.get('key')).toBe('content');
  }
});
