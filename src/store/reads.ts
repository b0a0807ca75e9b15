/**
 * Reads. One sees the newest committed state of its object, and pins the blobs that this state is made of until it is
 * finished, so that later writes neither change nor remove what it still has to read. Every byte is checked: inline ones with
 * their record, those of blobs chunk by chunk.
 */
import type { Extent } from '../protocol/extent.js';
import type { ObjectId } from '../protocol/object-id.js';
import { unreachable } from '../protocol/invariant.js';
import { blobsOf, readExtents } from './content-edit.js';
import { type ExtentSource, sliceMap, type StoredExtent } from './extent-map.js';
import type { BlobId } from './keys.js';
import type { StoreBody, StoreRange, StoreRead } from './object-store.js';
import type { KeptCopy } from './records.js';
import type { StoreCore } from './store-core.js';

/** The bytes that a range means in an object of that size; null when it is not satisfiable (RFC 9110 section 14.1.2). */
function resolveRange(range: StoreRange, sizeBytes: number): Extent | null {
  switch (range.kind) {
    case 'whole':
      return { offset: 0, length: sizeBytes };
    case 'none':
      return { offset: 0, length: 0 };
    case 'between': {
      if (range.first >= sizeBytes || (range.last !== null && range.last < range.first)) return null;
      const end = range.last === null ? sizeBytes : Math.min(range.last + 1, sizeBytes);
      return { offset: range.first, length: end - range.first };
    }
    case 'suffix': {
      if (range.lengthBytes <= 0 || sizeBytes === 0) return null;
      const length = Math.min(range.lengthBytes, sizeBytes);
      return { offset: sizeBytes - length, length };
    }
    default:
      return unreachable(range);
  }
}

const NO_BYTES = Buffer.alloc(0);

export async function performRead(
  core: StoreCore,
  id: ObjectId,
  range: StoreRange,
): Promise<StoreRead | null> {
  core.assertOpen();
  // Synchronous from the look at the state to the pins: nothing can be removed in between.
  return core.table.look(id, ({ committed }) =>
    committed?.kind === 'present' ? openRead(core, committed, range) : null,
  );
}

/** The same of the copy that is kept aside of an object with lost bytes. */
export async function performReadKept(
  core: StoreCore,
  id: ObjectId,
  range: StoreRange,
): Promise<StoreRead | null> {
  core.assertOpen();
  return core.table.look(id, ({ committed }) =>
    committed?.kind === 'present' && committed.kept !== undefined
      ? openRead(core, committed.kept, range)
      : null,
  );
}

/** So much is read before anyone is answered: one buffer costs less than a stream. */
const READ_AT_ONCE_BYTES_MAX = 256 * 1024;

async function readAtOnce(read: StoreRead): Promise<StoreRead> {
  const pieces: Buffer[] = [];
  for await (const piece of read.body) pieces.push(piece);
  const [only] = pieces;
  return readOf(read, pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces));
}

function readOf({ state, extent }: Pick<StoreRead, 'state' | 'extent'>, bytes: Buffer): StoreRead {
  return { state, extent, body: bytesBody(bytes), bytes };
}

/** Pins at once whatever it has to read, also when that comes as a promise. */
function openRead(
  core: StoreCore,
  { state, map }: KeptCopy,
  range: StoreRange,
): StoreRead | Promise<StoreRead> {
  const extent = resolveRange(range, state.sizeBytes);
  if (extent === null || extent.length === 0) return readOf({ state, extent }, NO_BYTES);
  const parts = sliceMap(map, extent.offset, extent.offset + extent.length);
  const bytes = inlineContent(parts);
  if (bytes !== null) return readOf({ state, extent }, bytes);
  const isSmall = extent.length <= READ_AT_ONCE_BYTES_MAX;
  const [only] = parts;
  if (isSmall && parts.length === 1 && only?.source.kind === 'blob') {
    return readPinned(core, only.source, only.length).then((content) => readOf({ state, extent }, content));
  }
  const read: StoreRead = { state, extent, body: new BlobBody(core, parts), bytes: null };
  return isSmall ? readAtOnce(read) : read;
}

/** One run of bytes of one blob. Pins the blob before it awaits anything. */
async function readPinned(
  core: StoreCore,
  { blobId, blobOffset }: Extract<ExtentSource, { kind: 'blob' }>,
  lengthBytes: number,
): Promise<Buffer> {
  const { reaper, openBlobs } = core.parts;
  reaper.pin(blobId);
  try {
    return await openBlobs.read(blobId, blobOffset, lengthBytes);
  } finally {
    reaper.unpin(blobId);
  }
}

/** All of it in one buffer when nothing of it is in a blob. */
function inlineContent(parts: readonly StoredExtent[]): Buffer | null {
  const pieces: Buffer[] = [];
  for (const { source } of parts) {
    if (source.kind !== 'inline') return null;
    pieces.push(source.bytes);
  }
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}

function bytesBody(bytes: Buffer): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]: async function* () {
      if (bytes.length > 0) yield bytes;
    },
  };
}

/** Reads once. Pins its blobs from the start, also when it is never begun: `return` lets go of them all the same. */
class BlobBody implements StoreBody, AsyncIterableIterator<Buffer, void, undefined> {
  readonly #core: StoreCore;
  readonly #pieces: AsyncGenerator<Buffer, void, undefined>;
  #pinned: BlobId[];
  #isOver = false;

  constructor(core: StoreCore, parts: readonly StoredExtent[]) {
    this.#core = core;
    this.#pieces = readExtents(core, parts);
    this.#pinned = [...blobsOf(parts)];
    for (const blobId of this.#pinned) core.parts.reaper.pin(blobId);
    core.reading.enter();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  giveBack(piece: Buffer): void {
    this.#core.reading.giveBack(piece);
  }

  async next(): Promise<IteratorResult<Buffer, void>> {
    try {
      this.#core.assertOpen();
      const result = await this.#pieces.next();
      if (result.done === true) this.#unpin();
      return result;
    } catch (error) {
      this.#unpin();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Buffer, void>> {
    try {
      return await this.#pieces.return();
    } finally {
      this.#unpin();
    }
  }

  #unpin(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#core.reading.leave();
    for (const blobId of this.#pinned.splice(0)) this.#core.parts.reaper.unpin(blobId);
  }
}
