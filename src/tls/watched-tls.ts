/**
 * Certificates that are replaced while they are in use.
 *
 * The files are looked at every `pollMs`. A change is taken up once it has been still from one look to the next, so that nobody uses
 * a new certificate with the key of the old one. What can't be used is refused with a line in the log; the one before stays in use.
 */
import { stat } from 'node:fs/promises';
import { readTlsMaterial, type TlsFiles, TlsFault, type TlsMaterial } from './tls-material.js';

export interface TlsLogger {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface TlsSource {
  /** What new connections use. */
  readonly material: TlsMaterial;
  /** Told of every later material, until the returned function is called. */
  onChange(listener: (material: TlsMaterial) => void): () => void;
}

export interface WatchedTlsOptions {
  readonly files: TlsFiles;
  /** For the log, such as "the S3 endpoint". */
  readonly use: string;
  readonly logger: TlsLogger;
  /** Unix ms. */
  readonly clock: () => number;
  readonly pollMs?: number;
}

const POLL_MS = 2000;
/** Certificates are announced in the log when less than this is left. */
const EXPIRES_SOON_MS = 14 * 24 * 60 * 60 * 1000;
const REMIND_EVERY_MS = 24 * 60 * 60 * 1000;

/** Changes whenever a file is written or replaced. */
async function stateOf({ certFile, keyFile, caFile }: TlsFiles): Promise<string> {
  const paths = [certFile, keyFile, caFile].filter((path) => path !== null);
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [ino, size, mtimeNs, ctimeNs].join(':');
      } catch {
        return 'unreadable';
      }
    }),
  );
  return states.join(' ');
}

export class WatchedTls implements TlsSource {
  readonly #options: WatchedTlsOptions;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #material: TlsMaterial;
  /** Of the files when they were last read. */
  #readState: string;
  #lastState: string;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #remindedMs = Number.NEGATIVE_INFINITY;

  private constructor(options: WatchedTlsOptions, material: TlsMaterial, state: string) {
    this.#options = options;
    this.#material = material;
    this.#readState = state;
    this.#lastState = state;
  }

  /** Throws TlsFault when they can't be used. One that has expired can: it may be the clock that is wrong. */
  static async open(options: WatchedTlsOptions): Promise<WatchedTls> {
    const state = await stateOf(options.files);
    const watched = new WatchedTls(options, await readTlsMaterial(options.files), state);
    watched.#remindOfExpiry();
    watched.#schedule();
    return watched;
  }

  get use(): string {
    return this.#options.use;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => {
        this.#schedule();
      });
    }, this.#options.pollMs ?? POLL_MS);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#remindOfExpiry();
    const state = await stateOf(this.#options.files);
    const isStill = state === this.#lastState;
    this.#lastState = state;
    if (!isStill || state === this.#readState || this.#isStopped) return;
    this.#readState = state;
    await this.#replace();
  }

  async #replace(): Promise<void> {
    const { files, use, logger, clock } = this.#options;
    try {
      const material = await readTlsMaterial(files);
      const { identity } = material;
      if (identity !== null && identity.validUntilMs <= clock())
        throw new TlsFault(`the certificate in ${files.certFile} has expired`);
      this.#material = material;
    } catch (error) {
      if (!(error instanceof TlsFault)) throw error;
      const message = `${use}: the new certificate is refused, the one before stays in use: ${error.message}`;
      logger.error({ code: error.code, err: error }, message);
      return;
    }
    logger.info({ validUntil: this.#validUntil() }, `${use}: a new certificate is in use`);
    this.#remindedMs = Number.NEGATIVE_INFINITY;
    for (const listener of this.#listeners) listener(this.#material);
  }

  #validUntil(): string | null {
    const { identity } = this.#material;
    return identity === null ? null : new Date(identity.validUntilMs).toISOString();
  }

  #remindOfExpiry(): void {
    const { identity } = this.#material;
    const { use, logger, clock } = this.#options;
    const nowMs = clock();
    if (identity === null || nowMs - this.#remindedMs < REMIND_EVERY_MS) return;
    const leftMs = identity.validUntilMs - nowMs;
    if (leftMs > EXPIRES_SOON_MS) return;
    this.#remindedMs = nowMs;
    const what = leftMs <= 0 ? 'has expired' : 'expires soon';
    logger.warn({ validUntil: this.#validUntil() }, `${use}: the certificate ${what}`);
  }
}
