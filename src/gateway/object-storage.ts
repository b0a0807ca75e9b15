/**
 * The one port that `s3/` sees of the mirrored store. Its real implementation is `MirroredObjectStorage` in this folder;
 * the in-memory one under test/ passes the same conformance suite.
 *
 * What an implementation guarantees:
 * - A mutation that resolves is durable on every mirror in sync (I2). One that rejects with a refusal (whatever the
 *   `decide` callback threw, or `ObjectStorageError` of kind `unavailable` or `no-space`) changed nothing. One that rejects with kind
 *   `outcome-unknown` may or may not have happened; every later read sees it decided one way.
 * - Mutations of one object are serialized: `decide` sees the state that the mutation then changes, nobody comes between.
 * - A read started after a mutation has resolved sees it. A read sees one state of the object, whole (F26).
 * - Content is stored before the mutation that names it; content that is never named goes away by itself.
 */
import type { Extent } from '../protocol/extent.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Soon } from '../protocol/soon.js';
import type { Tag } from '../protocol/tag.js';

/** What is known of an object without its content. */
export interface ObjectHead {
  readonly id: ObjectId;
  readonly sizeBytes: number;
  /** The tag of the write that made this state. Changes with every mutation, so it serves as a version for reads. */
  readonly lastTag: Tag;
  /** The caller's text, kept as given (S3 keeps JSON here); at most ATTRIBUTES_BYTES_MAX bytes of UTF-8. */
  readonly attributes: string;
}

export const ATTRIBUTES_BYTES_MAX = 64 * 1024;

/** Which bytes to read, before the size is known (RFC 9110 section 14.1.2). `last` is inclusive, null: to the end. */
export type ReadRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'between'; readonly first: number; readonly last: number | null }
  | { readonly kind: 'suffix'; readonly lengthBytes: number };

export interface ObjectBody extends AsyncIterable<Buffer> {
  /** Takes back the memory of a piece that nobody uses any more. Who does not call it leaves it to the collector. */
  readonly giveBack?: (piece: Buffer) => void;
}

export interface ObjectRead {
  readonly head: ObjectHead;
  /** The bytes that `body` carries, or null when the range is not satisfiable (then `body` is empty). */
  readonly extent: Extent | null;
  /** All of it when it is small and at hand: then `body` need not be touched, and there is nothing to let go of. */
  readonly bytes: Buffer | null;
  /**
   * Verified bytes in order. Consume it to the end, or call `return()` (a `for await` does; before the first piece too) to let go of it. It throws
   * `ObjectStorageError` when the rest can't be had; bytes that were already delivered are right.
   */
  readonly body: ObjectBody;
}

/** Content that was handed over and is ready to be named by one mutation. Opaque to callers. */
export interface StagedContent {
  readonly sizeBytes: number;
  /**
   * Lets go of content that no mutation will name. Safe to call twice, and after a mutation named it. Content survives a
   * mutation that its `decide` refused: another one may name it.
   */
  discard(): void;
}

/** Takes the content of one write, piece by piece, with backpressure from the slowest mirror. */
export interface ContentSink {
  /**
   * Resolves when the next piece may come; undefined: it may come at once. The buffer must not change before `onTaken` is called: from then on nobody
   * looks at it. Of a piece that stays in memory, or is lost on the way, that may never be.
   */
  write(piece: Buffer, onTaken?: () => void): Promise<void> | undefined;
  /** All pieces are in. */
  finish(): Soon<StagedContent>;
  /** The content is not wanted: nothing of it remains anywhere. */
  abort(): void;
}

/** Called with the object's present state (null: there is none) under the object's write lock; may throw to refuse. */
export type Decide<Decision> = (current: ObjectHead | null) => Decision;

export interface ReplaceRequest {
  readonly id: ObjectId;
  readonly content: StagedContent;
  /** The new attributes. Text when they depend on nothing: then the present state need not be read. */
  readonly attributes: string | Decide<string>;
}

export interface RangeWriteRequest {
  readonly id: ObjectId;
  readonly content: StagedContent;
  /**
   * Where the content goes, and the new attributes. The offset is from 0 to the present size (no holes): at the size it
   * is an extend, below it an overwrite, or both when it passes the end. There must be an object: `decide` throws for null.
   */
  readonly decide: Decide<{ readonly offset: number; readonly attributes: string }>;
}

export interface AttributesRequest {
  readonly id: ObjectId;
  readonly decide: Decide<string>;
}

export interface RemoveRequest {
  readonly id: ObjectId;
  /** May throw to refuse. Without it the object is removed if it is there. */
  readonly decide?: Decide<void>;
}

export interface ListRequest {
  readonly container: string;
  /** Only names that begin with this. */
  readonly prefix: string;
  /**
   * Only names (and common prefixes) that sort after this, in UTF-8 byte order. When `after` itself begins with prefix and ends
   * with the delimiter as a common prefix of an earlier page, everything under that common prefix is passed over.
   */
  readonly after: string;
  /** With it, versions of the name `after` itself that sort after this one come too, first of all. */
  readonly afterVersion?: string;
  /** Groups names that share what lies between prefix and the first delimiter; empty: no grouping. */
  readonly delimiter: string;
  /** Entries at the most, from 1 to LIST_LIMIT_MAX; a common prefix counts as one. */
  readonly limit: number;
}

export const LIST_LIMIT_MAX = 1000;

export type ListEntry =
  | { readonly kind: 'object'; readonly name: string; readonly version: string; readonly head: ObjectHead }
  | { readonly kind: 'common-prefix'; readonly prefix: string };

export interface ListPage {
  readonly entries: readonly ListEntry[];
  /** True when more follow: pass the last entry's name or prefix as the next `after`. */
  readonly truncated: boolean;
}

/** Bytes of an object that is stored already, as the caller last saw it. */
export interface ContentSource {
  readonly head: ObjectHead;
  readonly extent: Extent;
}

export interface ObjectStorage {
  head(id: ObjectId): Promise<ObjectHead | null>;
  /** Null: no such object. With `expectedTag`, rejects with kind `changed` when the object is not at that tag any more. */
  read(id: ObjectId, range: ReadRange, expectedTag?: Tag): Promise<ObjectRead | null>;
  list(request: ListRequest): Promise<ListPage>;
  /**
   * `target` is the object that the content is meant for: it waits where that object's content will be. `sizeBytes` is what
   * will be written, null when nobody knows yet; to write anything else is the caller's mistake.
   */
  openContent(target: ObjectId, sizeBytes: number | null): ContentSink;
  /**
   * Content made of stored bytes, none of which is moved; for one `replace`, which rejects with kind `changed`, and
   * changes nothing, when a source has changed since its head was read. At most COMPOSE_SOURCES_MAX sources.
   */
  composeContent(sources: readonly ContentSource[]): StagedContent;
  replace(request: ReplaceRequest): Promise<ObjectHead>;
  writeRange(request: RangeWriteRequest): Promise<ObjectHead>;
  setAttributes(request: AttributesRequest): Promise<ObjectHead>;
  /** True when there was an object. */
  remove(request: RemoveRequest): Promise<boolean>;
}

/**
 * - `unavailable`: no mirror set is active just now (recovery runs, or too few mirrors are there). Nothing was changed. Try again later.
 * - `outcome-unknown`: the mutation may or may not have happened.
 * - `no-space`: no mirror can store this. Nothing was changed.
 * - `changed`: the object moved on between two reads of it.
 * - `damaged`: no mirror has an intact copy of the bytes.
 */
export type ObjectStorageErrorKind = 'unavailable' | 'outcome-unknown' | 'no-space' | 'changed' | 'damaged';

export class ObjectStorageError extends Error {
  readonly kind: ObjectStorageErrorKind;

  constructor(kind: ObjectStorageErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ObjectStorageError';
    this.kind = kind;
  }
}
