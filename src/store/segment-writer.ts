/**
 * Writes one blob. Gathers pieces and writes them while the next ones come in; holds at most two gatherings of pieces, whose size
 * goes by how many others do the same (gather-room.ts). What ends within the first gathering is packed with others; more goes to a fragment of its own, and to further ones as
 * it grows. A long stream is synced as it goes, so that neither its own last sync nor those of its neighbours take long.
 */
import { ChunkChecksummer, CHUNK_BYTES } from './chunk-checksums.js';
import { Gathering } from './gather-room.js';
import type { BlobId } from './keys.js';
import { StoreError } from './object-store.js';
import type { PackedLane } from './packed-lane.js';
import { encodeFragmentTrailer, type Fragment, fragmentBytes, fragmentContentMax } from './segment-format.js';
import type { Reservation, SegmentSpace } from './segment-space.js';

export interface FinishedBlob {
  readonly blobId: BlobId;
  readonly lengthBytes: number;
  readonly contentChecksum: number;
  /** Each holds its segment until it is counted or given up. */
  readonly fragments: readonly Fragment[];
}

/** The first fragment of a stream; each later one is twice as large, up to a limit. */
const FIRST_FRAGMENT_BYTES = 8 * 1024 * 1024;
/** A gap in a segment is used for a stream when it has room for so much. */
const LEAST_FRAGMENT_BYTES = 1024 * 1024;

interface OpenFragment {
  readonly place: Reservation;
  readonly blobOffset: number;
  readonly contentMax: number;
  length: number;
}

function bytesOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** Cuts pieces after so many bytes. */
function splitPieces(pieces: readonly Buffer[], atBytes: number): [Buffer[], Buffer[]] {
  const head: Buffer[] = [];
  const tail: Buffer[] = [];
  let rest = atBytes;
  for (const piece of pieces) {
    if (rest > 0) head.push(rest < piece.length ? piece.subarray(0, rest) : piece);
    if (rest < piece.length) tail.push(rest > 0 ? piece.subarray(rest) : piece);
    rest = Math.max(0, rest - piece.length);
  }
  return [head, tail];
}

export class SegmentWriter {
  readonly blobId: BlobId;
  readonly #space: SegmentSpace;
  readonly #packed: PackedLane;
  readonly #checksummer = new ChunkChecksummer();
  readonly #fragments: Fragment[] = [];
  readonly #unsynced = new Map<Reservation['segment'], number>();
  #fragment: OpenFragment | null = null;
  #fragmentWantedBytes: number;
  #gathered: Gathering;
  #writtenBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();
  #failure: StoreError | null = null;
  #isGathering = false;

  constructor(space: SegmentSpace, packed: PackedLane, blobId: BlobId) {
    this.#space = space;
    this.#packed = packed;
    this.#gathered = new Gathering(space.gathering);
    this.blobId = blobId;
    this.#fragmentWantedBytes = Math.min(FIRST_FRAGMENT_BYTES, space.limits.fragmentBytesMax);
  }

  get lengthBytes(): number {
    return this.#checksummer.lengthBytes;
  }

  /** Resolves when the next piece may come; undefined: at once. Throws, or rejects with, StoreError `no-space` or `io-error`. */
  append(piece: Buffer): Promise<void> | undefined {
    this.#throwFailure();
    if (!this.#isGathering) {
      this.#isGathering = true;
      this.#space.gathering.enter();
    }
    this.#checksummer.update(piece);
    this.#gathered.add(piece);
    return this.#gathered.lengthBytes > this.#space.gathering.bytesEach ? this.#flush() : undefined;
  }

  #endGathering(): void {
    if (!this.#isGathering) return;
    this.#isGathering = false;
    this.#space.gathering.leave();
  }

  /** Starts to write what was gathered, once the write before it is done. */
  async #flush(): Promise<void> {
    await this.#writing;
    this.#throwFailure();
    const gathered = this.#takeGathered();
    this.#writing = this.#noteFailure(() => this.#write(gathered.pieces)).finally(() => gathered.release());
    if (!this.#space.gathering.allowsTwo) await this.#writing;
  }

  /** Whoever takes it releases it when it is written, and nobody else does. */
  #takeGathered(): Gathering {
    const gathered = this.#gathered;
    this.#gathered = new Gathering(this.#space.gathering);
    return gathered;
  }

  async #noteFailure(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (cause) {
      this.#failure ??=
        cause instanceof StoreError
          ? cause
          : new StoreError('io-error', 'a blob could not be written', { cause });
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #write(pieces: readonly Buffer[]): Promise<void> {
    let rest = pieces;
    while (rest.length > 0 && this.#failure === null) {
      const fragment = (this.#fragment ??= await this.#openFragment());
      const [head, tail] = splitPieces(rest, fragment.contentMax - fragment.length);
      const position = fragment.place.offset + fragment.length;
      fragment.length += bytesOf(head);
      this.#writtenBytes += bytesOf(head);
      const isFull = fragment.length === fragment.contentMax;
      await this.#space.write(fragment.place, isFull ? [...head, this.#trailerOf(fragment)] : head, position);
      if (isFull) await this.#endFragment(fragment);
      await this.#syncAsItGoes(fragment.place.segment, bytesOf(head));
      rest = tail;
    }
  }

  async #openFragment(): Promise<OpenFragment> {
    const wantedBytes = this.#fragmentWantedBytes;
    this.#fragmentWantedBytes = Math.min(2 * wantedBytes, this.#space.limits.fragmentBytesMax);
    const place = await this.#space.reserve(
      'stream',
      fragmentBytes(LEAST_FRAGMENT_BYTES),
      fragmentBytes(wantedBytes),
    );
    const contentMax = fragmentContentMax(place.lengthBytes);
    return { place, blobOffset: this.#writtenBytes, contentMax, length: 0 };
  }

  #trailerOf({ blobOffset, length }: OpenFragment): Buffer {
    const chunks = this.#checksummer.takeChunks(Math.ceil(length / CHUNK_BYTES));
    return encodeFragmentTrailer({ blobId: this.blobId, blobOffset, length }, chunks);
  }

  /** Its trailer is written. */
  async #endFragment({ place, length }: OpenFragment): Promise<void> {
    this.#fragment = null;
    this.#fragments.push({ segmentId: place.segment.id, offset: place.offset, length });
    // A file that was written to stays open until it is synced.
    await this.#space.sync(place.segment);
    this.#unsynced.delete(place.segment);
    this.#space.settle(place, fragmentBytes(length));
  }

  /** One sync at a time runs beside the writes; the next one waits for it, so that little is ever left to be synced. */
  async #syncAsItGoes(segment: Reservation['segment'], lengthBytes: number): Promise<void> {
    if (this.#fragment === null) return;
    const unsyncedBytes = (this.#unsynced.get(segment) ?? 0) + lengthBytes;
    this.#unsynced.set(segment, unsyncedBytes);
    if (unsyncedBytes < this.#space.limits.streamSyncBytes) return;
    await this.#syncing;
    this.#unsynced.set(segment, 0);
    this.#syncing = this.#noteFailure(() => this.#space.sync(segment));
  }

  /** The blob is on disk when this resolves. Throws StoreError `no-space` or `io-error`. */
  async finish(): Promise<FinishedBlob> {
    this.#endGathering();
    const checksums = this.#checksummer.finish();
    const { lengthBytes } = this.#checksummer;
    await this.#writing;
    this.#throwFailure();
    if (this.#writtenBytes === 0) await this.#pack(checksums.chunks);
    else await this.#finishStream();
    return {
      blobId: this.blobId,
      lengthBytes,
      contentChecksum: checksums.content,
      fragments: this.#fragments,
    };
  }

  async #pack(chunks: readonly number[]): Promise<void> {
    const { blobId, lengthBytes } = this;
    const gathered = this.#takeGathered();
    const { pieces } = gathered;
    try {
      const fragment = await this.#packed.append({ blobId, blobOffset: 0, pieces, lengthBytes, chunks });
      this.#fragments.push(fragment);
    } finally {
      gathered.release();
    }
  }

  async #finishStream(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    this.#throwFailure();
    const fragment = this.#fragment;
    if (fragment === null) return;
    const position = fragment.place.offset + fragment.length;
    await this.#space.write(fragment.place, [this.#trailerOf(fragment)], position);
    await this.#endFragment(fragment);
  }

  /** Stops writing and gives back what was reserved. */
  async abandon(): Promise<void> {
    this.#endGathering();
    await this.#writing;
    await this.#syncing;
    this.#gathered.release();
    const fragment = this.#fragment;
    this.#fragment = null;
    if (fragment !== null) this.#space.settle(fragment.place, 0);
    this.#space.table.giveUp(this.#fragments.splice(0).reverse());
  }
}
