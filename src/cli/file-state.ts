/** Whether a file was written or replaced since: looked at, because a notification of the system misses file systems of other machines. */
import { stat } from 'node:fs/promises';
import { systemCodeOf } from './system-error.js';

/** What changes when the file does; null: there is no file. Rejects with what the system says otherwise. */
export async function stateOfFile(path: string): Promise<string | null> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
