/** Bare connections, for what no client library would send. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection that counts as open on both sides, or was closed by the other one at once. */
export class RawConnection {
  readonly socket: Socket;
  #text = '';
  readonly #closed: Promise<void>;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece: Buffer) => (this.#text += piece.toString('latin1')));
    socket.on('error', () => undefined);
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  /** Everything that came until the other side closed it. */
  async untilClosed(): Promise<string> {
    await this.#closed;
    return this.#text;
  }

  /** Everything that came until this did. */
  async until(part: string): Promise<string> {
    while (!this.#text.includes(part)) {
      if (this.socket.destroyed) throw new Error(`closed after: ${this.#text}`);
      await Promise.race([new Promise((resolve) => this.socket.once('data', resolve)), this.#closed]);
    }
    return this.#text;
  }

  close(): void {
    this.socket.destroy();
  }
}

/**
 * Opens `connectionsMax` connections, sees one more turned away and those before still served, and that there is room
 * again when one is gone. Precondition: nobody else is connected.
 */
export async function expectConnectionLimit(
  port: number,
  connectionsMax: number,
  request: string,
): Promise<void> {
  const open: RawConnection[] = [];
  for (let count = 0; count < connectionsMax; count += 1) {
    const connection = await RawConnection.open(port);
    connection.socket.write(request);
    await connection.until('HTTP/1.1 ');
    open.push(connection);
  }
  const surplus = await RawConnection.open(port);
  surplus.socket.write(request);
  const answer = await surplus.untilClosed();
  if (answer !== '') throw new Error(`one too many was answered: ${answer}`);
  open.shift()?.close();
  for (;;) {
    const next = await RawConnection.open(port);
    next.socket.write(request);
    const isServed = await next.until('HTTP/1.1 ').then(
      () => true,
      () => false,
    );
    next.close();
    if (isServed) break;
  }
  for (const connection of open) connection.close();
}
