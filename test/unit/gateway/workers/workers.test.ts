import { describe, expect, it, onTestFinished } from 'vitest';
import { describeObjectStorage } from '../../../conformance/object-storage.js';
import { writerOf } from '../../../../src/protocol/shard.js';
import { tagGenerator } from '../../../../src/protocol/tag.js';
import { idOf } from '../gateway-rig.js';
import { alternating, WorkerRig } from './worker-rig.js';

async function startRig(count = 2, mirrorCount = 2): Promise<WorkerRig> {
  const rig = await new WorkerRig(count, mirrorCount).startAndWait();
  onTestFinished(async () => {
    rig.respawns = false;
    await rig.stop();
    expect(rig.fatal).toEqual([]);
    expect(rig.stuck).toEqual([]);
  });
  return rig;
}

describeObjectStorage('MirroredObjectStorage through two workers by turns', async () => {
  const rig = await new WorkerRig().startAndWait();
  const storage = alternating([rig.storageOf(0), rig.storageOf(1)]);
  return { storage, close: () => rig.stop() };
});

describe('objects of several writers', () => {
  it('every object is written by its own writer, whichever worker is asked, with tags of that one', async () => {
    const rig = await startRig(3);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      for (const through of [0, 1, 2]) {
        await rig.putThrough(through, name, `${name} through ${through}`);
        const head = await rig.storageOf((through + 1) % 3).head(idOf(name));
        expect(Number(head === null ? -1 : tagGenerator(head.lastTag))).toBe(writerOf(idOf(name), 3));
        expect(await rig.getThrough((through + 2) % 3, name)).toBe(`${name} through ${through}`);
      }
    }
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('appends through all workers at once are all there, each once', async () => {
    const rig = await startRig();
    const name = rig.nameOf(1);
    await rig.putThrough(0, name, '');
    const append = async (through: number, text: string): Promise<void> => {
      const storage = rig.storageOf(through);
      const sink = storage.openContent(idOf(name), null);
      await sink.write(Buffer.from(text));
      await storage.writeRange({
        id: idOf(name),
        content: await sink.finish(),
        decide: (current) => ({ offset: current?.sizeBytes ?? 0, attributes: '' }),
      });
    };
    await Promise.all(Array.from({ length: 20 }, (_, at) => append(at % 2, String.fromCharCode(97 + at))));
    const content = await rig.getThrough(0, name);
    expect(
      Buffer.from(content ?? '')
        .sort()
        .toString(),
    ).toBe('abcdefghijklmnopqrst');
  });

  it('what is composed of objects of all writers holds them all: a source that others replace meanwhile excludes nobody', async () => {
    const rig = await startRig();
    const sources = [rig.nameOf(0, 'source'), rig.nameOf(1, 'source')];
    for (const name of sources) await rig.putThrough(0, name, 'v0');
    const replacing = (async () => {
      for (let version = 1; version <= 40; version += 1) {
        for (const name of sources) await rig.putThrough(version % 2, name, `v${version}`);
      }
    })();
    const target = rig.nameOf(1, 'target');
    let composed = 0;
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const storage = rig.storageOf(attempt % 2);
      const heads = await Promise.all(sources.map((name) => storage.head(idOf(name))));
      const content = storage.composeContent(
        heads.flatMap((head) =>
          head === null ? [] : [{ head, extent: { offset: 0, length: head.sizeBytes } }],
        ),
      );
      await storage.replace({ id: idOf(target), content, attributes: '' }).then(
        () => (composed += 1),
        (error: unknown) => {
          expect(error).toMatchObject({ kind: 'changed' });
        },
      );
    }
    await replacing;
    expect(rig.gateway.eventCount('excluded')).toBe(0);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
    expect(composed).toBeGreaterThanOrEqual(0);
  });
});

describe('a change of epoch is one for all workers', () => {
  it('F12: without a mirror nobody answers before the authority has it on disk; then all workers go on', async () => {
    const rig = await startRig();
    let inSyncOnDisk = rig.authority.saved.at(-1)?.inSync.length;
    rig.authority.onSave = (state) => {
      inSyncOnDisk = state.inSync.length;
    };
    rig.osd(1).mode = 'down';
    const names = [rig.nameOf(0), rig.nameOf(1)];
    await Promise.all(
      names.map(async (name, at) => {
        await rig.putThrough(1 - at, name, 'without osd-1');
        expect(inSyncOnDisk).toBe(1);
      }),
    );
    expect(rig.worker(0).writer.epoch).toBe(rig.worker(1).writer.epoch);
    rig.osd(1).restart();
    await rig.untilInSync(0, 1);
    await rig.untilTablesAreEmpty();
    for (const name of names) expect(await rig.getThrough(0, name)).toBe('without osd-1');
    rig.expectIdenticalMirrors();
  });

  it('both workers lose a different mirror at once: what is acknowledged is on the one that stays, or nobody is told', async () => {
    const rig = await startRig(2, 3);
    rig.osd(1).mode = 'answers-lost';
    rig.osd(2).mode = 'answers-lost';
    await Promise.all([0, 1].map((index) => rig.putThrough(index, rig.nameOf(1 - index), 'kept')));
    expect(rig.gateway.status().inSync).toEqual([rig.osd(0).mirror]);
    for (const index of [0, 1]) expect(await rig.getThrough(index, rig.nameOf(1 - index))).toBe('kept');
  });
});

describe('F26 with several writers', () => {
  it('a read through another worker waits for the outcome of what it saw', async () => {
    const rig = await startRig();
    const name = rig.nameOf(0);
    await rig.putThrough(0, name, 'old');
    let letPass = (): void => undefined;
    const held = new Promise<void>((resolve) => (letPass = resolve));
    for (const osd of rig.osds) {
      osd.onRequest = (method) => (method === 'transact' && osd !== rig.osd(0) ? held : undefined);
    }
    const putting = rig.putThrough(0, name, 'new');
    await expect.poll(() => rig.worker(0).writer.inFlightCount).toBe(1);
    let isRead = false;
    const reading = Promise.all(
      Array.from({ length: 4 }, async () => {
        const content = await rig.getThrough(1, name);
        isRead ||= content === 'new';
        return content;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isRead).toBe(false);
    letPass();
    await putting;
    for (const content of await reading) expect(['old', 'new']).toContain(content);
    expect(await rig.getThrough(1, name)).toBe('new');
  });
});

describe('a worker that is killed', () => {
  it('leaves its writes to a recovery in a new epoch; then all go on, and the mirrors are equal', async () => {
    const rig = await startRig();
    const name = rig.nameOf(1);
    await rig.putThrough(0, name, 'before');
    const { epoch } = rig.worker(0).writer;
    let letPass = (): void => undefined;
    const held = new Promise<void>((resolve) => (letPass = resolve));
    // The write of the worker that dies reaches osd-0 at once, and osd-1 when its epoch is over.
    rig.osd(1).onRequest = (method) => (method === 'transact' ? held : undefined);
    void rig.putThrough(1, name, 'orphan').catch(() => undefined);
    await expect.poll(() => rig.worker(1).writer.inFlightCount).toBe(1);
    rig.osd(1).onRequest = () => undefined;
    rig.kill(1);
    await expect.poll(() => rig.worker(0).writer.epoch, { timeout: 20_000 }).toBeGreaterThan(epoch);
    await rig.putThrough(0, rig.nameOf(0), 'of the other').finally(letPass);
    await rig.untilInSync(0, 1);
    expect(['before', 'orphan']).toContain(await rig.getThrough(0, name));
    expect(await rig.getThrough(0, name)).toBe(await rig.getThrough(1, name));
    await rig.putThrough(0, name, 'after');
    expect(await rig.getThrough(1, name)).toBe('after');
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
    expect(rig.gateway.operations().some(({ trigger }) => trigger === 'writer-lost')).toBe(true);
  });

  it('a write that another worker had asked it for ends as unknown, or is made', async () => {
    const rig = await startRig();
    const name = rig.nameOf(1);
    await rig.putThrough(0, name, 'before');
    let letPass = (): void => undefined;
    const held = new Promise<void>((resolve) => (letPass = resolve));
    rig.osd(1).onRequest = (method) => (method === 'transact' ? held : undefined);
    const asked = rig.putThrough(0, name, 'asked').then(
      () => 'made',
      (error: unknown) => (error as { kind?: string }).kind,
    );
    await expect.poll(() => rig.worker(1).writer.inFlightCount).toBe(1);
    rig.kill(1);
    letPass();
    expect(await asked).toBe('outcome-unknown');
    await rig.untilInSync(0, 1);
    const content = await rig.getThrough(0, name);
    expect(['before', 'asked']).toContain(content);
    expect(await rig.getThrough(1, name)).toBe(content);
    await rig.untilTablesAreEmpty();
    rig.expectIdenticalMirrors();
  });

  it('lets go of what it held; and what was held by it is looked at again by those who wait for it', async () => {
    const rig = await startRig();
    const name = rig.nameOf(0);
    await rig.putThrough(0, name, 'x');
    // Worker 1 holds an object of worker 0 and dies with it.
    const never = rig.storageOf(1).setAttributes({
      id: idOf(name),
      decide: () => {
        rig.kill(1);
        return 'never';
      },
    });
    never.catch(() => undefined);
    await rig.untilInSync(0, 1);
    await rig.putThrough(0, name, 'y');
    expect(await rig.getThrough(1, name)).toBe('y');
  });

  it('while one is missing nobody is let in, and everything goes on when it is back', async () => {
    const rig = await startRig();
    rig.respawns = false;
    rig.kill(0);
    await expect.poll(() => rig.gateway.status().waitingFor).toContain('worker 0');
    const putting = rig.putThrough(1, rig.nameOf(1), 'waits');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(rig.gateway.isReady).toBe(false);
    rig.spawn(0);
    await putting;
    expect(await rig.getThrough(0, rig.nameOf(1))).toBe('waits');
  });
});
