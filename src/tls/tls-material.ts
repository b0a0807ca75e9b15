/** What one side of a TLS connection shows and whom it trusts, read from PEM files and checked before anybody uses it. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

/** Paths; certificate and key come together. */
export interface TlsFiles {
  readonly certFile: string | null;
  readonly keyFile: string | null;
  /** The authorities that the other side's certificate must come from. */
  readonly caFile: string | null;
}

export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
  /** Unix ms: not valid any more. */
  readonly validUntilMs: number;
}

export interface TlsMaterial {
  /** The certificate with its chain; null: none is shown. */
  readonly identity: TlsIdentity | null;
  /** Null: a client trusts the authorities that node comes with; a server asks for no certificate. */
  readonly ca: string | null;
}

/** The files are not there, or not what they must be. */
export class TlsFault extends Error {
  readonly code = 'bad-certificate';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TlsFault';
  }
}

const FILE_BYTES_MAX = 1024 * 1024;
const CERTIFICATE_PATTERN = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

async function readPem(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TlsFault(`${path} can't be read: ${reason}`, { cause: error });
  }
  if (text.length > FILE_BYTES_MAX) throw new TlsFault(`${path} is too large for certificates`);
  return text;
}

function parsed<Value>(path: string, what: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw new TlsFault(`${path} holds no ${what}`, { cause: error });
  }
}

function readCertificates(path: string, text: string): readonly [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = (text.match(CERTIFICATE_PATTERN) ?? []).map((pem) =>
    parsed(path, 'certificate in PEM that can be read', () => new X509Certificate(pem)),
  );
  if (first === undefined) throw new TlsFault(`${path} holds no certificate in PEM`);
  return [first, ...rest];
}

async function readIdentity(certFile: string, keyFile: string): Promise<TlsIdentity> {
  const cert = await readPem(certFile);
  const key = await readPem(keyFile);
  const [certificate] = readCertificates(certFile, cert);
  const privateKey = parsed(keyFile, 'private key in PEM without a passphrase', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey))
    throw new TlsFault(`the key in ${keyFile} is not that of the certificate in ${certFile}`);
  return { cert, key, validUntilMs: Date.parse(certificate.validTo) };
}

async function readAuthorities(caFile: string): Promise<string> {
  const ca = await readPem(caFile);
  readCertificates(caFile, ca);
  return ca;
}

/** Throws TlsFault. */
export async function readTlsMaterial({ certFile, keyFile, caFile }: TlsFiles): Promise<TlsMaterial> {
  const material: TlsMaterial = {
    identity: certFile === null || keyFile === null ? null : await readIdentity(certFile, keyFile),
    ca: caFile === null ? null : await readAuthorities(caFile),
  };
  const files = [certFile, keyFile, caFile].filter((path) => path !== null).join(', ');
  // Whatever OpenSSL itself holds against them (a key that is too short) comes out here, not at the first connection.
  try {
    createSecureContext(secureContextOf(material));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TlsFault(`${files} can't be used: ${reason}`, { cause: error });
  }
  return material;
}

/** For either side of a connection. */
export function secureContextOf({ identity, ca }: TlsMaterial): SecureContextOptions {
  return {
    minVersion: 'TLSv1.2',
    ...(identity !== null && { cert: identity.cert, key: identity.key }),
    ...(ca !== null && { ca }),
  };
}
