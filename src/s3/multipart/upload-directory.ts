/**
 * The multipart uploads in progress (their objects are drawn in upload-record.ts).
 *
 * Guarantees:
 * - A part is stored only while its upload is there: storing holds the upload shared, completing and aborting hold it
 *   alone. Whoever takes a bucket's lock too takes that one first.
 * - `end` is the one write after which the upload is no more. Parts and index entry are removed behind it by the sweeper, which
 *   finds them after a crash as well.
 * - Nothing is remembered here but what the sweeper could find out by itself.
 */
import { LIST_LIMIT_MAX, type ObjectHead, type ObjectStorage } from '../../gateway/object-storage.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { decodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { S3Error } from '../errors.js';
import { type NamedLocks, SharedLocks } from '../shared-lock.js';
import {
  decodeUploadRecord,
  encodeIndexRecord,
  encodeUploadRecord,
  indexObjectId,
  isUploadId,
  newUploadId,
  OLDER_PARTS_CONTAINER,
  partNumberOf,
  partsContainer,
  partVersion,
  uploadObjectId,
  type UploadPlace,
  type UploadRecord,
} from './upload-record.js';

/** Ended uploads whose parts wait to be removed; past that the sweeper finds them on its next round. */
const ENDED_MAX = 10_000;
const CONCURRENT_REMOVALS_MAX = 16;

/** Which upload; `bucket` is the one that the request means. */
export interface UploadName {
  readonly bucket: Bucket;
  readonly key: string;
  readonly uploadId: string;
}

export interface Part {
  readonly number: number;
  readonly head: ObjectHead;
  readonly attributes: ObjectAttributes;
}

export interface PartPage {
  readonly parts: readonly Part[];
  readonly isTruncated: boolean;
}

/** Names without the bucket's record. */
export function placeOf({ bucket, key, uploadId }: UploadName): UploadPlace {
  return { bucket: bucket.name, key, uploadId };
}

export function noSuchUpload(uploadId: string): S3Error {
  return new S3Error('NoSuchUpload', { details: { UploadId: uploadId.slice(0, 256) } });
}

function toPart(number: number, head: ObjectHead): Part {
  return { number, head, attributes: decodeObjectAttributes(head.attributes) };
}

/** Of a part that is in both, the one of `own` is the later one. */
function mergePages(own: PartPage, older: PartPage, limit: number): PartPage {
  const byNumber = new Map([...older.parts, ...own.parts].map((part) => [part.number, part]));
  // What a page that was cut does not tell of is left to the next one.
  const horizon = Math.min(
    ...[own, older].map(({ parts, isTruncated }) => (isTruncated ? (parts.at(-1)?.number ?? 0) : Infinity)),
  );
  const known = [...byNumber.values()]
    .filter(({ number }) => number <= horizon)
    .sort((left, right) => left.number - right.number);
  return { parts: known.slice(0, limit), isTruncated: known.length > limit || horizon !== Infinity };
}

export class UploadDirectory {
  readonly #storage: ObjectStorage;
  readonly #locks: NamedLocks;
  readonly #ended = new Map<string, UploadPlace>();
  #onEnded: () => void = () => undefined;

  constructor(storage: ObjectStorage, locks: NamedLocks = new SharedLocks()) {
    this.#storage = storage;
    this.#locks = locks;
  }

  /** Returns the new upload's id. */
  create(bucket: Bucket, key: string, record: Omit<UploadRecord, 'bucketCreatedMs'>): Promise<string> {
    const uploadId = newUploadId(record.initiatedMs);
    const { initiatedMs } = record;
    const bucketCreatedMs = bucket.createdMs;
    return this.#locks.exclusive(uploadId, async () => {
      const entry = encodeIndexRecord({ initiatedMs, bucketCreatedMs, bucket: bucket.name, key });
      await this.#storeEmpty(indexObjectId(uploadId), entry);
      const id = uploadObjectId(bucket.name, key, uploadId);
      await this.#storeEmpty(id, encodeUploadRecord({ ...record, bucketCreatedMs }));
      return uploadId;
    });
  }

  /** Null when there is no such upload. */
  async find({ bucket, key, uploadId }: UploadName): Promise<UploadRecord | null> {
    if (!isUploadId(uploadId)) return null;
    const head = await this.#storage.head(uploadObjectId(bucket.name, key, uploadId));
    if (head === null) return null;
    const record = decodeUploadRecord(head.attributes);
    return record.bucketCreatedMs === bucket.createdMs ? record : null;
  }

  /** Throws S3Error NoSuchUpload. */
  async get(name: UploadName): Promise<UploadRecord> {
    const record = await this.find(name);
    if (record === null) throw noSuchUpload(name.uploadId);
    return record;
  }

  /** Runs what stores a part of an upload that is there, and stays there meanwhile. Throws S3Error NoSuchUpload. */
  withUpload<Result>(name: UploadName, store: () => Promise<Result>): Promise<Result> {
    return this.#locks.shared(name.uploadId, async () => {
      await this.get(name);
      return store();
    });
  }

  /** Runs `task` while nobody else stores a part of the upload, completes or aborts it. */
  alone<Result>(uploadId: string, task: () => Promise<Result>): Promise<Result> {
    return this.#locks.exclusive(uploadId, task);
  }

  /** Parts in order of their numbers, those above `after`. `limit` is from 1 to LIST_LIMIT_MAX. */
  async listParts(place: UploadPlace, after: number, limit: number): Promise<PartPage> {
    const [own, older] = await Promise.all([
      this.#listOwn(place, after, limit),
      this.#listOlder(place.uploadId, after, limit),
    ]);
    return older.parts.length === 0 ? own : mergePages(own, older, limit);
  }

  async #listOwn({ bucket, key, uploadId }: UploadPlace, after: number, limit: number): Promise<PartPage> {
    const page = await this.#storage.list({
      container: partsContainer(bucket),
      prefix: key,
      after: key,
      afterVersion: partVersion(uploadId, after),
      delimiter: '',
      limit,
    });
    const parts: Part[] = [];
    for (const entry of page.entries) {
      const number =
        entry.kind === 'object' && entry.name === key ? partNumberOf(uploadId, entry.version) : null;
      // Other uploads and other keys follow behind the last part.
      if (entry.kind !== 'object' || number === null) return { parts, isTruncated: false };
      parts.push(toPart(number, entry.head));
    }
    return { parts, isTruncated: page.truncated };
  }

  /** Those that were uploaded before parts lived under their key. */
  async #listOlder(uploadId: string, after: number, limit: number): Promise<PartPage> {
    const page = await this.#storage.list({
      container: OLDER_PARTS_CONTAINER,
      prefix: `${uploadId}/`,
      after: partVersion(uploadId, after),
      delimiter: '',
      limit,
    });
    const parts = page.entries.flatMap((entry): Part[] => {
      const number = entry.kind === 'object' ? partNumberOf(uploadId, entry.name) : null;
      return entry.kind === 'object' && number !== null ? [toPart(number, entry.head)] : [];
    });
    return { parts, isTruncated: page.truncated };
  }

  async allParts(place: UploadPlace): Promise<ReadonlyMap<number, Part>> {
    const found = new Map<number, Part>();
    let after = 0;
    for (;;) {
      const { parts, isTruncated } = await this.listParts(place, after, LIST_LIMIT_MAX);
      for (const part of parts) {
        found.set(part.number, part);
        after = part.number;
      }
      if (!isTruncated) return found;
    }
  }

  /** Ends an upload, under `alone`. */
  async end(bucket: string, key: string, uploadId: string): Promise<void> {
    await this.#storage.remove({ id: uploadObjectId(bucket, key, uploadId) });
    this.noteEnded({ bucket, key, uploadId });
  }

  noteEnded(place: UploadPlace): void {
    if (this.#ended.size < ENDED_MAX) this.#ended.set(place.uploadId, place);
    this.#onEnded();
  }

  /**
   * Removes the parts and the index entry of an upload that has ended, so that none of its parts is stored any more; that
   * needs no lock. Stops between two batches once `isStopped` says so.
   */
  async removeRest(place: UploadPlace, isStopped: () => boolean = () => false): Promise<void> {
    while (!isStopped()) {
      const { parts } = await this.listParts(place, 0, CONCURRENT_REMOVALS_MAX);
      if (parts.length === 0) {
        await this.#storage.remove({ id: indexObjectId(place.uploadId) });
        return;
      }
      await Promise.all(parts.map(({ head }) => this.#storage.remove({ id: head.id })));
    }
  }

  /** For the sweeper: is called when an upload has ended. */
  onEnded(listener: () => void): void {
    this.#onEnded = listener;
  }

  /** An upload that has ended since it was last asked; null without one. */
  takeEnded(): UploadPlace | null {
    const [place] = this.#ended.values();
    if (place === undefined) return null;
    this.#ended.delete(place.uploadId);
    return place;
  }

  async #storeEmpty(id: ObjectId, attributes: string): Promise<void> {
    const content = await this.#storage.openContent(id, 0).finish();
    try {
      await this.#storage.replace({ id, content, attributes });
    } finally {
      content.discard();
    }
  }
}
