/** Full copies on real processes: a disk is replaced, or comes from a backup, and clients write on. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ReconcileProgress } from '../../src/wire/osd-connection.js';
import { sleep, until } from '../support/patience.js';
import { SeededRandom } from '../support/seeded-random.js';
import type { OsdHandle, TallySystem } from '../support/tally-system.js';
import { withSystem } from '../support/with-system.js';

const BUCKET = 'full-copy';
const EXCLUDED_WITHIN_MS = 20_000;
const MOVES_WITHIN_MS = 90_000;
const TABLES_EMPTY_WITHIN_MS = 5000;
const PUTS_AT_ONCE = 8;
const STEADY_BYTES_MAX = 20;
const STEADY_PAUSE_MS = 10;

async function fill(system: TallySystem, contents: ReadonlyMap<string, Buffer>): Promise<void> {
  const queue = [...contents].values();
  const work = async (): Promise<void> => {
    for (const [key, bytes] of queue) await system.s3.put(BUCKET, key, bytes);
  };
  await Promise.all(Array.from({ length: PUTS_AT_ONCE }, work));
  await system.untilTablesEmpty(TABLES_EMPTY_WITHIN_MS);
}

function contentsOf(count: number, sizeOf: (index: number) => number): Map<string, Buffer> {
  const random = new SeededRandom(count);
  const name = (index: number): string => `object-${String(index).padStart(5, '0')}`;
  return new Map(Array.from({ length: count }, (_, index) => [name(index), random.bytes(sizeOf(index))]));
}

async function expectIdenticalMirrors(system: TallySystem): Promise<void> {
  await system.untilInSync();
  await system.untilTablesEmpty(TABLES_EMPTY_WITHIN_MS);
  expect((await system.compare()).differences).toEqual([]);
}

/** Writes on, one after the other, whatever happens, and knows what was acknowledged last. */
class SteadyWriter {
  readonly #system: TallySystem;
  readonly #acknowledged = new Map<string, string>();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  count = 0;

  constructor(system: TallySystem) {
    this.#system = system;
    this.#ended = this.#run();
  }

  async #run(): Promise<void> {
    for (let index = 0; !this.#stop.signal.aborted; index += 1) {
      const key = `steady-${index % 50}`;
      const text = `write ${index}`;
      const path = `/${BUCKET}/${key}`;
      const outcome = await this.#system.s3.attempt({ method: 'PUT', path, body: Buffer.from(text) });
      if (outcome.kind === 'answered' && outcome.reply.status === 200) {
        this.#acknowledged.set(key, text);
        this.count += 1;
      } else this.#acknowledged.delete(key);
      await sleep(STEADY_PAUSE_MS);
    }
  }

  /** A write whose outcome nobody knows is followed by another one of its key, or is not looked at. */
  async stopAndVerify(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    for (const [key, text] of this.#acknowledged)
      expect((await this.#system.s3.get(BUCKET, key))?.toString()).toBe(text);
  }
}

/** What each reconciliation that an OSD drove to its end came to, oldest first. */
function doneBy(osd: OsdHandle): ReconcileProgress[] {
  return readFileSync(osd.process.logPath, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"a reconciliation is done"'))
    .map((line) => (JSON.parse(line) as { readonly progress: ReconcileProgress }).progress);
}

async function untilHas(osd: OsdHandle, objects: number): Promise<void> {
  await until(
    `${osd.name} has ${objects} objects`,
    async () => (await osd.connection.identity()).objectCount,
    (count) => count >= objects,
    { withinMs: MOVES_WITHIN_MS },
  );
}

describe('a disk is replaced by a blank one', () => {
  test('F16: clients write on while all of it is copied, and only the tail is done under the fence', async () => {
    await withSystem(async (system) => {
      const [kept, wiped] = system.osds;
      await system.s3.createBucket(BUCKET);
      const contents = contentsOf(200, (index) => (index % 20 === 0 ? 400_000 : 3000));
      await fill(system, contents);
      await wiped.process.kill();
      await system.untilExcluded(wiped, EXCLUDED_WITHIN_MS);
      const drivenBefore = doneBy(kept).length;
      system.wipe(wiped);
      await system.admin.changePace({ isPaused: true });
      wiped.process.start();
      await until(
        'it is copied to',
        () => system.admin.status(),
        ({ mirrors }) => mirrors[1]?.condition === 'rebuilding' && mirrors[1].fullCopyReason !== null,
        { withinMs: MOVES_WITHIN_MS },
      );
      const writer = new SteadyWriter(system);
      await until(
        'clients write',
        () => writer.count,
        (count) => count >= 100,
        { withinMs: MOVES_WITHIN_MS },
      );
      expect((await wiped.connection.identity()).selfDoubt).not.toBeNull();
      await system.admin.changePace({ isPaused: false });
      await system.untilInSync();
      await writer.stopAndVerify();
      await expectIdenticalMirrors(system);
      const [copy, ...others] = doneBy(kept).slice(drivenBefore);
      const tail = others.at(-1);
      expect(copy?.objectsDone).toBeGreaterThanOrEqual(contents.size);
      expect(tail?.objectsDone).toBeLessThan(contents.size / 2);
      const [operation] = await system.admin.operations();
      expect(operation?.progress?.bytesCopied).toBeLessThanOrEqual(operation?.progress?.bytesUnmatched ?? 0);
    });
  });

  test('goes on where it was when target, source and gateway are killed in the middle of it', async () => {
    await withSlowCopying(async (system) => {
      const [kept, wiped] = system.osds;
      // A first page of 512 objects, and what is left takes some seconds.
      const contents = contentsOf(560, (index) => (index < 512 ? 500 : 64_000));
      await system.s3.createBucket(BUCKET);
      await fill(system, contents);
      await wiped.process.kill();
      await system.untilExcluded(wiped, EXCLUDED_WITHIN_MS);
      system.wipe(wiped);
      wiped.process.start();
      const writer = new SteadyWriter(system);
      await untilHas(wiped, 100);
      const { storeId } = await wiped.connection.identity();
      await wiped.process.kill();
      wiped.process.start();
      await untilHas(wiped, 250);
      await kept.process.kill();
      kept.process.start();
      await until(
        'the first page is passed',
        () => wiped.connection.fullCopyCursor(),
        (cursor) => (cursor?.objectsCompared ?? 0) >= 512,
        { withinMs: MOVES_WITHIN_MS },
      );
      const bytesBefore = await bytesCopied(system);
      await system.gateway.kill();
      system.gateway.start();
      await system.untilInSync();
      await writer.stopAndVerify();
      await expectIdenticalMirrors(system);
      // It never began anew: that would have been another store.
      expect((await wiped.connection.identity()).storeId).toBe(storeId);
      const bytesStored = [...contents.values()].reduce((sum, { length }) => sum + length, 0);
      const bytesSteady = writer.count * STEADY_BYTES_MAX;
      expect(bytesBefore + (await bytesCopied(system))).toBeLessThanOrEqual(bytesStored + bytesSteady);
    });
  }, 300_000);
});

/** By all reconciliations of the gateway that runs, as it saw them last. */
async function bytesCopied(system: TallySystem): Promise<number> {
  const operations = await system.admin.operations();
  return operations.reduce((sum, { progress }) => sum + (progress?.bytesCopied ?? 0), 0);
}

describe('a disk comes from a backup', () => {
  test('F17: what has changed since yesterday is copied, and nothing else', async () => {
    await withSystem(async (system) => {
      const [kept, restored] = system.osds;
      const backup = join(system.folder, 'backup');
      await system.s3.createBucket(BUCKET);
      await fill(
        system,
        contentsOf(300, () => 2000),
      );
      await restored.process.stop();
      cpSync(restored.storeFolder, backup, { recursive: true });
      restored.process.start();
      await system.untilInSync();
      const today = contentsOf(25, () => 3000);
      await fill(system, today);
      await system.s3.delete(BUCKET, 'object-00100');
      await expectIdenticalMirrors(system);
      const { storeId } = await restored.connection.identity();
      await restored.process.kill();
      rmSync(restored.storeFolder, { recursive: true });
      cpSync(backup, restored.storeFolder, { recursive: true });
      const drivenBefore = doneBy(kept).length;
      restored.process.start();
      await until(
        'it is another store',
        () => restored.connection.identity(),
        (seen) => seen.storeId !== storeId,
        {
          withinMs: MOVES_WITHIN_MS,
        },
      );
      await expectIdenticalMirrors(system);
      const driven = doneBy(kept).slice(drivenBefore);
      const bytesCopied = driven.reduce((sum, progress) => sum + progress.bytesCopied, 0);
      expect(bytesCopied).toBe(25 * 3000);
      expect(await system.s3.get(BUCKET, 'object-00100')).toBeNull();
    });
  });
});

/** So slow that there is time to kill somebody in the middle. */
async function withSlowCopying(work: (system: TallySystem) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tally-configuration-'));
  const configurationFile = join(folder, 'tally.yaml');
  writeFileSync(configurationFile, 'gateway: { catchUpMebibytesPerSecond: 1, catchUpSharePercent: 100 }\n');
  try {
    await withSystem(work, { configurationFile });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
