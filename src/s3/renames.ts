/**
 * Renames: an object takes another name in its bucket, and none of its bytes is moved.
 *
 * The store changes one object at a time, so a rename is four mutations, in an order that a crash may cut anywhere:
 *
 *   1. the intent   `.renames` <rename id>: no content; {"v":1,"bucket":"...","bucketCreatedMs":0,"source":"...","sourceTag":"...","target":"..."}
 *   2. the target   the source's bytes and attributes, with {"rename":{"id":"...","source":"..."}}; from here on it has happened
 *   3. the source   is removed, if it still is what was renamed
 *   4. the intent   is removed
 *
 * Guarantees:
 * - There is no moment at which neither name has the object. While a rename runs a reader may find it under both.
 * - A crash before 2 leaves everything as it was. One after 2 is brought to its end by `settle`: by the next round (soon after the start, then
 *   regularly), or by a client that sends the rename again with its token. Until then both names have the object.
 * - Nothing is removed but the very state that was renamed: what was written under the old name meanwhile stays.
 * - A target that was written over after a crash, and before `settle`, no longer says that 2 happened. Then the source stays: as if that write had come first, and
 *   the rename, of which nobody was told, not at all.
 *
 * The locks are in memory, of one gateway or between its workers: one gateway at a time renames objects of a bucket (DESIGN.md section 7).
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  LIST_LIMIT_MAX,
  ObjectStorageError,
  type ObjectHead,
  type ObjectStorage,
  type StagedContent,
} from '../gateway/object-storage.js';
import { InvariantViolation } from '../protocol/invariant.js';
import { makeObjectId, type ObjectId } from '../protocol/object-id.js';
import { toTag, type Tag } from '../protocol/tag.js';
import {
  decodeObjectAttributes,
  encodeObjectAttributes,
  parseFields,
  type ObjectAttributes,
} from './attributes.js';
import type { Bucket, BucketDirectory } from './buckets.js';
import { S3Error } from './errors.js';
import { READ_ATTEMPTS_MAX } from './limits.js';
import { type NamedLocks, SharedLocks } from './shared-lock.js';
import { countField, textField } from './stored-fields.js';

const RENAMES_CONTAINER = '.renames';
const FORMAT = 1;
const ID_BYTES = 32;
/** After the start, and after a round that failed. */
const EARLY_ROUND_MS = 1_000;

interface Intent {
  readonly bucket: string;
  readonly bucketCreatedMs: number;
  readonly source: string;
  /** The state that is renamed. */
  readonly sourceTag: Tag;
  readonly target: string;
}

export interface RenameWish {
  readonly bucket: Bucket;
  readonly source: string;
  readonly target: string;
  /** The client's, by which it sends a rename again; null: none. */
  readonly token: string | null;
  /** May throw to refuse; null: there is no source, and it must. */
  readonly judgeSource: (source: ObjectAttributes | null) => void;
  /** May throw to refuse; null: there is no target yet. */
  readonly judgeTarget: (target: ObjectAttributes | null) => void;
}

/** Thrown in `decide`: the source is not what was renamed any more, so it stays. */
class SourceMovedOn extends Error {}

function encodeIntent(intent: Intent): string {
  return JSON.stringify({ v: FORMAT, ...intent });
}

function decodeIntent(text: string): Intent {
  const fields = parseFields(text);
  return {
    bucket: textField(fields, 'bucket'),
    bucketCreatedMs: countField(fields, 'bucketCreatedMs'),
    source: textField(fields, 'source'),
    sourceTag: toTag(textField(fields, 'sourceTag')),
    target: textField(fields, 'target'),
  };
}

function intentId(renameId: string): ObjectId {
  return makeObjectId(RENAMES_CONTAINER, renameId);
}

/** With a token the same one for the same bucket, so that a rename that is sent again is known. */
function makeRenameId({ bucket, token }: RenameWish): string {
  if (token === null) return randomBytes(ID_BYTES).toString('hex');
  return createHash('sha256').update(`${bucket.name}\n${bucket.createdMs}\n${token}`, 'latin1').digest('hex');
}

function attributesOf(head: ObjectHead | null): ObjectAttributes | null {
  return head === null ? null : decodeObjectAttributes(head.attributes);
}

interface RenamesSetup {
  readonly storage: ObjectStorage;
  readonly buckets: BucketDirectory;
  readonly locks?: NamedLocks;
  /** From one look for cut short renames to the next. */
  readonly intervalMs: number;
  readonly onFailure: (error: unknown) => void;
  /** Told of our own bugs; must stop the process. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

export class Renames {
  readonly #setup: RenamesSetup;
  readonly #storage: ObjectStorage;
  /** Of names, and of renames. */
  readonly #locks: NamedLocks;
  #stopping = new AbortController();
  #working: Promise<void> = Promise.resolve();

  constructor(setup: RenamesSetup) {
    this.#setup = setup;
    this.#storage = setup.storage;
    this.#locks = setup.locks ?? new SharedLocks();
  }

  start(): void {
    this.#stopping = new AbortController();
    this.#working = this.#work(this.#stopping.signal);
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
  }

  /** Call it under `buckets.withBucket`. Throws S3Error, also what the wish's judges throw; ObjectStorageError. */
  rename(wish: RenameWish): Promise<void> {
    const id = makeRenameId(wish);
    const names = [wish.source, wish.target].sort();
    const locks = [id, ...names.map((name) => `${wish.bucket.name}\u0000${name}`)];
    return this.#holding(locks, () => this.#renameOnce(id, wish));
  }

  #holding<Result>([first, ...others]: readonly string[], task: () => Promise<Result>): Promise<Result> {
    if (first === undefined) return task();
    return this.#locks.exclusive(first, () => this.#holding(others, task));
  }

  async #renameOnce(id: string, wish: RenameWish): Promise<void> {
    if (wish.token !== null && (await this.#isDone(id, wish))) return;
    for (let attempt = 1; ; attempt += 1) {
      const source = await this.#storage.head(makeObjectId(wish.bucket.name, wish.source));
      wish.judgeSource(attributesOf(source));
      if (source === null) throw new S3Error('NoSuchKey', { details: { Key: wish.source } });
      try {
        await this.#perform(id, wish, source);
        return;
      } catch (error) {
        const isChanged = error instanceof ObjectStorageError && error.kind === 'changed';
        if (!isChanged || attempt >= READ_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** True when the rename was sent before and has happened; what was left of it is done. */
  async #isDone(id: string, { bucket, source, target }: RenameWish): Promise<boolean> {
    const head = await this.#storage.head(intentId(id));
    const intent = head === null ? null : decodeIntent(head.attributes);
    if (intent !== null) {
      if (intent.source !== source || intent.target !== target)
        throw new S3Error('IdempotencyParameterMismatch');
      return this.#settle(id, intent);
    }
    const made = attributesOf(await this.#storage.head(makeObjectId(bucket.name, target)))?.rename ?? null;
    if (made?.id !== id) return false;
    if (made.source !== source) throw new S3Error('IdempotencyParameterMismatch');
    return true;
  }

  async #perform(id: string, wish: RenameWish, source: ObjectHead): Promise<void> {
    const { bucket, target } = wish;
    const intent: Intent = {
      bucket: bucket.name,
      bucketCreatedMs: bucket.createdMs,
      source: wish.source,
      sourceTag: source.lastTag,
      target,
    };
    await this.#storeIntent(id, intent);
    try {
      await this.#writeTarget(id, wish, source);
    } catch (error) {
      const isRefused =
        error instanceof S3Error || (error instanceof ObjectStorageError && error.kind === 'changed');
      if (isRefused) await this.#forget(id);
      throw error;
    }
    await this.#removeSource(intent);
    await this.#forget(id);
  }

  async #storeIntent(id: string, intent: Intent): Promise<void> {
    const target = intentId(id);
    const content = await this.#storage.openContent(target, 0).finish();
    try {
      await this.#storage.replace({ id: target, content, attributes: encodeIntent(intent) });
    } finally {
      content.discard();
    }
  }

  /** What the source has but the name: that it is the same in all else is what a rename is about. */
  async #writeTarget(
    id: string,
    { bucket, source: name, target, judgeTarget }: RenameWish,
    source: ObjectHead,
  ): Promise<void> {
    const targetId = makeObjectId(bucket.name, target);
    const content = await this.#contentOf(source, targetId);
    const attributes = encodeObjectAttributes({
      ...decodeObjectAttributes(source.attributes),
      rename: { id, source: name },
    });
    try {
      await this.#storage.replace({
        id: targetId,
        content,
        attributes: (current) => {
          judgeTarget(attributesOf(current));
          return attributes;
        },
      });
    } finally {
      content.discard();
    }
  }

  async #contentOf(head: ObjectHead, target: ObjectId): Promise<StagedContent> {
    if (head.sizeBytes === 0) return this.#storage.openContent(target, 0).finish();
    return this.#storage.composeContent([{ head, extent: { offset: 0, length: head.sizeBytes } }]);
  }

  async #removeSource({ bucket, source, sourceTag }: Intent): Promise<void> {
    try {
      await this.#storage.remove({
        id: makeObjectId(bucket, source),
        decide: (current) => {
          if (current?.lastTag !== sourceTag) throw new SourceMovedOn();
        },
      });
    } catch (error) {
      if (!(error instanceof SourceMovedOn)) throw error;
    }
  }

  /** The rename is decided; when this fails the next round does it. */
  async #forget(id: string): Promise<void> {
    try {
      await this.#storage.remove({ id: intentId(id) });
    } catch (error) {
      if (!(error instanceof ObjectStorageError)) throw error;
    }
  }

  /** Brings a rename to its end that was cut short, under its lock. True: it has happened. */
  async #settle(id: string, intent: Intent): Promise<boolean> {
    const head = await this.#storage.head(makeObjectId(intent.bucket, intent.target));
    const hasHappened = attributesOf(head)?.rename?.id === id;
    if (hasHappened) await this.#removeSource(intent);
    await this.#storage.remove({ id: intentId(id) });
    return hasHappened;
  }

  /** Never rejects. */
  async #work(signal: AbortSignal): Promise<void> {
    const isStopped = (): boolean => signal.aborted;
    let waitMs = EARLY_ROUND_MS;
    while (!isStopped()) {
      try {
        await sleep(Math.min(waitMs, this.#setup.intervalMs), undefined, { signal, ref: false });
        await this.#round(signal);
        waitMs = this.#setup.intervalMs;
      } catch (error) {
        if (isStopped()) return;
        waitMs = EARLY_ROUND_MS;
        this.#setup.onFailure(error);
        if (error instanceof InvariantViolation) this.#setup.onInvariantViolation(error);
      }
    }
  }

  /** One look at every intent. Rejects with what the store refuses. */
  async #round(signal: AbortSignal): Promise<void> {
    let after = '';
    for (;;) {
      const page = await this.#storage.list({
        container: RENAMES_CONTAINER,
        prefix: '',
        after,
        delimiter: '',
        limit: LIST_LIMIT_MAX,
      });
      for (const entry of page.entries) {
        if (signal.aborted || entry.kind !== 'object') return;
        await this.#settleLeft(entry.name);
        after = entry.name;
      }
      if (!page.truncated) return;
    }
  }

  /** A rename that runs holds its lock, and leaves nothing to settle. */
  #settleLeft(id: string): Promise<void> {
    return this.#locks.exclusive(id, async () => {
      const head = await this.#storage.head(intentId(id));
      if (head === null) return;
      const intent = decodeIntent(head.attributes);
      if (await this.#hasBucket(intent)) await this.#settle(id, intent);
      else await this.#forget(id);
    });
  }

  async #hasBucket({ bucket, bucketCreatedMs }: Intent): Promise<boolean> {
    try {
      return (await this.#setup.buckets.get(bucket)).createdMs === bucketCreatedMs;
    } catch (error) {
      if (error instanceof S3Error && error.code === 'NoSuchBucket') return false;
      throw error;
    }
  }
}
