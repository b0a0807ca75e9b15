import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuthorityFile } from '../../../src/gateway/authority-storage.js';
import {
  activate,
  beginRecovery,
  newAuthorityState,
  recordDamagedStore,
  toMirrorId,
} from '../../../src/protocol/authority-state.js';
import { EPOCH_NONE, toEpoch } from '../../../src/protocol/tag.js';
import { toStoreId } from '../../../src/protocol/token.js';

const mirror = toMirrorId('osd-0');
const NOTHING = { epoch: EPOCH_NONE };

function activeState() {
  const recovering = beginRecovery(newAuthorityState('set', [mirror, toMirrorId('osd-1')]));
  const participant = { mirror, storeId: toStoreId('0'.repeat(32)), incarnation: 'run-1' };
  const active = { ...activate(recovering, recovering.epoch, [participant]), cleanStop: { [mirror]: 7 } };
  const damage = { storeId: toStoreId('1'.repeat(32)), reason: 'its database is damaged' };
  return recordDamagedStore(active, toMirrorId('osd-1'), damage);
}

describe("the file with the synchronization authority's state", () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tally-authority-'));
    path = join(folder, 'authority.json');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('gives back what was saved, and null before anything was', async () => {
    const file = new AuthorityFile(path);
    expect(await file.load()).toBeNull();
    await file.save(activeState(), NOTHING);
    expect(await file.load()).toEqual(activeState());
    expect(await readdir(folder)).toEqual(['authority.json']);
  });

  it('F31: refuses a file with any byte changed, and never takes it for a missing one', async () => {
    const file = new AuthorityFile(path);
    await file.save(activeState(), NOTHING);
    const bytes = await readFile(path);
    for (let offset = 0; offset < bytes.length; offset += 7) {
      const damaged = Buffer.from(bytes);
      damaged[offset] = (damaged[offset] ?? 0) ^ 1;
      await writeFile(path, damaged);
      await expect(file.load(), `byte ${offset}`).rejects.toMatchObject({
        code: 'authority-state-unreadable',
      });
    }
    await writeFile(path, '');
    await expect(file.load()).rejects.toMatchObject({ code: 'authority-state-unreadable' });
  });

  it('F14: refuses to save over the epoch of somebody who took over, and changes nothing', async () => {
    const zombie = new AuthorityFile(path);
    await zombie.save(activeState(), NOTHING);
    const successor = new AuthorityFile(path);
    await successor.save(beginRecovery(activeState()), activeState());
    await expect(zombie.save(activeState(), activeState())).rejects.toMatchObject({
      code: 'authority-superseded',
    });
    expect((await successor.load())?.epoch).toBe(toEpoch(2));
  });

  it('F31: refuses to save over an older state of the same epoch that was put back, and changes nothing', async () => {
    const file = new AuthorityFile(path);
    const [old, latest] = [1, 2].map((revision) => ({ ...activeState(), revision }));
    await file.save(old!, NOTHING);
    await file.save(latest!, old!);
    const bytes = await readFile(path);
    await file.save({ ...latest!, revision: 3 }, latest!);
    await writeFile(path, bytes);
    await expect(file.save({ ...latest!, revision: 4 }, { ...latest!, revision: 3 })).rejects.toMatchObject({
      code: 'authority-superseded',
      message: expect.stringMatching(/revision 2, not 3, of epoch 1: .* put an older state back/) as string,
    });
    expect(await readFile(path)).toEqual(bytes);
  });
});
