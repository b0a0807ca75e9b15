/**
 * A unix socket in a folder. It guarantees that one process at a time holds the folder, and it is the door at which
 * others join that process.
 *
 * One JSON object a line. The holder speaks first: {"command":"tally up","processId":123,"nonce":"…"}. Who only wants to know hangs up;
 * a service that joins says {"join":"osd-1","processId":124,"url":"http://…"}, stays connected, and is told {"stop":true} in the end. A connection
 * that breaks says that the other side is gone, however it died.
 *
 * A socket that nobody listens on is stale: its process was killed. It is moved away, and since two that start at once
 * might both do that, the winner looks a moment later whether the door is still its own.
 *
 * Left out: other machines. A folder on a network file system is not guarded.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { systemCodeOf } from './system-error.js';

export interface Holder {
  readonly command: string;
  readonly processId: number;
  readonly nonce: string;
}

/** A service of which the holder knows because it has joined. */
export interface JoinedService {
  readonly name: string;
  readonly processId: number;
  readonly url: string;
  /** Asks it to stop. */
  stop(): void;
}

export interface JoinListener {
  joined(service: JoinedService): void;
  left(service: JoinedService): void;
}

const LINE_CHARACTERS_MAX = 8192;
const CONNECTIONS_MAX = 256;
const GREETING_WITHIN_MS = 2000;
const ACQUIRE_ATTEMPTS_MAX = 50;
const SECOND_LOOK_AFTER_MS = 150;
/** Linux: 108 with the NUL. */
const SOCKET_PATH_BYTES_MAX = 100;

/** Calls back with every line that is a JSON object. A line that is none, or too long, ends the connection. */
function readLines(socket: Socket, onLine: (message: Record<string, unknown>) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_CHARACTERS_MAX) socket.destroy();
    for (const line of lines) {
      const message = parseLine(line);
      if (message === null) socket.destroy();
      else onLine(message);
    }
  });
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : null;
  } catch {
    return null;
  }
}

function toHolder(message: Record<string, unknown>): Holder | null {
  const { command, processId, nonce } = message;
  if (typeof command !== 'string' || typeof processId !== 'number' || typeof nonce !== 'string') return null;
  return { command, processId, nonce };
}

/** A path short enough for a socket: through the folder's handle when it is too long itself. */
export async function shortPath(
  path: string,
): Promise<{ readonly path: string; readonly folder: FileHandle | null }> {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, folder: null };
  if (process.platform !== 'linux') {
    throw new OperationalError(
      'path-too-long',
      EXIT.folderUnusable,
      `The path ${dirname(path)} is too long.`,
    );
  }
  const folder = await open(dirname(path), 'r');
  return { path: join('/proc/self/fd', String(folder.fd), basename(path)), folder };
}

interface Greeted {
  readonly socket: Socket;
  readonly holder: Holder;
  /** What comes after the greeting. */
  onMessage: (message: Record<string, unknown>) => void;
}

function holderKeepsSilent(path: string): OperationalError {
  const message = `The folder ${dirname(path)} is in use by a process that does not answer.`;
  return new OperationalError('folder-in-use', EXIT.folderUnusable, message);
}

/**
 * Connects and waits for the greeting. Null: nobody is there; `onRefused` is called before when the socket is there all the same.
 * Throws OperationalError when somebody is, and keeps silent.
 */
async function greet(path: string, onRefused: () => void = () => undefined): Promise<Greeted | null> {
  const short = await shortPath(path);
  try {
    return await new Promise<Greeted | null>((resolve, reject) => {
      const socket = createConnection(short.path);
      let greeted: Greeted | null = null;
      socket.setTimeout(GREETING_WITHIN_MS, () => {
        reject(holderKeepsSilent(path));
        socket.destroy();
      });
      socket.once('error', (error) => {
        if (systemCodeOf(error) === 'ECONNREFUSED') onRefused();
      });
      socket.once('close', () => {
        resolve(null);
      });
      readLines(socket, (message) => {
        if (greeted !== null) {
          greeted.onMessage(message);
          return;
        }
        const holder = toHolder(message);
        if (holder === null) {
          socket.destroy();
          return;
        }
        socket.setTimeout(0);
        greeted = { socket, holder, onMessage: () => undefined };
        resolve(greeted);
      });
    });
  } finally {
    await short.folder?.close();
  }
}

/** Who holds the socket; null: nobody. */
export async function findHolder(path: string): Promise<Holder | null> {
  const greeted = await greet(path);
  greeted?.socket.destroy();
  return greeted?.holder ?? null;
}

/** Thrown by `FolderSocket.acquire`. */
export class FolderInUse extends OperationalError {
  readonly holder: Holder;

  constructor(path: string, holder: Holder) {
    super(
      'folder-in-use',
      EXIT.folderUnusable,
      `The folder ${dirname(path)} is in use by ${holder.command} (process ${holder.processId}).`,
    );
    this.name = 'FolderInUse';
    this.holder = holder;
  }
}

export class FolderSocket {
  readonly #server: Server;
  readonly #folder: FileHandle | null;
  readonly #sockets = new Set<Socket>();
  readonly #holder: Holder;
  readonly #listener: JoinListener;

  private constructor(holder: Holder, folder: FileHandle | null, listener: JoinListener) {
    this.#holder = holder;
    this.#folder = folder;
    this.#listener = listener;
    this.#server = createServer((socket) => {
      this.#welcome(socket);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Takes the socket for this process. Throws FolderInUse. */
  static async acquire(path: string, command: string, listener: JoinListener): Promise<FolderSocket> {
    const holder: Holder = { command, processId: process.pid, nonce: randomBytes(8).toString('hex') };
    let wasStale = false;
    for (let attempt = 1; ; attempt += 1) {
      const short = await shortPath(path);
      const folderSocket = new FolderSocket(holder, short.folder, listener);
      try {
        await folderSocket.#listen(short.path);
        if (wasStale) await folderSocket.#lookAgain(path);
        return folderSocket;
      } catch (error) {
        // Closing would remove the winner's socket; this process is about to end.
        if (error instanceof FolderInUse) throw error;
        await folderSocket.close();
        if (systemCodeOf(error) !== 'EADDRINUSE' || attempt === ACQUIRE_ATTEMPTS_MAX) throw error;
      }
      const seen = { isStale: false };
      const other = await greet(path, () => {
        seen.isStale = true;
      });
      other?.socket.destroy();
      if (other !== null) throw new FolderInUse(path, other.holder);
      // Otherwise whoever had it has let go of it by itself just now, and somebody else may have it already.
      if (!seen.isStale) continue;
      wasStale = true;
      await removeStale(path);
    }
  }

  /** Lets go of the folder; whoever has joined is disconnected. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    await this.#folder?.close();
  }

  async #listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  async #lookAgain(path: string): Promise<void> {
    await sleep(SECOND_LOOK_AFTER_MS);
    const found = await findHolder(path);
    if (found === null || found.nonce === this.#holder.nonce) return;
    this.#server.unref();
    throw new FolderInUse(path, found);
  }

  #welcome(socket: Socket): void {
    this.#sockets.add(socket);
    let service: JoinedService | null = null;
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (service !== null) this.#listener.left(service);
    });
    readLines(socket, ({ join: name, processId, url }) => {
      if (service !== null || typeof name !== 'string') return;
      if (typeof processId !== 'number' || typeof url !== 'string') return;
      const stop = () => {
        socket.write('{"stop":true}\n');
      };
      service = { name, processId, url, stop };
      this.#listener.joined(service);
    });
    socket.write(`${JSON.stringify(this.#holder)}\n`);
  }
}

/** Throws FolderInUse when somebody has taken the socket since it was looked at: then it is put back. */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(8).toString('hex')}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const other = await findHolder(aside);
    if (other === null) return;
    await putBack(aside, path);
    throw new FolderInUse(path, other);
  } finally {
    await unlink(aside);
  }
}

/** Unless yet another one is there already. */
async function putBack(aside: string, path: string): Promise<void> {
  try {
    await link(aside, path);
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
  }
}

export interface Membership {
  readonly holder: Holder;
  leave(): void;
}

/**
 * Joins the process that holds the socket, as the service `name`. `onStop` is called once: when that process asks for it, or
 * when it is gone. Null: nobody holds the socket.
 */
export async function joinHolder(
  path: string,
  service: { readonly name: string; readonly url: string },
  onStop: (reason: string) => void,
): Promise<Membership | null> {
  const greeted = await greet(path);
  if (greeted === null) return null;
  const { socket, holder } = greeted;
  let isOver = false;
  const stopOnce = (reason: string) => {
    if (!isOver) onStop(reason);
    isOver = true;
  };
  greeted.onMessage = ({ stop }) => {
    if (stop === true) stopOnce(`${holder.command} stops`);
  };
  socket.once('close', () => {
    stopOnce(`${holder.command} (process ${holder.processId}) is gone`);
  });
  socket.write(`${JSON.stringify({ join: service.name, processId: process.pid, url: service.url })}\n`);
  return {
    holder,
    leave: () => {
      isOver = true;
      socket.destroy();
    },
  };
}
