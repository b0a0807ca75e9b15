/** Where secrets come from, as the configuration says: text, or a file that `secrets.ts` reads when it is needed. */
import { fail, type SettingPath } from './configuration-fault.js';
import type { ConfigurationLayer } from './configuration-schema.js';

/** `isDefault`: nobody asked for this very file, so `up` may make it. */
export type SecretSource =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string; readonly isDefault: boolean };

export type SecretFile = Extract<SecretSource, { kind: 'file' }>;

export type CredentialsSource =
  | { readonly kind: 'keys'; readonly accessKey: string; readonly secretKey: string }
  | { readonly kind: 'file'; readonly path: string; readonly isDefault: boolean };

/** A key beside the first one. */
export interface FurtherKey {
  readonly accessKeyId: string;
  readonly secret: SecretSource;
  /** Null: the account of the first key. */
  readonly ownerId: string | null;
  readonly displayName: string | null;
  readonly email: string | null;
  readonly isReadOnly: boolean;
  /** Null: all. */
  readonly buckets: readonly string[] | null;
}

/** A token of the admin API beside the first one. */
export interface FurtherAdminToken {
  readonly name: string;
  readonly role: 'read' | 'operate';
  readonly secret: SecretSource;
}

export function secretSource(
  text: string | undefined,
  file: string | undefined,
  defaultFile: string,
  at: SettingPath,
): SecretSource {
  if (text !== undefined && file !== undefined) fail('Give a secret itself or its file, not both.', at);
  if (text !== undefined) return { kind: 'text', text };
  return { kind: 'file', path: file ?? defaultFile, isDefault: file === undefined };
}

export function metricsToken({ metrics }: ConfigurationLayer): SecretSource | null {
  if (metrics?.token === undefined && metrics?.tokenFile === undefined) return null;
  return secretSource(metrics.token, metrics.tokenFile, '', ['metrics', 'token']);
}

/** The name of the token of admin.token, and of that of admin.readToken. */
export const FIRST_ADMIN_TOKEN = 'admin';
const READ_ADMIN_TOKEN = 'read';

export function furtherAdminTokens({ admin }: ConfigurationLayer): FurtherAdminToken[] {
  const tokens = (admin?.tokens ?? []).map(({ name, role, token, tokenFile }, index): FurtherAdminToken => {
    const at = ['admin', 'tokens', index];
    if (token === undefined && tokenFile === undefined)
      fail(`admin.tokens, ${name}: give either token or tokenFile.`, at);
    return { name, role, secret: secretSource(token, tokenFile, '', at) };
  });
  const { readToken, readTokenFile } = admin ?? {};
  if (readToken !== undefined || readTokenFile !== undefined) {
    const secret = secretSource(readToken, readTokenFile, '', ['admin', 'readToken']);
    tokens.unshift({ name: READ_ADMIN_TOKEN, role: 'read', secret });
  }
  const names = [FIRST_ADMIN_TOKEN, ...tokens.map(({ name }) => name)];
  if (new Set(names).size !== names.length) {
    fail(`Two tokens of the admin API have the same name ("${FIRST_ADMIN_TOKEN}" is admin.token).`, [
      'admin',
      'tokens',
    ]);
  }
  return tokens;
}

export function credentialsSource(layer: ConfigurationLayer, defaultFile: string): CredentialsSource {
  const { accessKey, secretKey, file } = layer.credentials ?? {};
  if (accessKey === undefined && secretKey === undefined) {
    return { kind: 'file', path: file ?? defaultFile, isDefault: file === undefined };
  }
  if (accessKey === undefined || secretKey === undefined) {
    return fail('Give both access key and secret key, or neither (TALLY_ACCESS_KEY and TALLY_SECRET_KEY).', [
      'credentials',
      accessKey === undefined ? 'secretKey' : 'accessKey',
    ]);
  }
  return { kind: 'keys', accessKey, secretKey };
}

type GivenKeys = readonly NonNullable<NonNullable<ConfigurationLayer['credentials']>['keys']>[number][];

/** Throws OperationalError. */
export function toFurtherKeys(given: GivenKeys, setting: string): FurtherKey[] {
  const at = ['credentials', 'keys'];
  const keys = given.map((key, index): FurtherKey => {
    const { accessKeyId, secret, file } = key;
    if ((secret === undefined) === (file === undefined)) {
      fail(`${setting}, ${accessKeyId}: give either secret or file.`, [...at, index]);
    }
    return {
      accessKeyId,
      secret:
        secret === undefined
          ? { kind: 'file', path: file ?? '', isDefault: false }
          : { kind: 'text', text: secret },
      ownerId: key.ownerId ?? null,
      displayName: key.displayName ?? null,
      email: key.email ?? null,
      isReadOnly: key.access === 'read-only',
      buckets: key.buckets ?? null,
    };
  });
  if (new Set(keys.map(({ accessKeyId }) => accessKeyId)).size !== keys.length) {
    fail(`Two of ${setting} have the same accessKeyId.`, at);
  }
  return keys;
}
