/**
 * The folder that `tally up` keeps everything in.
 *
 *   tally.json            the marker: this is a data folder, of which mirror set, and whether its first start is over
 *   secrets/              S3 credentials, admin token, shared secret of the set: for their owner only
 *   authority/state.json  the synchronization authority
 *   osd-0/  osd-1/        one store each
 *   log/                  one log for each service
 *   run.yaml              the configuration that runs here; other commands read it
 *   up.sock  gateway.sock who uses the folder (see `folder-socket.ts`)
 *
 * Commit order of the first start: marker "formatting", stores, secrets, marker "ready". Stores are formatted only before
 * the marker is "ready": later on, a store that is gone is an error (F19).
 */
import { randomBytes } from 'node:crypto';
import { access, constants, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { formatStore } from '../store/format-store.js';
import { readSuperblock } from '../store/superblock.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { makePrivateFolder, writePrivateFile } from './private-files.js';
import { fileError, systemCodeOf } from './system-error.js';

const markerSchema = Type.Object({
  formatVersion: Type.Literal(1),
  setId: Type.String(),
  state: Type.Union([Type.Literal('formatting'), Type.Literal('ready')]),
  createdMs: Type.Integer(),
});

export type DataFolderMarker = Static<typeof markerSchema>;

function markerPath(dataFolder: string): string {
  return join(dataFolder, 'tally.json');
}

/** Null: this is no data folder (yet). Throws OperationalError. */
export async function readMarker(dataFolder: string): Promise<DataFolderMarker | null> {
  const path = markerPath(dataFolder);
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (Compile(markerSchema).Check(value)) return value;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    if (!(error instanceof SyntaxError)) throw fileError(error, 'The data folder', dataFolder);
  }
  throw new OperationalError(
    'marker-damaged',
    EXIT.storage,
    `${path} is damaged: it is not what Tally wrote.`,
  );
}

/** Makes the folder when needed, and makes sure that it is ours, or empty. Throws OperationalError. */
export async function claimDataFolder(dataFolder: string): Promise<void> {
  try {
    await makePrivateFolder(dataFolder);
    await access(dataFolder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError(error, 'The data folder', dataFolder);
  }
  const marker = await readMarker(dataFolder);
  const ours = new Set(['up.sock']);
  if (marker === null && (await readdir(dataFolder)).some((name) => !ours.has(name))) {
    throw new OperationalError(
      'foreign-folder',
      EXIT.folderUnusable,
      `The folder ${dataFolder} has something else in it than Tally's data; give an empty one with --data.`,
    );
  }
}

export interface FirstStart {
  readonly dataFolder: string;
  /** Null: a random one. */
  readonly setId: string | null;
  /** Each with its mirror set; null: the one of the folder. */
  readonly osds: readonly { readonly name: string; readonly setId: string | null }[];
  readonly createSecrets: () => Promise<void>;
  /** Unix ms. */
  readonly nowMs: number;
}

/** Formats the stores and makes the secrets; goes on where an earlier first start was broken off. */
export async function runFirstStart(
  start: FirstStart,
  found: DataFolderMarker | null,
): Promise<DataFolderMarker> {
  const marker: DataFolderMarker = found ?? {
    formatVersion: 1,
    setId: start.setId ?? `set-${randomBytes(4).toString('hex')}`,
    state: 'formatting',
    createdMs: start.nowMs,
  };
  await writeMarker(start.dataFolder, marker);
  for (const { name, setId } of start.osds) {
    const folder = join(start.dataFolder, name);
    if ((await readSuperblock(folder)) !== null) continue;
    // Whatever is there without a superblock is half of a format: nothing was ever stored in it.
    await rm(folder, { recursive: true, force: true });
    await formatStore(folder, { setId: setId ?? marker.setId });
  }
  await start.createSecrets();
  const ready: DataFolderMarker = { ...marker, state: 'ready' };
  await writeMarker(start.dataFolder, ready);
  return ready;
}

async function writeMarker(dataFolder: string, marker: DataFolderMarker): Promise<void> {
  await writePrivateFile(markerPath(dataFolder), `${JSON.stringify(marker, null, 2)}\n`);
}
