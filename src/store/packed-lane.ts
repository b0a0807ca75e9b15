/**
 * Small contents, packed: what waits goes into one place of a segment, with one synced write for all of it. The
 * place starts on a page of its own, the fragments in it follow one another without gaps.
 */
import type { BlobId } from './keys.js';
import type { RecentPlaces } from './recent-places.js';
import { encodeFragmentTrailer, type Fragment, fragmentBytes } from './segment-format.js';
import type { LaneName, Reservation, SegmentSpace } from './segment-space.js';

export interface PackedContent {
  readonly blobId: BlobId;
  /** Where in the blob it begins. */
  readonly blobOffset: number;
  readonly pieces: readonly Buffer[];
  readonly lengthBytes: number;
  /** CRC32C of each chunk. */
  readonly chunks: readonly number[];
}

/** Hears, once, where content was packed: it is on disk, and holds its segment. Or StoreError `no-space` or `io-error`. */
export interface PackListener {
  packed(fragment: Fragment): void;
  fail(failure: unknown): void;
}

interface Waiting {
  readonly content: PackedContent;
  readonly listener: PackListener;
}

export class PackedLane {
  readonly #space: SegmentSpace;
  readonly #laneName: LaneName;
  readonly #recent: RecentPlaces | null;
  #waiting: Waiting[] = [];
  #pump: Promise<void> | null = null;
  /** Called when some of what waited is written, or failed, and those who wait for it have heard. */
  onSettled: () => void = () => undefined;

  /** `recent`: hears of what is written; null for what is old, and only moves. */
  constructor(space: SegmentSpace, laneName: LaneName, recent: RecentPlaces | null) {
    this.#space = space;
    this.#laneName = laneName;
    this.#recent = recent;
  }

  get isBusy(): boolean {
    return this.#pump !== null;
  }

  /** The content is on disk when it resolves, and holds its segment. Throws StoreError `no-space` or `io-error`. */
  append(content: PackedContent): Promise<Fragment> {
    return new Promise((packed, fail) => this.add(content, { packed, fail }));
  }

  add(content: PackedContent, listener: PackListener): void {
    this.#waiting.push({ content, listener });
    this.#pump ??= this.#run();
  }

  async #run(): Promise<void> {
    // Everything that arrives in this turn of the event loop shares the first place.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      await this.#writeSome(this.#takeSome());
      this.onSettled();
    }
    this.#pump = null;
  }

  #takeSome(): Waiting[] {
    const { packBytesMax } = this.#space.limits;
    let totalBytes = 0;
    let count = 0;
    for (const { content } of this.#waiting) {
      if (count > 0 && totalBytes + content.lengthBytes > packBytesMax) break;
      totalBytes += content.lengthBytes;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #writeSome(some: readonly Waiting[]): Promise<void> {
    let fragments: readonly Fragment[];
    try {
      fragments = await this.#write(some.map(({ content }) => content));
    } catch (error) {
      for (const { listener } of some) listener.fail(error);
      return;
    }
    some.forEach(({ listener }, index) => {
      const fragment = fragments[index];
      if (fragment !== undefined) listener.packed(fragment);
    });
  }

  async #write(contents: readonly PackedContent[]): Promise<Fragment[]> {
    const totalBytes = contents.reduce((sum, { lengthBytes }) => sum + fragmentBytes(lengthBytes), 0);
    const place = await this.#space.reserve(this.#laneName, totalBytes, totalBytes);
    const { pieces, fragments } = layOut(contents, place);
    try {
      await this.#space.writeSynced(place, pieces);
    } catch (error) {
      // Nothing of it will be named. When the sync failed, the store writes no more anyway.
      this.#space.settle(place, 0);
      throw error;
    }
    place.segment.holds += contents.length - 1; // one for each fragment
    place.segment.unnamedCount += contents.length - 1;
    this.#space.settle(place, totalBytes);
    if (this.#recent !== null) for (const fragment of fragments) this.#recent.note(fragment);
    return fragments;
  }

  /** Resolves when nothing is waiting or being written. */
  async drain(): Promise<void> {
    while (this.#pump !== null) await this.#pump;
  }
}

function layOut(
  contents: readonly PackedContent[],
  { segment, offset }: Reservation,
): { readonly pieces: Buffer[]; readonly fragments: Fragment[] } {
  const pieces: Buffer[] = [];
  const fragments: Fragment[] = [];
  let at = offset;
  for (const { blobId, blobOffset, pieces: content, lengthBytes, chunks } of contents) {
    const identity = { blobId, blobOffset, length: lengthBytes };
    pieces.push(...content, encodeFragmentTrailer(identity, chunks));
    fragments.push({ segmentId: segment.id, offset: at, length: lengthBytes });
    at += fragmentBytes(lengthBytes);
  }
  return { pieces, fragments };
}
