/** F31 on real processes: the authority's state is lost, or an old one is put back. */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../support/patience.js';
import type { TallySystem } from '../support/tally-system.js';
import { withSystem } from '../support/with-system.js';

const BUCKET = 'authority';
const EXCLUDED_WITHIN_MS = 20_000;
const WAITS_WITHIN_MS = 30_000;

async function write(system: TallySystem, text: string): Promise<void> {
  await system.s3.put(BUCKET, 'key', Buffer.from(text));
}

async function expectEverywhere(system: TallySystem, text: string): Promise<void> {
  await system.untilInSync();
  await system.untilTablesEmpty(5000);
  expect((await system.s3.get(BUCKET, 'key'))?.toString()).toBe(text);
  expect((await system.compare()).differences).toEqual([]);
}

test('F31: a lost state is rebuilt once all mirrors are there, an old one that was put back is not trusted', async () => {
  await withSystem(async (system) => {
    const [out, kept] = system.osds;
    const state = join(system.folder, 'authority', 'state.json');
    const old = join(system.folder, 'state-of-yesterday.json');
    await system.s3.createBucket(BUCKET);
    await write(system, 'before');
    copyFileSync(state, old);

    await out.process.kill();
    await system.untilExcluded(out, EXCLUDED_WITHIN_MS);
    await write(system, 'without the first');
    await Promise.all([system.gateway.kill(), kept.process.kill()]);
    rmSync(state);
    system.gateway.start();
    kept.process.start();
    await until(
      'it waits for the mirror that is away',
      () => system.admin.status(),
      ({ waitingFor }) => waitingFor !== null && /lost or was put back.*osd-0 missing/.test(waitingFor),
      { withinMs: WAITS_WITHIN_MS },
    );
    out.process.start();
    await expectEverywhere(system, 'without the first');

    // By the old one both were in sync, and either would do.
    await kept.process.kill();
    await system.untilExcluded(kept, EXCLUDED_WITHIN_MS);
    await write(system, 'without the second');
    await system.gateway.kill();
    copyFileSync(old, state);
    kept.process.start();
    system.gateway.start();
    await expectEverywhere(system, 'without the second');
  });
});
