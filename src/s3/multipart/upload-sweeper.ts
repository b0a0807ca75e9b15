/**
 * Removes what multipart uploads leave behind: the parts of ended uploads at once, and in rounds those that a crash or a failed removal
 * left, those of buckets that are gone, and uploads to which nothing came for `uploadAgeMsMax`.
 *
 * It does one thing at a time: it looks at one upload, under that upload's lock, or removes the rest of one in small batches. Whoever starts it
 * stops it: `stop` resolves when it has let go.
 */
import { LIST_LIMIT_MAX, type ObjectStorage } from '../../gateway/object-storage.js';
import { InvariantViolation } from '../../protocol/invariant.js';
import { makeObjectId } from '../../protocol/object-id.js';
import { decodeObjectAttributes } from '../attributes.js';
import type { BucketDirectory } from '../buckets.js';
import { S3Error } from '../errors.js';
import type { S3Limits } from '../limits.js';
import type { UploadDirectory } from './upload-directory.js';
import { decodeIndexRecord, INDEX_CONTAINER, uploadObjectId, type IndexRecord } from './upload-record.js';

/** After the start: what the last run left. */
const FIRST_ROUND_MS = 60_000;

interface SweeperSetup {
  readonly storage: ObjectStorage;
  readonly buckets: BucketDirectory;
  readonly uploads: UploadDirectory;
  readonly limits: S3Limits;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly onFailure: (error: unknown) => void;
  /** Told of our own bugs; must stop the process. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

export class UploadSweeper {
  readonly #setup: SweeperSetup;
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #isWoken = false;
  #isRoundDue = false;
  #isStopped = false;

  constructor(setup: SweeperSetup) {
    this.#setup = setup;
  }

  /** `looksAround`: in rounds, also for what others have left. Otherwise it removes what ends here. */
  start(looksAround = true): void {
    this.#isStopped = false;
    this.#setup.uploads.onEnded(() => {
      this.#wake();
    });
    if (looksAround) this.#scheduleRound(Math.min(FIRST_ROUND_MS, this.#setup.limits.uploadSweepIntervalMs));
    this.#wake();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#working;
  }

  /** One look at every upload. Rejects with what the store refuses. */
  async round(): Promise<void> {
    let after = '';
    for (;;) {
      const page = await this.#setup.storage.list({
        container: INDEX_CONTAINER,
        prefix: '',
        after,
        delimiter: '',
        limit: LIST_LIMIT_MAX,
      });
      for (const entry of page.entries) {
        if (this.#isStopped || entry.kind !== 'object') return;
        await this.#look(entry.name, decodeIndexRecord(entry.head.attributes));
        after = entry.name;
      }
      if (!page.truncated) return;
    }
  }

  #scheduleRound(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#isRoundDue = true;
      this.#scheduleRound(this.#setup.limits.uploadSweepIntervalMs);
      this.#wake();
    }, delayMs);
    this.#timer.unref();
  }

  #wake(): void {
    this.#isWoken = true;
    if (this.#isWorking || this.#isStopped) return;
    this.#isWorking = true;
    this.#working = this.#work();
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    try {
      while (this.#isWoken) {
        this.#isWoken = false;
        while (await this.#step());
      }
    } catch (error) {
      // The next round finds what is left.
      this.#setup.onFailure(error);
      if (error instanceof InvariantViolation) this.#setup.onInvariantViolation(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /** False when there is nothing to do. */
  async #step(): Promise<boolean> {
    if (this.#isStopped) return false;
    const { uploads } = this.#setup;
    const ended = uploads.takeEnded();
    if (ended !== null) {
      await uploads.removeRest(ended, () => this.#isStopped);
      return true;
    }
    if (!this.#isRoundDue) return false;
    this.#isRoundDue = false;
    await this.round();
    return true;
  }

  async #look(uploadId: string, entry: IndexRecord): Promise<void> {
    const { storage, uploads } = this.#setup;
    const { bucket, key } = entry;
    const hasEnded = await uploads.alone(uploadId, async () => {
      const id = uploadObjectId(bucket, key, uploadId);
      if ((await storage.head(id)) === null) return true;
      if (!(await this.#isOver(uploadId, entry))) return false;
      await storage.remove({ id });
      return true;
    });
    if (hasEnded) await uploads.removeRest({ bucket, key, uploadId }, () => this.#isStopped);
  }

  async #isOver(uploadId: string, entry: IndexRecord): Promise<boolean> {
    const hasBucket = await this.#hasBucket(entry);
    return (
      !hasBucket || (await this.#isCompleted(uploadId, entry)) || (await this.#isAbandoned(uploadId, entry))
    );
  }

  async #hasBucket({ bucket, bucketCreatedMs }: IndexRecord): Promise<boolean> {
    try {
      return (await this.#setup.buckets.get(bucket)).createdMs === bucketCreatedMs;
    } catch (error) {
      if (error instanceof S3Error && error.code === 'NoSuchBucket') return false;
      throw error;
    }
  }

  /** The object is there, only the upload was not removed any more. */
  async #isCompleted(uploadId: string, { bucket, key }: IndexRecord): Promise<boolean> {
    const head = await this.#setup.storage.head(makeObjectId(bucket, key));
    return head !== null && decodeObjectAttributes(head.attributes).uploadId === uploadId;
  }

  async #isAbandoned(uploadId: string, { initiatedMs, bucket, key }: IndexRecord): Promise<boolean> {
    const { uploads, clock, limits } = this.#setup;
    const eldestMs = clock() - limits.uploadAgeMsMax;
    if (initiatedMs > eldestMs) return false;
    const parts = await uploads.allParts({ bucket, key, uploadId });
    return Array.from(parts.values()).every(({ attributes }) => attributes.modifiedMs <= eldestMs);
  }
}
