/** An authority of one test's own, and certificates from it (X.509 version 3, RFC 5280). */
import { type KeyObject, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
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

const HOUR_MS = 60 * 60 * 1000;

/** One value in DER: tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
/** Object identifiers, encoded as they stand in certificates. */
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const TRUE = der(0x01, Buffer.of(0xff));

function nameOf(commonName: string): Buffer {
  return sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(commonName)))));
}

function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return der(0x17, Buffer.from(text.slice(2)));
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [TRUE] : []), der(0x04, value));
}

const basicConstraints = (isAuthority: boolean) =>
  extension('551d13', sequence(...(isAuthority ? [TRUE] : [])), true);
const SERVER_AND_CLIENT = extension('551d25', sequence(oid('2b06010505070301'), oid('2b06010505070302')));

function subjectAltName(host: string): Buffer {
  const name = isIPv4(host)
    ? der(0x87, Buffer.from(host.split('.').map(Number)))
    : der(0x82, Buffer.from(host));
  return extension('551d11', sequence(name));
}

interface CertificateFacts {
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly days: number;
  readonly extensions: readonly Buffer[];
}

function makeCertificate({
  issuer,
  issuerKey,
  subject,
  publicKey,
  days,
  extensions,
}: CertificateFacts): string {
  const nowMs = Date.now();
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(15)])),
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    sequence(utcTime(nowMs - HOUR_MS), utcTime(nowMs + days * 24 * HOUR_MS)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = der(0x03, Buffer.of(0), sign('sha256', toBeSigned, issuerKey));
  const base64 = sequence(toBeSigned, ECDSA_WITH_SHA256, signature).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

function makeKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function writeKey(path: string, key: KeyObject): void {
  writeFileSync(path, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
}

export class TestAuthority {
  readonly caFile: string;
  readonly #folder: string;
  readonly #name: string;
  readonly #key: KeyObject;

  /** Its certificate is in the folder, named after it. */
  constructor(folder: string, name: string) {
    const { privateKey, publicKey } = makeKeys();
    this.#folder = folder;
    this.#name = name;
    this.#key = privateKey;
    this.caFile = join(folder, `${name}.pem`);
    const extensions = [basicConstraints(true)];
    const facts = { issuer: name, issuerKey: privateKey, subject: name, publicKey, days: 30, extensions };
    writeFileSync(this.caFile, makeCertificate(facts));
  }

  /** Over files of the same name, if there are any. Good for both sides of a connection. */
  issue(name: string, { host = '127.0.0.1', days = 30 }: IssueOptions = {}): IdentityFiles {
    const files = { certFile: join(this.#folder, `${name}.pem`), keyFile: join(this.#folder, `${name}.key`) };
    const { privateKey, publicKey } = makeKeys();
    const extensions = [basicConstraints(false), SERVER_AND_CLIENT, subjectAltName(host)];
    const issued = { issuer: this.#name, issuerKey: this.#key, subject: name, publicKey, days, extensions };
    writeFileSync(files.certFile, makeCertificate(issued));
    writeKey(files.keyFile, privateKey);
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
