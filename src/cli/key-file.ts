/**
 * The file of the keys that `tally user` makes: for its owner only, and changed as a whole.
 *
 *   formatVersion: 1
 *   keys:
 *     - { accessKeyId: TALLY…, secret: …, ownerId: …, displayName: …, access: read-only, buckets: [photos] }
 *
 * A key may say what one of `credentials.keys` may, but has its secret in this very file. A file without keys and no file are the same.
 *
 * Commit order: the socket beside it taken, so that of two commands at once neither is lost; read; written as private files are.
 * No message has anything of the file's content but the ids of keys.
 */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Document, LineCounter, parseDocument, stringify } from 'yaml';
import { keySchema } from './configuration-schema.js';
import { EXIT } from './exit-codes.js';
import { FolderInUse, FolderSocket } from './folder-socket.js';
import { OperationalError } from './operational-error.js';
import { writePrivateFile } from './private-files.js';
import { fileError, systemCodeOf } from './system-error.js';

const FILE_KEYS_MAX = 1000;
const KEY_FILE_BYTES_MAX = 8 * 1024 * 1024;
const LOCK_WITHIN_MS = 5000;
const LOCK_POLL_MS = 50;

const HEADER = `# Written by "tally user": S3 keys beside the first one, with their secrets. For its owner only.
# A running gateway reads it again when it changes.
`;

const fileKeySchema = Type.Object(
  {
    ...Type.Omit(keySchema, ['secret', 'file']).properties,
    secret: Type.String({ pattern: '^[\\x21-\\x7e]{8,256}$' }),
  },
  { additionalProperties: false },
);

const keyFileSchema = Type.Object(
  { formatVersion: Type.Literal(1), keys: Type.Array(fileKeySchema, { maxItems: FILE_KEYS_MAX }) },
  { additionalProperties: false },
);

export type FileKey = Static<typeof fileKeySchema>;

function broken(path: string, what: string): OperationalError {
  return new OperationalError('bad-key-file', EXIT.configuration, `${path}: ${what}.`);
}

/** Null: it is a key. Otherwise what is wrong with it. */
export function faultOfKey(key: FileKey): string | null {
  const fault = Compile(fileKeySchema).Errors(key).at(0);
  return fault === undefined ? null : `${fault.instancePath.slice(1).replaceAll('/', '.')} ${fault.message}`;
}

function withoutAliases(document: Document, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    if (error instanceof ReferenceError) throw broken(path, 'aliases have no place in it');
    throw error;
  }
}

/** `path` is only used in messages. Throws OperationalError. */
export function parseKeyFile(text: string, path: string): readonly FileKey[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntaxError = document.errors.at(0);
  // The parser's own words may quote the file.
  if (syntaxError !== undefined) {
    const { line, col } = lines.linePos(syntaxError.pos[0]);
    throw broken(`${path}:${line}:${col}`, `not valid YAML (${syntaxError.code})`);
  }
  const value = withoutAliases(document, path);
  const validator = Compile(keyFileSchema);
  if (!validator.Check(value)) {
    const fault = validator.Errors(value).at(0);
    const place = fault?.instancePath.slice(1).replaceAll('/', '.') ?? '';
    throw broken(path, `${place === '' ? 'the file' : place} ${fault?.message ?? 'is no file of keys'}`);
  }
  const seen = new Set<string>();
  for (const { accessKeyId } of value.keys) {
    if (seen.has(accessKeyId)) throw broken(path, `the key ${accessKeyId} is there twice`);
    seen.add(accessKeyId);
  }
  return value.keys;
}

/** Null: there is no such file. Throws OperationalError. */
export async function readKeyFile(path: string): Promise<readonly FileKey[] | null> {
  let text: string;
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > KEY_FILE_BYTES_MAX) throw broken(path, 'too large for a file of keys');
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw fileError(error, 'The file of the S3 keys', path);
  }
  return parseKeyFile(text, path);
}

/** Another `tally user` at work has a moment to finish. */
async function lock(path: string): Promise<FolderSocket> {
  const startMs = performance.now();
  const nobody = { joined: () => undefined, left: () => undefined };
  for (;;) {
    try {
      return await FolderSocket.acquire(`${path}.sock`, 'tally user', nobody);
    } catch (error) {
      // The code of the system: others were quicker every time.
      const isTaken = error instanceof FolderInUse || systemCodeOf(error) === 'EADDRINUSE';
      if (!isTaken || performance.now() - startMs > LOCK_WITHIN_MS) throw error;
      await sleep(LOCK_POLL_MS);
    }
  }
}

/** Replaces the keys by what `edit` makes of them; when that throws, nothing changes. Throws OperationalError. */
export async function editKeyFile(
  path: string,
  edit: (keys: readonly FileKey[]) => readonly FileKey[],
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const held = await lock(path);
    try {
      const keys = edit((await readKeyFile(path)) ?? []);
      if (keys.length > FILE_KEYS_MAX) throw broken(path, `no more than ${FILE_KEYS_MAX} keys fit`);
      const text = HEADER + stringify({ formatVersion: 1, keys });
      if (Buffer.byteLength(text) > KEY_FILE_BYTES_MAX) throw broken(path, 'no more keys fit');
      await writePrivateFile(path, text);
    } finally {
      await held.close();
    }
  } catch (error) {
    throw fileError(error, 'The file of the S3 keys', path);
  }
}
