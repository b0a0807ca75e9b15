/** What the web console needs of the rest: its files, the API's document, and a client of the S3 endpoint. */
import { existsSync, readFileSync } from 'node:fs';
import type { ObjectBrowser } from '../admin/object-browser.js';
import type { Credential } from '../s3/auth/credentials.js';
import { S3Refusal, S3Session } from '../s3/session/s3-session.js';
import type { TlsSource } from '../tls/watched-tls.js';
import { localUrl } from './address.js';
import type { Configuration } from './configuration.js';
import { programFile } from './program-files.js';

/** Null: the console was not built. */
export function findConsole(): string | null {
  const folder = programFile('dist/console/');
  return existsSync(`${folder}index.html`) ? folder : null;
}

export function readAdminDocument(): string {
  return readFileSync(programFile('openapi/admin.yaml'), 'utf8');
}

/** `tls`: what the S3 endpoint shows. Acts with the first key, which is the default account's. */
export function makeObjectBrowser(
  { s3 }: Configuration,
  keys: () => readonly [Credential, ...Credential[]],
  tls: TlsSource | null,
): ObjectBrowser {
  const origin = localUrl(s3.listen, tls !== null);
  const [credential] = keys();
  const session = new S3Session({ origin, tls, credential, region: s3.region, clock: Date.now });
  const linkOrigin = (hostname: string) =>
    s3.url ?? `http${tls === null ? '' : 's'}://${hostname}:${s3.listen.port}`;
  return {
    buckets: () => session.buckets(),
    list: (bucket, prefix, after, limit) => session.list(bucket, prefix, after, limit),
    upload: (upload) => session.upload(upload),
    remove: (bucket, key) => session.remove(bucket, key),
    link: (hostname, bucket, key, expiresSeconds) =>
      session.link(linkOrigin(hostname), bucket, key, expiresSeconds),
    keys: () =>
      keys().map(({ accessKeyId, displayName, limits }) => ({
        accessKeyId,
        account: displayName,
        isReadOnly: limits?.isReadOnly ?? false,
        buckets: limits?.buckets ?? null,
      })),
    refusalOf: (error) => (error instanceof S3Refusal ? error : null),
  };
}
