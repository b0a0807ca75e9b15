/**
 * The extents of content that is made of stored objects: theirs, one after another, pointing into the same blobs.
 *
 * The blobs are held by their objects' records until the write that shares them is admitted, for which the writer keeps
 * the sources as they are (the gateway's object locks). A store that finds a source at another tag refuses the write.
 */
import { type ComposeSource, isSourceAsExpected } from '../protocol/compose.js';
import { extentEnd } from '../protocol/extent.js';
import { type ExtentMap, sliceMap, type StoredExtent } from './extent-map.js';
import type { StoreCore } from './store-core.js';

export type Composition =
  { readonly kind: 'composed'; readonly map: ExtentMap } | { readonly kind: 'source-changed' };

/** Sources that are looked up at once. */
const LOOKUPS_MAX = 64;

function partsOf(core: StoreCore, source: ComposeSource): Promise<StoredExtent[] | null> {
  const { objectId, extent } = source;
  return core.table.look(objectId, ({ committed }) => {
    if (committed?.kind !== 'present' || !isSourceAsExpected(source, committed.state)) return null;
    return sliceMap(committed.map, extent.offset, extentEnd(extent));
  });
}

/** Looks the sources up and lines their extents up from offset 0. */
export async function composeMap(core: StoreCore, sources: readonly ComposeSource[]): Promise<Composition> {
  const map: StoredExtent[] = [];
  let offset = 0;
  for (let first = 0; first < sources.length; first += LOOKUPS_MAX) {
    const some = sources.slice(first, first + LOOKUPS_MAX);
    for (const parts of await Promise.all(some.map((source) => partsOf(core, source)))) {
      if (parts === null) return { kind: 'source-changed' };
      for (const { length, source } of parts) {
        if (length === 0) continue;
        map.push({ offset, length, source });
        offset += length;
      }
    }
  }
  return { kind: 'composed', map };
}
