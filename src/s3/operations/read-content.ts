/** The plain bytes of stored objects, encrypted or not. */
import { ObjectStorageError, type ObjectHead, type ReadRange } from '../../gateway/object-storage.js';
import { extentEnd, type Extent } from '../../protocol/extent.js';
import { planUnsealing, unseal } from '../encryption/sealed-pieces.js';
import { pieceSizes } from '../encryption/sealing.js';
import type { Seal } from '../encryption/seals.js';
import type { Services } from './context.js';

async function* nothing(): AsyncGenerator<Buffer, void, undefined> {
  // No bytes.
}

async function readStored(
  services: Services,
  head: ObjectHead,
  extent: Extent,
): Promise<AsyncIterable<Buffer>> {
  const range: ReadRange = { kind: 'between', first: extent.offset, last: extentEnd(extent) - 1 };
  const read = await services.storage.read(head.id, range, head.lastTag);
  if (read === null) throw new ObjectStorageError('changed', 'the object is gone');
  return read.body;
}

/**
 * Bytes of the content that has this head, and this seal if it is encrypted; `extent` lies within it, and counts plain bytes. To be consumed to the end or let go of,
 * as at the port. Throws ObjectStorageError, `changed` when the object is not as it was any more.
 */
export async function readContent(
  services: Services,
  { head, seal }: { readonly head: ObjectHead; readonly seal: Seal | null },
  extent: Extent,
): Promise<AsyncIterable<Buffer>> {
  if (extent.length === 0) return nothing();
  if (seal === null) return readStored(services, head, extent);
  const plan = planUnsealing(pieceSizes(seal.sealing, head.sizeBytes), extent);
  return releasable(await readStored(services, head, plan.extent), (stored) =>
    unseal(seal.dataKey.contentKey, plan, stored),
  );
}

/** All plain bytes, from all stored ones. */
export function openWhole(
  stored: AsyncIterable<Buffer>,
  head: ObjectHead,
  seal: Seal,
): AsyncIterable<Buffer> {
  const sizes = pieceSizes(seal.sealing, head.sizeBytes);
  const length = sizes.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  const plan = planUnsealing(sizes, { offset: 0, length });
  return releasable(stored, (pieces) => unseal(seal.dataKey.contentKey, plan, pieces));
}

/** A generator that was not started yet runs nothing when it is told to return: then the source must be let go here. */
function releasable(
  stored: AsyncIterable<Buffer>,
  open: (stored: AsyncIterable<Buffer>) => AsyncGenerator<Buffer, void, undefined>,
): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]: () => {
      const pieces = open(stored);
      let isStarted = false;
      return {
        next: () => {
          isStarted = true;
          return pieces.next();
        },
        return: async () => {
          if (!isStarted) await stored[Symbol.asyncIterator]().return?.();
          return pieces.return();
        },
      };
    },
  };
}
