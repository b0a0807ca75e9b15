/**
 * A channel over a stream socket, between processes of the same build on one machine.
 *
 *   u32 length (big endian) · v8 structured clone
 *
 * What is sent in one turn of the event loop goes out in one write. A message is as large as the largest content that travels inside a
 * transaction, and there are as many as there are requests of clients, so nothing here limits their number.
 */
import type { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';
import { InvariantViolation } from '../../protocol/invariant.js';
import type { Channel } from './channel.js';

const LENGTH_BYTES = 4;
/** Contents of up to INLINE_CONTENT_BYTES_MAX travel along, and lists of COMPOSE_SOURCES_MAX objects. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

export class SocketChannel implements Channel {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #isCorked = false;
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  send(message: unknown): void {
    if (this.#isClosed) return;
    const body = serialize(message);
    const length = Buffer.allocUnsafe(LENGTH_BYTES);
    length.writeUInt32BE(body.length);
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(length);
    this.#socket.write(body);
  }

  listen(listener: { readonly onMessage: (message: unknown) => void; readonly onClosed: () => void }): void {
    this.#socket.on('data', (piece: Buffer) => {
      this.#received.push(piece);
      this.#receivedBytes += piece.length;
      for (let body = this.#takeMessage(); body !== null; body = this.#takeMessage()) {
        listener.onMessage(deserialize(body));
      }
    });
    // 'close' follows; why a process at the other end is gone is its own story.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#isClosed = true;
      listener.onClosed();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #takeMessage(): Buffer | null {
    if (this.#isClosed || this.#receivedBytes < LENGTH_BYTES) return null;
    const length = this.#joined(LENGTH_BYTES).readUInt32BE(0);
    if (length > MESSAGE_BYTES_MAX) {
      throw new InvariantViolation('a message between workers has a limit', { length });
    }
    const end = LENGTH_BYTES + length;
    if (this.#receivedBytes < end) return null;
    const all = this.#joined(end);
    const rest = all.subarray(end);
    this.#received = rest.length === 0 ? [] : [rest];
    this.#receivedBytes -= end;
    return all.subarray(LENGTH_BYTES, end);
  }

  /** What was received, with at least so many bytes in one piece; pieces are joined once a whole message is there. */
  #joined(bytes: number): Buffer {
    const [first] = this.#received;
    if (first !== undefined && first.length >= bytes) return first;
    const all = Buffer.concat(this.#received);
    this.#received = [all];
    return all;
  }
}
