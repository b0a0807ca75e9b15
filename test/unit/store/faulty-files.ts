/** The file port with a hook around every call: to fail it, to copy the store as a crash would leave it, and to know what was synced. */
import { closeSync, cpSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type DatabaseBatch, openDatabase, type OpenDatabase } from '../../../src/store/database.js';
import { type FilePort, nodeFiles, syncWritten, type WritableFile } from '../../../src/store/file-port.js';

export type DiskCall =
  'createFile' | 'reopenFile' | 'write' | 'datasync' | 'syncFolder' | 'removeFile' | 'makeFolder' | 'commit';

/** Called before a call is made and after it; may throw in its place. */
export type Hook = (call: DiskCall, when: 'before' | 'after', path: string) => void;

export function failure(code: string): Error {
  return Object.assign(new Error(`${code}: made for a test`), { code });
}

const PAGE_BYTES = 4096;

/** A write that a power cut may take, with the pages that it touches. */
interface UnsyncedWrite {
  readonly start: number;
  readonly end: number;
}

export class WatchedDisk {
  hook: Hook = () => {};
  /** By file what was written and not synced, and the files whose folder entry a power cut may take. */
  readonly #unsyncedContent = new Map<string, Set<UnsyncedWrite>>();
  readonly #unsyncedEntries = new Set<string>();

  async #around<T>(call: DiskCall, path: string, perform: () => Promise<T>): Promise<T> {
    this.hook(call, 'before', path);
    const result = await perform();
    this.hook(call, 'after', path);
    return result;
  }

  readonly files: FilePort = {
    ...nodeFiles,
    createFile: (path) =>
      this.#around('createFile', path, async () => {
        this.#unsyncedEntries.add(path);
        return this.#watchFile(path, await nodeFiles.createFile(path));
      }),
    reopenFile: (path) =>
      this.#around('reopenFile', path, async () => {
        const { file, sizeBytes } = await nodeFiles.reopenFile(path);
        return { file: this.#watchFile(path, file), sizeBytes };
      }),
    makeFolder: (path) => this.#around('makeFolder', path, () => nodeFiles.makeFolder(path)),
    // At once, not on another thread: a file that vanishes while another call's hook copies the folder makes the copying fail.
    removeFile: (path) => this.#around('removeFile', path, async () => rmSync(path, { force: true })),
    syncFolder: (path) =>
      this.#around('syncFolder', path, async () => {
        const synced = [...this.#unsyncedEntries].filter((entry) => dirname(entry) === path);
        await nodeFiles.syncFolder(path);
        for (const entry of synced) this.#unsyncedEntries.delete(entry);
      }),
  };

  #watchFile(path: string, file: WritableFile): WritableFile {
    const unsynced = this.#unsyncedContent.get(path) ?? new Set();
    this.#unsyncedContent.set(path, unsynced);
    const watched: WritableFile = {
      write: (pieces, position) =>
        this.#around('write', path, async () => {
          const lengthBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
          unsynced.add({ start: position, end: position + lengthBytes });
          await file.write(pieces, position);
        }),
      datasync: () =>
        this.#around('datasync', path, async () => {
          const before = [...unsynced];
          await file.datasync();
          for (const write of before) unsynced.delete(write);
        }),
      writeSynced: async (pieces, position) => {
        await watched.write(pieces, position);
        await syncWritten(watched);
      },
      close: () => file.close(),
    };
    return watched;
  }

  /** Every batch is a call of its own: LevelDB is quiet whenever a hook runs. */
  readonly openDatabase: OpenDatabase = async (folder, options) => {
    const database = await openDatabase(folder, options);
    const makeBatch: () => DatabaseBatch = database.batch.bind(database);
    const watched = (): DatabaseBatch => {
      const batch = makeBatch();
      const write: DatabaseBatch['write'] = batch.write.bind(batch);
      batch.write = (writeOptions?: object) =>
        this.#around('commit', folder, () => write(writeOptions ?? {}));
      return batch;
    };
    return Object.assign(database, { batch: watched });
  };

  /**
   * What a crash right now leaves, in a folder of its own: after a kill everything that was written; after a power cut what
   * was synced, and rubbish in every page that an unsynced write touches. Precondition: called from a hook, so LevelDB is not writing.
   */
  clone(folder: string, target: string, crash: 'kill' | 'power-cut'): void {
    cpSync(folder, target, { recursive: true });
    if (crash === 'kill') return;
    const inClone = (path: string): string => join(target, relative(folder, path));
    for (const path of this.#unsyncedEntries) rmSync(inClone(path), { force: true });
    for (const [path, writes] of this.#unsyncedContent)
      if (writes.size > 0 && existsSync(inClone(path))) spoilPages(inClone(path), writes);
  }
}

function spoilPages(path: string, writes: Iterable<UnsyncedWrite>): void {
  const file = openSync(path, 'r+');
  for (const { start, end } of writes) {
    const from = Math.floor(start / PAGE_BYTES) * PAGE_BYTES;
    const to = Math.ceil(end / PAGE_BYTES) * PAGE_BYTES;
    writeSync(file, Buffer.alloc(to - from, 0xa5), 0, to - from, from);
  }
  closeSync(file);
}
