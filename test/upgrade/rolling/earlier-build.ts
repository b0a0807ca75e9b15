/** The program as it was at an earlier commit, built in a folder of its own with the packages that are installed now. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../../support/repository.js';

const ARCHIVE_BYTES_MAX = 256 * 1024 * 1024;

function run(program: string, args: readonly string[], folder: string, input?: Buffer): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: folder,
    input,
    maxBuffer: ARCHIVE_BYTES_MAX,
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `${String(stdout)}${String(stderr)}`}`);
}

export class EarlierBuild {
  /** The whole name of the commit. */
  readonly commit: string;
  readonly #folder: string;

  private constructor(commit: string, folder: string) {
    this.commit = commit;
    this.#folder = folder;
  }

  /** `reference`: a commit of this repository. Without the web console, which nobody here looks at. */
  static make(reference: string): EarlierBuild {
    const commit = run('git', ['rev-parse', '--verify', `${reference}^{commit}`], repositoryRoot)
      .toString()
      .trim();
    const folder = mkdtempSync(join(tmpdir(), 'tally-earlier-'));
    const build = new EarlierBuild(commit, folder);
    try {
      run('tar', ['-x'], folder, run('git', ['archive', commit], repositoryRoot));
      const packages = join(repositoryRoot, 'node_modules');
      symlinkSync(packages, join(folder, 'node_modules'));
      run(process.execPath, build.#compiler(packages), folder);
      chmodSync(build.entry, 0o755);
    } catch (error) {
      build.remove();
      throw error;
    }
    return build;
  }

  /** Some were built a file for each module, without a bundle. */
  #compiler(packages: string): string[] {
    return existsSync(join(this.#folder, 'vite.config.ts'))
      ? [join(packages, 'vite/bin/vite.js'), 'build', '--logLevel', 'warn']
      : [join(packages, 'typescript/bin/tsc'), '-p', 'tsconfig.build.json'];
  }

  get entry(): string {
    return join(this.#folder, 'dist/cli/main.js');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
