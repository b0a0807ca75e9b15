/** Disks: is there room, may we write, and does a sync do what it says? */
import { randomUUID } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../gateway/figures.js';
import { systemCodeOf } from '../system-error.js';
import { fail, type Finding, ok, warn } from './finding.js';

const MEBIBYTE = 1024 * 1024;
/** A store takes no writes below this. */
const KEPT_FREE_BYTES = 64 * MEBIBYTE;
const LITTLE_FREE_BYTES = 1024 * MEBIBYTE;
const LITTLE_FREE_SHARE = 0.05;

const SYNCS = 64;
const SYNC_BYTES = 4096;
const SYNCS_WITHIN_MS = 3000;
/** The best drives with a protected cache need more; what is faster is memory. */
const SUSPICIOUS_MICROSECONDS = 8;
const SLOW_MICROSECONDS = 25_000;
/** Linux: TMPFS_MAGIC, RAMFS_MAGIC. */
const MEMORY_FILE_SYSTEMS: readonly number[] = [0x01021994, 0x858458f6];

export function judgeSpace(folder: string, freeBytes: number, totalBytes: number): Finding {
  const message = `${folder}: ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free`;
  if (freeBytes < KEPT_FREE_BYTES) {
    return fail('space', message, 'Free some, or add space: below 64 MiB no writes are taken.');
  }
  const isLittle = freeBytes < LITTLE_FREE_BYTES || freeBytes < totalBytes * LITTLE_FREE_SHARE;
  return isLittle
    ? warn('space', message, 'Free some, or add space, before it is full.')
    : ok('space', message);
}

export function judgeSyncs(folder: string, medianMicroseconds: number, isInMemory: boolean): Finding {
  const figure =
    medianMicroseconds < 1000
      ? `${medianMicroseconds.toFixed(0)} µs`
      : `${(medianMicroseconds / 1000).toFixed(1)} ms`;
  const message = `${folder}: a write of 4 KiB with its sync takes ${figure} (median)`;
  if (isInMemory) {
    return warn('sync', `${folder} is in memory`, 'Power loss takes all of it. Use a folder on a disk.');
  }
  if (medianMicroseconds < SUSPICIOUS_MICROSECONDS) {
    return warn(
      'sync',
      message,
      'No disk is so fast: it may say "synced" before it is. Look whether its cache survives power loss, and how it is mounted.',
    );
  }
  if (medianMicroseconds > SLOW_MICROSECONDS) {
    return warn('sync', message, 'Each small write waits for that. A faster disk, or less beside it, helps.');
  }
  return ok('sync', message);
}

/** The file has no name while it is measured: nothing is left behind, whatever happens. */
function measureSyncs(folder: string): number {
  const path = join(folder, `.doctor-${randomUUID()}`);
  const file = openSync(path, 'wx', 0o600);
  const took: number[] = [];
  try {
    unlinkSync(path);
    const content = Buffer.alloc(SYNC_BYTES, 'tally');
    const startMs = performance.now();
    for (let index = 0; index < SYNCS && performance.now() - startMs < SYNCS_WITHIN_MS; index += 1) {
      const beforeMs = performance.now();
      writeSync(file, content, 0, content.length, index * SYNC_BYTES);
      fdatasyncSync(file);
      took.push((performance.now() - beforeMs) * 1000);
    }
  } finally {
    closeSync(file);
  }
  return took.toSorted((one, other) => one - other)[Math.floor(took.length / 2)] ?? 0;
}

/** `isMeasured`: its disk is one that answers wait for. */
export async function examineFolder(folder: string, isMeasured: boolean): Promise<readonly Finding[]> {
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = systemCodeOf(error) ?? 'unreadable';
    return code === 'ENOENT'
      ? [
          fail(
            'folder',
            `${folder} does not exist`,
            'Mount its disk, or make it: "tally up", or "tally format" for a store.',
          ),
        ]
      : [
          fail(
            'folder',
            `${folder} can't be used (${code})`,
            'Give it to the user that the service runs as.',
          ),
        ];
  }
  const { bavail, blocks, bsize, type } = await statfs(folder);
  const found = [
    ok('folder', `${folder} can be read and written`),
    judgeSpace(folder, bavail * bsize, blocks * bsize),
  ];
  if (!isMeasured) return found;
  try {
    return [...found, judgeSyncs(folder, measureSyncs(folder), MEMORY_FILE_SYSTEMS.includes(type))];
  } catch (error) {
    const code = systemCodeOf(error) ?? String(error);
    return [
      ...found,
      fail('sync', `${folder}: a synced write failed (${code})`, 'Look at the disk and its log.'),
    ];
  }
}
