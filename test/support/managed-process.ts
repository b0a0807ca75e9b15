/**
 * One role of a Tally system as a real process, which can be killed without notice, frozen, and started again.
 * Everything that its runs print is appended to one log file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { cpuSecondsOf, memoryOf, type MemoryUse } from './process-usage.js';

const LOG_TAIL_CHARACTERS = 4000;
const STOP_WITHIN_MS = 20_000;

export interface ProcessCommand {
  /** For people: "gateway", "osd-0". */
  readonly name: string;
  readonly program: string;
  /** Asked for at each start: the program may be another one by then. */
  readonly args: () => readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly logPath: string;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Run {
  readonly child: ChildProcess;
  readonly processId: number;
  readonly exited: Promise<ProcessExit>;
  exit: ProcessExit | null;
}

export class ManagedProcess {
  readonly name: string;
  readonly logPath: string;
  readonly #command: ProcessCommand;
  #run: Run | null = null;
  #lastExit: ProcessExit | null = null;
  #startCount = 0;

  constructor(command: ProcessCommand) {
    this.name = command.name;
    this.logPath = command.logPath;
    this.#command = command;
  }

  get isRunning(): boolean {
    return this.#run !== null && this.#run.exit === null;
  }

  /** How often it was started. */
  get startCount(): number {
    return this.#startCount;
  }

  /** How its latest finished run ended; null: none has. */
  get lastExit(): ProcessExit | null {
    return this.#lastExit;
  }

  get processId(): number {
    return this.#current().processId;
  }

  /** Starts it. Does not wait for readiness. */
  start(): void {
    if (this.isRunning) throw new Error(`${this.name} is running already`);
    const log = openSync(this.#command.logPath, 'a');
    const child = spawn(this.#command.program, [...this.#command.args()], {
      env: { PATH: process.env['PATH'] ?? '', ...this.#command.environment },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    // Whatever ends the test, nothing that it started outlives it.
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    if (child.pid === undefined) throw new Error(`${this.name} could not be started`);
    this.#startCount += 1;
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signal) => {
        process.off('exit', killWithUs);
        run.exit = { code, signal };
        this.#lastExit = run.exit;
        resolve(run.exit);
      });
    });
    const run: Run = { child, processId: child.pid, exited, exit: null };
    this.#run = run;
  }

  /** kill -9, and waits until it is gone. Does nothing when it is not running. */
  async kill(): Promise<void> {
    if (this.#run?.exit !== null) return;
    this.#run.child.kill('SIGKILL');
    await this.#run.exited;
  }

  /** Asks it to end (SIGTERM), and waits. One that does not end in time is killed, and that is an error. */
  async stop(): Promise<ProcessExit | null> {
    const run = this.#run;
    if (run?.exit !== null) return this.#lastExit;
    run.child.kill('SIGTERM');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), STOP_WITHIN_MS);
    });
    const exit = await Promise.race([run.exited, late]);
    clearTimeout(timer);
    if (exit !== null) return exit;
    await this.kill();
    throw new Error(`${this.name} did not end within ${STOP_WITHIN_MS} ms of SIGTERM\n${this.logTail()}`);
  }

  /** Waits for its own end. */
  async ended(): Promise<ProcessExit> {
    return this.#current().exited;
  }

  /** As a host that is suspended: sockets stay open, nothing moves. */
  freeze(): void {
    this.#current().child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#current().child.kill('SIGCONT');
  }

  memory(): MemoryUse {
    return memoryOf(this.processId);
  }

  cpuSeconds(): number {
    return cpuSecondsOf(this.processId);
  }

  logTail(): string {
    const text = readFileSync(this.logPath, 'utf8').slice(-LOG_TAIL_CHARACTERS);
    return `--- end of ${this.logPath}\n${text}`;
  }

  #current(): Run {
    if (this.#run === null) throw new Error(`${this.name} was never started`);
    return this.#run;
  }
}
