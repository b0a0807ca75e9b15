/** Real S3 client programs. A program that is not installed fails the test, with the package that has it: nothing is skipped. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buffer } from 'node:stream/consumers';

export interface ProgramResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramRequirement {
  readonly name: string;
  readonly debianPackage: string;
  /** What `--version` must say, when several programs share the name. */
  readonly version?: RegExp;
  /** Instead of `--version`. */
  readonly asks?: readonly string[];
}

function candidates(name: string): string[] {
  const folders = ['/usr/bin', ...(process.env['PATH'] ?? '').split(delimiter)];
  return [...new Set(folders.map((folder) => join(folder, name)))].filter((path) => existsSync(path));
}

function isVersion(path: string, { version, asks = ['--version'] }: ProgramRequirement): boolean {
  if (version === undefined) return true;
  const { stdout, stderr } = spawnSync(path, [...asks], { encoding: 'utf8' });
  return version.test(stdout + stderr);
}

/** The path of a program. Debian's own comes first. */
function requireProgram(requirement: ProgramRequirement): string {
  const { name, debianPackage, version } = requirement;
  const found = candidates(name).find((path) => isVersion(path, requirement));
  if (found !== undefined) return found;
  const which = version === undefined ? '' : ` (${version.source})`;
  throw new Error(`${name}${which} is not installed: apt-get install ${debianPackage}`);
}

export class ClientProgram {
  readonly path: string;
  readonly #environment: Readonly<Record<string, string>>;

  constructor(requirement: ProgramRequirement, environment: Readonly<Record<string, string>> = {}) {
    this.path = requireProgram(requirement);
    this.#environment = environment;
  }

  /** Runs it to its end. */
  async attempt(...args: readonly string[]): Promise<ProgramResult> {
    const child = spawn(this.path, [...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...this.#environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const [stdout, stderr, exitCode] = await Promise.all([buffer(child.stdout), buffer(child.stderr), ended]);
    return { exitCode, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') };
  }

  /** Runs it, expects success, and returns what it printed. */
  async run(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.attempt(...args);
    if (exitCode === 0) return stdout;
    throw new Error(`${this.path} ${args.join(' ')}: exit code ${exitCode}\n${stdout}\n${stderr}`);
  }
}
