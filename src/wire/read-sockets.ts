/**
 * The connections over which large objects come from one OSD: HTTP/1.1, one request at a time on each.
 *
 * Not undici: its parser copies every byte, and each read of a socket makes a new buffer. Here a socket is read into slabs (read-slabs.ts) of which the
 * pieces are handed out as they are. No retry, no redirect, no pipelining; a connection on which anything unexpected comes is closed.
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
  /** The request is about to be sent. */
  readonly onStart: (connection: ReadSocket) => void;
  readonly onHead: (status: number, headers: AnswerFields) => void;
  /** The piece is its own until it gives it back. */
  readonly onPiece: (piece: Buffer) => void;
  readonly onEnd: (trailers: AnswerFields) => void;
  readonly onFailure: (error: Error) => void;
}

/** Before a body and between two requests a socket is read into this, of which pieces are copied. */
const HEAD_BYTES = 16 * 1024;

export class ReadSocket {
  readonly #slabs: ReadSlabs;
  readonly #onFree: (connection: ReadSocket, isReusable: boolean) => void;
  readonly #headBuffer = Buffer.allocUnsafeSlow(HEAD_BYTES);
  #socket: Socket | null = null;
  #parser: AnswerParser | null = null;
  #asker: Asker | null = null;

  constructor(slabs: ReadSlabs, onFree: (connection: ReadSocket, isReusable: boolean) => void) {
    this.#slabs = slabs;
    this.#onFree = onFree;
  }

  /** How a socket without TLS is told to read. */
  get reading(): OnReadOpts {
    return {
      buffer: () => (this.#parser?.isInBody === true ? this.#slabs.take() : this.#headBuffer),
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
    socket.on('close', () => {
      this.#fail(new Error('the connection was closed'));
    });
    socket.on('end', () => {
      socket.destroy();
    });
    // Comes only where it was not read as we say: over TLS.
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes);
    });
    socket.on('timeout', () => {
      if (this.#asker === null) socket.destroy();
    });
    socket.setTimeout(CLIENT_KEEP_ALIVE_MS).unref();
  }

  /** Precondition: it is open, and nobody else asks. */
  ask(request: string, asker: Asker): void {
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
    asker.onStart(this);
    this.#socket.ref();
    this.#socket.write(request);
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
    if (piece.buffer === this.#headBuffer.buffer) {
      asker.onPiece(Buffer.from(piece));
      return;
    }
    this.#slabs.keep(piece);
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
      this.#slabs.giveBack(bytes);
    }
    if (this.#parser?.isEnded === true) this.#finish(this.#parser.isReusable);
  }

  #finish(isReusable: boolean): void {
    this.#parser = null;
    this.#asker = null;
    if (!isReusable) this.#socket?.destroy();
    else this.#socket?.resume().unref();
    this.#onFree(this, isReusable);
  }

  /** Once: later ones find nobody who asks. */
  #fail(error: Error): void {
    const asker = this.#asker;
    this.#asker = null;
    this.#parser = null;
    this.#socket?.destroy();
    asker?.onFailure(error);
    this.#onFree(this, false);
  }
}

export interface ReadSocketsSetup {
  readonly slabs: ReadSlabs;
  readonly connectionsMax: number;
  /** Connects, and reads as it is told, unless that is TLS. */
  readonly connect: (reading: OnReadOpts) => Connect;
}

export class ReadSockets {
  readonly #setup: ReadSocketsSetup;
  /** Open, connecting or asked. */
  readonly #all = new Set<ReadSocket>();
  readonly #idle: ReadSocket[] = [];
  readonly #waiting: { readonly request: string; readonly asker: Asker }[] = [];
  #isClosed = false;

  constructor(setup: ReadSocketsSetup) {
    this.#setup = setup;
  }

  /** Sends a request, as it stands, once there is a connection for it. */
  ask(request: string, asker: Asker): void {
    if (this.#isClosed) {
      asker.onFailure(new Error('closed'));
      return;
    }
    const idle = this.#idle.pop();
    if (idle !== undefined) idle.ask(request, asker);
    else if (this.#all.size >= this.#setup.connectionsMax) this.#waiting.push({ request, asker });
    else this.#askAnew(request, asker);
  }

  #askAnew(request: string, asker: Asker): void {
    const connection = new ReadSocket(this.#setup.slabs, (freed, isReusable) => {
      this.#onFree(freed, isReusable);
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
      } else if (asker.isWaiting) connection.ask(request, asker);
      else this.#onFree(connection, true);
    });
  }

  #onFree(connection: ReadSocket, isReusable: boolean): void {
    if (!this.#all.has(connection)) return;
    if (!isReusable) {
      this.#all.delete(connection);
      const index = this.#idle.indexOf(connection);
      if (index !== -1) this.#idle.splice(index, 1);
    }
    const next = this.#nextWaiting();
    if (next === null) {
      if (isReusable) this.#idle.push(connection);
    } else if (isReusable) connection.ask(next.request, next.asker);
    else this.#askAnew(next.request, next.asker);
  }

  #nextWaiting(): { readonly request: string; readonly asker: Asker } | null {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined) return null;
      if (next.asker.isWaiting) return next;
    }
  }

  /** Whatever is in flight fails. */
  close(): void {
    this.#isClosed = true;
    for (const { asker } of this.#waiting.splice(0)) asker.onFailure(new Error('closed'));
    for (const connection of [...this.#all]) connection.destroy(new Error('closed'));
  }
}
