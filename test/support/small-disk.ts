/** A disk of a few megabytes: a tmpfs of its own, which can be filled and grown. Needs root, or sudo without a password. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function run(program: string, args: readonly string[]): void {
  const result = isRoot()
    ? spawnSync(program, args, { encoding: 'utf8' })
    : spawnSync('sudo', ['-n', program, ...args], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr || result.error}`);
}

const MEBIBYTE = 1024 * 1024;

export class SmallDisk {
  readonly folder: string;

  /** Mounts it on a folder, which is made. Whoever runs the tests may write to it. */
  constructor(folder: string, sizeMebibytes: number) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    const owner = `uid=${process.getuid?.() ?? 0},gid=${process.getgid?.() ?? 0}`;
    run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMebibytes}m,mode=700,${owner}`, 'tally-test', folder]);
  }

  grow(sizeMebibytes: number): void {
    run('mount', ['-o', `remount,size=${sizeMebibytes}m`, this.folder]);
  }

  get #filler(): string {
    return join(this.folder, 'filler');
  }

  /** Takes all that is left: to the last byte, or to the last so many. */
  fill(leaveMebibytes = 0): void {
    const piece = Buffer.alloc(MEBIBYTE);
    try {
      for (;;) {
        const { bavail, bsize } = statfsSync(this.folder);
        if (leaveMebibytes > 0 && bavail * bsize <= leaveMebibytes * MEBIBYTE) return;
        writeFileSync(this.#filler, piece, { flag: 'a' });
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
    const { bavail } = statfsSync(this.folder);
    if (bavail > 0) throw new Error(`${bavail} blocks are left`);
  }

  empty(): void {
    rmSync(this.#filler, { force: true });
  }

  /** Precondition: nobody has a file of it open. */
  unmount(): void {
    run('umount', [this.folder]);
  }
}
