/** Opens the certificates of a service, and says what is wrong with them in an operator's words. */
import type { CertificateExpiry } from '../metrics/certificate-metrics.js';
import type { ServerTls } from '../tls/node-server.js';
import { readTlsMaterial, TlsFault, type TlsFiles } from '../tls/tls-material.js';
import { type TlsLogger, WatchedTls } from '../tls/watched-tls.js';
import { type Fetch, makeTrustingFetch } from '../wire/trusting-fetch.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

async function explained<Value>(use: string, open: Promise<Value>): Promise<Value> {
  try {
    return await open;
  } catch (error) {
    if (!(error instanceof TlsFault)) throw error;
    throw new OperationalError(error.code, EXIT.configuration, `${use}: ${error.message}.`, { cause: error });
  }
}

/** The certificates of one service, each watched until `stop`. */
export class ServiceTls {
  readonly #logger: TlsLogger;
  readonly #open: WatchedTls[] = [];

  constructor(logger: TlsLogger) {
    this.#logger = logger;
  }

  /** Null for null. Throws OperationalError. */
  async watch(files: TlsFiles | null, use: string): Promise<WatchedTls | null> {
    if (files === null) return null;
    const opening = WatchedTls.open({ files, use, logger: this.#logger, clock: Date.now });
    const watched = await explained(use, opening);
    this.#open.push(watched);
    return watched;
  }

  /** Null for null: plain HTTP. Throws OperationalError. */
  async serve(files: TlsFiles | null, use: string): Promise<ServerTls | null> {
    const source = await this.watch(files, use);
    return source === null ? null : { source, logger: this.#logger };
  }

  /** Of those that are shown. */
  certificates(): CertificateExpiry[] {
    return this.#open.flatMap(({ use, material: { identity } }) =>
      identity === null ? [] : [{ use, expiresMs: identity.validUntilMs }],
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.map((watched) => watched.stop()));
  }
}

/** How a command calls a server that shows a certificate of these authorities. Throws OperationalError. */
export async function fetchTrusting(files: TlsFiles | null, use: string): Promise<Fetch> {
  return files === null ? fetch : makeTrustingFetch(await explained(use, readTlsMaterial(files)));
}
