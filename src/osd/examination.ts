/**
 * Reading for the sake of checking: are the bytes of an object all there, and what is their checksum? Over the store's port,
 * window by window, so that an object of any size is looked at in bounded memory, and its damage is known to a window.
 */
import type { Extent } from '../protocol/extent.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import { type ObjectStore, type PresentObject, StoreError } from '../store/object-store.js';
import { ContentChecksum } from '../wire/content-checksum.js';
import { windowsOf } from '../wire/examined-windows.js';

/** A disk that can't give the bytes back is as bad as one that gives others. */
function isUnreadable(error: unknown): boolean {
  return error instanceof StoreError && (error.code === 'damaged' || error.code === 'io-error');
}

export interface ExaminedExtent {
  /** Null: there is no such object. */
  readonly state: PresentObject | null;
  /** CRC32C of the bytes, null when they can't be read or fail their checksum. */
  readonly contentChecksum: number | null;
}

/** Looks at a part of an object; what lies beyond its end counts as empty. Throws StoreError when not even the record can be read. */
export async function examineExtent(
  store: ObjectStore,
  objectId: ObjectId,
  extent: Extent,
): Promise<ExaminedExtent> {
  const range =
    extent.length === 0
      ? ({ kind: 'none' } as const)
      : ({ kind: 'between', first: extent.offset, last: extent.offset + extent.length - 1 } as const);
  const read = await store.read(objectId, range);
  if (read === null) return { state: null, contentChecksum: null };
  const checksum = new ContentChecksum();
  try {
    for await (const piece of read.body) checksum.update(piece);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { state: read.state, contentChecksum: null };
  }
  return { state: read.state, contentChecksum: checksum.value };
}

export interface Damage {
  readonly lastTag: Tag;
  readonly extents: readonly Extent[];
}

/**
 * Reads all of an object and says what of it is damaged. Null: it is not there, or changed meanwhile; then what was bad may be gone, and a
 * later look tells. `pace` is asked before each window.
 */
export async function findDamage(
  store: ObjectStore,
  objectId: ObjectId,
  pace: (bytes: number) => Promise<void>,
): Promise<Damage | null> {
  const state = await store.head(objectId);
  if (state?.kind !== 'present') return null;
  const extents: Extent[] = [];
  for (const window of windowsOf(state.sizeBytes)) {
    await pace(window.length);
    const examined = await examineExtent(store, objectId, window);
    if (examined.state?.lastTag !== state.lastTag) return null;
    if (examined.contentChecksum === null) extents.push(window);
  }
  return { lastTag: state.lastTag, extents };
}
