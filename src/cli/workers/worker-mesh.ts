/**
 * The sockets between the workers of a gateway: each has one with every other, in the folder of the authority, which is private.
 *
 * A worker connects to those before it, again and again, and waits for those after it. The first message of a connection says who is there
 * and which names it holds at the other one (gateway/workers/worker-locks.ts).
 */
import { unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { Peer, type PeerTrace } from '../../gateway/workers/peer.js';
import { SocketChannel } from '../../gateway/workers/socket-channel.js';
import type { GatewayWorker } from '../../gateway/workers/worker.js';
import type { LockBody, WorkerLocks } from '../../gateway/workers/worker-locks.js';
import { shortPath } from '../folder-socket.js';
import { systemCodeOf } from '../system-error.js';

const RECONNECT_DELAY_MS = 50;

interface HelloBody {
  readonly index: number;
  readonly held: readonly LockBody[];
}

export interface WorkerMeshParts {
  readonly folder: string;
  readonly worker: GatewayWorker;
  readonly locks: WorkerLocks;
  /** Null: nobody follows anything. */
  readonly trace: PeerTrace | null;
}

function socketOf(folder: string, index: number): string {
  return join(folder, `worker-${index}.sock`);
}

export class WorkerMesh {
  readonly #parts: WorkerMeshParts;
  readonly #server: Server;
  #onComplete: () => void = () => undefined;
  /** Those that have said what they hold here. */
  readonly #met = new Map<number, Peer>();
  #isClosed = false;

  constructor(parts: WorkerMeshParts) {
    this.#parts = parts;
    this.#server = createServer((socket) => {
      this.#meet(socket);
    });
  }

  /** Resolves when this worker and every other one know each other. */
  async join(): Promise<void> {
    const { folder, worker, locks } = this.#parts;
    const path = socketOf(folder, worker.own);
    await unlink(path).catch((error: unknown) => {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    });
    const short = await shortPath(path);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      // Exclusive: cluster would else let the process that has started this one listen for it.
      this.#server.listen({ path: short.path, exclusive: true }, resolve);
    });
    await short.folder?.close();
    const isComplete = new Promise<void>((resolve) => {
      this.#onComplete = () => {
        if (this.#met.size === worker.count - 1) resolve();
      };
    });
    for (let index = 0; index < worker.own; index += 1) void this.#connect(index);
    this.#onComplete();
    await isComplete;
    locks.open();
  }

  close(): void {
    this.#isClosed = true;
    this.#server.close();
  }

  #noteMet(index: number, peer: Peer): void {
    this.#met.set(index, peer);
    peer.onGone(() => {
      if (this.#met.get(index) === peer) this.#met.delete(index);
    });
    this.#onComplete();
  }

  /** One that comes after this worker. */
  #meet(socket: Socket): void {
    const { worker, locks, trace } = this.#parts;
    const peer = new Peer('another worker', new SocketChannel(socket), trace);
    peer.serve<HelloBody>('hello', ({ index, held }) => {
      locks.serve(peer)(held);
      worker.connect(index, peer);
      this.#noteMet(index, peer);
      return { index: worker.own, held: locks.heldAt(index) } satisfies HelloBody;
    });
  }

  /** One that comes before it. */
  async #connect(index: number): Promise<void> {
    const { worker, locks, trace } = this.#parts;
    while (!this.#isClosed) {
      const socket = await this.#reach(index);
      if (socket !== null) {
        const peer = new Peer(`worker ${index}`, new SocketChannel(socket), trace);
        const gone = new Promise<void>((resolve) => {
          peer.onGone(resolve);
        });
        const reclaim = locks.serve(peer);
        // Before anything else is said, so that it knows who says it.
        const answered = peer.call<HelloBody>('hello', { index: worker.own, held: locks.heldAt(index) });
        worker.connect(index, peer);
        await answered.then(
          ({ held }) => {
            reclaim(held);
            this.#noteMet(index, peer);
          },
          () => undefined,
        );
        await gone;
      }
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_DELAY_MS));
    }
  }

  /** Null: it is not there. */
  async #reach(index: number): Promise<Socket | null> {
    const short = await shortPath(socketOf(this.#parts.folder, index));
    return new Promise((resolve) => {
      const socket = createConnection(short.path);
      const settle = (result: Socket | null): void => {
        socket.removeAllListeners('error');
        void short.folder?.close();
        resolve(result);
      };
      socket.once('connect', () => {
        settle(socket);
      });
      socket.once('error', () => {
        settle(null);
      });
    });
  }
}
