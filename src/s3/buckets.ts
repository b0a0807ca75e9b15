/**
 * The buckets: each is an object without content in the container BUCKETS_CONTAINER, named like the bucket.
 *
 * Guarantees:
 * - The cache is exact as long as this directory is the only one that creates and deletes buckets; `invalidate` drops it
 *   when somebody else did (another gateway took over). A bucket is forgotten before its mutation starts, and remembered only
 *   from a read under the same lock, so a mutation whose outcome is unknown leaves nothing stale.
 * - No object gets into a bucket that is being deleted: a mutation of objects holds the bucket shared, DeleteBucket
 *   holds it alone from the check that it is empty to its removal.
 */
import type { ObjectStorage } from '../gateway/object-storage.js';
import { makeObjectId, type ObjectId } from '../protocol/object-id.js';
import { decodeBucketAttributes, encodeBucketAttributes, type BucketAttributes } from './attributes.js';
import { S3Error } from './errors.js';
import { SharedLocks } from './shared-lock.js';

/** No bucket name begins with a dot. */
const BUCKETS_CONTAINER = '.buckets';
const LIST_PAGE = 1000;

export interface Bucket extends BucketAttributes {
  readonly name: string;
}

interface BucketPageRequest {
  readonly ownerId: string;
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

interface BucketPage {
  readonly buckets: readonly Bucket[];
  readonly isTruncated: boolean;
}

function bucketId(name: string): ObjectId {
  return makeObjectId(BUCKETS_CONTAINER, name);
}

function noSuchBucket(name: string): S3Error {
  return new S3Error('NoSuchBucket', { details: { BucketName: name } });
}

function alreadyThere(bucket: Bucket, ownerId: string): S3Error {
  return new S3Error(bucket.ownerId === ownerId ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists', {
    details: { BucketName: bucket.name },
  });
}

export class BucketDirectory {
  readonly #storage: ObjectStorage;
  readonly #cachedMax: number;
  readonly #cached = new Map<string, Bucket>();
  readonly #locks = new SharedLocks();
  #generation = 0;

  constructor(storage: ObjectStorage, cachedMax: number) {
    this.#storage = storage;
    this.#cachedMax = cachedMax;
  }

  /** Forgets what is remembered. */
  invalidate(): void {
    this.#generation += 1;
    this.#cached.clear();
  }

  /** Throws S3Error NoSuchBucket. */
  async get(name: string): Promise<Bucket> {
    const cached = this.#cached.get(name);
    if (cached !== undefined) return cached;
    return this.#locks.shared(name, () => this.#load(name));
  }

  /**
   * Runs a mutation of objects in a bucket that is still the one given, and stays there meanwhile. Throws S3Error
   * NoSuchBucket.
   */
  withBucket<Result>(bucket: Bucket, mutate: () => Promise<Result>): Promise<Result> {
    const { name } = bucket;
    return this.#locks.shared(name, async () => {
      const present = this.#cached.get(name) ?? (await this.#load(name));
      const isSame = present.ownerId === bucket.ownerId && present.createdMs === bucket.createdMs;
      if (!isSame) throw noSuchBucket(name);
      return mutate();
    });
  }

  /** Throws S3Error BucketAlreadyOwnedByYou or BucketAlreadyExists. */
  create(bucket: Bucket): Promise<void> {
    const { name, ...attributes } = bucket;
    return this.#locks.exclusive(name, async () => {
      this.#cached.delete(name);
      const content = await this.#storage.openContent(0).finish();
      try {
        await this.#storage.replace({
          id: bucketId(name),
          content,
          attributes: (current) => {
            if (current !== null) {
              throw alreadyThere({ name, ...decodeBucketAttributes(current.attributes) }, bucket.ownerId);
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
        if (bucket.ownerId === request.ownerId) {
          if (buckets.length === request.limit) return { buckets, isTruncated: true };
          buckets.push(bucket);
        }
        after = entry.name;
      }
      if (!page.truncated) return { buckets, isTruncated: false };
    }
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
