/**
 * Connections to one OSD for what is large: HTTP/1.1, one request at a time on each.
 *
 * Not undici: its parser copies every byte that comes, each read of a socket makes a new buffer, and nobody hears when a piece of what goes out was taken, so
 * that its memory can be used again. No retry, no redirect, no pipelining; a connection on which anything unexpected comes is closed.
 */
import type { OnReadOpts, Socket } from 'node:net';
import { invariant } from '../protocol/invariant.js';
import { AnswerParser, type AnswerFields } from './answer-parser.js';
import type { Connect } from './connector.js';
import { CLIENT_KEEP_ALIVE_MS } from './contract.js';
import { MalformedMessage } from './malformed-message.js';
import type { ReadSlabs } from './read-slabs.js';

/** Who asks. It hears of the head and the pieces, and then of one ending. */
export interface Asker {
  /** False: it does not want an answer any more. */
  readonly isWaiting: boolean;
  /** It has written all of its request. */
  readonly isSent: boolean;
  /** It may write its request now. */
  readonly onStart: (connection: OsdSocket) => void;
  readonly onHead: (status: number, headers: AnswerFields) => void;
  /** The piece is its own until it gives it back. */
  readonly onPiece: (piece: Buffer) => void;
  readonly onEnd: (trailers: AnswerFields) => void;
  readonly onFailure: (error: Error) => void;
}

/** Before a body and between two requests a socket is read into this, of which pieces are copied. */
const HEAD_BYTES = 16 * 1024;

interface OsdSocketSetup {
  /** Bodies are read into these; null: what comes is small, and is copied. */
  readonly slabs: ReadSlabs | null;
  /** All sockets of one owner have the same: what a read brings is looked at before the next one begins. */
  readonly headBuffer: Buffer;
  readonly onFree: (connection: OsdSocket, isReusable: boolean) => void;
}

export class OsdSocket {
  readonly #setup: OsdSocketSetup;
  #socket: Socket | null = null;
  #parser: AnswerParser | null = null;
  #asker: Asker | null = null;

  constructor(setup: OsdSocketSetup) {
    this.#setup = setup;
  }

  /** How a socket without TLS is told to read. */
  get reading(): OnReadOpts {
    const { slabs, headBuffer } = this.#setup;
    return {
      buffer: () => (slabs !== null && this.#parser?.isInBody === true ? slabs.take() : headBuffer),
      callback: (filledBytes, buffer) => {
        this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, filledBytes));
        return true;
      },
    };
  }

  open(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#fail(error);
    });
    for (const ending of ['end', 'close']) {
      socket.on(ending, () => {
        this.#fail(new Error('the connection was closed'));
      });
    }
    // Comes only where it was not read as we say: over TLS.
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes);
    });
    socket.on('timeout', () => {
      if (this.#asker === null) this.#fail(new Error('nobody used the connection'));
    });
    socket.setTimeout(CLIENT_KEEP_ALIVE_MS).unref();
  }

  /** Precondition: it is open, and nobody else asks. */
  ask(asker: Asker): void {
    invariant(this.#asker === null && this.#socket !== null, 'one request at a time');
    this.#asker = asker;
    this.#parser = new AnswerParser({
      onHead: (status, headers) => {
        asker.onHead(status, headers);
      },
      onPiece: (piece) => {
        this.#handOut(piece, asker);
      },
      onEnd: (trailers) => {
        asker.onEnd(trailers);
      },
    });
    this.#socket.ref();
    asker.onStart(this);
  }

  /** Bytes that were written and that the operating system has not taken. */
  get unsentBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  /** `onTaken`: nobody looks at the bytes any more, whether they were sent or not. Precondition: the caller asks. */
  write(bytes: Buffer | string, onTaken?: () => void): void {
    invariant(this.#socket !== null, 'who asks has a connection');
    if (typeof bytes === 'string') this.#socket.write(bytes, 'latin1', onTaken);
    else this.#socket.write(bytes, onTaken);
  }

  /** What `writing` writes goes out at once. */
  together(writing: () => void): void {
    this.#socket?.cork();
    writing();
    this.#socket?.uncork();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** The asker hears of it. */
  destroy(reason: Error): void {
    this.#fail(reason);
  }

  #handOut(piece: Buffer, asker: Asker): void {
    const { slabs, headBuffer } = this.#setup;
    if (slabs === null || piece.buffer === headBuffer.buffer) {
      asker.onPiece(Buffer.from(piece));
      return;
    }
    slabs.keep(piece);
    asker.onPiece(piece);
  }

  #take(bytes: Buffer): void {
    try {
      if (this.#parser === null) throw new MalformedMessage('an answer came that nobody asked for');
      this.#parser.feed(bytes);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#fail(error);
    } finally {
      this.#setup.slabs?.giveBack(bytes);
    }
    if (this.#parser?.isEnded === true) this.#finish(this.#parser.isReusable);
  }

  #finish(isAnswerReusable: boolean): void {
    const isReusable = isAnswerReusable && this.#asker?.isSent === true && this.unsentBytes === 0;
    this.#parser = null;
    this.#asker = null;
    if (!isReusable) this.#socket?.destroy();
    else this.#socket?.resume().unref();
    this.#setup.onFree(this, isReusable);
  }

  /** Once: later ones find nobody who asks. */
  #fail(error: Error): void {
    const asker = this.#asker;
    this.#asker = null;
    this.#parser = null;
    this.#socket?.destroy();
    asker?.onFailure(error);
    this.#setup.onFree(this, false);
  }
}

export interface OsdSocketsSetup {
  /** Bodies of answers are read into these; null: they are small. */
  readonly slabs: ReadSlabs | null;
  readonly connectionsMax: number;
  /** Connects, and reads as it is told, unless that is TLS. */
  readonly connect: (reading: OnReadOpts) => Connect;
}

export class OsdSockets {
  readonly #setup: OsdSocketsSetup;
  readonly #headBuffer = Buffer.allocUnsafeSlow(HEAD_BYTES);
  /** Open, connecting or asked. */
  readonly #all = new Set<OsdSocket>();
  readonly #idle: OsdSocket[] = [];
  readonly #waiting: Asker[] = [];
  #isClosed = false;

  constructor(setup: OsdSocketsSetup) {
    this.#setup = setup;
  }

  /** Lets it write its request once there is a connection for it. */
  ask(asker: Asker): void {
    if (this.#isClosed) {
      asker.onFailure(new Error('closed'));
      return;
    }
    const idle = this.#idle.pop();
    if (idle !== undefined) idle.ask(asker);
    else if (this.#all.size >= this.#setup.connectionsMax) this.#waiting.push(asker);
    else this.#askAnew(asker);
  }

  #askAnew(asker: Asker): void {
    const connection = new OsdSocket({
      slabs: this.#setup.slabs,
      headBuffer: this.#headBuffer,
      onFree: (freed, isReusable) => {
        this.#onFree(freed, isReusable);
      },
    });
    this.#all.add(connection);
    this.#setup.connect(connection.reading)((error, socket) => {
      // undici tells an error alone: what it says of a socket then is undefined, whatever its types say.
      if (error !== null) {
        this.#onFree(connection, false);
        asker.onFailure(error);
        return;
      }
      connection.open(socket);
      if (this.#isClosed) {
        connection.destroy(new Error('closed'));
        asker.onFailure(new Error('closed'));
      } else if (asker.isWaiting) connection.ask(asker);
      else this.#onFree(connection, true);
    });
  }

  #onFree(connection: OsdSocket, isReusable: boolean): void {
    if (!this.#all.has(connection)) return;
    if (!isReusable) {
      this.#all.delete(connection);
      const index = this.#idle.indexOf(connection);
      if (index !== -1) this.#idle.splice(index, 1);
    }
    const next = this.#nextWaiting();
    if (next === null) {
      if (isReusable) this.#idle.push(connection);
    } else if (isReusable) connection.ask(next);
    else this.#askAnew(next);
  }

  #nextWaiting(): Asker | null {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined) return null;
      if (next.isWaiting) return next;
    }
  }

  /** Whatever is in flight fails. */
  close(): void {
    this.#isClosed = true;
    for (const asker of this.#waiting.splice(0)) asker.onFailure(new Error('closed'));
    for (const connection of [...this.#all]) connection.destroy(new Error('closed'));
  }
}
