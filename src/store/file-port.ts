/** The file system as far as blobs need it: a port, so that tests can count, fail and cut short every call. */
import { constants, readSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import { StoreError } from './object-store.js';

export interface WritableFile {
  /** Writes all of it. */
  write(pieces: readonly Buffer[], position: number): Promise<void>;
  /** The content written so far is on disk when this resolves. */
  datasync(): Promise<void>;
  /**
   * Writes all of it, and that is on disk when this resolves. `no space` means that it was not written; when it was, and could not be
   * synced, StoreError `io-error`, whatever the operating system says.
   */
  writeSynced(pieces: readonly Buffer[], position: number): Promise<void>;
  close(): Promise<void>;
}

export interface ReadableFile {
  /** Fills the buffer as far as the file goes; resolves with the bytes read. */
  read(buffer: Buffer, position: number): Promise<number>;
  /** The same, and everyone waits: for what is in memory. */
  readNow(buffer: Buffer, position: number): number;
  close(): Promise<void>;
}

export interface FilePort {
  /** Fails when the file exists. */
  createFile(path: string): Promise<WritableFile>;
  /** Opens a file that exists for more writing, and says how long it is. */
  reopenFile(path: string): Promise<{ readonly file: WritableFile; readonly sizeBytes: number }>;
  openFile(path: string): Promise<ReadableFile>;
  makeFolder(path: string): Promise<void>;
  /** The entries of the folder are on disk when this resolves. */
  syncFolder(path: string): Promise<void>;
  /** Also fine when it is not there. */
  removeFile(path: string): Promise<void>;
  /** Names in a folder; none when it is not there. */
  listFolder(path: string): Promise<string[]>;
  freeBytes(path: string): Promise<number>;
  /** The size of the file system. */
  totalBytes(path: string): Promise<number>;
}

export function errorCodeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** No space, or no quota: the disk's refusal that leaves everything as it was. */
export function isNoSpace(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

class NodeWritableFile implements WritableFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  /** Each of its writes is synced by itself: one call, and one hop to another thread, where two would be needed. */
  #syncing: Promise<FileHandle> | null = null;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  write(pieces: readonly Buffer[], position: number): Promise<void> {
    return writeAll(this.#handle, pieces, position);
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync();
  }

  async writeSynced(pieces: readonly Buffer[], position: number): Promise<void> {
    if (!HAS_SYNCED_WRITES) {
      await this.write(pieces, position);
      await syncWritten(this);
      return;
    }
    const syncing = await this.#openSyncing();
    try {
      await writeAll(syncing, pieces, position);
    } catch (error) {
      // Which of the two was refused? What could not be synced is told to the other handle, too.
      if (isNoSpace(error)) await syncWritten(this);
      throw error;
    }
  }

  #openSyncing(): Promise<FileHandle> {
    this.#syncing ??= open(this.#path, constants.O_WRONLY | constants.O_DSYNC).catch((error: unknown) => {
      this.#syncing = null;
      throw error;
    });
    return this.#syncing;
  }

  async close(): Promise<void> {
    const syncing = await this.#syncing?.catch(() => null);
    await syncing?.close();
    await this.#handle.close();
  }
}

/** Elsewhere it may not mean that the disk itself has it. */
const HAS_SYNCED_WRITES = process.platform === 'linux';

/** After a failed sync nobody knows what is on disk, and a second one may lie. Even "no space" comes too late here. */
export async function syncWritten(file: Pick<WritableFile, 'datasync'>): Promise<void> {
  try {
    await file.datasync();
  } catch (cause) {
    throw new StoreError('io-error', 'what was written could not be synced', { cause });
  }
}

async function writeAll(handle: FileHandle, pieces: readonly Buffer[], position: number): Promise<void> {
  let rest = pieces;
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = bytesWritten === bytesOf(rest) ? [] : dropWritten(rest, bytesWritten);
  }
}

function bytesOf(pieces: readonly Buffer[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}

function dropWritten(pieces: readonly Buffer[], writtenBytes: number): Buffer[] {
  const rest: Buffer[] = [];
  let skip = writtenBytes;
  for (const piece of pieces) {
    if (skip < piece.length) rest.push(skip === 0 ? piece : piece.subarray(skip));
    skip = Math.max(0, skip - piece.length);
  }
  return rest;
}

class NodeReadableFile implements ReadableFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await this.#handle.read(
        buffer,
        filled,
        buffer.length - filled,
        position + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  readNow(buffer: Buffer, position: number): number {
    let filled = 0;
    while (filled < buffer.length) {
      const readBytes = readSync(this.#handle.fd, buffer, filled, buffer.length - filled, position + filled);
      if (readBytes === 0) break;
      filled += readBytes;
    }
    return filled;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

async function reopenFile(path: string): Promise<{ file: WritableFile; sizeBytes: number }> {
  const handle = await open(path, 'r+');
  try {
    const { size } = await handle.stat();
    return { file: new NodeWritableFile(path, handle), sizeBytes: size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

async function totalBytes(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(path);
  return blocks * bsize;
}

export const nodeFiles: FilePort = {
  createFile: async (path) => new NodeWritableFile(path, await open(path, 'wx')),
  reopenFile,
  openFile: async (path) => new NodeReadableFile(await open(path, 'r')),
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true });
  },
  syncFolder,
  removeFile: (path) => rm(path, { force: true }),
  listFolder,
  freeBytes,
  totalBytes,
};
