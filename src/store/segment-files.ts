/**
 * The files of segments: `segments/<id>.segment`, the id in hex. A bounded number stays open for reading.
 *
 * Commit order of a new one: the file with its header, then the folder is synced, and only then does a batch give it a
 * row. A crash between leaves a file with the next id, which is removed when the store is opened.
 */
import { join } from 'node:path';
import { errorCodeOf, type FilePort, type ReadableFile, type WritableFile } from './file-port.js';
import type { SegmentId } from './keys.js';
import { StoreError } from './object-store.js';
import { encodeSegmentHeader } from './segment-format.js';
import { SharedSync } from './shared-sync.js';

export function segmentsFolder(folder: string): string {
  return join(folder, 'segments');
}

interface OpenFile {
  readonly opening: Promise<ReadableFile>;
  /** Null: it is not open yet. */
  file: ReadableFile | null;
  users: number;
}

export class SegmentFiles {
  readonly #files: FilePort;
  readonly #folder: string;
  readonly #idleMax: number;
  readonly #folderSync: SharedSync;
  /** In order of use: the least recently used first. */
  readonly #readable = new Map<SegmentId, OpenFile>();

  constructor(files: FilePort, folder: string, idleMax: number) {
    this.#files = files;
    this.#folder = folder;
    this.#idleMax = idleMax;
    this.#folderSync = new SharedSync(() => files.syncFolder(folder));
  }

  pathOf(segmentId: SegmentId): string {
    return join(this.#folder, `${segmentId.toString(16).padStart(14, '0')}.segment`);
  }

  /** The file and its folder entry are on disk when this resolves. Leaves no file behind when it fails. */
  async create(segmentId: SegmentId): Promise<WritableFile> {
    const file = await this.#files.createFile(this.pathOf(segmentId));
    try {
      await file.write([encodeSegmentHeader(segmentId)], 0);
    } catch (error) {
      await file.close();
      await this.#files.removeFile(this.pathOf(segmentId));
      throw error;
    }
    try {
      await Promise.all([file.datasync(), this.#folderSync.request()]);
    } catch (cause) {
      await file.close();
      // After a failed fsync nobody knows what is on disk.
      throw new StoreError('io-error', `segment ${segmentId} could not be synced`, { cause });
    }
    return file;
  }

  reopen(segmentId: SegmentId): ReturnType<FilePort['reopenFile']> {
    return this.#files.reopenFile(this.pathOf(segmentId));
  }

  /** For good when it resolves. Fine when there is no such file. */
  async remove(segmentId: SegmentId): Promise<void> {
    await this.#forget(segmentId);
    await this.#files.removeFile(this.pathOf(segmentId));
    await this.#folderSync.request();
  }

  /** Fills the buffer. Throws StoreError `damaged` when the file is missing or too short, `io-error` when it can't be read. */
  async read(segmentId: SegmentId, buffer: Buffer, position: number): Promise<void> {
    const slot = this.#use(segmentId);
    try {
      const file = await slot.opening;
      slot.file = file;
      requireFilled(segmentId, buffer, await file.read(buffer, position));
    } catch (cause) {
      throw readFailure(segmentId, cause);
    } finally {
      slot.users -= 1;
      if (this.#readable.size > this.#idleMax) await this.#closeIdle();
    }
  }

  /** The same at once, while everyone waits: for what is in memory. False: the file is not open. */
  readNow(segmentId: SegmentId, buffer: Buffer, position: number): boolean {
    const slot = this.#readable.get(segmentId);
    if (slot === undefined || slot.file === null) return false;
    try {
      requireFilled(segmentId, buffer, slot.file.readNow(buffer, position));
    } catch (cause) {
      throw readFailure(segmentId, cause);
    }
    return true;
  }

  #use(segmentId: SegmentId): OpenFile {
    const known = this.#readable.get(segmentId);
    const slot = known ?? { opening: this.#files.openFile(this.pathOf(segmentId)), file: null, users: 0 };
    if (known === undefined) slot.opening.catch(() => this.#readable.delete(segmentId));
    slot.users += 1;
    this.#readable.delete(segmentId);
    this.#readable.set(segmentId, slot);
    return slot;
  }

  async #closeIdle(): Promise<void> {
    for (const [segmentId, { users }] of this.#readable) {
      if (users === 0) await this.#forget(segmentId);
      if (this.#readable.size <= this.#idleMax) return;
    }
  }

  async #forget(segmentId: SegmentId): Promise<void> {
    const slot = this.#readable.get(segmentId);
    if (slot === undefined) return;
    this.#readable.delete(segmentId);
    const file = await slot.opening.catch(() => null);
    await file?.close();
  }

  async close(): Promise<void> {
    for (const segmentId of [...this.#readable.keys()]) await this.#forget(segmentId);
  }
}

function requireFilled(segmentId: SegmentId, buffer: Buffer, filledBytes: number): void {
  if (filledBytes < buffer.length) throw new StoreError('damaged', `segment ${segmentId} is cut short`);
}

function readFailure(segmentId: SegmentId, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  if (errorCodeOf(cause) === 'ENOENT')
    return new StoreError('damaged', `segment ${segmentId} is missing`, { cause });
  return new StoreError('io-error', `segment ${segmentId} could not be read`, { cause });
}
