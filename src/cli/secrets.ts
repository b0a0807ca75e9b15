/**
 * Secrets: where they come from, and how the first start makes them. They are text in the configuration or the
 * environment, or the content of a file that only its owner can read. None is ever logged.
 */
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AdminToken } from '../admin/access.js';
import { type Configuration } from './configuration.js';
import {
  type CredentialsSource,
  FIRST_ADMIN_TOKEN,
  type FurtherKey,
  type SecretSource,
} from './configured-secrets.js';
import { makeMasterKeyLine, MasterKeys } from '../s3/encryption/master-keys.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { createPrivateFile, makePrivateFolder } from './private-files.js';
import { fileError, systemCodeOf } from './system-error.js';

export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}

const UPPER_CASE_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const ACCESS_KEY_PREFIX = 'TALLY';
/** As long as those of AWS. */
const ACCESS_KEY_LENGTH = 20;
const SECRET_KEY_LENGTH = 40;
const SECRET_LENGTH = 43;
const SECRET_PATTERN = /^[\x21-\x7e]{16,256}$/;
const S3_SECRET_PATTERN = /^[\x21-\x7e]{8,256}$/;

function randomText(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
}

function makeSecret(): string {
  return randomText(LETTERS_AND_DIGITS, SECRET_LENGTH);
}

export function makeS3Keys(): S3Keys {
  const length = ACCESS_KEY_LENGTH - ACCESS_KEY_PREFIX.length;
  return {
    accessKey: ACCESS_KEY_PREFIX + randomText(UPPER_CASE_AND_DIGITS, length),
    secretKey: randomText(LETTERS_AND_DIGITS, SECRET_KEY_LENGTH),
  };
}

export function formatCredentialsFile({ accessKey, secretKey }: S3Keys): string {
  return `# Made by Tally. The AWS tools read this too: AWS_SHARED_CREDENTIALS_FILE=<this file>\n[default]\naws_access_key_id = ${accessKey}\naws_secret_access_key = ${secretKey}\n`;
}

/** Reads the section [default]. Null: there are no keys in it. */
export function parseCredentialsFile(text: string): S3Keys | null {
  const values = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n')) {
    const header = /^\s*\[([^\]]*)\]/.exec(line)?.[1];
    if (header !== undefined) section = header.trim();
    const [, name, value] = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (section === 'default' && name !== undefined && value !== undefined) values.set(name, value);
  }
  const accessKey = values.get('aws_access_key_id');
  const secretKey = values.get('aws_secret_access_key');
  return accessKey === undefined || secretKey === undefined ? null : { accessKey, secretKey };
}

function formatMasterKeyFile(): string {
  return `# Made by Tally. Keys of encrypted objects (SSE-S3): new ones get the first, the others open older ones.\n# Without its key an object is lost for good: keep a copy of this file elsewhere.\n${makeMasterKeyLine()}\n`;
}

/** Makes what the first start needs and nobody has given. Existing files are left alone. */
export async function createMissingSecrets(configuration: Configuration): Promise<void> {
  const { credentials, admin, mirrorSet, s3 } = configuration;
  const wanted: readonly (readonly [SecretSource | CredentialsSource, () => string])[] = [
    [credentials, () => formatCredentialsFile(makeS3Keys())],
    [admin.token, () => `${makeSecret()}\n`],
    [mirrorSet.secret, () => `${makeSecret()}\n`],
    [s3.masterKeys, formatMasterKeyFile],
  ];
  for (const [source, make] of wanted) {
    if (source.kind !== 'file' || !source.isDefault) continue;
    await makePrivateFolder(dirname(source.path));
    await createPrivateFile(source.path, make());
  }
}

async function readSecretFile(path: string, what: string, howToGive: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw fileError(error, `The file of ${what},`, path);
    throw new OperationalError(
      'secret-missing',
      EXIT.configuration,
      `There is no ${what}: ${path} does not exist. Give it with ${howToGive}.`,
      { cause: error },
    );
  }
}

async function readSecret(source: SecretSource, what: string, howToGive: string): Promise<string> {
  const text =
    source.kind === 'text' ? source.text : (await readSecretFile(source.path, what, howToGive)).trim();
  assertSecret(text, what);
  return text;
}

function assertSecret(text: string, what: string): void {
  if (SECRET_PATTERN.test(text)) return;
  throw new OperationalError(
    'bad-secret',
    EXIT.configuration,
    `The ${what} must have 16 to 256 characters of visible ASCII, without spaces.`,
  );
}

/** Lines of a file with the set's secret. */
const SET_SECRETS_MAX = 2;

/**
 * The set's secret, and a second one that is accepted beside it, where its file has a second line: one of both is the new one while it is changed
 * at one part after the other. Throws OperationalError.
 */
export async function readSetSecrets(source: SecretSource): Promise<readonly [string, ...string[]]> {
  const what = 'shared secret of the mirror set';
  const howToGive = 'TALLY_SET_SECRET_FILE or mirrorSet.secretFile';
  const text = source.kind === 'text' ? source.text : await readSecretFile(source.path, what, howToGive);
  const [first = '', ...others] = text.trim().split(/\r?\n/);
  if (others.length >= SET_SECRETS_MAX) {
    throw new OperationalError(
      'bad-secret',
      EXIT.configuration,
      `The file of the ${what} has two lines at most: the secret, and one that is accepted beside it.`,
    );
  }
  for (const secret of [first, ...others]) assertSecret(secret, what);
  return [first, ...others];
}

/** Throws OperationalError. */
export function readAdminToken({ admin }: Configuration): Promise<string> {
  return readSecret(admin.token, 'token of the admin API', 'TALLY_ADMIN_TOKEN_FILE or admin.tokenFile');
}

/** Every token that opens something on the admin port. Throws OperationalError. */
export async function readAdminTokens(configuration: Configuration): Promise<readonly AdminToken[]> {
  const token = await readAdminToken(configuration);
  const tokens: AdminToken[] = [{ name: FIRST_ADMIN_TOKEN, role: 'operate', token }];
  for (const { name, role, secret } of configuration.admin.furtherTokens) {
    const howToGive = 'admin.readTokenFile, admin.tokens or TALLY_ADMIN_READ_TOKEN_FILE';
    tokens.push({
      name,
      role,
      token: await readSecret(secret, `token "${name}" of the admin API`, howToGive),
    });
  }
  const metrics = await readMetricsToken(configuration);
  if (metrics !== null) tokens.push({ name: 'metrics', role: 'metrics', token: metrics });
  for (const { name, token: text } of tokens) {
    const twin = tokens.find((other) => other.name !== name && other.token === text);
    if (twin === undefined) continue;
    throw new OperationalError(
      'same-token',
      EXIT.configuration,
      `The tokens "${name}" and "${twin.name}" of the admin API are the same: nobody could tell what it may do.`,
    );
  }
  return tokens;
}

/** Null: there is none. Throws OperationalError. */
export async function readMetricsToken({ metricsToken }: Configuration): Promise<string | null> {
  if (metricsToken === null) return null;
  return readSecret(metricsToken, 'token of the metrics', 'TALLY_METRICS_TOKEN_FILE or metrics.tokenFile');
}

/** Null: nobody asked for any, and there are none. Throws OperationalError. */
export async function readMasterKeys({ s3 }: Configuration): Promise<MasterKeys | null> {
  const { path, isDefault } = s3.masterKeys;
  if (isDefault && !existsSync(path)) return null;
  const text = await readSecretFile(path, 'master key', 'TALLY_MASTER_KEY_FILE or s3.masterKeyFile');
  try {
    return MasterKeys.parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new OperationalError('bad-master-keys', EXIT.configuration, `${path}: ${error.message}.`, {
      cause: error,
    });
  }
}

export interface FurtherS3Key {
  readonly key: FurtherKey;
  readonly secretKey: string;
}

/** The secrets of `credentials.keys`. Throws OperationalError. */
export async function readFurtherKeys({ furtherKeys }: Configuration): Promise<readonly FurtherS3Key[]> {
  const read: FurtherS3Key[] = [];
  for (const key of furtherKeys) {
    const what = `secret of the S3 key ${key.accessKeyId}`;
    const { secret } = key;
    const howToGive = 'credentials.keys, secret or file';
    const secretKey =
      secret.kind === 'text' ? secret.text : (await readSecretFile(secret.path, what, howToGive)).trim();
    if (!S3_SECRET_PATTERN.test(secretKey)) {
      throw new OperationalError(
        'bad-secret',
        EXIT.configuration,
        `The ${what} must have 8 to 256 characters of visible ASCII, without spaces.`,
      );
    }
    read.push({ key, secretKey });
  }
  return read;
}

/** Throws OperationalError. */
export async function readS3Keys({ credentials }: Configuration): Promise<S3Keys> {
  if (credentials.kind === 'keys') return credentials;
  const howToGive = 'TALLY_ACCESS_KEY and TALLY_SECRET_KEY, or credentials.file';
  const keys = parseCredentialsFile(await readSecretFile(credentials.path, 'S3 credentials', howToGive));
  if (keys !== null) return keys;
  throw new OperationalError(
    'bad-credentials',
    EXIT.configuration,
    `${credentials.path} has no aws_access_key_id and aws_secret_access_key under [default].`,
  );
}
