/**
 * The door for callers on the same machine: a unix socket on which an OSD listens beside its port. It costs them and the OSD less than
 * TCP over loopback (bench/README.md).
 *
 * What comes in through it is handed to the node server of the port, so that requests, limits and idle times are the same. There is no
 * TLS: only the user that the OSD runs as may open the socket (mode 0600). The secret of the set is asked for all the same.
 *
 * A socket at which nobody listens was left by a process that was killed, and is removed. One with a listener, or a file that is no
 * socket, is not ours to remove. Whoever opens a door has opened its store before, and closes the store after it, so two OSDs of one store never
 * meet here.
 */
import { lstat, unlink } from 'node:fs/promises';
import type { Server as HttpServer } from 'node:http';
import { createConnection, createServer, type Server } from 'node:net';

/** Nobody but its owner. */
const SOCKET_UMASK = 0o177;

/** `code` as the operating system would say it. */
export class DoorBlocked extends Error {
  readonly code = 'EADDRINUSE';

  constructor(path: string, why: string) {
    super(`${path} ${why}`);
    this.name = 'DoorBlocked';
  }
}

export class LocalDoor {
  readonly #door: Server;
  readonly #inside: HttpServer;
  #closed: Promise<void> | null = null;

  private constructor(door: Server, inside: HttpServer) {
    this.#door = door;
    this.#inside = inside;
  }

  /** Throws DoorBlocked, or what the operating system says. */
  static async open(path: string, inside: HttpServer, connectionsMax: number): Promise<LocalDoor> {
    await removeStale(path);
    // Half-open, as node's own HTTP server has its connections.
    const door = createServer({ allowHalfOpen: true }, (socket) => inside.emit('connection', socket));
    door.maxConnections = connectionsMax;
    await new Promise<void>((resolve, reject) => {
      door.once('error', reject);
      const umask = process.umask(SOCKET_UMASK);
      try {
        // The socket is made before this returns.
        door.listen({ path, exclusive: true }, resolve);
      } finally {
        process.umask(umask);
      }
    });
    return new LocalDoor(door, inside);
  }

  /** Lets nobody in any more; the socket is gone when this returns. */
  shut(): void {
    this.#closed ??= new Promise((resolve) => {
      this.#door.close(() => resolve());
    });
  }

  /** Resolves when those inside have had their answers. */
  async close(): Promise<void> {
    this.shut();
    this.#inside.closeIdleConnections();
    await this.#closed;
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isNothingThere(error)) return null;
    throw error;
  });
  if (found === null) return;
  if (!found.isSocket()) throw new DoorBlocked(path, 'is there, and is no socket');
  if (await isAnswered(path)) throw new DoorBlocked(path, 'is in use by another process');
  await unlink(path);
}

function isNothingThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Throws what the operating system says, unless that is that nobody listens. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}
