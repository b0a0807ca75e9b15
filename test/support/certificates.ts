/** An authority of one test's own, and certificates from it, made by OpenSSL (3.0 or newer). */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TlsFiles } from '../../src/tls/tls-material.js';

export interface IssueOptions {
  /** Default: 127.0.0.1 */
  readonly host?: string;
  readonly days?: number;
}

export interface IdentityFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

function openssl(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${error?.message ?? stderr}`);
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export class TestAuthority {
  readonly caFile: string;
  readonly #folder: string;
  readonly #keyFile: string;

  /** Its files are in the folder, named after it. */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.caFile = join(folder, `${name}.pem`);
    this.#keyFile = join(folder, `${name}.key`);
    openssl([
      ...['req', '-x509', ...NEW_KEY, '-keyout', this.#keyFile, '-out', this.caFile],
      ...['-days', '30', '-subj', `/CN=${name}`],
    ]);
  }

  /** Over files of the same name, if there are any. Good for both sides of a connection. */
  issue(name: string, { host = '127.0.0.1', days = 30 }: IssueOptions = {}): IdentityFiles {
    const files = { certFile: join(this.#folder, `${name}.pem`), keyFile: join(this.#folder, `${name}.key`) };
    const kind = /^[\d.]+$/.test(host) ? 'IP' : 'DNS';
    openssl([
      ...['req', '-x509', ...NEW_KEY, '-keyout', files.keyFile, '-out', files.certFile],
      ...['-CA', this.caFile, '-CAkey', this.#keyFile, '-days', String(days), '-subj', `/CN=${name}`],
      ...['-addext', `subjectAltName=${kind}:${host}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
      ...['-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
    ]);
    return files;
  }

  /** A client that trusts this authority and shows nothing. */
  get trusting(): TlsFiles {
    return { certFile: null, keyFile: null, caFile: this.caFile };
  }

  /** One that shows a certificate of this authority, and wants one from the other side. */
  mutual(name: string, options?: IssueOptions): TlsFiles {
    return { ...this.issue(name, options), caFile: this.caFile };
  }
}
