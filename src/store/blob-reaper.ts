/**
 * Removes the files of blobs that nobody needs: after their last open read, a bounded number at a time, and durably
 * (the folder is synced) before anyone forgets that they were to be removed. Owned by the store, which stops it and waits for it.
 */
import { PassingMap } from '../protocol/passing-map.js';
import type { BlobFiles } from './blob-files.js';
import { errorCodeOf } from './file-port.js';
import type { BlobId } from './keys.js';
import type { OpenBlobs } from './open-blobs.js';
import type { StoreLogger } from './store-logger.js';

interface Burial {
  readonly blobId: BlobId;
  /** Called when the file is gone for good. */
  readonly onGone: () => void;
}

const REMOVALS_MAX = 32;
const FORGOTTEN_KEYS_MAX = 4096;

export class BlobReaper {
  readonly #blobs: BlobFiles;
  readonly #openBlobs: OpenBlobs;
  readonly #logger: StoreLogger;
  readonly #pins = new PassingMap<BlobId, number>();
  /** What is to be done once nobody reads a blob any more. */
  readonly #afterReads = new PassingMap<BlobId, () => void>();
  readonly #ready: Burial[] = [];
  #forgottenKeys: Buffer[] = [];
  #run: Promise<void> | null = null;
  #isStopped = false;

  constructor(blobs: BlobFiles, openBlobs: OpenBlobs, logger: StoreLogger) {
    this.#blobs = blobs;
    this.#openBlobs = openBlobs;
    this.#logger = logger;
  }

  /** Keeps a blob's file while it is read, whatever becomes of its object. */
  pin(blobId: BlobId): void {
    this.#pins.set(blobId, (this.#pins.get(blobId) ?? 0) + 1);
  }

  unpin(blobId: BlobId): void {
    const pins = (this.#pins.get(blobId) ?? 0) - 1;
    if (pins > 0) {
      this.#pins.set(blobId, pins);
      return;
    }
    this.#pins.delete(blobId);
    const then = this.#afterReads.get(blobId);
    if (then === undefined) return;
    this.#afterReads.delete(blobId);
    then();
  }

  /** Calls back once nobody reads the blob: at once, or after the last read. Once for each blob. */
  afterReads(blobId: BlobId, then: () => void): void {
    if (this.#pins.has(blobId)) this.#afterReads.set(blobId, then);
    else then();
  }

  bury(blobId: BlobId, onGone: () => void): void {
    this.afterReads(blobId, () => this.#enqueue({ blobId, onGone }));
  }

  #enqueue(burial: Burial): void {
    this.#ready.push(burial);
    if (!this.#isStopped) this.#run ??= this.#work();
  }

  async #work(): Promise<void> {
    while (this.#ready.length > 0 && !this.#isStopped)
      await this.#removeSome(this.#ready.splice(0, REMOVALS_MAX));
    this.#run = null;
  }

  async #removeSome(burials: readonly Burial[]): Promise<void> {
    try {
      await Promise.all(
        burials.map(async ({ blobId }) => {
          await this.#openBlobs.forget(blobId);
          await this.#blobs.remove(blobId);
        }),
      );
      const folders = new Map(burials.map(({ blobId }) => [this.#blobs.folderOf(blobId), blobId]));
      for (const blobId of folders.values()) await this.#syncFolder(blobId);
    } catch (error) {
      // They are still on record as dead or in flight: the next opening of the store removes them.
      this.#logger.warn(
        { error, blobIds: burials.map(({ blobId }) => blobId) },
        'blob files could not be removed',
      );
      return;
    }
    for (const { onGone } of burials) onGone();
  }

  async #syncFolder(blobId: BlobId): Promise<void> {
    try {
      await this.#blobs.syncFolderOf(blobId);
    } catch (error) {
      if (errorCodeOf(error) !== 'ENOENT') throw error; // no file was ever made there
    }
  }

  /** A key that says "to be removed" is no longer needed; the next batch drops it. */
  forgetKey(key: Buffer): void {
    if (this.#forgottenKeys.length < FORGOTTEN_KEYS_MAX) this.#forgottenKeys.push(key);
  }

  takeForgottenKeys(): readonly Buffer[] {
    const keys = this.#forgottenKeys;
    this.#forgottenKeys = [];
    return keys;
  }

  /** Resolves when no file is left to be removed but those that are being read. */
  async drain(): Promise<void> {
    while (this.#run !== null) await this.#run;
  }

  /** Removes no further files, and waits for those under way. The rest is removed at the next opening. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.drain();
  }
}
