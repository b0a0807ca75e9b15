/** `tally user add`, `list` and `remove`: S3 keys beside the first one. A running gateway takes them without a restart. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Configuration } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { editKeyFile, faultOfKey, type FileKey, readKeyFile } from './key-file.js';
import { makeCommandAudit } from './logging.js';
import { OperationalError } from './operational-error.js';
import { makeS3Keys, readS3Keys } from './secrets.js';
import { askAtTerminal } from './terminal-question.js';
import { cell, printable, renderTitled } from './text-table.js';

export interface KeyRequest {
  /** Null: a random one. */
  readonly accessKeyId: string | null;
  readonly isReadOnly: boolean;
  /** Null: all. */
  readonly buckets: readonly string[] | null;
  /** Null: the account of the first key. */
  readonly ownerId: string | null;
  readonly displayName: string | null;
  readonly email: string | null;
}

/** A key as it may be shown. */
interface ShownKey {
  readonly accessKeyId: string;
  /** Null: the account of the first key. */
  readonly ownerId: string | null;
  readonly displayName: string | null;
  readonly access: 'read-only' | 'read-write';
  /** Null: all. */
  readonly buckets: readonly string[] | null;
  readonly source: 'first' | 'configuration' | 'command';
}

function usage(code: string, message: string): OperationalError {
  return new OperationalError(code, EXIT.usage, message);
}

function auditOf(configuration: Configuration): (action: string, accessKeyId: string) => void {
  const record = makeCommandAudit(configuration);
  const { username } = userInfo();
  const sudoUser = process.env['SUDO_USER'];
  const user = sudoUser === undefined ? username : `${username} (sudo by ${sudoUser})`;
  return (action, accessKeyId) => {
    record({ action, target: accessKeyId, user });
  };
}

/** The first key, where it is known by now. */
async function firstKeyId(configuration: Configuration): Promise<string | null> {
  try {
    return (await readS3Keys(configuration)).accessKey;
  } catch (error) {
    if (error instanceof OperationalError && error.code === 'secret-missing') return null;
    throw error;
  }
}

async function configuredKeys(configuration: Configuration): Promise<ShownKey[]> {
  const first = await firstKeyId(configuration);
  const further = configuration.furtherKeys.map((key): ShownKey => {
    const { accessKeyId, ownerId, displayName, isReadOnly, buckets } = key;
    const access = isReadOnly ? 'read-only' : 'read-write';
    return { accessKeyId, ownerId, displayName, access, buckets, source: 'configuration' };
  });
  if (first === null) return further;
  const shared = { ownerId: null, displayName: null, access: 'read-write', buckets: null } as const;
  return [{ accessKeyId: first, ...shared, source: 'first' }, ...further];
}

function shown(key: FileKey): ShownKey {
  const { accessKeyId, ownerId = null, displayName = null, access = 'read-write', buckets = null } = key;
  return { accessKeyId, ownerId, displayName, access, buckets, source: 'command' };
}

/** The default file belongs into a data folder that is there: a folder with anything else in it would be no place for a first start. */
function requirePlace({ keysFile, dataFolder }: Configuration): void {
  if (!keysFile.isDefault || existsSync(dataFolder)) return;
  throw new OperationalError(
    'no-data-folder',
    EXIT.configuration,
    `There is no Tally in ${dataFolder}: start one with "tally up", or name its folder with --data or its configuration with --config.`,
  );
}

export async function addKey(
  configuration: Configuration,
  request: KeyRequest,
  isJson: boolean,
): Promise<ExitCode> {
  requirePlace(configuration);
  const { path } = configuration.keysFile;
  const made = makeS3Keys();
  const { accessKeyId, isReadOnly, buckets, ownerId, displayName, email } = request;
  const key: FileKey = {
    accessKeyId: accessKeyId ?? made.accessKey,
    secret: made.secretKey,
    ...(ownerId !== null && { ownerId }),
    ...(displayName !== null && { displayName }),
    ...(email !== null && { email }),
    ...(isReadOnly && { access: 'read-only' as const }),
    ...(buckets !== null && { buckets: [...buckets] }),
  };
  const fault = faultOfKey(key);
  if (fault !== null) throw usage('bad-key', `That is no key: ${fault}.`);
  const audit = auditOf(configuration);
  const configured = await configuredKeys(configuration);
  await editKeyFile(path, (keys) => {
    if ([...configured, ...keys].some((other) => other.accessKeyId === key.accessKeyId)) {
      throw usage('duplicate-key', `There is a key ${key.accessKeyId} already; nothing was changed.`);
    }
    return [...keys, key];
  });
  audit('tally user add', key.accessKeyId);
  const { source: _source, ...facts } = shown(key);
  process.stdout.write(
    isJson
      ? `${JSON.stringify({ ...facts, secretAccessKey: key.secret, file: path }, null, 2)}\n`
      : `Access key  ${key.accessKeyId}\nSecret key  ${key.secret}\n\nThe secret is shown this once. A running gateway takes the key within a second.\n`,
  );
  return EXIT.ok;
}

const SOURCES: Readonly<Record<ShownKey['source'], string>> = {
  first: 'first key',
  configuration: 'credentials.keys',
  command: 'tally user',
};

export async function listKeys(configuration: Configuration, isJson: boolean): Promise<ExitCode> {
  requirePlace(configuration);
  const fromFile = ((await readKeyFile(configuration.keysFile.path)) ?? []).map(shown);
  const keys = [...(await configuredKeys(configuration)), ...fromFile];
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ keys }, null, 2)}\n`);
    return EXIT.ok;
  }
  const rows = keys.map(({ accessKeyId, ownerId, displayName, access, buckets, source }) =>
    [
      accessKeyId,
      ownerId ?? 'first account',
      displayName ?? '-',
      access,
      buckets === null ? 'all' : buckets.join(', '),
      SOURCES[source],
    ].map((text) => cell(printable(text))),
  );
  const titles = ['ACCESS KEY', 'ACCOUNT', 'NAME', 'ACCESS', 'BUCKETS', 'FROM'];
  process.stdout.write(`${renderTitled(titles, rows)}\n`);
  return EXIT.ok;
}

export interface RemoveRequest {
  readonly accessKeyId: string;
  /** Nobody is asked. */
  readonly isSure: boolean;
  readonly isJson: boolean;
}

export async function removeKey(configuration: Configuration, request: RemoveRequest): Promise<ExitCode> {
  requirePlace(configuration);
  const { accessKeyId, isSure, isJson } = request;
  const { path } = configuration.keysFile;
  const audit = auditOf(configuration);
  const configured = await configuredKeys(configuration);
  const without = (keys: readonly FileKey[]): readonly FileKey[] => {
    const kept = keys.filter((key) => key.accessKeyId !== accessKeyId);
    if (kept.length < keys.length) return kept;
    const elsewhere = configured.find((key) => key.accessKeyId === accessKeyId);
    throw elsewhere === undefined
      ? usage('no-such-key', `There is no key ${accessKeyId}; "tally user list" shows them.`)
      : usage(
          'configured-key',
          `${accessKeyId} is from ${SOURCES[elsewhere.source]}: change the configuration, and start the gateway again.`,
        );
  };
  without((await readKeyFile(path)) ?? []);
  if (!isSure) await confirm(accessKeyId, isJson);
  await editKeyFile(path, without);
  audit('tally user remove', accessKeyId);
  process.stdout.write(
    isJson
      ? `${JSON.stringify({ removed: accessKeyId })}\n`
      : `${accessKeyId} is removed. A running gateway refuses it within a second, also in links that it has signed.\n`,
  );
  return EXIT.ok;
}

async function confirm(accessKeyId: string, isJson: boolean): Promise<void> {
  if (isJson || !process.stdin.isTTY) {
    throw usage(
      'not-confirmed',
      `Nothing was changed. To remove ${accessKeyId} without a question, give --yes.`,
    );
  }
  process.stdout.write(
    `Whoever uses ${accessKeyId} is refused from then on, and its secret can not be had back.\nTo remove it, type its id.\n`,
  );
  if ((await askAtTerminal('> ')) === accessKeyId) return;
  throw usage('not-confirmed', 'That is not its id; nothing was changed.');
}
