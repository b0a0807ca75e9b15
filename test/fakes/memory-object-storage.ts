/**
 * ObjectStorage in memory: no mirrors, no disk, the same promises. `counters` show what is left over, `beforeEach` lets faults
 * and delays in.
 */
import {
  ObjectStorageError,
  LIST_LIMIT_MAX,
  type AttributesRequest,
  type ContentSink,
  type ContentSource,
  type Decide,
  type ListEntry,
  type ListPage,
  type ListRequest,
  type ObjectHead,
  type ObjectRead,
  type ObjectStorage,
  type RangeWriteRequest,
  type ReadRange,
  type RemoveRequest,
  type ReplaceRequest,
  type StagedContent,
} from '../../src/gateway/object-storage.js';
import { type Extent, extentEnd } from '../../src/protocol/extent.js';
import { invariant } from '../../src/protocol/invariant.js';
import { compareUtf8, makeObjectId, parseObjectId, type ObjectId } from '../../src/protocol/object-id.js';
import { makeTag, toEpoch, toGeneratorId, type Tag } from '../../src/protocol/tag.js';

export type MemoryOperation =
  | 'head'
  | 'read'
  | 'read-piece'
  | 'list'
  | 'write'
  | 'finish'
  | 'replace'
  | 'writeRange'
  | 'setAttributes'
  | 'remove';

export interface MemoryObjectStorageOptions {
  /** Awaited before each operation takes effect; what it throws is the operation's failure. */
  readonly beforeEach?: (operation: MemoryOperation) => void | Promise<void>;
  readonly pieceBytesMax?: number;
  /** Of its tags; 0 unless told. */
  readonly generator?: number;
}

interface Stored {
  readonly head: ObjectHead;
  readonly content: Buffer;
}

class MemoryContent implements StagedContent {
  readonly sizeBytes: number;
  /** Throws ObjectStorageError `changed` for composed content whose source has changed. */
  readonly read: () => Buffer;
  readonly #onDiscard: () => void;
  #isHeld = true;

  constructor(sizeBytes: number, read: () => Buffer, onDiscard: () => void) {
    this.sizeBytes = sizeBytes;
    this.read = read;
    this.#onDiscard = onDiscard;
  }

  discard(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#onDiscard();
  }
}

function contentOf(staged: StagedContent): Buffer {
  invariant(staged instanceof MemoryContent, 'content goes to the store that staged it');
  return staged.read();
}

function resolve(range: ReadRange, sizeBytes: number): Extent | null {
  switch (range.kind) {
    case 'whole':
      return { offset: 0, length: sizeBytes };
    case 'suffix': {
      const length = Math.min(range.lengthBytes, sizeBytes);
      return length === 0 ? null : { offset: sizeBytes - length, length };
    }
    case 'between': {
      if (range.first >= sizeBytes) return null;
      const end = Math.min((range.last ?? sizeBytes - 1) + 1, sizeBytes);
      return { offset: range.first, length: end - range.first };
    }
  }
}

export class MemoryObjectStorage implements ObjectStorage {
  /** Sinks that are neither finished nor aborted, and contents that are neither named nor discarded. */
  readonly counters = { openSinks: 0, heldContents: 0, openReads: 0, mutations: 0 };
  readonly #objects = new Map<ObjectId, Stored>();
  readonly #options: MemoryObjectStorageOptions;
  #lastCounter = 0;

  constructor(options: MemoryObjectStorageOptions = {}) {
    this.#options = options;
  }

  /** The objects of a container, in no order. */
  names(container: string): readonly string[] {
    const ids = Array.from(this.#objects.keys(), (id) => parseObjectId(id));
    return ids.filter((id) => id.container === container).map(({ name }) => name);
  }

  /** What is stored of an object that is there. */
  contentOf(container: string, name: string): Buffer {
    const stored = this.#objects.get(makeObjectId(container, name));
    invariant(stored !== undefined, 'the object is there', { container, name });
    return stored.content;
  }

  /** Everything that is stored: contents and attributes. */
  bytesAtRest(): Buffer {
    const stored = Array.from(this.#objects.values());
    return Buffer.concat(stored.flatMap(({ head, content }) => [content, Buffer.from(head.attributes)]));
  }

  async head(id: ObjectId): Promise<ObjectHead | null> {
    await this.#before('head');
    return this.#objects.get(id)?.head ?? null;
  }

  async read(id: ObjectId, range: ReadRange, expectedTag?: Tag): Promise<ObjectRead | null> {
    await this.#before('read');
    const stored = this.#objects.get(id);
    if (expectedTag !== undefined && stored?.head.lastTag !== expectedTag) {
      throw new ObjectStorageError('changed', 'the object is not at that tag');
    }
    if (stored === undefined) return null;
    const extent = resolve(range, stored.content.length);
    const bytes =
      extent === null
        ? Buffer.alloc(0)
        : stored.content.subarray(extent.offset, extent.offset + extent.length);
    return { head: stored.head, extent, bytes: null, body: this.#pieces(bytes) };
  }

  /** Ids after one, in the order of the store. */
  ids(after: ObjectId | null, limit: number): ObjectId[] {
    const ids = [...this.#objects.keys()].sort(compareUtf8);
    return ids.filter((id) => after === null || compareUtf8(id, after) > 0).slice(0, limit);
  }

  async list(request: ListRequest): Promise<ListPage> {
    await this.#before('list');
    invariant(
      request.limit >= 1 && request.limit <= LIST_LIMIT_MAX,
      'a page has 1 to LIST_LIMIT_MAX entries',
    );
    const entries: ListEntry[] = [];
    for (const entry of this.#entries(request)) {
      if (entries.length === request.limit) return { entries, truncated: true };
      entries.push(entry);
    }
    return { entries, truncated: false };
  }

  openContent(): ContentSink {
    const pieces: Buffer[] = [];
    let isOpen = true;
    this.counters.openSinks += 1;
    const close = (): void => {
      if (isOpen) this.counters.openSinks -= 1;
      isOpen = false;
    };
    return {
      write: async (piece, onTaken) => {
        invariant(isOpen, 'nothing is written to a sink that is closed');
        await this.#before('write');
        pieces.push(onTaken === undefined ? piece : Buffer.from(piece));
        onTaken?.();
      },
      finish: async () => {
        await this.#before('finish');
        close();
        this.counters.heldContents += 1;
        const bytes = Buffer.concat(pieces);
        return new MemoryContent(
          bytes.length,
          () => bytes,
          () => {
            this.counters.heldContents -= 1;
          },
        );
      },
      abort: close,
    };
  }

  composeContent(sources: readonly ContentSource[]): StagedContent {
    this.counters.heldContents += 1;
    const read = (): Buffer =>
      Buffer.concat(
        sources.map(({ head, extent }) => {
          const stored = this.#objects.get(head.id);
          if (stored?.head.lastTag !== head.lastTag)
            throw new ObjectStorageError('changed', 'a source has changed');
          return stored.content.subarray(extent.offset, extentEnd(extent));
        }),
      );
    const sizeBytes = sources.reduce((sum, { extent }) => sum + extent.length, 0);
    return new MemoryContent(sizeBytes, read, () => {
      this.counters.heldContents -= 1;
    });
  }

  async replace(request: ReplaceRequest): Promise<ObjectHead> {
    await this.#before('replace');
    const current = this.#objects.get(request.id) ?? null;
    const attributes = this.#attributes(request.attributes, current);
    return this.#store(request.id, contentOf(request.content), attributes);
  }

  async writeRange(request: RangeWriteRequest): Promise<ObjectHead> {
    await this.#before('writeRange');
    const current = this.#objects.get(request.id) ?? null;
    const { offset, attributes } = request.decide(current?.head ?? null);
    const old = current?.content ?? Buffer.alloc(0);
    invariant(offset >= 0 && offset <= old.length, 'a range write leaves no hole', { offset });
    const written = contentOf(request.content);
    const content = Buffer.concat([old.subarray(0, offset), written, old.subarray(offset + written.length)]);
    return this.#store(request.id, content, attributes);
  }

  async setAttributes(request: AttributesRequest): Promise<ObjectHead> {
    await this.#before('setAttributes');
    const current = this.#objects.get(request.id) ?? null;
    const attributes = request.decide(current?.head ?? null);
    invariant(current !== null, 'attributes are set on an object that is there');
    return this.#store(request.id, current.content, attributes);
  }

  async remove(request: RemoveRequest): Promise<boolean> {
    await this.#before('remove');
    request.decide?.(this.#objects.get(request.id)?.head ?? null);
    this.counters.mutations += 1;
    return this.#objects.delete(request.id);
  }

  async #before(operation: MemoryOperation): Promise<void> {
    await this.#options.beforeEach?.(operation);
  }

  async *#pieces(bytes: Buffer): AsyncGenerator<Buffer> {
    const pieceBytes = this.#options.pieceBytesMax ?? 256 * 1024;
    this.counters.openReads += 1;
    try {
      for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
        await this.#before('read-piece');
        yield bytes.subarray(offset, offset + pieceBytes);
      }
    } finally {
      this.counters.openReads -= 1;
    }
  }

  #attributes(attributes: string | Decide<string>, current: Stored | null): string {
    return typeof attributes === 'string' ? attributes : attributes(current?.head ?? null);
  }

  #store(id: ObjectId, content: Buffer, attributes: string): ObjectHead {
    this.#lastCounter += 1;
    this.counters.mutations += 1;
    const generator = toGeneratorId(this.#options.generator ?? 0);
    const lastTag = makeTag({ epoch: toEpoch(1), counter: this.#lastCounter, generator });
    const head: ObjectHead = { id, sizeBytes: content.length, lastTag, attributes };
    this.#objects.set(id, { head, content: Buffer.from(content) });
    return head;
  }

  *#entries(request: ListRequest): Generator<ListEntry> {
    const { prefix, after, afterVersion, delimiter } = request;
    const heads = Array.from(this.#objects.values(), ({ head }) => ({ head, ...parseObjectId(head.id) }))
      .filter(({ container, name }) => container === request.container && name.startsWith(prefix))
      .sort((left, right) => compareUtf8(left.name, right.name) || compareUtf8(left.version, right.version));
    let lastPrefix: string | null = null;
    for (const { head, name, version } of heads) {
      const end = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
      if (end < 0) {
        const isLaterVersion =
          name === after && afterVersion !== undefined && compareUtf8(version, afterVersion) > 0;
        if (compareUtf8(name, after) > 0 || isLaterVersion) yield { kind: 'object', name, version, head };
        continue;
      }
      const commonPrefix = name.slice(0, end + delimiter.length);
      if (commonPrefix === lastPrefix || compareUtf8(commonPrefix, after) <= 0) continue;
      lastPrefix = commonPrefix;
      yield { kind: 'common-prefix', prefix: commonPrefix };
    }
  }
}
