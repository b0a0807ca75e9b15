/**
 * The S3 keys of a running gateway: the first one, those of the configuration, and those of the file of `tally user`, which is read
 * again whenever it changes. A file that is broken, gone, or names a key that there is already is refused as a whole, with a line in
 * the log, and the keys stay as they were.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Credential, ExchangeableCredentials } from '../s3/auth/credentials.js';
import { type Configuration } from './configuration.js';
import { toFurtherKeys } from './configured-secrets.js';
import { EXIT } from './exit-codes.js';
import { explainError } from './explain-error.js';
import { stateOfFile } from './file-state.js';
import { type FileKey, readKeyFile } from './key-file.js';
import { OperationalError } from './operational-error.js';
import { s3Credentials } from './s3-credentials.js';
import { type FurtherS3Key, readFurtherKeys, readS3Keys, type S3Keys } from './secrets.js';
import { systemCodeOf } from './system-error.js';

const LOOK_EVERY_MS = 500;

type Keys = readonly [Credential, ...Credential[]];

export interface KeyringRequest {
  readonly configuration: Configuration;
  readonly setId: string;
  readonly logger: Logger;
}

interface ConfiguredKeys {
  readonly first: S3Keys;
  readonly further: readonly FurtherS3Key[];
}

/** All keys as the S3 endpoint has them. Throws OperationalError when two have the same id. */
function joinKeys(
  setId: string,
  { first, further }: ConfiguredKeys,
  fromFile: readonly FileKey[],
  path: string,
): Keys {
  const made = toFurtherKeys(fromFile, path).map((key, index): FurtherS3Key => ({
    key,
    secretKey: fromFile[index]?.secret ?? '',
  }));
  const all = s3Credentials(setId, first, [...further, ...made]);
  const seen = new Set<string>();
  for (const { accessKeyId } of all) {
    if (seen.has(accessKeyId)) throw duplicateKey(accessKeyId, path);
    seen.add(accessKeyId);
  }
  return all;
}

function duplicateKey(accessKeyId: string, path: string): OperationalError {
  return new OperationalError(
    'duplicate-key',
    EXIT.configuration,
    `The S3 key ${accessKeyId} is there twice: look at credentials, credentials.keys and ${path}.`,
  );
}

export class S3Keyring {
  readonly store: ExchangeableCredentials;
  readonly #request: KeyringRequest;
  readonly #configured: ConfiguredKeys;
  readonly #stopping = new AbortController();
  #all: Keys;
  /** Of the file that was read last, also when it was refused. */
  #state: string | null;
  #watching: Promise<void> = Promise.resolve();

  private constructor(request: KeyringRequest, configured: ConfiguredKeys, all: Keys, state: string | null) {
    this.#request = request;
    this.#configured = configured;
    this.#all = all;
    this.#state = state;
    this.store = new ExchangeableCredentials(all);
  }

  /** Throws OperationalError: a gateway does not start with a broken file. */
  static async open(request: KeyringRequest): Promise<S3Keyring> {
    const { configuration, setId } = request;
    const { path } = configuration.keysFile;
    const configured = {
      first: await readS3Keys(configuration),
      further: await readFurtherKeys(configuration),
    };
    // Before the content: a change in between is found at the next look.
    const state = await stateOfFile(path);
    const keys = await readKeyFile(path);
    return new S3Keyring(request, configured, joinKeys(setId, configured, keys ?? [], path), state);
  }

  get all(): Keys {
    return this.#all;
  }

  /** Looks after the file until `stop`. */
  watch(everyMs: number = LOOK_EVERY_MS): void {
    this.#watching = this.#lookAgainAndAgain(everyMs);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  async #lookAgainAndAgain(everyMs: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.look();
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look at the file. Never rejects for what is wrong with it. */
  async look(): Promise<void> {
    const { configuration, setId, logger } = this.#request;
    const { path } = configuration.keysFile;
    let state: string | null;
    try {
      state = await stateOfFile(path);
    } catch (error) {
      state = systemCodeOf(error) ?? 'unreadable';
    }
    if (state === this.#state) return;
    this.#state = state;
    try {
      const keys = await readKeyFile(path);
      if (keys === null) {
        throw new OperationalError('key-file-gone', EXIT.configuration, `The file ${path} is gone.`);
      }
      this.#take(joinKeys(setId, this.#configured, keys, path));
    } catch (error) {
      const { code, message } = explainError(error);
      logger.error(
        { code, path },
        `The S3 keys stay as they are, because their file was refused. ${message}`,
      );
    }
  }

  #take(next: Keys): void {
    const idsOf = (keys: Keys) => keys.map(({ accessKeyId }) => accessKeyId);
    const [before, after] = [idsOf(this.#all), idsOf(next)];
    this.#all = next;
    this.store.exchange(next);
    const added = after.filter((id) => !before.includes(id));
    const removed = before.filter((id) => !after.includes(id));
    this.#request.logger.info(
      { log: 'audit', added, removed, count: after.length },
      'the S3 keys were read again',
    );
  }
}
