/**
 * Small files that must survive a crash whole. Commit order of `replaceDurably`: temporary file written and synced, renamed
 * over the old one, folder synced. A crash leaves the old content or the new one.
 */
import { createHash } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export async function replaceDurably(path: string, text: string): Promise<void> {
  const temporaryPath = `${path}.new`;
  const handle = await open(temporaryPath, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporaryPath, path);
  await syncFolder(dirname(path));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** One JSON object, with the SHA-256 of the rest under `checksum`. */
export function encodeChecksummed(value: object): string {
  return JSON.stringify({ ...value, checksum: checksumOf(JSON.stringify(value)) });
}

/** Reads what `encodeChecksummed` wrote. Throws RangeError or SyntaxError for anything else. */
export function decodeChecksummed(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RangeError('the file is no object');
  const { checksum, ...rest } = value as Record<string, unknown>;
  if (checksum !== checksumOf(JSON.stringify(rest))) throw new RangeError('its checksum does not match');
  return rest;
}

function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
