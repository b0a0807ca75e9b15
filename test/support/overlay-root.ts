/**
 * A copy of this machine's file system that costs nothing: an overlay whose changes are in memory, to be run in with chroot.
 * Needs root on Linux.
 *
 *   <folder>        a tmpfs
 *     upper, work   what was changed
 *     root          the overlay; /proc and /dev of this machine, an empty /tmp and /run
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Node modules of a whole clone are in it. */
const SIZE = '3g';

/** Runs a program of this machine; its failure is an error with what it printed. */
export function runHere(program: string, args: readonly string[], input?: Buffer): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    input: input ?? '',
    maxBuffer: 1024 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? ''}${String(stderr)}${String(stdout)}`);
}

/** Says what is missing, with the package that has it: nothing is skipped silently. */
export function requireRootAnd(programs: Readonly<Record<string, string>>): void {
  const missing = Object.entries(programs).filter(
    ([program]) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  const needs = missing.map(([program, debianPackage]) => `${program} (apt-get install ${debianPackage})`);
  if (process.getuid?.() !== 0) needs.unshift('root (mount, chroot)');
  if (needs.length > 0) throw new Error(`this needs ${needs.join(', ')}`);
}

export class OverlayRoot {
  readonly root: string;
  readonly #folder: string;
  readonly #mounts: string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
    this.root = join(folder, 'root');
  }

  static mount(name: string): OverlayRoot {
    const overlay = new OverlayRoot(mkdtempSync(join(tmpdir(), `tally-${name}-`)));
    try {
      overlay.#mountAll();
    } catch (error) {
      overlay.unmount();
      throw error;
    }
    return overlay;
  }

  #mountAll(): void {
    this.#mount(['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tally-overlay'], this.#folder);
    const [upper, work] = ['upper', 'work'].map((name) => join(this.#folder, name));
    for (const path of [upper!, work!, this.root]) mkdirSync(path);
    const layers = `lowerdir=/,upperdir=${upper},workdir=${work}`;
    this.#mount(['-t', 'overlay', '-o', layers, 'tally-overlay'], this.root);
    this.#mount(['-t', 'proc', 'proc'], join(this.root, 'proc'));
    this.#mount(['--bind', '/dev'], join(this.root, 'dev'));
    for (const name of ['tmp', 'run'])
      this.#mount(['-t', 'tmpfs', '-o', 'mode=1777', 'tally-overlay'], join(this.root, name));
  }

  #mount(args: readonly string[], target: string): void {
    runHere('mount', [...args, target]);
    this.#mounts.push(target);
  }

  /** One file or folder of this machine, at this path of the copy, which must be there. */
  bind(source: string, path: string): void {
    this.#mount(['--bind', source], join(this.root, path));
  }

  /** Where a path of the copy is, seen from outside. */
  at(path: string): string {
    return join(this.root, path);
  }

  /** Precondition: nothing runs in it any more. */
  unmount(): void {
    for (let target = this.#mounts.at(-1); target !== undefined; target = this.#mounts.at(-1)) {
      runHere('umount', [target]);
      this.#mounts.pop();
    }
    rmdirSync(this.#folder);
  }
}
