/** Disks that are full, or fail, under real processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { until } from '../support/patience.js';
import { SeededRandom } from '../support/seeded-random.js';
import { SmallDisk } from '../support/small-disk.js';
import { type OsdHandle, TallySystem } from '../support/tally-system.js';

const BUCKET = 'full';
/** An OSD keeps 64 MiB free, and a segment's 4 MiB; what is beyond that it fills. */
const DISK_MEBIBYTES = 88;
const GROWN_MEBIBYTES = 300;
const OBJECT_BYTES = 1_500_000;
const WITHIN_MS = 60_000;

interface SmallSystem {
  readonly system: TallySystem;
  readonly disks: readonly SmallDisk[];
}

/** A system whose OSDs of these names have small disks. When the test fails, logs are named. */
async function withSmallDisks(
  names: readonly string[],
  run: (small: SmallSystem) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tally-full-'));
  const disks = names.map((name) => new SmallDisk(join(folder, name), DISK_MEBIBYTES));
  let system: TallySystem | null = null;
  let isWell = false;
  try {
    system = await TallySystem.start({ folder });
    await system.s3.createBucket(BUCKET);
    await run({ system, disks });
    isWell = true;
  } finally {
    if (!isWell) for (const part of system?.processes ?? []) process.stderr.write(part.logTail());
    await system?.dispose();
    for (const disk of disks) disk.unmount();
    if (isWell) rmSync(folder, { recursive: true, force: true });
  }
}

function bytesOf(index: number): Buffer {
  return new SeededRandom(index).bytes(OBJECT_BYTES);
}

/** Puts objects until one is refused, at most `countMax`. Returns how many were acknowledged, and the refusal's code. */
async function putUntilRefused(
  system: TallySystem,
  countMax: number,
): Promise<{ readonly count: number; readonly refusal: string | null; readonly status: number }> {
  for (let index = 0; index < countMax; index += 1) {
    const outcome = await system.s3.attempt({
      method: 'PUT',
      path: `/${BUCKET}/object-${index}`,
      body: bytesOf(index),
    });
    if (outcome.kind !== 'answered') throw new Error(`no answer: ${outcome.reason}`);
    const { status, code } = outcome.reply;
    if (status !== 200) return { count: index, refusal: code, status };
  }
  return { count: countMax, refusal: null, status: 200 };
}

async function expectObjects(system: TallySystem, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index += 1) {
    const found = await system.s3.get(BUCKET, `object-${index}`);
    expect(found?.equals(bytesOf(index)), `object-${index}`).toBe(true);
  }
}

/** Somebody goes on writing meanwhile: a disk is found to be full by the next write that it has no room for. */
async function untilCondition(system: TallySystem, osd: OsdHandle, condition: string): Promise<void> {
  await until(
    `${osd.name} is ${condition}`,
    async () => {
      await system.s3.put(BUCKET, 'small', Buffer.from('goes on'));
      return system.admin.status();
    },
    ({ mirrors }) => mirrors.find(({ mirror }) => mirror === osd.name)?.condition === condition,
    { withinMs: WITHIN_MS },
  );
}

async function expectIdentical(system: TallySystem): Promise<void> {
  await system.untilInSync();
  expect((await system.compare()).differences).toEqual([]);
}

describe('a full disk', () => {
  test('of one mirror: it is left out, every client goes on, and it is taken back when there is room', async () => {
    await withSmallDisks(['osd-1'], async ({ system, disks: [disk] }) => {
      const { count, refusal } = await putUntilRefused(system, 24);
      expect(refusal).toBeNull();
      await untilCondition(system, system.osds[1], 'no-space');
      const { mirrors } = await system.admin.status();
      expect(mirrors[1]?.identity?.fault?.kind).toBe('no-space');
      disk?.grow(GROWN_MEBIBYTES);
      await expectIdentical(system);
      await expectObjects(system, 0, count);
    });
  });

  test('of one mirror: it is taken back when objects were removed meanwhile', async () => {
    await withSmallDisks(['osd-1'], async ({ system }) => {
      const { count } = await putUntilRefused(system, 24);
      await untilCondition(system, system.osds[1], 'no-space');
      for (let index = 0; index < count - 3; index += 1) await system.s3.delete(BUCKET, `object-${index}`);
      await expectIdentical(system);
      await expectObjects(system, count - 3, count);
    });
  });

  test('of all mirrors: 507, nothing is lost, and it goes on when objects were removed', async () => {
    await withSmallDisks(['osd-0', 'osd-1'], async ({ system }) => {
      const { count, refusal, status } = await putUntilRefused(system, 40);
      expect({ refusal, status }).toEqual({ refusal: 'InsufficientCapacity', status: 507 });
      expect(count).toBeGreaterThan(5);
      await expectObjects(system, 0, count);
      for (let index = 0; index < count - 3; index += 1) await system.s3.delete(BUCKET, `object-${index}`);
      await until(
        'there is room again',
        () => system.s3.attempt({ method: 'PUT', path: `/${BUCKET}/object-0`, body: bytesOf(0) }),
        (outcome) => outcome.kind === 'answered' && outcome.reply.status === 200,
        { withinMs: WITHIN_MS, pollMs: 250 },
      );
      await expectIdentical(system);
      await expectObjects(system, count - 3, count);
      await expectObjects(system, 0, 1);
    });
  });
});

describe('a disk that fails', () => {
  test('fences its OSD: it is left out, says so, and comes back once it was started again', async () => {
    await withSmallDisks(['osd-1'], async ({ system, disks: [disk] }) => {
      await system.s3.put(BUCKET, 'kept', Buffer.from('before'));
      disk?.fill();
      // Removals are let in while a disk is full; here not even their batch can be written.
      for (let index = 0; index < 200; index += 1) {
        await system.s3.put(BUCKET, 'kept', Buffer.from(`write ${index}`));
        await system.s3.delete(BUCKET, 'kept');
        const { inSync } = await system.admin.status();
        if (inSync.length === 1) break;
      }
      await system.s3.put(BUCKET, 'kept', Buffer.from('after'));
      const { mirrors } = await until(
        'its state is told',
        () => system.admin.status(),
        (status) => ['failed', 'no-space'].includes(status.mirrors[1]?.condition ?? ''),
        { withinMs: WITHIN_MS },
      );
      expect(mirrors[1]?.identity?.fault?.detail).not.toBe('');
      await system.osds[1].process.kill();
      disk?.empty();
      system.osds[1].process.start();
      await expectIdentical(system);
      expect((await system.s3.get(BUCKET, 'kept'))?.toString()).toBe('after');
    });
  });
});
