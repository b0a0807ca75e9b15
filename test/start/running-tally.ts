/** `tally up` as a newcomer runs it: a real process, its output, and the lines that it prints to be pasted. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePorts } from '../support/free-ports.js';

const repository = join(import.meta.dirname, '../..');
const mainFile = join(repository, 'dist/cli/main.js');
const READY_WITHIN_MS = 60_000;

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of a person who has not set up anything. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !/^(TALLY|npm|AWS)_/.test(name)));
}

/** Runs a command of ours to its end. */
export function runTally(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [mainFile, ...args], {
    cwd: repository,
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...plainEnvironment(), ...environment },
  });
  return { exitCode: status, stdout, stderr };
}

/** Runs a line as if it were pasted into a shell in the repository's folder, or another one. */
export function paste(line: string, folder = repository): Ran {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    env: plainEnvironment(),
  });
  return { exitCode: status, stdout, stderr };
}

export interface Ports {
  readonly s3: number;
  readonly admin: number;
  readonly osds: readonly number[];
}

/** A folder for data, and ports that nobody uses. */
export class Playground {
  readonly folder: string;
  readonly ports: Ports;

  private constructor(folder: string, ports: Ports) {
    this.folder = folder;
    this.ports = ports;
  }

  static async make(): Promise<Playground> {
    const [s3, admin, ...osds] = await findFreePorts(4);
    const folder = await mkdtemp(join(tmpdir(), 'tally-start-'));
    return new Playground(folder, { s3: s3!, admin: admin!, osds });
  }

  get dataFolder(): string {
    return join(this.folder, 'data');
  }

  get flags(): string[] {
    const { s3, admin, osds } = this.ports;
    return [
      ...['--data', this.dataFolder, '--s3-port', String(s3)],
      ...['--admin-port', String(admin), '--osd-ports', osds.join(',')],
    ];
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export class RunningTally {
  readonly #child: ChildProcess;
  #output = '';

  readonly #isGroup: boolean;

  private constructor(child: ChildProcess, isGroup = false) {
    this.#child = child;
    this.#isGroup = isGroup;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => (this.#output += text));
    }
  }

  static start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): RunningTally {
    const child = spawn(process.execPath, [mainFile, ...args], {
      cwd: repository,
      env: { ...plainEnvironment(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new RunningTally(child);
  }

  /** As a person starts it in this folder: through npx, with a process group that Ctrl-C reaches as a whole. */
  static startInstalled(folder: string, args: readonly string[]): RunningTally {
    const child = spawn('npx', ['--no-install', 'tally', ...args], {
      cwd: folder,
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    return new RunningTally(child, true);
  }

  /** Everything that it has printed. */
  get output(): string {
    return this.#output;
  }

  get processId(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('it did not start');
    return pid;
  }

  async waitFor(text: string, withinMs = READY_WITHIN_MS): Promise<void> {
    const startMs = performance.now();
    while (!this.#output.includes(text)) {
      const { exitCode, signalCode } = this.#child;
      const isOver = exitCode !== null || signalCode !== null || performance.now() - startMs > withinMs;
      if (isOver)
        throw new Error(`no "${text}" in what it printed (exit code ${exitCode}):\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The line below the comment that starts with `what`. */
  line(what: string): string {
    const lines = this.#output.split('\n');
    const index = lines.findIndex((line) => line.startsWith(`# ${what}`));
    const line = lines[index + 1];
    if (index === -1 || line === undefined) throw new Error(`no "# ${what}" in:\n${this.#output}`);
    return line;
  }

  /** The process that it says a service is. */
  processIdOf(name: string): number {
    const matched = new RegExp(`^  ${name} .*process (\\d+)$`, 'm').exec(this.#output)?.[1];
    if (matched === undefined) throw new Error(`no process of ${name} in:\n${this.#output}`);
    return Number(matched);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const isRunning = this.#child.exitCode === null && this.#child.signalCode === null;
    if (isRunning && this.#isGroup) process.kill(-this.processId, signal);
    else this.#child.kill(signal);
    return this.exit();
  }

  async exit(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }
}

/** False for a process that has ended, also while nobody has taken note of its end (a zombie). */
export function isAlive(processId: number): boolean {
  try {
    const line = readFileSync(`/proc/${processId}/stat`, 'utf8');
    return !/^\d+ \(.*\) [ZX] /.test(line);
  } catch {
    return false;
  }
}
