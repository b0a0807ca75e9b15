/** What a request has to say to the conditions of a policy. */
import type { Identity } from '../auth/credentials.js';
import type { SignatureKind } from '../auth/authenticate.js';
import type { S3Request } from '../request.js';
import { parseBasicIsoDate, toIsoDate } from '../http-date.js';
import type { ConditionValues } from './policy-conditions.js';

export interface RequestFacts {
  readonly request: S3Request;
  readonly identity: Identity;
  readonly signature: SignatureKind;
  readonly nowMs: number;
}

/** Headers that are condition keys by the name `s3:<header>`. */
const S3_HEADERS = [
  'if-match',
  'if-none-match',
  'x-amz-acl',
  'x-amz-content-sha256',
  'x-amz-copy-source',
  'x-amz-grant-full-control',
  'x-amz-grant-read',
  'x-amz-grant-read-acp',
  'x-amz-grant-write',
  'x-amz-grant-write-acp',
  'x-amz-metadata-directive',
  'x-amz-object-ownership',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-storage-class',
];
const OTHER_HEADERS: readonly (readonly [header: string, key: string])[] = [
  ['referer', 'aws:referer'],
  ['user-agent', 'aws:useragent'],
  ['x-amz-object-lock-legal-hold', 's3:object-lock-legal-hold'],
  ['x-amz-object-lock-mode', 's3:object-lock-mode'],
  ['x-amz-object-lock-retain-until-date', 's3:object-lock-retain-until-date'],
];
const QUERY: readonly (readonly [parameter: string, key: string])[] = [
  ['delimiter', 's3:delimiter'],
  ['max-keys', 's3:max-keys'],
  ['prefix', 's3:prefix'],
  ['versionId', 's3:versionid'],
];

const AUTH_TYPES: Record<SignatureKind, readonly string[]> = {
  none: [],
  header: ['REST-HEADER'],
  query: ['REST-QUERY-STRING'],
  form: ['POST'],
};

function identityValues({ identity, signature }: RequestFacts): [string, readonly string[]][] {
  if (identity.isAnonymous)
    return [
      ['aws:principaltype', ['Anonymous']],
      ['aws:userid', ['anonymous']],
    ];
  const { ownerId, displayName } = identity;
  return [
    ['aws:principaltype', ['Account']],
    ['aws:userid', [ownerId]],
    ['aws:username', [displayName]],
    ['aws:principalaccount', [ownerId]],
    ['aws:principalarn', [`arn:aws:iam::${ownerId}:root`]],
    ['s3:authtype', AUTH_TYPES[signature]],
    ['s3:signatureversion', ['AWS4-HMAC-SHA256']],
  ];
}

/** Tag keys keep their case; the condition key they become is compared in lower case, as all are. */
export function tagValues(
  kind: 'existing' | 'request',
  tags: readonly (readonly [key: string, value: string])[],
): [string, readonly string[]][] {
  const prefix = kind === 'existing' ? 's3:existingobjecttag/' : 's3:requestobjecttag/';
  const values = tags.map(([key, value]): [string, readonly string[]] => [
    prefix + key.toLowerCase(),
    [value],
  ]);
  return kind === 'existing' ? values : [...values, ['s3:requestobjecttagkeys', tags.map(([key]) => key)]];
}

/** The tags of an x-amz-tagging header. Throws nothing: what is no query is refused where the tags are used. */
function requestTags(request: S3Request): [string, readonly string[]][] {
  const header = request.headers.get('x-amz-tagging');
  return header === undefined ? [] : tagValues('request', [...new URLSearchParams(header)]);
}

/** `further` wins. */
export function conditionValues(
  facts: RequestFacts,
  further: readonly (readonly [string, readonly string[]])[] = [],
): ConditionValues {
  const { request, nowMs } = facts;
  const values = new Map<string, readonly string[]>([
    ['aws:currenttime', [toIsoDate(nowMs)]],
    ['aws:epochtime', [String(Math.floor(nowMs / 1000))]],
    ['aws:securetransport', [String(request.isSecure)]],
    ...identityValues(facts),
  ]);
  if (request.remoteAddress !== null) values.set('aws:sourceip', [request.remoteAddress]);
  const signedAtMs = parseBasicIsoDate(request.presigned?.get('X-Amz-Date') ?? '');
  if (signedAtMs !== null) values.set('s3:signatureage', [String(nowMs - signedAtMs)]);
  for (const name of S3_HEADERS) {
    const value = request.headers.get(name);
    if (value !== undefined) values.set(`s3:${name}`, [value]);
  }
  for (const [header, key] of OTHER_HEADERS) {
    const value = request.headers.get(header);
    if (value !== undefined) values.set(key, [value]);
  }
  for (const [parameter, key] of QUERY) {
    const value = request.query.get(parameter);
    if (value !== undefined) values.set(key, [value]);
  }
  for (const [key, list] of [...requestTags(request), ...further]) values.set(key, list);
  return values;
}
