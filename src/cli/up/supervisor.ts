/**
 * Starts services as processes of their own, knows which of them run, and stops them in order.
 *
 * A service counts as running from the moment it joins through the folder's socket: whether it was started here or by hand
 * makes no difference. Each child leads a process group of its own, so that Ctrl-C in the terminal reaches this process only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { EXIT, type ExitCode } from '../exit-codes.js';
import type { JoinedService, JoinListener } from '../folder-socket.js';
import { OperationalError } from '../operational-error.js';

export interface ServiceCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

export type ServiceNews =
  | { readonly kind: 'died'; readonly name: string; readonly processId: number; readonly how: string }
  | { readonly kind: 'joined'; readonly name: string; readonly processId: number; readonly url: string }
  | { readonly kind: 'said'; readonly name: string; readonly line: string };

interface Running {
  readonly service: JoinedService;
  /** Null: started by hand. */
  readonly child: ChildProcess | null;
  readonly gone: Promise<void>;
  readonly noteGone: () => void;
}

interface Starting {
  readonly child: ChildProcess;
  readonly lastLines: string[];
  readonly ready: (service: JoinedService) => void;
}

const START_WITHIN_MS = 60_000;
const LAST_LINES_MAX = 20;

export class Supervisor implements JoinListener {
  readonly #onNews: (news: ServiceNews) => void;
  readonly #running = new Map<string, Running>();
  readonly #starting = new Map<string, Starting>();
  #isStopping = false;

  constructor(onNews: (news: ServiceNews) => void) {
    this.#onNews = onNews;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  processIdOf(name: string): number | null {
    return this.#running.get(name)?.service.processId ?? null;
  }

  /** Resolves when the service is ready; rejects with OperationalError when it ends before. */
  async start(command: ServiceCommand): Promise<JoinedService> {
    const child = spawn(command.program, command.args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: command.environment,
      detached: true,
    });
    const lastLines: string[] = [];
    this.#readStandardError(command.name, child, lastLines);
    return new Promise<JoinedService>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
      }, START_WITHIN_MS);
      this.#starting.set(command.name, {
        child,
        lastLines,
        ready: (service) => {
          clearTimeout(timer);
          resolve(service);
        },
      });
      child.once('error', (error) => {
        clearTimeout(timer);
        this.#starting.delete(command.name);
        reject(error);
      });
      // After "close" its last words are in.
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        if (this.#starting.get(command.name)?.child !== child) {
          this.#childEnded(command.name, child, code, signal);
          return;
        }
        this.#starting.delete(command.name);
        reject(startFailure(command.name, lastLines, code, signal));
      });
    });
  }

  joined(service: JoinedService): void {
    const starting = this.#starting.get(service.name);
    const isOurChild = starting?.child.pid === service.processId;
    let noteGone: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      noteGone = resolve;
    });
    const child = isOurChild ? starting.child : null;
    this.#running.set(service.name, { service, child, gone, noteGone });
    if (isOurChild) {
      this.#starting.delete(service.name);
      starting.ready(service);
    } else {
      const { name, processId, url } = service;
      this.#onNews({ kind: 'joined', name, processId, url });
    }
    if (this.#isStopping) service.stop();
  }

  left(service: JoinedService): void {
    const running = this.#running.get(service.name);
    if (running?.service !== service || running.child !== null) return;
    this.#gone(running, 'it ended');
  }

  /** Asks the named services to stop, all at once, and waits; one that takes longer than `withinMs` is killed. */
  async stop(names: readonly string[], withinMs: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all(
      names.map(async (name) => {
        const running = this.#running.get(name);
        this.#starting.get(name)?.child.kill('SIGTERM');
        if (running === undefined) return;
        running.service.stop();
        const timer = setTimeout(() => {
          killProcess(running.service.processId);
        }, withinMs);
        await running.gone;
        clearTimeout(timer);
      }),
    );
  }

  /** The end, for all of them, without a word. */
  killAll(): void {
    for (const { child } of this.#starting.values()) child.kill('SIGKILL');
    for (const { service } of this.#running.values()) killProcess(service.processId);
  }

  #childEnded(name: string, child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    const running = this.#running.get(name);
    if (running?.child !== child) return;
    this.#gone(running, signal === null ? `exit code ${code ?? 'unknown'}` : `killed by ${signal}`);
  }

  #gone(running: Running, how: string): void {
    const { name, processId } = running.service;
    this.#running.delete(name);
    running.noteGone();
    if (!this.#isStopping) this.#onNews({ kind: 'died', name, processId, how });
  }

  #readStandardError(name: string, child: ChildProcess, lastLines: string[]): void {
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > LAST_LINES_MAX) lastLines.shift();
      if (this.#running.has(name)) this.#onNews({ kind: 'said', name, line });
    });
  }
}

function startFailure(
  name: string,
  lastLines: readonly string[],
  code: number | null,
  signal: NodeJS.Signals | null,
): OperationalError {
  const exitCode: ExitCode =
    Object.values(EXIT).find((known) => known === code && known !== EXIT.ok) ?? EXIT.bug;
  const reason =
    lastLines.at(-1)?.replace(/^error /, '') ??
    (signal === null ? `exit code ${code ?? 'unknown'}` : `killed by ${signal}`);
  return new OperationalError('service-failed', exitCode, `${name} could not start. ${reason}`);
}

function killProcess(processId: number): void {
  try {
    process.kill(processId, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
