/**
 * Blobs as files of their own: `blobs/<id / 2^20>/<id / 2^10 mod 2^10>/<id>.blob`, all in hex. That is how version 1 of the format kept
 * them; they are read and removed here, and new blobs go to segments (segment-space.ts). The path comes from the blob id,
 * never from a name that a client chose.
 */
import { join } from 'node:path';
import type { FilePort } from './file-port.js';
import { type BlobId, toBlobId } from './keys.js';
import { SharedSync } from './shared-sync.js';

const IDS_PER_FOLDER = 2 ** 10;
const IDS_PER_TOP_FOLDER = 2 ** 20;
const FILE_PATTERN = /^([0-9a-f]{14})\.blob$/;
const TOP_PATTERN = /^[0-9a-f]{9}$/;
const FOLDER_PATTERN = /^[0-9a-f]{3}$/;

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

export class BlobFiles {
  readonly files: FilePort;
  readonly #root: string;
  readonly #folderSyncs = new Map<string, SharedSync>();

  constructor(files: FilePort, root: string) {
    this.files = files;
    this.#root = root;
  }

  folderOf(blobId: BlobId): string {
    const top = hex(Math.floor(blobId / IDS_PER_TOP_FOLDER), 9);
    return join(this.#root, top, hex(Math.floor(blobId / IDS_PER_FOLDER) % IDS_PER_FOLDER, 3));
  }

  pathOf(blobId: BlobId): string {
    return join(this.folderOf(blobId), `${hex(blobId, 14)}.blob`);
  }

  /** Everything that changed in the blob's folder before this call is on disk when it resolves. */
  async syncFolderOf(blobId: BlobId): Promise<void> {
    const folder = this.folderOf(blobId);
    let sync = this.#folderSyncs.get(folder);
    if (sync === undefined) {
      sync = new SharedSync(() => this.files.syncFolder(folder));
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
