/**
 * Versions of objects on a store that knows none.
 *
 * The CURRENT version of a key is the object (container = bucket, name = key, version ''), a delete marker too; it is there as long as the
 * key has any version. Older versions are objects of `.versions.<bucket>` under the same name, with their sort id as version.
 *
 * Every change is a few mutations of single objects under the key's lock, in an order that a crash may cut anywhere:
 *
 *   a new version   1. the current one is copied to the older ones   2. the new one takes its place
 *                   3. a null version that it superseded is removed
 *   delete current  1. a copy of it among the older ones is removed  2. the newest older one is copied to its place
 *                   3. that one is removed from the older ones
 *
 * No content moves: copies share their bytes. What a crash can leave over is told from a version by `isOlderVersion`, which all
 * readers ask, and cleared by the next change of the key before it could be taken for one: the copy of a current version has its
 * sort id, a superseded null version is on record in the current one (`supersededId`).
 *
 * The locks are in memory, of one gateway or between its workers: one gateway at a time changes a key (DESIGN.md section 7).
 */
import {
  LIST_LIMIT_MAX,
  ObjectStorageError,
  type ListEntry,
  type ObjectHead,
  type ObjectStorage,
  type StagedContent,
} from '../../gateway/object-storage.js';
import { makeObjectId, type ObjectId } from '../../protocol/object-id.js';
import {
  decodeObjectAttributes,
  encodeObjectAttributes,
  type ObjectAttributes,
  type ObjectVersion,
} from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { READ_ATTEMPTS_MAX } from '../limits.js';
import { type NamedLocks, SharedLocks } from '../shared-lock.js';
import {
  isNullVersion,
  isOlderVersion,
  nextVersionId,
  NULL_VERSION_ID,
  olderVersionObjectId,
  sortIdOf,
  versionIdOf,
  versionsContainer,
} from './version-ids.js';

/** Older versions that are looked at at once in search of the newest. */
const SEARCH_PAGE = 4;

export interface StoredVersion {
  readonly head: ObjectHead;
  readonly attributes: ObjectAttributes;
  readonly isCurrent: boolean;
}

export interface Place {
  /** As `withBucket` gave it: the configuration decides. */
  readonly bucket: Bucket;
  readonly key: string;
}

/** What a new current version is written by, once its predecessor is safe. */
export interface Succession {
  /** For the attributes of the new version. */
  readonly version: ObjectVersion;
  /** A delete marker too; null: the key is new. */
  readonly current: StoredVersion | null;
  /** To be called in `decide` with what the store has: throws when it is not `current` any more. */
  readonly check: (stored: ObjectHead | null) => void;
}

function decodeVersion(head: ObjectHead, isCurrent: boolean): StoredVersion {
  return { head, attributes: decodeObjectAttributes(head.attributes), isCurrent };
}

/** Null when the entry of a listing of the versions container is no version. */
export function olderOfEntry(
  entry: ListEntry & { kind: 'object' },
  current: StoredVersion,
): StoredVersion | null {
  const older = decodeVersion(entry.head, false);
  return isOlderVersion(older.attributes, current.attributes) ? older : null;
}

function changed(): ObjectStorageError {
  return new ObjectStorageError('changed', 'the current version has changed meanwhile');
}

function isChanged(error: unknown): boolean {
  return error instanceof ObjectStorageError && error.kind === 'changed';
}

export function checkUnchanged(expected: ObjectHead | null): (stored: ObjectHead | null) => void {
  return (stored) => {
    if (stored?.lastTag !== expected?.lastTag) throw changed();
  };
}

function nextVersion(current: StoredVersion | null, isNull: boolean): ObjectVersion {
  const before = current?.attributes ?? null;
  const id = nextVersionId(before === null ? null : sortIdOf(before));
  const olderNullId =
    before === null ? null : isNullVersion(before) ? sortIdOf(before) : (before.version?.olderNullId ?? null);
  if (!isNull) return { id, isNull, olderNullId, supersededId: null };
  const supersededId = before === null || isNullVersion(before) ? null : olderNullId;
  return { id, isNull, olderNullId: null, supersededId };
}

/** The attributes of a version that is not current any more, or that becomes so. */
function withPlace(
  attributes: ObjectAttributes,
  place: { readonly olderNullId: string | null },
): ObjectAttributes {
  const { olderNullId } = place;
  const version: ObjectVersion = {
    id: sortIdOf(attributes),
    isNull: isNullVersion(attributes),
    olderNullId,
    supersededId: null,
  };
  return { ...attributes, version };
}

export class VersionedObjects {
  readonly #storage: ObjectStorage;
  readonly #locks: NamedLocks;

  constructor(storage: ObjectStorage, locks: NamedLocks = new SharedLocks()) {
    this.#storage = storage;
    this.#locks = locks;
  }

  /** The current version, be it a delete marker; null: the key has no versions. */
  async current({ bucket, key }: Place): Promise<StoredVersion | null> {
    const head = await this.#storage.head(makeObjectId(bucket.name, key));
    return head === null ? null : decodeVersion(head, true);
  }

  /** The version that clients call so, be it a delete marker. Null: there is none. */
  async find(place: Place, versionId: string): Promise<StoredVersion | null> {
    let seen: StoredVersion | null = null;
    for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt += 1) {
      const current = await this.current(place);
      if (current === null) return null;
      if (versionIdOf(current.attributes) === versionId) return current;
      const older = await this.#olderOf(place, current, versionId);
      if (older !== null) return older;
      // It may have been promoted between the two looks: then the current one is another now.
      if (seen?.head.lastTag === current.head.lastTag) return null;
      seen = current;
    }
    throw changed();
  }

  /** Null without one: the newest version that comes after `current`. */
  async newestOlder(place: Place, current: StoredVersion): Promise<StoredVersion | null> {
    for await (const older of this.older(place, current, SEARCH_PAGE)) return older;
    return null;
  }

  /** The older versions of one key, newest first, from behind the version given. */
  async *older(
    place: Place,
    current: StoredVersion,
    pageEntries = LIST_LIMIT_MAX,
  ): AsyncGenerator<StoredVersion> {
    const { bucket, key } = place;
    let afterVersion = sortIdOf(current.attributes);
    for (;;) {
      const page = await this.#storage.list({
        container: versionsContainer(bucket.name),
        prefix: key,
        after: key,
        afterVersion,
        delimiter: '',
        limit: pageEntries,
      });
      for (const entry of page.entries) {
        if (entry.kind !== 'object' || entry.name !== key) return;
        const older = olderOfEntry(entry, current);
        if (older !== null) yield older;
        afterVersion = entry.version;
      }
      if (!page.truncated) return;
    }
  }

  /** Runs changes of one key one after the other. */
  withKey<Result>({ bucket, key }: Place, change: () => Promise<Result>): Promise<Result> {
    return this.#locks.exclusive(`${bucket.name}\u0000${key}`, change);
  }

  /**
   * Puts a new version in the place of the current one, in a bucket that has or had versioning. `judge` may throw to refuse; `write`
   * makes the mutation. Both may be called again when another mutation of the current version came between.
   */
  succeed<Result>(
    place: Place,
    judge: (current: StoredVersion | null) => void,
    write: (succession: Succession) => Promise<Result>,
  ): Promise<Result> {
    const isNull = place.bucket.configuration.versioning !== 'enabled';
    return this.#retrying(place, async () => {
      const current = await this.current(place);
      judge(current);
      const version = nextVersion(current, isNull);
      if (current !== null) {
        await this.#settle(place, current);
        // A null version takes the place of a null version, and only a copy of that may be left over.
        if (isNull && isNullVersion(current.attributes))
          await this.#removeOlder(place, sortIdOf(current.attributes));
        else await this.#archive(place, current);
      }
      const result = await write({ version, current, check: checkUnchanged(current?.head ?? null) });
      if (version.supersededId !== null) await this.#removeLater(place, version.supersededId);
      return result;
    });
  }

  /** Removes one version for good; `judge` may throw to refuse. Null: there is no such version. */
  removeVersion(
    place: Place,
    versionId: string,
    judge: (version: StoredVersion) => void,
  ): Promise<StoredVersion | null> {
    return this.#retrying(place, async () => {
      const current = await this.current(place);
      if (current === null) return null;
      if (versionIdOf(current.attributes) === versionId) {
        judge(current);
        await this.#removeCurrent(place, current);
        return current;
      }
      const older = await this.#olderOf(place, current, versionId);
      if (older === null) return null;
      judge(older);
      await this.#storage.remove({ id: older.head.id });
      return older;
    });
  }

  /**
   * Changes the attributes of one version in place; null: of the current one. `change` may throw to refuse, and gets null when
   * there is no such version: then it must.
   */
  async annotate(
    place: Place,
    versionId: string | null,
    change: (version: StoredVersion | null) => ObjectAttributes,
  ): Promise<StoredVersion> {
    return this.#retrying(place, async () => {
      const found = versionId === null ? await this.current(place) : await this.find(place, versionId);
      const attributes = change(found);
      if (found === null) throw changed();
      const check = checkUnchanged(found.head);
      const head = await this.#storage.setAttributes({
        id: found.head.id,
        decide: (stored) => {
          check(stored);
          return encodeObjectAttributes(attributes);
        },
      });
      return { head, attributes, isCurrent: found.isCurrent };
    });
  }

  async #retrying<Result>(place: Place, change: () => Promise<Result>): Promise<Result> {
    return this.withKey(place, async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await change();
        } catch (error) {
          if (!isChanged(error) || attempt >= READ_ATTEMPTS_MAX) throw error;
        }
      }
    });
  }

  async #olderOf(place: Place, current: StoredVersion, versionId: string): Promise<StoredVersion | null> {
    const sortId =
      versionId === NULL_VERSION_ID ? (current.attributes.version?.olderNullId ?? null) : versionId;
    if (sortId === null) return null;
    const head = await this.#storage.head(olderVersionObjectId(place.bucket.name, place.key, sortId));
    if (head === null) return null;
    const older = decodeVersion(head, false);
    const isIt =
      isOlderVersion(older.attributes, current.attributes) && versionIdOf(older.attributes) === versionId;
    return isIt ? older : null;
  }

  /** Brings to its end what a crash cut short. */
  async #settle(place: Place, current: StoredVersion): Promise<void> {
    const supersededId = current.attributes.version?.supersededId ?? null;
    if (supersededId !== null) await this.#removeOlder(place, supersededId);
  }

  async #removeOlder({ bucket, key }: Place, sortId: string): Promise<void> {
    await this.#storage.remove({ id: olderVersionObjectId(bucket.name, key, sortId) });
  }

  /** What is removed is on record: when this fails, the next change of the key does it. */
  async #removeLater(place: Place, sortId: string): Promise<void> {
    try {
      await this.#removeOlder(place, sortId);
    } catch (error) {
      if (!(error instanceof ObjectStorageError)) throw error;
    }
  }

  async #archive({ bucket, key }: Place, current: StoredVersion): Promise<void> {
    const id = olderVersionObjectId(bucket.name, key, sortIdOf(current.attributes));
    await this.#copy(current, {
      id,
      attributes: () => encodeObjectAttributes(withPlace(current.attributes, { olderNullId: null })),
    });
  }

  async #removeCurrent(place: Place, current: StoredVersion): Promise<void> {
    await this.#settle(place, current);
    await this.#removeOlder(place, sortIdOf(current.attributes));
    const check = checkUnchanged(current.head);
    const { id } = current.head;
    const next = await this.newestOlder(place, current);
    if (next === null) {
      await this.#storage.remove({ id, decide: check });
      return;
    }
    const olderNullId = isNullVersion(next.attributes)
      ? null
      : (current.attributes.version?.olderNullId ?? null);
    await this.#copy(next, {
      id,
      attributes: (stored) => {
        check(stored);
        return encodeObjectAttributes(withPlace(next.attributes, { olderNullId }));
      },
    });
    // A copy with the sort id of the current version: no reader takes it for a version, and the next change of the key removes it.
    await this.#removeLater(place, sortIdOf(next.attributes));
  }

  /** Makes another object of the same bytes. */
  async #copy(
    source: StoredVersion,
    target: { readonly id: ObjectId; readonly attributes: (stored: ObjectHead | null) => string },
  ): Promise<void> {
    const content = await this.#contentOf(source.head, target.id);
    try {
      await this.#storage.replace({ ...target, content });
    } finally {
      content.discard();
    }
  }

  async #contentOf(head: ObjectHead, target: ObjectId): Promise<StagedContent> {
    if (head.sizeBytes === 0) return this.#storage.openContent(target, 0).finish();
    return this.#storage.composeContent([{ head, extent: { offset: 0, length: head.sizeBytes } }]);
  }
}
