/** The file port on a disk of a few megabytes, as far as the store can see: what its folder takes counts, and no more fits. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCodeOf, type FilePort, syncWritten, type WritableFile } from '../../../src/store/file-port.js';
import { failure } from './faulty-files.js';

const BLOCK_BYTES = 512;

function takenBytes(folder: string): number {
  let total = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    try {
      total += statSync(join(entry.parentPath, entry.name)).blocks * BLOCK_BYTES;
    } catch (error) {
      if (errorCodeOf(error) !== 'ENOENT') throw error; // LevelDB removed it meanwhile
    }
  }
  return total;
}

export class LimitedDisk {
  sizeBytes: number;
  /** The least that was free when somebody had written to a segment. */
  leastFreeBytes = Number.MAX_SAFE_INTEGER;
  readonly files: FilePort;

  constructor(sizeBytes: number, files: FilePort) {
    this.sizeBytes = sizeBytes;
    this.files = {
      ...files,
      freeBytes: async (folder) => this.freeBytes(folder),
      totalBytes: async () => this.sizeBytes,
      createFile: async (path) => this.#limit(dirname(dirname(path)), await files.createFile(path)),
      reopenFile: async (path) => {
        const { file, sizeBytes: fileBytes } = await files.reopenFile(path);
        return { file: this.#limit(dirname(dirname(path)), file), sizeBytes: fileBytes };
      },
    };
  }

  freeBytes(folder: string): number {
    return Math.max(0, this.sizeBytes - takenBytes(folder));
  }

  #limit(folder: string, file: WritableFile): WritableFile {
    const limited: WritableFile = {
      write: async (pieces, position) => {
        const lengthBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
        if (lengthBytes > this.freeBytes(folder)) throw failure('ENOSPC');
        await file.write(pieces, position);
        this.leastFreeBytes = Math.min(this.leastFreeBytes, this.freeBytes(folder));
      },
      datasync: () => file.datasync(),
      writeSynced: async (pieces, position) => {
        await limited.write(pieces, position);
        await syncWritten(limited);
      },
      close: () => file.close(),
    };
    return limited;
  }
}
