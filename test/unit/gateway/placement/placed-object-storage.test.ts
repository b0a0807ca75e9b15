/** Objects over several mirror sets, and their move to a new placement while clients go on. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ObjectMover, WALK_PAGE_MAX } from '../../../../src/gateway/placement/object-mover.js';
import { PlacedObjectStorage } from '../../../../src/gateway/placement/placed-object-storage.js';
import {
  type ListEntry,
  type ObjectStorage,
  ObjectStorageError,
} from '../../../../src/gateway/object-storage.js';
import { makeObjectId, type ObjectId, parseObjectId } from '../../../../src/protocol/object-id.js';
import { homeOf, type Placement, type SetName, toSetName } from '../../../../src/protocol/placement.js';
import { tagGenerator } from '../../../../src/protocol/tag.js';
import { describeObjectStorage } from '../../../conformance/object-storage.js';
import { MemoryObjectStorage, type MemoryOperation } from '../../../fakes/memory-object-storage.js';
import { SeededRandom } from '../../../support/seeded-random.js';

const NAMES = ['alpha', 'beta', 'gamma'].map(toSetName);
/** SEED=n in the environment replays a run. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const WHOLE = { kind: 'whole' } as const;

type Fault = (set: SetName, operation: MemoryOperation) => void | Promise<void>;

class Sets {
  readonly storages = new Map<SetName, MemoryObjectStorage>();
  fault: Fault = () => undefined;

  constructor() {
    NAMES.forEach((name, generator) => {
      const beforeEach = (operation: MemoryOperation): void | Promise<void> => this.fault(name, operation);
      this.storages.set(name, new MemoryObjectStorage({ generator, beforeEach }));
    });
  }

  placed(placement: Placement, ...former: readonly Placement[]): PlacedObjectStorage {
    const setOfTag = (tag: Parameters<typeof tagGenerator>[0]): SetName => NAMES[tagGenerator(tag)]!;
    return new PlacedObjectStorage({ sets: this.storages, placement, former, setOfTag });
  }

  mover(storage: PlacedObjectStorage, onSettled = async (): Promise<void> => undefined): ObjectMover {
    const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    return new ObjectMover({
      storage,
      sets: [...this.storages].map(([set, memory]) => ({
        set,
        ids: async (after: ObjectId | null, limit: number) => memory.ids(after, limit),
      })),
      logger: silent,
      retryDelayMs: 0,
      wait: async () => {
        await turn();
      },
      onSettled,
    });
  }

  /** Which sets have an object. */
  holders(id: ObjectId): SetName[] {
    return [...this.storages]
      .filter(([, memory]) => memory.ids(null, Infinity).includes(id))
      .map(([set]) => set);
  }
}

function placementOf(...sets: readonly SetName[]): Placement {
  return { sets, pins: new Map() };
}

const two = placementOf(...NAMES.slice(0, 2));
const all = placementOf(...NAMES);

const id = (name: string): ObjectId => makeObjectId('bucket', name);
const names = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `object-${String(index).padStart(4, '0')}`);

async function put(storage: ObjectStorage, target: ObjectId, text: string): Promise<void> {
  const sink = storage.openContent(target, null);
  await sink.write(Buffer.from(text));
  const content = await sink.finish();
  await storage.replace({ id: target, content, attributes: `of ${text}` });
}

async function get(storage: ObjectStorage, target: ObjectId): Promise<string | null> {
  const read = await storage.read(target, WHOLE);
  if (read === null) return null;
  let text = '';
  for await (const piece of read.body) text += piece.toString();
  return text;
}

async function listAll(storage: ObjectStorage, delimiter = '', limit = 7): Promise<string[]> {
  const found: string[] = [];
  let after = '';
  for (;;) {
    const page = await storage.list({ container: 'bucket', prefix: '', after, delimiter, limit });
    const texts = page.entries.map((entry: ListEntry) =>
      entry.kind === 'object' ? entry.name : entry.prefix,
    );
    found.push(...texts);
    after = texts.at(-1) ?? after;
    if (!page.truncated) return found;
  }
}

async function untilSettled(mover: ObjectMover): Promise<void> {
  mover.start();
  await expect.poll(() => mover.progress.phase, { interval: 1, timeout: 10_000 }).toBe('settled');
}

describeObjectStorage('PlacedObjectStorage over three sets', async () => ({
  storage: new Sets().placed(all),
  close: async () => undefined,
}));

describeObjectStorage('PlacedObjectStorage while objects move', async () => ({
  storage: new Sets().placed(all, two, placementOf(NAMES[2]!)),
  close: async () => undefined,
}));

describe('PlacedObjectStorage', () => {
  it('spreads objects over the sets, each at its home alone', async () => {
    const sets = new Sets();
    const storage = sets.placed(all);
    for (const name of names(60)) await put(storage, id(name), name);
    for (const name of names(60)) expect(sets.holders(id(name))).toEqual([homeOf(all, id(name))]);
    for (const memory of sets.storages.values()) expect(memory.ids(null, Infinity).length).toBeGreaterThan(5);
  });

  it('lists all sets as one, in order, page by page, with common prefixes once', async () => {
    const storage = new Sets().placed(all);
    const keys = names(40).map((name, index) => (index % 2 === 0 ? name : `folder-${index % 3}/${name}`));
    for (const key of keys) await put(storage, id(key), key);
    expect(await listAll(storage)).toEqual([...keys].sort());
    const top = [...keys.filter((key) => !key.includes('/')), 'folder-0/', 'folder-1/', 'folder-2/'];
    expect(await listAll(storage, '/', 3)).toEqual(top.sort());
  });

  it('says when a piece of content is its owner’s again, as the set itself does', async () => {
    const sink = new Sets().placed(all).openContent(id('some'), null);
    let takenCount = 0;
    await sink.write(Buffer.from('content'), () => {
      takenCount += 1;
    });
    expect(takenCount).toBe(1);
    sink.abort();
  });

  it('copies within a set without moving bytes, and between sets by reading them', async () => {
    const sets = new Sets();
    const storage = sets.placed(all);
    await put(storage, id('source'), 'the bytes');
    const home = homeOf(all, id('source'));
    const writes: SetName[] = [];
    sets.fault = (set, operation) => {
      if (operation === 'write') writes.push(set);
    };
    for (const name of names(12)) {
      const head = await storage.head(id('source'));
      const content = storage.composeContent([{ head: head!, extent: { offset: 4, length: 5 } }]);
      await storage.replace({ id: id(name), content, attributes: '' });
      content.discard();
      expect(await get(storage, id(name))).toBe('bytes');
    }
    const away = names(12).filter((name) => homeOf(all, id(name)) !== home);
    expect(away.length).toBeGreaterThan(0);
    expect(writes).toHaveLength(away.length);
    for (const memory of sets.storages.values())
      expect(memory.counters).toMatchObject({ openSinks: 0, openReads: 0 });
  });
});

describe('a move to a new placement', () => {
  async function filled(count: number): Promise<{ sets: Sets; storage: PlacedObjectStorage }> {
    const sets = new Sets();
    const before = sets.placed(two);
    for (const name of names(count)) await put(before, id(name), name);
    return { sets, storage: sets.placed(all, two) };
  }

  it('objects are readable, listed once and unchanged before, during and after it', async () => {
    const { sets, storage } = await filled(200);
    const check = async (): Promise<void> => {
      expect(await listAll(storage, '', 50)).toEqual(names(200));
      for (const name of names(200)) expect(await get(storage, id(name))).toBe(name);
    };
    await check();
    const mover = sets.mover(storage);
    mover.start();
    while (mover.progress.phase === 'moving') {
      await check();
      await turn();
    }
    await check();
    expect(storage.isSettled).toBe(true);
    for (const name of names(200)) expect(sets.holders(id(name))).toEqual([homeOf(all, id(name))]);
    const expected = names(200).filter((name) => homeOf(all, id(name)) !== homeOf(two, id(name)));
    expect(mover.progress.objectsMoved).toBe(expected.length);
    expect(mover.progress.bytesMoved).toBe(expected.length * names(1)[0]!.length);
  });

  it('an object that moves is never missing from a listing that runs meanwhile', async () => {
    const { sets, storage } = await filled(30);
    const mover = sets.mover(storage);
    let pauses = 0;
    // The new home is listed first, the former ones when the mover has come further.
    sets.fault = async (set, operation) => {
      if (operation !== 'list') {
        await turn();
        return;
      }
      pauses += 1;
      for (let step = 0; step < 20 * (NAMES.length - NAMES.indexOf(set)); step += 1) await turn();
    };
    mover.start();
    while (mover.progress.phase === 'moving') expect(await listAll(storage, '', 50)).toEqual(names(30));
    expect(pauses).toBeGreaterThan(0);
  });

  it('a crash between the copy and the removal of the old one loses nothing and brings nothing back', async () => {
    const { sets, storage } = await filled(40);
    sets.fault = (_set, operation) => {
      if (operation === 'remove') throw new Error('the crash');
    };
    const mover = sets.mover(storage);
    mover.start();
    await expect.poll(() => mover.progress.failures, { interval: 1 }).toBeGreaterThan(0);
    await mover.stop();
    sets.fault = () => undefined;
    const doubled = names(40).filter((name) => sets.holders(id(name)).length > 1);
    expect(doubled.length).toBeGreaterThan(0);

    const restarted = sets.placed(all, two);
    expect(await listAll(restarted)).toEqual(names(40));
    await put(restarted, id(doubled[0]!), 'replaced');
    expect(await restarted.remove({ id: id(doubled[1]!) })).toBe(true);
    expect(await get(restarted, id(doubled[1]!))).toBeNull();
    await untilSettled(sets.mover(restarted));
    expect(await get(restarted, id(doubled[0]!))).toBe('replaced');
    expect(await listAll(restarted)).toEqual(names(40).filter((name) => name !== doubled[1]));
  });

  it('a removal that fails at the former home has not happened', async () => {
    const { sets, storage } = await filled(40);
    const moving = names(40).find((name) => homeOf(all, id(name)) !== homeOf(two, id(name)))!;
    sets.fault = (_set, operation) => {
      if (operation === 'remove') throw new Error('not now');
    };
    await expect(storage.remove({ id: id(moving) })).rejects.toThrow('not now');
    sets.fault = () => undefined;
    expect(await get(storage, id(moving))).toBe(moving);
  });

  it('it is not over while a set can not be walked, and its end is on record before former homes are forgotten', async () => {
    const { sets, storage } = await filled(20);
    let isRecorded = false;
    const mover = sets.mover(storage, async () => {
      expect(storage.isSettled).toBe(false);
      isRecorded = true;
    });
    let failures = 3;
    sets.fault = (_set, operation) => {
      if (operation === 'read' && failures > 0) {
        failures -= 1;
        throw new Error('away for a moment');
      }
    };
    await untilSettled(mover);
    expect(isRecorded).toBe(true);
    expect(await listAll(storage)).toEqual(names(20));
  });

  it('walks more objects than a page holds', async () => {
    const { sets, storage } = await filled(WALK_PAGE_MAX * 2 + 3);
    await untilSettled(sets.mover(storage));
    expect(await listAll(storage, '', 1000)).toHaveLength(WALK_PAGE_MAX * 2 + 3);
  });

  it(`whatever clients do meanwhile has the outcome that it has without a move (SEED=${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const { sets, storage } = await filled(30);
    const expected = new Map(names(30).map((name) => [name, name]));
    sets.fault = async () => {
      for (let step = random.integer(0, 2); step > 0; step -= 1) await turn();
    };
    const mover = sets.mover(storage);
    mover.start();
    const keys = names(36);
    for (let step = 0; step < 400; step += 1) {
      const name = random.pick(keys);
      const text = expected.get(name) ?? null;
      switch (random.integer(0, 4)) {
        case 0:
          await put(storage, id(name), `written ${step}`);
          expected.set(name, `written ${step}`);
          break;
        case 1:
          expect(await storage.remove({ id: id(name) })).toBe(text !== null);
          expected.delete(name);
          break;
        case 2: {
          if (text === null) break;
          const sink = storage.openContent(id(name), null);
          await sink.write(Buffer.from('+'));
          const content = await sink.finish();
          const decide = (head: { sizeBytes: number } | null) => ({
            offset: head!.sizeBytes,
            attributes: '',
          });
          await storage.writeRange({ id: id(name), content, decide });
          expected.set(name, `${text}+`);
          break;
        }
        case 3: {
          const target = random.pick(keys);
          const head = await storage.head(id(name));
          expect(head === null).toBe(text === null);
          if (head === null || text === null) break;
          const content = storage.composeContent([{ head, extent: { offset: 0, length: head.sizeBytes } }]);
          // The mover may have come between: then the copy starts over, as a client would.
          const outcome = await storage
            .replace({ id: id(target), content, attributes: '' })
            .catch((error: unknown) =>
              error instanceof ObjectStorageError ? error.kind : Promise.reject(error as Error),
            );
          if (outcome !== 'changed') expected.set(target, text);
          break;
        }
        default:
          expect(await get(storage, id(name))).toBe(text);
      }
    }
    await expect.poll(() => mover.progress.phase, { interval: 1, timeout: 10_000 }).toBe('settled');
    expect(await listAll(storage)).toEqual([...expected.keys()].sort());
    for (const [name, text] of expected) {
      expect(await get(storage, id(name))).toBe(text);
      expect(sets.holders(id(name))).toEqual([homeOf(all, id(name))]);
    }
    expect(
      [...sets.storages.values()]
        .flatMap((memory) => memory.ids(null, Infinity))
        .map((one) => parseObjectId(one).name)
        .sort(),
    ).toEqual([...expected.keys()].sort());
  });
});
