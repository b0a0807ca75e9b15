/**
 * Blobs as files: `blobs/<id / 2^20>/<id / 2^10 mod 2^10>/<id>.blob`, all in hex. The path comes from the blob id, never from a
 * name that a client chose; ids are given out in order, so writers of the same time share a folder and its sync.
 *
 * Commit order: create the file, write header, content and trailer, then fdatasync it and sync its folder, and only then
 * may a LevelDB batch name the blob. A crash before that batch leaves a file that nobody names (see blob-ledger.ts).
 */
import { join } from 'node:path';
import { BLOB_HEADER_BYTES, encodeBlobHeader, encodeBlobTrailer } from './blob-format.js';
import { ChunkChecksummer } from './chunk-checksums.js';
import { type FilePort, isNoSpace, type WritableFile } from './file-port.js';
import { type BlobId, toBlobId } from './keys.js';
import { StoreError } from './object-store.js';

const IDS_PER_FOLDER = 2 ** 10;
const IDS_PER_TOP_FOLDER = 2 ** 20;
const FILE_PATTERN = /^([0-9a-f]{14})\.blob$/;
const TOP_PATTERN = /^[0-9a-f]{9}$/;
const FOLDER_PATTERN = /^[0-9a-f]{3}$/;

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

export interface FinishedBlob {
  readonly blobId: BlobId;
  readonly lengthBytes: number;
  readonly contentChecksum: number;
}

export class BlobFiles {
  readonly files: FilePort;
  readonly #root: string;
  readonly #gatherBytes: number;
  readonly #madeFolders = new Map<string, Promise<void>>();
  readonly #folderSyncs = new Map<string, FolderSync>();

  constructor(files: FilePort, root: string, gatherBytes: number) {
    this.files = files;
    this.#root = root;
    this.#gatherBytes = gatherBytes;
  }

  folderOf(blobId: BlobId): string {
    const top = hex(Math.floor(blobId / IDS_PER_TOP_FOLDER), 9);
    return join(this.#root, top, hex(Math.floor(blobId / IDS_PER_FOLDER) % IDS_PER_FOLDER, 3));
  }

  pathOf(blobId: BlobId): string {
    return join(this.folderOf(blobId), `${hex(blobId, 14)}.blob`);
  }

  /** Starts a new blob. Nothing is written before the first piece. */
  create(blobId: BlobId): BlobWriter {
    return new BlobWriter(this, blobId, this.#gatherBytes);
  }

  async createFile(blobId: BlobId): Promise<WritableFile> {
    await this.#makeFolder(blobId);
    return this.files.createFile(this.pathOf(blobId));
  }

  /** Makes the folder of a blob, durably, once in a run. */
  #makeFolder(blobId: BlobId): Promise<void> {
    const folder = this.folderOf(blobId);
    let made = this.#madeFolders.get(folder);
    if (made === undefined) {
      made = this.#makeFolderDurably(folder);
      this.#madeFolders.set(folder, made);
      made.catch(() => this.#madeFolders.delete(folder));
    }
    return made;
  }

  async #makeFolderDurably(folder: string): Promise<void> {
    await this.files.makeFolder(folder);
    await this.files.syncFolder(join(folder, '..'));
    await this.files.syncFolder(this.#root);
  }

  /** Everything that changed in the blob's folder before this call is on disk when it resolves. */
  async syncFolderOf(blobId: BlobId): Promise<void> {
    const folder = this.folderOf(blobId);
    let sync = this.#folderSyncs.get(folder);
    if (sync === undefined) {
      sync = new FolderSync(() => this.files.syncFolder(folder));
      this.#folderSyncs.set(folder, sync);
    }
    await sync.request();
    if (sync.isIdle) this.#folderSyncs.delete(folder);
  }

  async remove(blobId: BlobId): Promise<void> {
    await this.files.removeFile(this.pathOf(blobId));
  }

  /** The blobs from `first` on that have a file. Takes time for the files of their folders, not for all there are. */
  async listFrom(first: BlobId): Promise<BlobId[]> {
    const firstFolder = Math.floor(first / IDS_PER_FOLDER);
    const found: BlobId[] = [];
    for (const top of await this.#list([], TOP_PATTERN)) {
      const topNumber = Number.parseInt(top, 16);
      if (topNumber < Math.floor(first / IDS_PER_TOP_FOLDER)) continue;
      for (const folder of await this.#list([top], FOLDER_PATTERN)) {
        if (topNumber * IDS_PER_FOLDER + Number.parseInt(folder, 16) < firstFolder) continue;
        for (const name of await this.#list([top, folder], FILE_PATTERN))
          found.push(toBlobId(Number.parseInt(name, 16)));
      }
    }
    return found.filter((blobId) => blobId >= first);
  }

  async #list(path: readonly string[], pattern: RegExp): Promise<string[]> {
    const names = await this.files.listFolder(join(this.#root, ...path));
    return names.filter((name) => pattern.test(name)).sort();
  }
}

/** Many wait for a folder to be synced: whoever asks while a sync runs shares the next one. */
class FolderSync {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  get isIdle(): boolean {
    return this.#running === null && this.#next === null;
  }

  request(): Promise<void> {
    if (this.#running === null) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return this.#next;
  }

  #startNext(): Promise<void> {
    this.#next = null;
    return this.#start();
  }

  #start(): Promise<void> {
    const running = this.#sync().finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }
}

/** Gathers pieces and writes them while the next ones come in. Holds at most two gatherings of pieces. */
export class BlobWriter {
  readonly blobId: BlobId;
  readonly #blobs: BlobFiles;
  readonly #gatherBytes: number;
  readonly #checksummer = new ChunkChecksummer();
  #file: WritableFile | null = null;
  #gathered: Buffer[];
  #gatheredBytes = 0;
  #position = 0;
  #writing: Promise<void> = Promise.resolve();
  #failure: StoreError | null = null;

  constructor(blobs: BlobFiles, blobId: BlobId, gatherBytes: number) {
    this.blobId = blobId;
    this.#blobs = blobs;
    this.#gatherBytes = gatherBytes;
    this.#gathered = [encodeBlobHeader(blobId)];
    this.#gatheredBytes = BLOB_HEADER_BYTES;
  }

  get lengthBytes(): number {
    return this.#checksummer.lengthBytes;
  }

  /** Resolves when the next piece may come. Throws StoreError `no-space` or `io-error`. */
  async append(piece: Buffer): Promise<void> {
    this.#checksummer.update(piece);
    this.#gather(piece);
    if (this.#gatheredBytes >= this.#gatherBytes) await this.#flush();
    this.#throwFailure();
  }

  #gather(piece: Buffer): void {
    this.#gathered.push(piece);
    this.#gatheredBytes += piece.length;
  }

  /** Starts to write what was gathered, once the write before it is done. */
  async #flush(): Promise<void> {
    await this.#writing;
    const pieces = this.#gathered;
    const position = this.#position;
    this.#position += this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writing = this.#write(pieces, position).catch((error: unknown) => {
      this.#failure ??= asWriteFailure(error);
    });
  }

  async #write(pieces: readonly Buffer[], position: number): Promise<void> {
    if (this.#failure !== null) return;
    this.#file ??= await this.#blobs.createFile(this.blobId);
    await this.#file.write(pieces, position);
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** The blob is on disk, its folder entry too, when this resolves. Throws StoreError `no-space` or `io-error`. */
  async finish(): Promise<FinishedBlob> {
    const checksums = this.#checksummer.finish();
    const lengthBytes = this.#checksummer.lengthBytes;
    this.#gather(encodeBlobTrailer(this.blobId, lengthBytes, checksums));
    await this.#flush();
    await this.#writing;
    this.#throwFailure();
    await this.#sync();
    return { blobId: this.blobId, lengthBytes, contentChecksum: checksums.content };
  }

  async #sync(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    try {
      await Promise.all([file.datasync(), this.#blobs.syncFolderOf(this.blobId)]);
    } catch (error) {
      // After a failed fsync nobody knows what is on disk, and a second one may lie. Even "no space" comes too late here.
      throw new StoreError('io-error', `blob ${this.blobId} could not be synced`, { cause: error });
    } finally {
      await file.close();
    }
  }

  /** Stops writing and closes the file, which stays: the ledger removes it. */
  async abandon(): Promise<void> {
    await this.#writing;
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

function asWriteFailure(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (isNoSpace(error)) return new StoreError('no-space', 'the disk is full', { cause: error });
  return new StoreError('io-error', 'a blob could not be written', { cause: error });
}
