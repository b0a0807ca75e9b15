/**
 * A disk in memory for the real store: its files and its database behind the store's own ports. Every call that changes
 * something can be the last one; what is left then is another disk.
 *
 *   kept     all that was written (the process was killed)
 *   dropped  all that was synced (power failed)
 *   torn     the same, with rubbish in files where something was written that was not synced
 *
 * The database keeps its batches in their order: a synced one makes those before it durable too, and a crash takes none of
 * them in half, as LevelDB's log does it.
 */
import type { Hash } from 'node:crypto';
import type { Database, DatabaseBatch, OpenDatabase } from '../../../src/store/database.js';
import {
  type FilePort,
  type ReadableFile,
  syncWritten,
  type WritableFile,
} from '../../../src/store/file-port.js';

export type CrashKind = 'kept' | 'dropped' | 'torn';

/** `index` counts the calls of a disk from 1. */
export type OnCall = (when: 'before' | 'after', index: number) => void;

interface MemoryFile {
  bytes: Buffer;
  syncedBytes: Buffer;
  /** Its entry in the folder is on disk. */
  isEntrySynced: boolean;
}

type Operation = readonly [key: string, value: Buffer | null];

const RUBBISH = 0xa5;

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Keys as text, one character a byte, sort as their bytes do. */
function textOf(key: Buffer): string {
  return key.toString('latin1');
}

export class SimulatedStoreDisk {
  onCall: OnCall = () => undefined;
  calls = 0;
  #isDead = false;
  #files = new Map<string, MemoryFile>();
  #entries = new Map<string, Buffer>();
  #unsynced: Operation[][] = [];
  #syncedEntries = new Map<string, Buffer>();

  static formatted(entries: Iterable<readonly [Buffer, Buffer]>): SimulatedStoreDisk {
    const disk = new SimulatedStoreDisk();
    for (const [key, value] of entries) disk.#syncedEntries.set(textOf(key), value);
    disk.#entries = new Map(disk.#syncedEntries);
    return disk;
  }

  /** From now on every call fails. */
  die(): void {
    this.#isDead = true;
  }

  /** The disk that a crash right now leaves. */
  afterCrash(kind: CrashKind): SimulatedStoreDisk {
    const left = new SimulatedStoreDisk();
    for (const [path, file] of this.#files) {
      if (kind !== 'kept' && !file.isEntrySynced) continue;
      const bytes = kind === 'kept' ? file.bytes : kind === 'torn' ? torn(file) : file.syncedBytes;
      left.#files.set(path, { bytes, syncedBytes: bytes, isEntrySynced: true });
    }
    left.#entries = new Map(kind === 'kept' ? this.#entries : this.#syncedEntries);
    left.#syncedEntries = new Map(left.#entries);
    return left;
  }

  /** Adds all that is on it, had a crash left it, to a hash. Precondition: it is what `afterCrash` made, and nothing ran on it since. */
  describeTo(hash: Hash): void {
    for (const [path, { bytes }] of sorted(this.#files))
      hash.update(`file ${path} ${bytes.length}\n`).update(bytes);
    for (const [key, value] of sorted(this.#entries))
      hash.update(`entry ${key.length} ${value.length}\n${key}`).update(value);
  }

  #assertAlive(): void {
    if (this.#isDead) throw failure('EIO');
  }

  async #change<Result>(change: () => Result): Promise<Result> {
    this.#assertAlive();
    this.calls += 1;
    const index = this.calls;
    this.onCall('before', index);
    this.#assertAlive();
    const result = change();
    this.onCall('after', index);
    this.#assertAlive();
    return result;
  }

  #file(path: string): MemoryFile {
    this.#assertAlive();
    const file = this.#files.get(path);
    if (file === undefined) throw failure('ENOENT');
    return file;
  }

  #writable(path: string): WritableFile {
    const simulated: WritableFile = {
      write: (pieces, position) =>
        this.#change(() => {
          const file = this.#file(path);
          const added = Buffer.concat(pieces);
          const bytes = Buffer.alloc(Math.max(file.bytes.length, position + added.length));
          file.bytes.copy(bytes);
          added.copy(bytes, position);
          file.bytes = bytes;
        }),
      datasync: () =>
        this.#change(() => {
          const file = this.#file(path);
          file.syncedBytes = file.bytes;
        }),
      writeSynced: async (pieces, position) => {
        await simulated.write(pieces, position);
        await syncWritten(simulated);
      },
      close: async () => undefined,
    };
    return simulated;
  }

  #readable(path: string): ReadableFile {
    const file = this.#file(path);
    return {
      read: async (buffer, position) => {
        this.#file(path);
        return file.bytes.copy(buffer, 0, position);
      },
      readNow: (buffer, position) => {
        this.#file(path);
        return file.bytes.copy(buffer, 0, position);
      },
      close: async () => undefined,
    };
  }

  readonly files: FilePort = {
    createFile: (path) =>
      this.#change(() => {
        if (this.#files.has(path)) throw failure('EEXIST');
        const nothing = Buffer.alloc(0);
        this.#files.set(path, { bytes: nothing, syncedBytes: nothing, isEntrySynced: false });
        return this.#writable(path);
      }),
    reopenFile: async (path) => ({ file: this.#writable(path), sizeBytes: this.#file(path).bytes.length }),
    openFile: async (path) => this.#readable(path),
    makeFolder: async () => undefined,
    syncFolder: (path) =>
      this.#change(() => {
        for (const [name, file] of this.#files) if (name.startsWith(`${path}/`)) file.isEntrySynced = true;
      }),
    removeFile: (path) => this.#change(() => void this.#files.delete(path)),
    listFolder: async (path) =>
      [...this.#files.keys()]
        .filter((name) => name.startsWith(`${path}/`))
        .map((name) => name.slice(path.length + 1)),
    freeBytes: async () => 2 ** 40,
    totalBytes: async () => 2 ** 41,
  };

  readonly openDatabase: OpenDatabase = async () => {
    const database = {
      get: async (key: Buffer) => this.#get(key),
      getMany: async (keys: readonly Buffer[]) => keys.map((key) => this.#get(key)),
      batch: () => this.#batch(),
      iterator: (range: { readonly gte: Buffer; readonly lt: Buffer }) => this.#iterator(range),
      approximateSize: async () => 0,
      compactRange: async () => undefined,
      close: async () => undefined,
    };
    return database as unknown as Database;
  };

  #get(key: Buffer): Buffer | undefined {
    this.#assertAlive();
    return this.#entries.get(textOf(key));
  }

  #batch(): DatabaseBatch {
    const operations: Operation[] = [];
    const batch = {
      put: (key: Buffer, value: Buffer) => void operations.push([textOf(key), Buffer.from(value)]),
      del: (key: Buffer) => void operations.push([textOf(key), null]),
      write: (options: { readonly sync?: boolean }) =>
        this.#change(() => {
          applyTo(this.#entries, operations);
          this.#unsynced.push(operations);
          if (options.sync !== true) return;
          for (const earlier of this.#unsynced.splice(0)) applyTo(this.#syncedEntries, earlier);
        }),
      close: async () => undefined,
    };
    return batch as unknown as DatabaseBatch;
  }

  #iterator({ gte, lt }: { readonly gte: Buffer; readonly lt: Buffer }): unknown {
    const [from, to] = [textOf(gte), textOf(lt)];
    const entries = [...this.#entries]
      .filter(([key]) => key >= from && key < to)
      .sort(([left], [right]) => (left < right ? -1 : 1));
    let at = 0;
    return {
      nextv: async (size: number) => {
        const page = entries.slice(at, at + size);
        at += page.length;
        return page.map(([key, value]) => [Buffer.from(key, 'latin1'), value]);
      },
      seek: (target: Buffer) => {
        const index = entries.findIndex(([key]) => key >= textOf(target));
        at = index < 0 ? entries.length : index;
      },
      close: async () => undefined,
    };
  }
}

function sorted<Value>(entries: ReadonlyMap<string, Value>): (readonly [string, Value])[] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1));
}

function applyTo(entries: Map<string, Buffer>, operations: readonly Operation[]): void {
  for (const [key, value] of operations) {
    if (value === null) entries.delete(key);
    else entries.set(key, value);
  }
}

/** What was synced, with rubbish as far as the file went beyond it or was changed. */
function torn({ bytes, syncedBytes }: MemoryFile): Buffer {
  if (bytes === syncedBytes) return bytes;
  const left = Buffer.alloc(bytes.length, RUBBISH);
  for (let at = 0; at < syncedBytes.length; at += 1)
    if (bytes[at] === syncedBytes[at]) left[at] = syncedBytes[at] ?? 0;
  return left;
}
