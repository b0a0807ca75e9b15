/**
 * The buckets: each is an object without content in the container BUCKETS_CONTAINER, named like the bucket.
 *
 * Guarantees:
 * - The cache is exact as long as everyone who creates, configures and deletes buckets does it under these locks; `invalidate` drops it
 *   when somebody else did (another gateway took over). A bucket is forgotten before its mutation starts, and remembered only
 *   from a read under the same lock, so a mutation whose outcome is unknown leaves nothing stale.
 * - No object gets into a bucket that is being deleted: a mutation of objects holds the bucket shared, DeleteBucket
 *   holds it alone from the check that it is empty to its removal. The same holds of its configuration and documents: a
 *   mutation of objects sees one state of them from beginning to end.
 * - A document (bucket-configuration.ts) never outlives its bucket for another one of the same name: CreateBucket removes what
 *   a DeleteBucket that was cut short may have left, before the new bucket is there.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectStorage, StagedContent } from '../gateway/object-storage.js';
import { invariant } from '../protocol/invariant.js';
import { makeObjectId, type ObjectId } from '../protocol/object-id.js';
import type { Soon } from '../protocol/soon.js';
import { decodeBucketAttributes, encodeBucketAttributes, type BucketAttributes } from './attributes.js';
import {
  BUCKET_DOCUMENT_KINDS,
  type BucketConfiguration,
  type BucketDocument,
  type BucketDocumentKind,
} from './bucket-configuration.js';
import { S3Error } from './errors.js';
import { checkBucketName } from './keys.js';
import { type NamedLocks, SharedLocks } from './shared-lock.js';

/** No bucket name begins with a dot. */
const BUCKETS_CONTAINER = '.buckets';
/** Documents of buckets: named like the bucket, with their kind as version. */
const DOCUMENTS_CONTAINER = '.bucket-config';
const LIST_PAGE = 1000;

export interface Bucket extends BucketAttributes {
  readonly name: string;
}

interface BucketPageRequest {
  readonly ownerId: string;
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
  /** Only these; null: all. */
  readonly names: readonly string[] | null;
}

interface BucketPage {
  readonly buckets: readonly Bucket[];
  readonly isTruncated: boolean;
}

/** A document is its content. */
const DOCUMENT_ATTRIBUTES = '{"v":1}';

function bucketId(name: string): ObjectId {
  return makeObjectId(BUCKETS_CONTAINER, name);
}

function documentId(name: string, kind: BucketDocumentKind): ObjectId {
  return makeObjectId(DOCUMENTS_CONTAINER, name, kind);
}

function isSameBucket(left: Bucket, right: Bucket): boolean {
  return left.name === right.name && left.ownerId === right.ownerId && left.createdMs === right.createdMs;
}

function noSuchBucket(name: string): S3Error {
  return new S3Error('NoSuchBucket', { details: { BucketName: name } });
}

/** A bucket of the same owner that others may get at otherwise is not the one that was asked for. */
function alreadyThere(bucket: Bucket, asked: Bucket): S3Error {
  const isSame =
    bucket.ownerId === asked.ownerId &&
    isDeepStrictEqual(bucket.configuration.access.grants, asked.configuration.access.grants);
  return new S3Error(isSame ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists', {
    details: { BucketName: bucket.name },
  });
}

export class BucketDirectory {
  readonly #storage: ObjectStorage;
  readonly #cachedMax: number;
  readonly #cached = new Map<string, Bucket>();
  /** By bucket and kind; null: there is no such document. */
  readonly #documents = new Map<string, Map<BucketDocumentKind, unknown>>();
  readonly #locks: NamedLocks;
  #generation = 0;

  constructor(storage: ObjectStorage, cachedMax: number, locks: NamedLocks = new SharedLocks()) {
    this.#storage = storage;
    this.#cachedMax = cachedMax;
    this.#locks = locks;
    locks.onTakenElsewhere((name) => {
      this.#cached.delete(name);
      this.#documents.delete(name);
    });
  }

  /** Forgets what is remembered. */
  invalidate(): void {
    this.#generation += 1;
    this.#cached.clear();
    this.#documents.clear();
  }

  /** Throws S3Error InvalidBucketName or NoSuchBucket. */
  get(name: string): Soon<Bucket> {
    return this.#cached.get(name) ?? this.#find(name);
  }

  #find(name: string): Promise<Bucket> {
    checkBucketName(name);
    return this.#locks.shared(name, () => this.#load(name));
  }

  /**
   * Runs a mutation of objects in a bucket that is still the one given, and stays there meanwhile, with its configuration
   * as `mutate` gets it. Throws S3Error NoSuchBucket.
   */
  withBucket<Result>(bucket: Bucket, mutate: (present: Bucket) => Promise<Result>): Promise<Result> {
    return this.#locks.shared(bucket.name, () => {
      const cached = this.#cached.get(bucket.name);
      return cached !== undefined && isSameBucket(cached, bucket)
        ? mutate(cached)
        : this.#present(bucket).then(mutate);
    });
  }

  /** For those who run under `withBucket` already: the bucket as it is. */
  heldBucket(bucket: Bucket): Soon<Bucket> {
    invariant(this.#locks.isHeld(bucket.name), 'a mutation of objects holds their bucket', {
      bucket: bucket.name,
    });
    const cached = this.#cached.get(bucket.name);
    return cached !== undefined && isSameBucket(cached, bucket) ? cached : this.#present(bucket);
  }

  /**
   * Changes the configuration. `change` gets the present one and returns the new one, or throws to refuse; no mutation of objects
   * runs meanwhile. Throws S3Error NoSuchBucket.
   */
  configure(bucket: Bucket, change: (present: BucketConfiguration) => BucketConfiguration): Promise<void> {
    const { name } = bucket;
    return this.#locks.exclusive(name, async () => {
      await this.#present(bucket);
      this.#cached.delete(name);
      await this.#storage.setAttributes({
        id: bucketId(name),
        decide: (current) => {
          if (current === null) throw noSuchBucket(name);
          const attributes = decodeBucketAttributes(current.attributes);
          return encodeBucketAttributes({ ...attributes, configuration: change(attributes.configuration) });
        },
      });
    });
  }

  /** Null: the bucket has no such document. Not for those who hold the bucket. Throws S3Error NoSuchBucket. */
  document<Value>(bucket: Bucket, document: BucketDocument<Value>): Soon<Value | null> {
    const { name } = bucket;
    const known = this.#documents.get(name)?.get(document.kind);
    // What is remembered under a kind came from the one document of that kind.
    if (known !== undefined && this.#isPresent(bucket)) return known as Value | null;
    return this.#locks.shared(name, async () => {
      await this.#present(bucket);
      return this.#loadDocument(name, document);
    });
  }

  /** All buckets that have such a document, in order of their names. */
  async *withDocument<Value>({ kind }: BucketDocument<Value>): AsyncGenerator<Bucket, void, undefined> {
    let after = '';
    let place = {};
    for (;;) {
      const page = await this.#storage.list({
        container: DOCUMENTS_CONTAINER,
        prefix: '',
        after,
        ...place,
        delimiter: '',
        limit: LIST_PAGE,
      });
      for (const entry of page.entries) {
        if (entry.kind !== 'object') continue;
        after = entry.name;
        place = { afterVersion: entry.version };
        const head = entry.version === kind ? await this.#storage.head(bucketId(entry.name)) : null;
        if (head !== null) yield { name: entry.name, ...decodeBucketAttributes(head.attributes) };
      }
      if (!page.truncated) return;
    }
  }

  /** Null removes it. Throws S3Error NoSuchBucket. */
  putDocument<Value>(bucket: Bucket, document: BucketDocument<Value>, value: Value | null): Promise<void> {
    const { name } = bucket;
    const id = documentId(name, document.kind);
    return this.#locks.exclusive(name, async () => {
      await this.#present(bucket);
      this.#documents.delete(name);
      if (value === null) {
        await this.#storage.remove({ id });
        return;
      }
      const sink = this.#storage.openContent(id, null);
      let content: StagedContent;
      try {
        await sink.write(Buffer.from(document.encode(value), 'utf8'));
        content = await sink.finish();
      } catch (error) {
        sink.abort();
        throw error;
      }
      try {
        await this.#storage.replace({ id, content, attributes: DOCUMENT_ATTRIBUTES });
      } finally {
        content.discard();
      }
    });
  }

  /** Throws S3Error BucketAlreadyOwnedByYou or BucketAlreadyExists. */
  create(bucket: Bucket): Promise<void> {
    const { name, ...attributes } = bucket;
    return this.#locks.exclusive(name, async () => {
      this.#cached.delete(name);
      if ((await this.#storage.head(bucketId(name))) === null) await this.#removeDocuments(name);
      const id = bucketId(name);
      const content = await this.#storage.openContent(id, 0).finish();
      try {
        await this.#storage.replace({
          id,
          content,
          attributes: (current) => {
            if (current !== null) {
              throw alreadyThere({ name, ...decodeBucketAttributes(current.attributes) }, bucket);
            }
            return encodeBucketAttributes(attributes);
          },
        });
      } finally {
        content.discard();
      }
    });
  }

  /** Throws S3Error NoSuchBucket or BucketNotEmpty. */
  remove(name: string): Promise<void> {
    return this.#locks.exclusive(name, async () => {
      const page = await this.#storage.list({
        container: name,
        prefix: '',
        after: '',
        delimiter: '',
        limit: 1,
      });
      if (page.entries.length > 0) throw new S3Error('BucketNotEmpty', { details: { BucketName: name } });
      this.#cached.delete(name);
      const wasThere = await this.#storage.remove({ id: bucketId(name) });
      if (!wasThere) throw noSuchBucket(name);
      await this.#removeDocuments(name);
    });
  }

  /** The buckets of one owner, in order of their names. */
  async list(request: BucketPageRequest): Promise<BucketPage> {
    const buckets: Bucket[] = [];
    let { after } = request;
    for (;;) {
      const page = await this.#storage.list({
        container: BUCKETS_CONTAINER,
        prefix: request.prefix,
        after,
        delimiter: '',
        limit: LIST_PAGE,
      });
      for (const entry of page.entries) {
        if (entry.kind !== 'object') continue;
        const bucket: Bucket = { name: entry.name, ...decodeBucketAttributes(entry.head.attributes) };
        const isListed = request.names?.includes(bucket.name) ?? true;
        if (bucket.ownerId === request.ownerId && isListed) {
          if (buckets.length === request.limit) return { buckets, isTruncated: true };
          buckets.push(bucket);
        }
        after = entry.name;
      }
      if (!page.truncated) return { buckets, isTruncated: false };
    }
  }

  #isPresent(bucket: Bucket): boolean {
    const cached = this.#cached.get(bucket.name);
    return cached !== undefined && isSameBucket(cached, bucket);
  }

  /** Under the bucket's lock. */
  async #present(bucket: Bucket): Promise<Bucket> {
    const present = this.#cached.get(bucket.name) ?? (await this.#load(bucket.name));
    if (!isSameBucket(present, bucket)) throw noSuchBucket(bucket.name);
    return present;
  }

  /** Under the bucket's lock. */
  async #loadDocument<Value>(name: string, document: BucketDocument<Value>): Promise<Value | null> {
    const generation = this.#generation;
    const read = await this.#storage.read(documentId(name, document.kind), { kind: 'whole' });
    const pieces: Buffer[] = [];
    if (read !== null) for await (const piece of read.body) pieces.push(piece);
    const value = read === null ? null : document.decode(Buffer.concat(pieces).toString('utf8'));
    if (generation === this.#generation) {
      if (this.#documents.size >= this.#cachedMax) this.#documents.clear();
      const known = this.#documents.get(name) ?? new Map<BucketDocumentKind, unknown>();
      known.set(document.kind, value);
      this.#documents.set(name, known);
    }
    return value;
  }

  /** Under the bucket's exclusive lock. */
  async #removeDocuments(name: string): Promise<void> {
    this.#documents.delete(name);
    for (const kind of BUCKET_DOCUMENT_KINDS) await this.#storage.remove({ id: documentId(name, kind) });
  }

  /** Under the bucket's lock. */
  async #load(name: string): Promise<Bucket> {
    const generation = this.#generation;
    const head = await this.#storage.head(bucketId(name));
    if (head === null) throw noSuchBucket(name);
    const bucket: Bucket = { name, ...decodeBucketAttributes(head.attributes) };
    if (generation === this.#generation) {
      if (this.#cached.size >= this.#cachedMax) this.#cached.clear();
      this.#cached.set(name, bucket);
    }
    return bucket;
  }
}
