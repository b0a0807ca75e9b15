/**
 * A TCP proxy before one server, whose links to its callers can be cut, silenced, slowed, and made to lose replies, each caller
 * by itself.
 *
 *   open    bytes pass as they come
 *   cut     connections are reset, new ones too
 *   silent  nothing passes, not even an end: both sides hold half a connection. What was under way passes late when it opens
 *   deaf    requests pass, replies do not
 *   slow    each piece waits, and no more than so many bytes a second pass
 *
 * Which process a connection comes from is looked up in /proc (Linux).
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { sleep } from './patience.js';

export type LinkState =
  | { readonly kind: 'open' | 'cut' | 'silent' | 'deaf' }
  | { readonly kind: 'slow'; readonly delayMs: number; readonly bytesPerSecond: number };

export const OPEN: LinkState = { kind: 'open' };

/** A process that may call. */
export interface Caller {
  readonly name: string;
  readonly processId: number;
}

type Direction = 'request' | 'reply';

/** What a caller's connections share. */
class Link {
  readonly connections = new Set<readonly [Socket, Socket]>();
  #state: LinkState = OPEN;
  #changed: PromiseWithResolvers<void> = makeSignal();

  get state(): LinkState {
    return this.#state;
  }

  set(state: LinkState): void {
    this.#state = state;
    if (state.kind === 'cut') this.reset();
    this.#changed.resolve();
    this.#changed = makeSignal();
  }

  /** Ends the connections that are there; new ones may come. */
  reset(): void {
    for (const sockets of this.connections) for (const socket of sockets) socket.resetAndDestroy();
  }

  isHeld(direction: Direction): boolean {
    const { kind } = this.#state;
    return kind === 'silent' || (kind === 'deaf' && direction === 'reply');
  }

  /** Resolves when `bytes` may pass. */
  async admit(direction: Direction, bytes: number): Promise<void> {
    while (this.isHeld(direction)) await this.#changed.promise;
    if (this.#state.kind !== 'slow') return;
    const { delayMs, bytesPerSecond } = this.#state;
    await Promise.race([sleep(delayMs + (bytes * 1000) / bytesPerSecond), this.#changed.promise]);
  }
}

interface PromiseWithResolvers<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
}

function makeSignal(): PromiseWithResolvers<void> {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

/** The inode of the socket with which somebody on this machine called `port` from `callerPort`; null: it is gone. */
function inodeOf(callerPort: number, port: number): string | null {
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [, local = '', remote = ''] = fields;
    if (local.endsWith(`:${hexPort(callerPort)}`) && remote.endsWith(`:${hexPort(port)}`))
      return fields[9] ?? null;
  }
  return null;
}

function hasSocket(processId: number, inode: string): boolean {
  const folder = `/proc/${processId}/fd`;
  try {
    return readdirSync(folder).some((name) => {
      try {
        return readlinkSync(`${folder}/${name}`) === `socket:[${inode}]`;
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // ended meanwhile
  }
}

/** Passes one direction on, to its end. */
async function pump(from: Socket, to: Socket, link: Link, direction: Direction): Promise<void> {
  try {
    for await (const piece of from as AsyncIterable<Buffer>) {
      await link.admit(direction, piece.length);
      if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
    }
    await link.admit(direction, 0);
    to.end();
  } catch {
    // A reset is passed on as one; a link that is silent passes it on once it opens.
    await link.admit(direction, 0);
    from.destroy();
    to.resetAndDestroy();
  }
}

export class TcpProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #callers: () => readonly Caller[];
  readonly #links = new Map<string, Link>();
  #port = 0;

  private constructor(targetPort: number, callers: () => readonly Caller[]) {
    this.#targetPort = targetPort;
    this.#callers = callers;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** `callers` are the processes that run at the moment. */
  static async start(targetPort: number, callers: () => readonly Caller[]): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort, callers);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    const address = proxy.#server.address();
    if (address === null || typeof address === 'string') throw new Error('a listening server has an address');
    proxy.#port = address.port;
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** What happens between this caller and the server from now on. */
  setLink(caller: string, state: LinkState): void {
    this.#linkOf(caller).set(state);
  }

  /** Ends the connections of this caller that are there, as somebody between the two who forgot them. */
  resetLink(caller: string): void {
    this.#linkOf(caller).reset();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const link of this.#links.values()) link.set({ kind: 'cut' });
    await closed;
  }

  #linkOf(caller: string): Link {
    const known = this.#links.get(caller);
    if (known !== undefined) return known;
    const link = new Link();
    this.#links.set(caller, link);
    return link;
  }

  #callerOf(socket: Socket): string {
    const inode = inodeOf(socket.remotePort ?? 0, this.#port);
    if (inode === null) return '';
    return this.#callers().find(({ processId }) => hasSocket(processId, inode))?.name ?? '';
  }

  #accept(caller: Socket): void {
    caller.on('error', () => undefined);
    const link = this.#linkOf(this.#callerOf(caller));
    if (link.state.kind === 'cut') {
      caller.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    server.on('error', () => undefined);
    const sockets = [caller, server] as const;
    link.connections.add(sockets);
    void Promise.all([pump(caller, server, link, 'request'), pump(server, caller, link, 'reply')]).then(() =>
      link.connections.delete(sockets),
    );
  }
}
