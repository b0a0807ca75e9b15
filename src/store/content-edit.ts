/**
 * The disk work that goes ahead of a batch, for a write or a push: content that is too large for a record becomes a blob,
 * extents that are too many are copied together, and the rows of the blobs concerned are fetched. After that, admitting
 * the change is one synchronous step. Each `need…` says what is still to be waited for, or null.
 */
import {
  applyRewrite,
  type ExtentMap,
  planRewrite,
  referenceChanges,
  type RewriteRun,
  type StoredExtent,
} from './extent-map.js';
import type { BlobId } from './keys.js';
import type { ObjectEntry } from './object-entry.js';
import { READ_PIECE_BYTES, StoreError } from './object-store.js';
import { asError, type Resume, type Wait, waitFor } from './object-turn.js';
import { extentsOf, keepingCopy, type StoredObject } from './records.js';
import { storeBytes, type StoredContent, type StoreListener, storeSmall } from './stages.js';
import type { StoreCore } from './store-core.js';

const NONE: readonly BlobId[] = [];

export class ContentEdit implements StoreListener {
  readonly #core: StoreCore;
  /** The content once it is where a record can point to. */
  #content: StoredContent | null = null;
  /** The map that was asked for, and what it became when extents were copied together. */
  #rewritten: ExtentMap | null = null;
  /** Blobs that were written here and are counted nowhere yet. */
  #written = NONE;
  #held = NONE;
  #isOutOfSpace = false;
  /** Whoever waits for the content to be stored. */
  #resume: Resume = () => undefined;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** True when the disk ran full on the way: the change can't be made, and nothing has changed. */
  get isOutOfSpace(): boolean {
    return this.#isOutOfSpace;
  }

  /** Content of the caller's, or the blob that it has become. */
  placed(content: StoredContent): StoredContent {
    return this.#content ?? content;
  }

  needStored(content: StoredContent): Wait | null {
    const { source, lengthBytes, contentChecksum } = this.placed(content);
    if (source.kind !== 'inline' || lengthBytes <= this.#core.inlineBytesMax) return null;
    const { bytes } = source;
    if (bytes.length > this.#core.parts.limits.writeGatherBytes)
      return waitFor(() => this.#storeLarge(bytes));
    return (resume) => {
      this.#resume = resume;
      storeSmall(this.#core, bytes, contentChecksum, this);
    };
  }

  stored(content: StoredContent): void {
    this.#content = this.#noteWritten(content);
    this.#resume(null);
  }

  fail(failure: unknown): void {
    this.#resume(this.#noteFailure(failure));
  }

  async #storeLarge(bytes: Buffer): Promise<void> {
    try {
      this.#content = this.#noteWritten(await storeBytes(this.#core, piecesOf(bytes)));
    } catch (error) {
      const failure = this.#noteFailure(error);
      if (failure !== null) throw failure;
    }
  }

  /** The map to store for the map that was asked for. */
  rewritten(map: ExtentMap): ExtentMap {
    return this.#rewritten ?? map;
  }

  needRewritten(map: ExtentMap): Wait | null {
    if (this.#rewritten !== null) return null;
    const runs = planRewrite(map, this.#core.parts.limits);
    if (runs.length === 0) return null;
    return waitFor(() => this.#rewrite(map, runs));
  }

  async #rewrite(map: ExtentMap, runs: readonly RewriteRun[]): Promise<void> {
    try {
      const { source } = this.#noteWritten(await storeBytes(this.#core, readRuns(this.#core, map, runs)));
      if (source.kind === 'blob') this.#rewritten = applyRewrite(map, runs, source.blobId);
    } catch (error) {
      const failure = this.#noteFailure(error);
      if (failure !== null) throw failure;
    }
  }

  /** The rows of all blobs whose references change must be in memory. */
  needReferences(entry: ObjectEntry, next: StoredObject | null): Wait | null {
    const { ledger } = this.#core.parts;
    const { pending } = entry;
    const changes = referenceChanges(extentsOf(pending), extentsOf(keepingCopy(pending, next)));
    const missing = ledger.missing(changes);
    if (missing.length === 0) return null;
    return waitFor(async () => {
      await ledger.hold(missing);
      this.#held = [...this.#held, ...missing];
    });
  }

  #noteWritten(content: StoredContent): StoredContent {
    if (content.source.kind === 'blob') this.#written = [...this.#written, content.source.blobId];
    return content;
  }

  /** A full disk ahead of the commit point is an answer, not a failure: null. */
  #noteFailure(error: unknown): Error | null {
    if (!(error instanceof StoreError) || error.code !== 'no-space') return asError(error);
    this.#isOutOfSpace = true;
    return null;
  }

  /** Gives up what was written and is not part of `map`. Call it once, when the change is admitted (or with [] when it is not). */
  cleanUp(map: ExtentMap): void {
    const { ledger } = this.#core.parts;
    if (this.#held.length > 0) ledger.release(this.#held);
    for (const blobId of this.#written) if (!pointsTo(map, blobId)) ledger.discard(blobId);
  }
}

export function blobsOf(map: ExtentMap): Set<BlobId> {
  const blobs = new Set<BlobId>();
  for (const { source } of map) if (source.kind === 'blob') blobs.add(source.blobId);
  return blobs;
}

export function pointsTo(map: ExtentMap, blobId: BlobId): boolean {
  return map.some(({ source }) => source.kind === 'blob' && source.blobId === blobId);
}

/** Places content, or a part of it, in an object. */
export function placeContent(
  content: StoredContent,
  contentOffset: number,
  extent: ExtentPlace,
): StoredExtent {
  const { source } = content;
  const { offset, length } = extent;
  if (source.kind === 'blob') {
    const { kind, blobId, blobOffset } = source;
    return { offset, length, source: { kind, blobId, blobOffset: blobOffset + contentOffset } };
  }
  const bytes = source.bytes.subarray(contentOffset, contentOffset + length);
  return { offset, length, source: { kind: 'inline', bytes } };
}

type ExtentPlace = Pick<StoredExtent, 'offset' | 'length'>;

async function* piecesOf(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += READ_PIECE_BYTES) yield bytes.subarray(at, at + READ_PIECE_BYTES);
}

async function* readRuns(
  core: StoreCore,
  map: ExtentMap,
  runs: readonly RewriteRun[],
): AsyncGenerator<Buffer, void, undefined> {
  for (const { start, end } of runs) yield* readExtents(core, map.slice(start, end));
}

/** The bytes of some extents in order, checked, in pieces of at most READ_PIECE_BYTES. The caller keeps their blobs alive. */
export async function* readExtents(
  core: StoreCore,
  extents: readonly StoredExtent[],
): AsyncGenerator<Buffer, void, undefined> {
  for (const { source, length } of extents) {
    if (source.kind === 'inline') {
      yield source.bytes;
      continue;
    }
    if (source.kind === 'lost') throw new StoreError('damaged', 'these bytes were intact nowhere');
    yield* readAhead(core, source.blobId, { start: source.blobOffset, end: source.blobOffset + length });
  }
}

/** While one piece is used the next one is read. Ends when no read is under way any more. */
async function* readAhead(
  core: StoreCore,
  blobId: BlobId,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Buffer, void, undefined> {
  const { pieceBytes } = core.reading;
  const takeSlab = (lengthBytes: number): Buffer => core.reading.take(lengthBytes);
  let at = start;
  const readNext = (): Promise<Buffer> | null => {
    if (at >= end) return null;
    const from = at;
    // Pieces end where chunks do, so that no chunk is read twice.
    at = Math.min(end, (Math.floor(from / pieceBytes) + 1) * pieceBytes);
    const reading = core.parts.openBlobs.read(blobId, from, at - from, takeSlab);
    // Whoever takes it hears of its failure; perhaps nobody does.
    reading.catch(() => undefined);
    return reading;
  };
  let next = readNext();
  try {
    while (next !== null) {
      const piece: Buffer = await next;
      next = readNext();
      yield piece;
    }
  } finally {
    await next?.catch(() => undefined);
  }
}
