/** Makes presigned URLs (S3 API reference "Authenticating Requests: Using Query Parameters"). The other side is `auth/presigned.ts`. */
import type { Credential } from '../auth/credentials.js';
import { ALGORITHM } from '../auth/authorization-header.js';
import { canonicalRequest, scopeText, sign, stringToSign } from '../auth/sigv4.js';
import type { SigningKeys, SigningScope } from '../auth/signing-key.js';

export interface PresignWish {
  readonly method: string;
  /** Of the endpoint: `http://host:port`. */
  readonly origin: string;
  /** Null: the bucket itself, or with an empty bucket the service. */
  readonly bucket: string;
  readonly key: string | null;
  readonly query: Readonly<Record<string, string>>;
  readonly expiresSeconds: number;
}

export interface Presigner {
  readonly credential: Credential;
  readonly region: string;
  readonly signingKeys: SigningKeys;
  /** Unix ms. */
  readonly clock: () => number;
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function pathOf(bucket: string, key: string | null): string {
  if (bucket === '') return '/';
  const name = `/${encode(bucket)}`;
  return key === null ? name : `${name}/${key.split('/').map(encode).join('/')}`;
}

/** The URL opens exactly this request until it expires, without any further header. */
export function presignUrl(wish: PresignWish, presigner: Presigner): string {
  const { credential, region, signingKeys, clock } = presigner;
  const timestamp = new Date(clock()).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const scope: SigningScope = { date: timestamp.slice(0, 8), region, service: 's3' };
  const query = {
    ...wish.query,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${credential.accessKeyId}/${scopeText(scope)}`,
    'X-Amz-Date': timestamp,
    'X-Amz-Expires': String(wish.expiresSeconds),
    'X-Amz-SignedHeaders': 'host',
  };
  const rawQuery = Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  const rawPath = pathOf(wish.bucket, wish.key);
  const parts = {
    method: wish.method,
    rawPath,
    rawQuery,
    headers: new Map([['host', new URL(wish.origin).host]]),
  };
  const canonical = canonicalRequest(
    { parts, signedHeaders: ['host'], payloadHash: 'UNSIGNED-PAYLOAD' },
    'canonical',
  );
  const signingKey = signingKeys.get(credential.secretAccessKey, scope);
  const signature = sign(signingKey, stringToSign(canonical, timestamp, scope));
  return `${wish.origin}${rawPath}?${rawQuery}&X-Amz-Signature=${signature}`;
}
