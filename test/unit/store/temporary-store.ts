/** Disk stores in temporary folders. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DiskObjectStore, openStore } from '../../../src/store/disk-object-store.js';
import { formatStore } from '../../../src/store/format-store.js';
import type { OpenOptions } from '../../../src/store/open-core.js';
import { SET_ID } from './store-driver.js';

const silentLogger = { info: () => {}, warn: () => {}, error: () => {} };

/** In memory where there is such a place: these tests are about order and content, and syncs of a real disk only cost time. */
async function makeTemporaryFolder(): Promise<string> {
  return mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tally-store-'));
}

export function openTemporary(folder: string, options: Partial<OpenOptions> = {}): Promise<DiskObjectStore> {
  return openStore(folder, { setId: SET_ID, clock: () => 1_000, logger: silentLogger, ...options });
}

export interface TemporaryStore {
  readonly folder: string;
  store: DiskObjectStore;
  reopen(options?: Partial<OpenOptions>): Promise<DiskObjectStore>;
  dispose(): Promise<void>;
}

export async function makeTemporaryStore(options: Partial<OpenOptions> = {}): Promise<TemporaryStore> {
  const folder = join(await makeTemporaryFolder(), 'store');
  await formatStore(folder, { setId: SET_ID });
  const temporary: TemporaryStore = {
    folder,
    store: await openTemporary(folder, options),
    reopen: async (again = options) => {
      await temporary.store.close();
      temporary.store = await openTemporary(folder, again);
      return temporary.store;
    },
    dispose: async () => {
      await temporary.store.close();
      await rm(join(folder, '..'), { recursive: true, force: true });
    },
  };
  return temporary;
}
