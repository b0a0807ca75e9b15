/** Compares the stores of stopped OSDs, opened with the code that owns the format: what is on disk, not what is in memory. */
import { openStore } from '../../src/store/disk-object-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { compareMirrors, type MirrorComparison, type MirrorView } from '../support/mirror-comparison.js';

function viewStore(name: string, store: ObjectStore): MirrorView {
  return {
    name: `the store of ${name}`,
    summaries: (after, limit) => store.summaries(after, limit),
    states: (ids) => Promise.all(ids.map((id) => store.head(id))),
    content: async (id) => (await store.read(id, { kind: 'whole' }))?.body ?? null,
  };
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Precondition: both OSDs have ended. */
export async function compareStoresOffline(
  osds: readonly [
    { readonly name: string; readonly storeFolder: string },
    { readonly name: string; readonly storeFolder: string },
  ],
): Promise<MirrorComparison> {
  const [left, right] = osds;
  const leftStore = await openStore(left.storeFolder, { logger: silent });
  try {
    const rightStore = await openStore(right.storeFolder, { logger: silent });
    try {
      return await compareMirrors(viewStore(left.name, leftStore), viewStore(right.name, rightStore));
    } finally {
      await rightStore.close();
    }
  } finally {
    await leftStore.close();
  }
}
