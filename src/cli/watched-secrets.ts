/**
 * Secrets whose files are read again while they are in use, as often as certificates are looked at.
 *
 * A change is taken up once it has been still from one look to the next, so that nobody reads half of it. What can't be used is refused
 * with a line in the log, and what was before stays in use. What changes goes on record as an operator's act. Text of the configuration or the environment never changes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { SecretSource } from './configured-secrets.js';
import { explainError } from './explain-error.js';
import { stateOfFile } from './file-state.js';
import type { AuditNote } from './logging.js';
import { readSetSecrets } from './secrets.js';
import { systemCodeOf } from './system-error.js';

const LOOK_EVERY_MS = 2000;

export interface WatchedSecretOptions<Value> {
  /** For the log, such as "the secret of the mirror set". */
  readonly what: string;
  readonly sources: readonly (SecretSource | null)[];
  /** Throws OperationalError. */
  readonly read: () => Promise<Value>;
  /** What of a change may be told: never the secret itself. */
  readonly describe?: (before: Value, after: Value) => object;
}

interface SecretsLog {
  readonly logger: Logger;
  readonly audit: AuditNote;
}

export class WatchedSecret<Value> {
  readonly #options: WatchedSecretOptions<Value>;
  readonly #log: SecretsLog;
  readonly #paths: readonly string[];
  #current: Value;
  /** Of the files when they were last read. */
  #readState: string;
  #lastState: string;

  private constructor(
    options: WatchedSecretOptions<Value>,
    log: SecretsLog,
    paths: readonly string[],
    current: Value,
    state: string,
  ) {
    this.#options = options;
    this.#log = log;
    this.#paths = paths;
    this.#current = current;
    this.#readState = state;
    this.#lastState = state;
  }

  /** Throws OperationalError: a service does not start with a secret that is none. */
  static async open<Value>(
    options: WatchedSecretOptions<Value>,
    log: SecretsLog,
  ): Promise<WatchedSecret<Value>> {
    const paths = options.sources.flatMap((source) => (source?.kind === 'file' ? [source.path] : []));
    // Before the content: a change in between is found at the next look.
    const state = await stateOf(paths);
    return new WatchedSecret(options, log, paths, await options.read(), state);
  }

  get current(): Value {
    return this.#current;
  }

  /** One look at the files. Never rejects for what is wrong with them. */
  async look(): Promise<void> {
    const state = await stateOf(this.#paths);
    const isStill = state === this.#lastState;
    this.#lastState = state;
    if (!isStill || state === this.#readState) return;
    this.#readState = state;
    const { what, read, describe = () => ({}) } = this.#options;
    const { logger, audit } = this.#log;
    try {
      const before = this.#current;
      this.#current = await read();
      audit({ what, ...describe(before, this.#current) }, `${what}: read again, and in use`);
    } catch (error) {
      const { code, message } = explainError(error);
      logger.error({ code }, `${what}: the new one is refused, the one before stays in use. ${message}`);
    }
  }
}

async function stateOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        return (await stateOfFile(path)) ?? 'absent';
      } catch (error) {
        return systemCodeOf(error) ?? 'unreadable';
      }
    }),
  );
  return states.join(', ');
}

/** The secrets of one service, looked after until `stop`. */
export class ServiceSecrets {
  readonly #log: SecretsLog;
  readonly #lookEveryMs: number;
  readonly #watched: { look(): Promise<void> }[] = [];
  readonly #stopping = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor(log: SecretsLog, lookEveryMs: number = LOOK_EVERY_MS) {
    this.#log = log;
    this.#lookEveryMs = lookEveryMs;
  }

  /** A function that says what is in use now. Throws OperationalError. */
  async watch<Value>(options: WatchedSecretOptions<Value>): Promise<() => Value> {
    const watched = await WatchedSecret.open(options, this.#log);
    this.#watched.push(watched);
    if (this.#watched.length === 1) this.#watching = this.#lookAgainAndAgain();
    return () => watched.current;
  }

  /** What is shown to the OSDs of a set, and accepted by them. Throws OperationalError. */
  watchSetSecret(source: SecretSource): Promise<() => readonly [string, ...string[]]> {
    return this.watch({
      what: 'the secret of the mirror set',
      sources: [source],
      read: () => readSetSecrets(source),
      describe: (_before, after) => ({ accepted: after.length }),
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  async #lookAgainAndAgain(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      await sleep(this.#lookEveryMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      for (const watched of this.#watched) await watched.look();
    }
  }
}
