/** Mirror sets side by side, over memory OSDs: each with its own gateway, and objects that move when a set is added. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlacementFile, PlacementFileError } from '../../../../src/gateway/placement/placement-file.js';
import { PlacedSets } from '../../../../src/gateway/placement/placed-sets.js';
import type { ObjectStorage } from '../../../../src/gateway/object-storage.js';
import { makeObjectId, type ObjectId } from '../../../../src/protocol/object-id.js';
import { homeOf, type SetName, toSetName } from '../../../../src/protocol/placement.js';
import { GatewayRig } from '../gateway-rig.js';

const [first, second] = [toSetName('first'), toSetName('second')];
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const NAMES = Array.from({ length: 24 }, (_, index) => `object-${index}`);
const id = (name: string): ObjectId => makeObjectId('bucket', name);

let folder: string;
let rigs: Map<SetName, GatewayRig>;
let running: PlacedSets | null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tally-placement-'));
  rigs = new Map([first, second].map((set) => [set, new GatewayRig()]));
  running = null;
});

afterEach(async () => {
  await running?.stop();
  await rm(folder, { recursive: true });
});

function recordFile(): string {
  return join(folder, 'placement.json');
}

async function start(...sets: readonly SetName[]): Promise<PlacedSets> {
  await running?.stop();
  running = await PlacedSets.start({
    configured: sets,
    placement: { sets, pins: new Map() },
    record: new PlacementFile(recordFile()),
    startSet: async (set, generator) => {
      const rig = rigs.get(set)!;
      rig.generator = generator;
      await rig.startAndWait();
      return rig.gateway;
    },
    logger: silent,
  });
  return running;
}

async function put(storage: ObjectStorage, name: string): Promise<void> {
  const sink = storage.openContent(id(name), null);
  await sink.write(Buffer.from(name));
  await storage.replace({ id: id(name), content: await sink.finish(), attributes: '' });
}

async function listed(storage: ObjectStorage): Promise<string[]> {
  const page = await storage.list({ container: 'bucket', prefix: '', after: '', delimiter: '', limit: 1000 });
  return page.entries.map((entry) => (entry.kind === 'object' ? entry.name : ''));
}

describe('several mirror sets', () => {
  it('a set that is added gets its share of the objects, and all stay readable', async () => {
    const alone = await start(first);
    for (const name of NAMES) await put(alone.storage, name);
    const both = await start(first, second);
    expect(await listed(both.storage)).toEqual([...NAMES].sort());
    await expect.poll(() => both.moveProgress?.phase).toBe('settled');
    expect(await listed(both.storage)).toEqual([...NAMES].sort());
    for (const [set, gateway] of both.gateways) {
      const expected = NAMES.filter(
        (name) => homeOf({ sets: [first, second], pins: new Map() }, id(name)) === set,
      );
      expect(expected.length).toBeGreaterThan(0);
      expect(await listed(gateway.storage)).toEqual(expected.sort());
    }
    expect((await start(first, second)).moveProgress).toBeNull();
  });

  it('one set that can not be reached leaves the objects of the other at work', async () => {
    const both = await start(first, second);
    for (const name of NAMES) await put(both.storage, name);
    await expect.poll(() => both.moveProgress?.phase).toBe('settled');
    const settled = await start(first, second);
    await settled.gateways.get(second)!.stop();
    const placement = { sets: [first, second], pins: new Map() };
    for (const name of NAMES) {
      const look = settled.storage.head(id(name));
      if (homeOf(placement, id(name)) === first) expect(await look).toMatchObject({ sizeBytes: name.length });
      else await expect(look).rejects.toMatchObject({ kind: 'unavailable' });
    }
  });

  it('the record of the placement survives, and a damaged one is never made up', async () => {
    const both = await start(first, second);
    await expect.poll(() => both.moveProgress?.phase).toBe('settled');
    await both.stop();
    const record = await new PlacementFile(recordFile()).load();
    expect(record).toMatchObject({ placement: { sets: [first, second] }, former: [] });
    expect(record?.generators.get(second)).toBe(2);
    const text = await readFile(recordFile(), 'utf8');
    await writeFile(recordFile(), text.replace('"generator":2', '"generator":7'));
    await expect(start(first, second)).rejects.toThrow(PlacementFileError);
    running = null;
  });

  it('a set that has objects can not just vanish from the configuration', async () => {
    await start(first, second);
    await expect(start(first)).rejects.toMatchObject({ code: 'placement-refused' });
    running = null;
  });
});
