/**
 * Carries lifecycle rules out, in rounds: each looks at the keys under the prefixes of a bucket's rules, and removes what has expired.
 *
 * - It owns no state: what a round does not finish the next one finds again. A removal is judged anew under the key's lock, so what
 *   was written or promoted since it was looked at stays.
 * - One bucket at a time, PAGE_ENTRIES keys in memory, CONCURRENT_REMOVALS_MAX removals at once.
 * - Whoever starts it stops it: `stop` resolves when it has let go.
 */
import { ObjectStorageError, type ObjectStorage } from '../../gateway/object-storage.js';
import { InvariantViolation } from '../../protocol/invariant.js';
import { makeObjectId } from '../../protocol/object-id.js';
import type { Bucket, BucketDirectory } from '../buckets.js';
import { contentBytes } from '../encryption/sealing.js';
import { S3Error } from '../errors.js';
import type { UploadDirectory } from '../multipart/upload-directory.js';
import { decodeUploadRecord, uploadsContainer } from '../multipart/upload-record.js';
import { writeDeleteMarker } from '../versions/delete-marker.js';
import { checkRemoval } from '../versions/object-lock.js';
import { versionIdOf } from '../versions/version-ids.js';
import { listVersions } from '../versions/version-listing.js';
import { checkUnchanged, type StoredVersion, type VersionedObjects } from '../versions/versioned-objects.js';
import { LIFECYCLE } from './document.js';
import {
  DAY_MS,
  isCurrentExpired,
  isMarkerExpired,
  isNoncurrentExpired,
  isUploadExpired,
  prefixesOf,
  type Candidate,
  type LifecycleRule,
} from './rules.js';

const PAGE_ENTRIES = 1000;
const CONCURRENT_REMOVALS_MAX = 8;
/** After the start, and between rounds; shorter when days are. */
const FIRST_ROUND_MS = 60_000;
const ROUND_INTERVAL_MS = 60 * 60 * 1000;
const ROUND_INTERVAL_MS_MIN = 250;

export interface LifecycleSetup {
  readonly storage: ObjectStorage;
  readonly buckets: BucketDirectory;
  readonly versions: VersionedObjects;
  readonly uploads: UploadDirectory;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** How long a rule's day is: DAY_MS but in tests. */
  readonly dayMs: number;
  readonly onFailure: (error: unknown) => void;
  /** Told of our own bugs; must stop the process. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

interface Task {
  readonly bucket: Bucket;
  readonly rules: readonly LifecycleRule[];
}

function toCandidate(key: string, { head, attributes }: StoredVersion): Candidate {
  return { key, sizeBytes: contentBytes(head.sizeBytes, attributes), attributes };
}

export class LifecycleWorker {
  readonly #setup: LifecycleSetup;
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(setup: LifecycleSetup) {
    this.#setup = setup;
  }

  start(): void {
    this.#isStopped = false;
    this.#schedule(Math.min(FIRST_ROUND_MS, this.#intervalMs));
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#working;
  }

  /** One look at everything. Rejects with what the store refuses. */
  async round(): Promise<void> {
    for await (const bucket of this.#setup.buckets.withDocument(LIFECYCLE)) {
      const rules = await this.#rulesOf(bucket);
      for await (const removal of this.#removals({ bucket, rules })) {
        if (this.#isStopped) return;
        await removal();
      }
    }
  }

  get #intervalMs(): number {
    const { dayMs } = this.#setup;
    return dayMs >= DAY_MS ? ROUND_INTERVAL_MS : Math.max(Math.floor(dayMs / 8), ROUND_INTERVAL_MS_MIN);
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#working = this.#work();
    }, delayMs);
    this.#timer.unref();
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    try {
      await this.round();
    } catch (error) {
      // The next round finds what is left.
      this.#setup.onFailure(error);
      if (error instanceof InvariantViolation) this.#setup.onInvariantViolation(error);
    }
    if (!this.#isStopped) this.#schedule(this.#intervalMs);
  }

  async #rulesOf(bucket: Bucket): Promise<readonly LifecycleRule[]> {
    try {
      return (await this.#setup.buckets.document(bucket, LIFECYCLE)) ?? [];
    } catch (error) {
      if (error instanceof S3Error && error.code === 'NoSuchBucket') return [];
      throw error;
    }
  }

  /** Steps of work, each of a few removals. */
  async *#removals(task: Task): AsyncGenerator<() => Promise<void>> {
    const batch: (() => Promise<void>)[] = [];
    const perform = async (): Promise<void> => {
      await Promise.all(batch.splice(0).map((removal) => this.#unlessRefused(removal)));
    };
    for await (const removal of this.#expired(task)) {
      if (removal !== null) batch.push(removal);
      if (removal === null || batch.length === CONCURRENT_REMOVALS_MAX) yield perform;
    }
    yield perform;
  }

  /** A lock, or a change that came between, is no failure. */
  async #unlessRefused(removal: () => Promise<void>): Promise<void> {
    try {
      await removal();
    } catch (error) {
      const isChange = error instanceof ObjectStorageError && error.kind === 'changed';
      if (!(error instanceof S3Error) && !isChange) throw error;
    }
  }

  /** What is to be removed; null for every key that was looked at in between. */
  async *#expired(task: Task): AsyncGenerator<(() => Promise<void>) | null> {
    const concernsVersions = (rule: LifecycleRule): boolean =>
      rule.expiration !== null || rule.noncurrent !== null;
    for (const prefix of prefixesOf(task.rules, concernsVersions)) yield* this.#expiredVersions(task, prefix);
    const aborts = (rule: LifecycleRule): boolean => rule.abortDays !== null;
    for (const prefix of prefixesOf(task.rules, aborts)) yield* this.#expiredUploads(task, prefix);
  }

  async *#expiredVersions(task: Task, prefix: string): AsyncGenerator<(() => Promise<void>) | null> {
    const { storage, versions, clock, dayMs } = this.#setup;
    const moment = { nowMs: clock(), dayMs };
    const marker = { key: '', versionId: null };
    const request = { prefix, delimiter: '', marker, pageEntries: PAGE_ENTRIES };
    let newer = 0;
    let sinceMs = 0;
    /** A delete marker that has shown no older version yet. */
    let lone: { readonly key: string; readonly version: StoredVersion } | null = null;
    const loneRemoval = (): (() => Promise<void>) | null => {
      const found = lone;
      lone = null;
      if (found === null || !isMarkerExpired(task.rules, toCandidate(found.key, found.version), moment))
        return null;
      return () => this.#removeVersion(task.bucket, found.key, found.version);
    };
    for await (const entry of listVersions({ storage, versions, bucket: task.bucket }, request)) {
      if (entry.kind === 'common-prefix') continue;
      const { key, version } = entry;
      const candidate = toCandidate(key, version);
      if (version.isCurrent) {
        yield loneRemoval();
        newer = 0;
        if (version.attributes.isDeleteMarker) lone = { key, version };
        else if (isCurrentExpired(task.rules, candidate, moment))
          yield () => this.#expire(task.bucket, key, version);
      } else {
        lone = null;
        if (isNoncurrentExpired(task.rules, { ...candidate, sinceMs, newer }, moment)) {
          yield () => this.#removeVersion(task.bucket, key, version);
        }
        newer += 1;
      }
      sinceMs = version.attributes.modifiedMs;
    }
    yield loneRemoval();
  }

  /** Expires a current version: by a delete marker where there is versioning. */
  #expire(bucket: Bucket, key: string, seen: StoredVersion): Promise<void> {
    const { storage, versions, clock, buckets } = this.#setup;
    const check = checkUnchanged(seen.head);
    return buckets.withBucket(bucket, async (present) => {
      if (present.configuration.versioning === 'unversioned') {
        await storage.remove({ id: makeObjectId(bucket.name, key), decide: check });
        return;
      }
      const place = { bucket: present, key };
      await writeDeleteMarker({ storage, versions, clock }, place, (current) => {
        check(current?.head ?? null);
      });
    });
  }

  /** Removes a version that is still what it was: older, or its key's only one. */
  #removeVersion(bucket: Bucket, key: string, seen: StoredVersion): Promise<void> {
    const { versions, clock, buckets } = this.#setup;
    const check = checkUnchanged(seen.head);
    return buckets.withBucket(bucket, async (present) => {
      await versions.removeVersion({ bucket: present, key }, versionIdOf(seen.attributes), (found) => {
        check(found.head);
        checkRemoval(found.attributes, clock(), false);
      });
    });
  }

  async *#expiredUploads(task: Task, prefix: string): AsyncGenerator<(() => Promise<void>) | null> {
    const { storage, clock, dayMs } = this.#setup;
    const moment = { nowMs: clock(), dayMs };
    const { name } = task.bucket;
    const container = uploadsContainer(name);
    let place = {};
    let after = '';
    for (;;) {
      const page = await storage.list({
        container,
        prefix,
        after,
        ...place,
        delimiter: '',
        limit: PAGE_ENTRIES,
      });
      for (const entry of page.entries) {
        if (entry.kind !== 'object') continue;
        const { name: key, version: uploadId } = entry;
        const { initiatedMs } = decodeUploadRecord(entry.head.attributes);
        if (isUploadExpired(task.rules, { key, initiatedMs }, moment)) {
          yield () => this.#abort(task.bucket, key, uploadId);
        }
        after = key;
        place = { afterVersion: uploadId };
      }
      if (!page.truncated) return;
      yield null;
    }
  }

  #abort(bucket: Bucket, key: string, uploadId: string): Promise<void> {
    const { uploads } = this.#setup;
    return uploads.alone(uploadId, async () => {
      const upload = await uploads.find({ bucket, key, uploadId });
      if (upload !== null) await uploads.end(bucket.name, key, uploadId);
    });
  }
}
