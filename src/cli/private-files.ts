/**
 * Files that only their owner may read, written whole or not at all.
 *
 * Commit order: temporary file written and synced, renamed (or, to create, linked) into place, folder synced.
 */
import { link, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCodeOf } from './system-error.js';

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeTemporary(path: string, content: string): Promise<string> {
  const temporaryPath = `${path}.${process.pid}.new`;
  await unlink(temporaryPath).catch(() => undefined);
  const handle = await open(temporaryPath, 'wx', OWNER_ONLY_FILE);
  try {
    await handle.writeFile(content);
    // What root puts into another's folder, as by sudo, must be readable to that one.
    if (process.geteuid?.() === 0) {
      const { uid, gid } = await stat(dirname(path));
      await handle.chown(uid, gid);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporaryPath;
}

/** Replaces the file, or makes it. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  await rename(await writeTemporary(path, content), path);
  await syncFolder(dirname(path));
}

/** Makes the file; resolves with false, and leaves it alone, when there is one. */
export async function createPrivateFile(path: string, content: string): Promise<boolean> {
  const temporaryPath = await writeTemporary(path, content);
  try {
    await link(temporaryPath, path);
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(temporaryPath);
  }
}
