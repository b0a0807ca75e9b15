/**
 * Content on its way into an OSD: the body of one POST /v1/stages, fed piece by piece, over a connection of our own.
 *
 *   head | bytes                                           the length was known: `content-length`
 *   head | { hex length CRLF, bytes, CRLF }, "0" CRLF CRLF  it was not: `transfer-encoding: chunked`
 *
 * Backpressure: what a stage's share of its room has (and one piece more) waits in this process, in STAGE_PIECES_MAX pieces at the most; `write`
 * resolves when there is room again. A request that fails, or is refused half-way, makes every later `write` and `finish` reject; what was sent is never sent again.
 */
import type { OnReadOpts } from 'node:net';
import type { Connect } from './connector.js';
import { type HttpRequest, RequestProgress } from './http-exchange.js';
import { stagedAnswer } from './messages.js';
import { refusalOf, understand } from './osd-answers.js';
import type { RemoteStage } from './osd-connection.js';
import { type Asker, type OsdSocket, OsdSockets } from './osd-sockets.js';
import { encodeRequestHead } from './request-head.js';
import { type RoomLimits, SharedRoom } from './shared-room.js';

export const STAGE_BUFFER_BYTES_MAX = 512 * 1024;
/** What waits for one OSD. */
const STAGE_ROOM: RoomLimits = {
  allBytesMax: 4 * 1024 * 1024,
  streamBytesMax: STAGE_BUFFER_BYTES_MAX,
};
/** As much as comes from a socket at once. Who has less room than that waits until the OSD's socket has taken all. */
const STAGE_PIECE_BYTES = 64 * 1024;
/** Each takes a kilobyte beside its bytes, and a client may send them one by one. */
export const STAGE_PIECES_MAX = 256;
/** Uploads in flight at once; more wait. */
const STAGE_CONNECTIONS_MAX = 512;
/** What was staged, or why it was not. */
const ANSWER_BYTES_MAX = 64 * 1024;

type StagedRemotely = Awaited<ReturnType<RemoteStage['finish']>>;

interface StagePiece {
  readonly bytes: Buffer;
  readonly onTaken: (() => void) | undefined;
}

/** The request whose body a stage is. */
export type StageRequest = Pick<HttpRequest, 'method' | 'path' | 'headers' | 'idleMs'>;

class HttpStage implements RemoteStage, Asker {
  readonly #channel: StageChannel;
  /** Null: nobody said. */
  readonly #lengthBytes: number | null;
  readonly #head: string;
  readonly #idleMs: number;
  readonly #progress = new RequestProgress(null, () => undefined);
  readonly #answer: Promise<StagedRemotely>;
  #resolve: (staged: StagedRemotely) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #connection: OsdSocket | null = null;
  #idleTimer: NodeJS.Timeout | null = null;
  /** What was given while there was no connection. */
  #waiting: StagePiece[] = [];
  #waitingBytes = 0;
  /** Pieces that nobody has taken. */
  #pieceCount = 0;
  #givenBytes = 0;
  #isHeadSent = false;
  /** All was given. */
  #isEnded = false;
  #isSent = false;
  #isSettled = false;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  #status = 0;
  readonly #answerPieces: Buffer[] = [];
  #answerBytes = 0;

  constructor(channel: StageChannel, request: StageRequest, lengthBytes: number | null) {
    this.#channel = channel;
    this.#lengthBytes = lengthBytes;
    const framing =
      lengthBytes === null ? ['transfer-encoding', 'chunked'] : ['content-length', String(lengthBytes)];
    this.#head = encodeRequestHead(channel.host, { ...request, headers: [...request.headers, ...framing] });
    this.#idleMs = request.idleMs;
    channel.room.enter();
    this.#answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Who writes hears of a failure too, and then never asks for the answer.
    this.#answer.catch(() => undefined);
  }

  get isWaiting(): boolean {
    return !this.#progress.isOver;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  async write(bytes: Buffer, onTaken?: () => void): Promise<void> {
    this.#givenBytes += bytes.length;
    if (this.#lengthBytes !== null && this.#givenBytes > this.#lengthBytes)
      this.#giveUp(new Error('the content is longer than was said'));
    if (this.#failure !== null || bytes.length === 0) {
      onTaken?.();
      this.#throwIfFailed();
      return;
    }
    this.#give({ bytes, onTaken });
    if (this.#hasRoom()) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#throwIfFailed();
  }

  async finish(): Promise<StagedRemotely> {
    if (this.#lengthBytes !== null && this.#givenBytes < this.#lengthBytes)
      this.#giveUp(new Error('the content is shorter than was said'));
    this.#throwIfFailed();
    this.#isEnded = true;
    if (this.#connection !== null) this.#sendEnd(this.#connection);
    return this.#answer;
  }

  abort(): void {
    this.#giveUp(new Error('the stage was aborted'));
  }

  onStart(connection: OsdSocket): void {
    this.#connection = connection;
    this.#progress.start({
      abort: (reason) => {
        connection.destroy(reason);
      },
    });
    this.#idleTimer = setTimeout(() => {
      this.#lookAtProgress();
    }, this.#idleMs);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const piece of waiting) this.#send(connection, piece);
    if (this.#isEnded) this.#sendEnd(connection);
  }

  onHead(status: number): void {
    this.#status = status;
    this.#idleTimer?.refresh();
  }

  onPiece(piece: Buffer): void {
    this.#idleTimer?.refresh();
    this.#answerBytes += piece.length;
    this.#answerPieces.push(piece);
    if (this.#answerBytes > ANSWER_BYTES_MAX)
      this.#connection?.destroy(new Error(`the answer is over ${ANSWER_BYTES_MAX} bytes`));
  }

  onEnd(): void {
    if (this.#isSettled) return;
    this.#settle();
    try {
      const answer = { status: this.#status, body: Buffer.concat(this.#answerPieces) };
      if (answer.status !== 200) throw refusalOf(answer);
      if (!this.#isSent) throw new Error('the OSD answered before the content ended');
      this.#resolve(understand(() => stagedAnswer.decodeBytes(answer.body)));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  onFailure(error: Error): void {
    this.#settle();
    this.#fail(this.#progress.unreachable(error));
  }

  get #unsentBytes(): number {
    return this.#waitingBytes + (this.#connection?.unsentBytes ?? 0);
  }

  #hasRoom(): boolean {
    const unsentBytes = this.#unsentBytes;
    const { bytesEach } = this.#channel.room;
    if (unsentBytes === 0) return true;
    return this.#pieceCount < STAGE_PIECES_MAX && bytesEach >= STAGE_PIECE_BYTES && unsentBytes < bytesEach;
  }

  #give(piece: StagePiece): void {
    this.#pieceCount += 1;
    if (this.#connection !== null) {
      this.#send(this.#connection, piece);
      return;
    }
    this.#waiting.push(piece);
    this.#waitingBytes += piece.bytes.length;
  }

  #send(connection: OsdSocket, { bytes, onTaken }: StagePiece): void {
    // Up to now it was not the OSD that was late.
    if (connection.unsentBytes === 0) this.#idleTimer?.refresh();
    const taken = (): void => {
      onTaken?.();
      this.#onTaken();
    };
    const before = this.#framing(this.#lengthBytes === null ? `${bytes.length.toString(16)}\r\n` : '');
    if (before === '') connection.write(bytes, taken);
    else {
      connection.together(() => {
        connection.write(before);
        connection.write(bytes, taken);
      });
    }
  }

  #sendEnd(connection: OsdSocket): void {
    this.#idleTimer?.refresh();
    this.#isSent = true;
    const end = this.#framing(this.#lengthBytes === null ? '0\r\n\r\n' : '');
    if (end !== '') connection.write(end);
  }

  /** What is sent before `chunkHead`, and that. */
  #framing(chunkHead: string): string {
    const before = this.#isHeadSent ? '\r\n' : this.#head;
    const isBare = this.#isHeadSent && this.#lengthBytes !== null;
    this.#isHeadSent = true;
    return isBare ? '' : before + chunkHead;
  }

  /** The OSD's socket has taken a piece, or never will. */
  #onTaken(): void {
    this.#pieceCount -= 1;
    this.#idleTimer?.refresh();
    const leftBytesMax = this.#channel.room.bytesEach >= STAGE_PIECE_BYTES ? STAGE_PIECE_BYTES : 0;
    if (this.#unsentBytes <= leftBytesMax) this.#wakeWriter();
  }

  #lookAtProgress(): void {
    if (this.#isSent || this.#unsentBytes > 0)
      this.#connection?.destroy(new Error(`the OSD took nothing, and said nothing, for ${this.#idleMs} ms`));
    else this.#idleTimer?.refresh();
  }

  #giveUp(reason: Error): void {
    this.#fail(reason);
    this.#connection?.destroy(reason);
    this.#settle();
  }

  /** The connection is another one's, or gone. */
  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#progress.finish();
    this.#connection = null;
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#channel.room.leave();
    for (const { onTaken } of this.#waiting.splice(0)) onTaken?.();
    this.#waitingBytes = 0;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#reject(this.#failure);
    this.#wakeWriter();
  }

  #throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #wakeWriter(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** A stage that could not even be asked for. */
class RefusedStage implements RemoteStage {
  readonly #reason: Error;

  constructor(reason: Error) {
    this.#reason = reason;
  }

  async write(_bytes: Buffer, onTaken?: () => void): Promise<void> {
    onTaken?.();
    throw this.#reason;
  }

  async finish(): Promise<StagedRemotely> {
    throw this.#reason;
  }

  abort(): void {
    // There is nothing of it anywhere.
  }
}

/** The way on which content goes into one OSD. */
export class StageChannel {
  readonly host: string;
  readonly room = new SharedRoom(STAGE_ROOM);
  readonly #sockets: OsdSockets;

  /** `connect` makes what connects to the OSD, whose host it is. */
  constructor(
    host: string,
    connect: (reading: OnReadOpts) => Connect,
    connectionsMax = STAGE_CONNECTIONS_MAX,
  ) {
    this.host = host;
    this.#sockets = new OsdSockets({ slabs: null, connectionsMax, connect });
  }

  /** `ask` makes the request, or throws why there is none: then the stage rejects with that. `lengthBytes` null: nobody knows yet. */
  open(ask: () => StageRequest, lengthBytes: number | null): RemoteStage {
    let request: StageRequest;
    try {
      request = ask();
    } catch (error) {
      return new RefusedStage(error instanceof Error ? error : new Error(String(error)));
    }
    const stage = new HttpStage(this, request, lengthBytes);
    this.#sockets.ask(stage);
    return stage;
  }

  /** Whatever is in flight fails. */
  close(): void {
    this.#sockets.close();
  }
}
