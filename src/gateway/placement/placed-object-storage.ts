/**
 * One storage out of several mirror sets: `ObjectStorage` over one `ObjectStorage` for each set, objects placed by
 * `protocol/placement.ts`. Guarantees as stated at the port; each set has its own mirrors, tags and recovery.
 *
 * While objects are still moving to a new placement (`former` is not empty) an object may be at a former home:
 * - The home's word counts. Former homes are asked for what the home does not have, the newest first.
 * - A mutation first looks where the object is, under a lock that the mover takes too. New content goes to the home; what changes an
 *   object in part moves it there before.
 * - Copies at former homes go before the object itself does: nothing that was removed comes back.
 * - A copy at a former home goes only when everybody who may have missed the one at the home is done looking (`Grace`).
 *
 * Copying between two sets moves bytes; within one it does not.
 */
import { extentEnd } from '../../protocol/extent.js';
import { invariant } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { homeOf, type Placement, type SetName } from '../../protocol/placement.js';
import type { Tag } from '../../protocol/tag.js';
import { KeyLocks } from '../key-locks.js';
import {
  type AttributesRequest,
  type ContentSink,
  type ContentSource,
  type ListPage,
  type ListRequest,
  type ObjectHead,
  type ObjectRead,
  type ObjectStorage,
  ObjectStorageError,
  type RangeWriteRequest,
  type ReadRange,
  type RemoveRequest,
  type ReplaceRequest,
  type StagedContent,
} from '../object-storage.js';
import { Grace } from './grace.js';
import { mergePages } from './merged-listing.js';

export interface PlacedStorageOptions {
  /** Every set that has or may have objects. */
  readonly sets: ReadonlyMap<SetName, ObjectStorage>;
  readonly placement: Placement;
  /** Placements that objects may still be at, the newest first. */
  readonly former: readonly Placement[];
  /** Which set issued a tag: tags of two sets are told apart by their generators. */
  readonly setOfTag: (tag: Tag) => SetName;
}

/** Where an object was found. */
interface Found {
  readonly set: SetName;
  readonly head: ObjectHead;
}

class PlacedContent implements StagedContent {
  readonly sizeBytes: number;
  readonly set: SetName;
  readonly inner: StagedContent;

  constructor(set: SetName, inner: StagedContent) {
    this.set = set;
    this.inner = inner;
    this.sizeBytes = inner.sizeBytes;
  }

  discard(): void {
    this.inner.discard();
  }
}

class ComposedContent implements StagedContent {
  readonly sizeBytes: number;
  readonly sources: readonly ContentSource[];

  constructor(sources: readonly ContentSource[]) {
    this.sources = sources;
    this.sizeBytes = sources.reduce((sum, { extent }) => sum + extent.length, 0);
  }

  /** It is nowhere yet. */
  discard(): void {
    return;
  }
}

export class PlacedObjectStorage implements ObjectStorage {
  readonly #sets: ReadonlyMap<SetName, ObjectStorage>;
  readonly #placement: Placement;
  readonly #setOfTag: (tag: Tag) => SetName;
  readonly #locks = new KeyLocks();
  readonly #grace = new Grace();
  #former: readonly Placement[];

  constructor({ sets, placement, former, setOfTag }: PlacedStorageOptions) {
    this.#sets = sets;
    this.#placement = placement;
    this.#former = former;
    this.#setOfTag = setOfTag;
  }

  /** Every object is at its home: the mover found nothing anywhere else. */
  settle(): void {
    this.#former = [];
  }

  get isSettled(): boolean {
    return this.#former.length === 0;
  }

  homeOf(id: ObjectId): SetName {
    return homeOf(this.#placement, id);
  }

  async head(id: ObjectId): Promise<ObjectHead | null> {
    if (this.isSettled) return this.#home(id).head(id);
    return (await this.#grace.look(() => this.#find(id)))?.head ?? null;
  }

  async read(id: ObjectId, range: ReadRange, expectedTag?: Tag): Promise<ObjectRead | null> {
    if (expectedTag !== undefined) {
      return this.#storage(this.#setOfTag(expectedTag)).read(id, range, expectedTag);
    }
    if (this.isSettled) return this.#home(id).read(id, range);
    return this.#grace.look(async () => {
      for (const set of this.#whereabouts(id)) {
        const read = await this.#storage(set).read(id, range);
        if (read !== null) return read;
      }
      return null;
    });
  }

  async list(request: ListRequest): Promise<ListPage> {
    const pages = await this.#grace.look(() =>
      Promise.all(
        [...this.#sets].map(async ([set, storage]) => ({ set, page: await storage.list(request) })),
      ),
    );
    return mergePages(
      pages,
      request.limit,
      (entry, set) => entry.kind === 'object' && this.homeOf(entry.head.id) === set,
    );
  }

  openContent(target: ObjectId, sizeBytes: number | null): ContentSink {
    const set = this.homeOf(target);
    const sink = this.#storage(set).openContent(target, sizeBytes);
    return {
      write: (piece, onTaken) => sink.write(piece, onTaken),
      finish: async () => new PlacedContent(set, await sink.finish()),
      abort: () => {
        sink.abort();
      },
    };
  }

  composeContent(sources: readonly ContentSource[]): StagedContent {
    return new ComposedContent(sources);
  }

  async replace({ id, content, attributes }: ReplaceRequest): Promise<ObjectHead> {
    const sourceIds = content instanceof ComposedContent ? content.sources.map(({ head }) => head.id) : [];
    return this.#exclusively([id, ...sourceIds], async () => {
      const inner = await this.#contentAtHome(id, content);
      try {
        const elsewhere = await this.#findElsewhere(id);
        const decide =
          elsewhere === null || typeof attributes === 'string' ? attributes : () => attributes(elsewhere);
        const head = await this.#home(id).replace({ id, content: inner, attributes: decide });
        // The object is replaced whatever becomes of the old copy: the home's word counts, and the mover comes by.
        if (elsewhere !== null) await this.#removeElsewhere(id).catch(() => undefined);
        return head;
      } finally {
        if (content instanceof ComposedContent) inner.discard();
      }
    });
  }

  async writeRange(request: RangeWriteRequest): Promise<ObjectHead> {
    const { id, content } = request;
    return this.#exclusively([id], async () => {
      await this.#bringHome(id);
      return this.#home(id).writeRange({ ...request, content: await this.#contentAtHome(id, content) });
    });
  }

  async setAttributes(request: AttributesRequest): Promise<ObjectHead> {
    const { id } = request;
    return this.#exclusively([id], async () => {
      await this.#bringHome(id);
      return this.#home(id).setAttributes(request);
    });
  }

  async remove(request: RemoveRequest): Promise<boolean> {
    const { id, decide } = request;
    return this.#exclusively([id], async () => {
      if (this.isSettled) return this.#home(id).remove(request);
      const found = await this.#find(id);
      decide?.(found?.head ?? null);
      if (found === null) return false;
      await this.#removeElsewhere(id);
      if (found.set !== this.homeOf(id)) return true;
      return this.#home(id).remove({
        id,
        // A recovery may have decided an older write of this object meanwhile.
        decide: (current) => {
          if (current?.lastTag !== found.head.lastTag) decide?.(current);
        },
      });
    });
  }

  /** For the mover: sees to it that an object is at its home and nowhere else. Returns the bytes that had to be moved. */
  async settleObject(id: ObjectId): Promise<number> {
    return this.#locks.run(id, async () => {
      const movedBytes = await this.#bringHome(id);
      await this.#removeElsewhere(id);
      return movedBytes;
    });
  }

  #exclusively<Result>(ids: readonly ObjectId[], work: () => Promise<Result>): Promise<Result> {
    return this.isSettled ? work() : this.#locks.runAll(ids, work);
  }

  #storage(set: SetName): ObjectStorage {
    const storage = this.#sets.get(set);
    invariant(storage !== undefined, 'an object is looked for on a set that is there', { set });
    return storage;
  }

  #home(id: ObjectId): ObjectStorage {
    return this.#storage(this.homeOf(id));
  }

  /** Its home, then its former homes, the newest first; each once. */
  #whereabouts(id: ObjectId): SetName[] {
    return [...new Set([this.#placement, ...this.#former].map((placement) => homeOf(placement, id)))];
  }

  async #find(id: ObjectId): Promise<Found | null> {
    for (const set of this.#whereabouts(id)) {
      const head = await this.#storage(set).head(id);
      if (head !== null) return { set, head };
    }
    return null;
  }

  /** The object, when its home does not have it and a former home does. */
  async #findElsewhere(id: ObjectId): Promise<ObjectHead | null> {
    if (this.isSettled) return null;
    const found = await this.#find(id);
    return found === null || found.set === this.homeOf(id) ? null : found.head;
  }

  /** Returns the bytes that had to be moved. */
  async #bringHome(id: ObjectId): Promise<number> {
    const head = await this.#findElsewhere(id);
    if (head === null) return 0;
    const source = { head, extent: { offset: 0, length: head.sizeBytes } };
    const content = await this.#copyToSet(this.homeOf(id), id, [source]);
    try {
      await this.#home(id).replace({ id, content, attributes: head.attributes });
    } finally {
      content.discard();
    }
    await this.#removeElsewhere(id);
    return head.sizeBytes;
  }

  /** The oldest first, so that what was found before a crash is found after it. */
  async #removeElsewhere(id: ObjectId): Promise<void> {
    const [, ...formerHomes] = this.#whereabouts(id);
    if (formerHomes.length === 0) return;
    await this.#grace.elapsed();
    for (const set of formerHomes.reverse()) await this.#storage(set).remove({ id });
  }

  async #contentAtHome(id: ObjectId, content: StagedContent): Promise<StagedContent> {
    const home = this.homeOf(id);
    if (content instanceof ComposedContent) return this.#compose(home, id, content.sources);
    if (!(content instanceof PlacedContent)) throw new TypeError('the content was staged by another storage');
    if (content.set !== home) throw new TypeError('the content was opened for another object');
    return content.inner;
  }

  async #compose(home: SetName, id: ObjectId, sources: readonly ContentSource[]): Promise<StagedContent> {
    const isAllAtHome = sources.every(({ head }) => this.#setOfTag(head.lastTag) === home);
    return isAllAtHome ? this.#storage(home).composeContent(sources) : this.#copyToSet(home, id, sources);
  }

  /** Rejects with `changed` when a source is not as it was any more. */
  async #copyToSet(
    set: SetName,
    target: ObjectId,
    sources: readonly ContentSource[],
  ): Promise<StagedContent> {
    const sizeBytes = sources.reduce((sum, { extent }) => sum + extent.length, 0);
    const sink = this.#storage(set).openContent(target, sizeBytes);
    try {
      for (const source of sources) await this.#copySource(source, sink);
      return await sink.finish();
    } catch (error) {
      sink.abort();
      throw error;
    }
  }

  async #copySource({ head, extent }: ContentSource, sink: ContentSink): Promise<void> {
    if (extent.length === 0) return;
    const range: ReadRange = { kind: 'between', first: extent.offset, last: extentEnd(extent) - 1 };
    const read = await this.#storage(this.#setOfTag(head.lastTag)).read(head.id, range, head.lastTag);
    if (read === null) throw new ObjectStorageError('changed', 'what was to be copied is gone');
    const { body } = read;
    for await (const piece of body) await sink.write(piece, () => body.giveBack?.(piece));
  }
}
