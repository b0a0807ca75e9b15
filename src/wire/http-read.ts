/**
 * The answer of GET /v1/object as it streams in: a frame (see `frame.ts`) whose bytes are the object's.
 *
 *   u32 header length | { state, extent } | extent.length bytes
 *
 * A read that fails half-way ends short, with the error code in the trailer `tally-error`. Backpressure: at most
 * its share of READ_ROOM (and one slab more) waits in this process.
 */
import type { OnReadOpts } from 'node:net';
import type { AnswerFields } from './answer-parser.js';
import type { Connect } from './connector.js';
import { TRAILER_ERROR } from './contract.js';
import { FRAME_PREFIX_BYTES, frameHeaderLength, parseJson } from './frame.js';
import { type HttpRequest, RequestProgress } from './http-exchange.js';
import { MalformedMessage } from './malformed-message.js';
import { OsdUnreachable, type ReadBody } from './osd-connection.js';
import { ReadSlabs } from './read-slabs.js';
import { type Asker, type OsdSocket, OsdSockets } from './osd-sockets.js';
import { encodeRequestHead } from './request-head.js';
import { type RoomLimits, SharedRoom } from './shared-room.js';

/** What has come from one OSD, and waits for its readers. */
const READ_ROOM: RoomLimits = { allBytesMax: 8 * 1024 * 1024, streamBytesMax: 1024 * 1024 };
/** Downloads in flight at once; more wait. */
const CONNECTIONS_MAX = 512;
/** What is left of a body that nobody wants: up to this it is read to its end, so that the connection can be used again. */
const READ_DISCARD_BYTES_MAX = 64 * 1024;

/** An answer whose head is here and whose body is on its way. */
class IncomingAnswer implements Asker, AsyncIterator<Buffer, undefined> {
  /** There is no body, whose end could be missing. */
  readonly isSent = true;
  status = 0;
  trailers: AnswerFields = new Map();
  readonly #head: string;
  readonly #progress: RequestProgress;
  readonly #onBegun: (failure: OsdUnreachable | null) => void;
  readonly #channel: ReadChannel;
  readonly #idleMs: number;
  #isInRoom = true;
  #connection: OsdSocket | null = null;
  #idleTimer: NodeJS.Timeout | null = null;
  #queue: Buffer[] = [];
  /** What the queue holds in memory: of a slab all of it. */
  #queuedBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #isDiscarded = false;
  #failure: OsdUnreachable | null = null;
  #wake: (() => void) | null = null;

  constructor(request: HttpRequest, channel: ReadChannel, onBegun: (failure: OsdUnreachable | null) => void) {
    this.#channel = channel;
    this.#head = encodeRequestHead(channel.host, request);
    this.#idleMs = request.idleMs;
    channel.room.enter();
    this.#onBegun = onBegun;
    this.#progress = new RequestProgress(request.answerWithinMs, (timeout) => {
      this.onFailure(timeout);
    });
  }

  get isWaiting(): boolean {
    return !this.#progress.isOver;
  }

  onStart(connection: OsdSocket): void {
    this.#connection = connection;
    this.#progress.start({
      abort: (reason) => {
        connection.destroy(reason);
      },
    });
    connection.write(this.#head);
  }

  onHead(status: number): void {
    this.#progress.answerBegan();
    this.status = status;
    this.#startIdleTimer();
    this.#onBegun(null);
  }

  onPiece(piece: Buffer): void {
    if (this.#isDiscarded) {
      this.giveBack(piece);
      return;
    }
    this.#idleTimer?.refresh();
    this.#queue.push(piece);
    this.#queuedBytes += piece.buffer.byteLength;
    if (this.#queuedBytes > this.#channel.room.bytesEach) this.#pause();
    this.#wakeReader();
  }

  onEnd(trailers: AnswerFields): void {
    this.trailers = trailers;
    this.#isEnded = true;
    this.#settle();
  }

  onFailure(error: Error): void {
    this.#failure = this.#progress.unreachable(error);
    this.#settle();
    this.#onBegun(this.#failure);
  }

  giveBack(piece: Buffer): void {
    this.#channel.slabs.giveBack(piece);
  }

  /** Nothing more comes, and the connection is another one's. */
  #settle(): void {
    this.#progress.finish();
    this.#connection = null;
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    if (this.#isInRoom) this.#channel.room.leave();
    this.#isInRoom = false;
    this.#wakeReader();
  }

  #startIdleTimer(): void {
    this.#idleTimer = setTimeout(() => {
      this.#connection?.destroy(new Error(`no byte came for ${this.#idleMs} ms`));
    }, this.#idleMs);
  }

  /** While nobody reads it is not the OSD that is late. */
  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#connection?.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#connection === null) return;
    this.#startIdleTimer();
    this.#connection.resume();
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.buffer.byteLength;
        if (this.#queuedBytes <= this.#channel.room.bytesEach / 2) this.#resume();
        return { done: false, value: chunk };
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#isEnded || this.#isDiscarded) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Puts bytes back that were taken off too far. */
  unshift(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#queue.unshift(rest);
    this.#queuedBytes += rest.buffer.byteLength;
  }

  /** Lets go of the rest, of which at most `restBytes` are still to come. */
  release(restBytes: number): void {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    for (const piece of this.#queue.splice(0)) this.giveBack(piece);
    this.#queuedBytes = 0;
    this.#wakeReader();
    if (this.#isEnded || this.#failure !== null) return;
    if (restBytes > READ_DISCARD_BYTES_MAX) this.#connection?.destroy(new Error('the reader went away'));
    else this.#resume();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** The way on which large reads come from one OSD. */
export class ReadChannel {
  readonly host: string;
  readonly room = new SharedRoom(READ_ROOM);
  readonly slabs = new ReadSlabs(this.room);
  readonly #sockets: OsdSockets;

  /** `connect` makes what connects to the OSD, whose host it is. */
  constructor(host: string, connect: (reading: OnReadOpts) => Connect) {
    this.host = host;
    this.#sockets = new OsdSockets({ slabs: this.slabs, connectionsMax: CONNECTIONS_MAX, connect });
  }

  /** Sends a request, which has no body, and resolves when the head of its answer is there. Rejects with OsdUnreachable. */
  open(request: HttpRequest): Promise<IncomingAnswer> {
    return new Promise((resolve, reject) => {
      const answer = new IncomingAnswer(request, this, (failure) => {
        if (failure === null) resolve(answer);
        else reject(failure);
      });
      this.#sockets.ask(answer);
    });
  }

  /** Whatever is in flight fails. */
  close(): void {
    this.#sockets.close();
  }
}

/** Takes the frame's header off an answer, and leaves the bytes behind it there. Throws MalformedMessage. */
export async function takeFrameHeader(answer: IncomingAnswer): Promise<unknown> {
  let gathered: Buffer = Buffer.alloc(0);
  let headerEnd: number | null = null;
  while (headerEnd === null || gathered.length < headerEnd) {
    const { done, value } = await answer.next();
    if (done === true) throw new MalformedMessage('the answer ends inside its header');
    gathered = gathered.length === 0 ? value : Buffer.concat([gathered, value]);
    if (headerEnd === null && gathered.length >= FRAME_PREFIX_BYTES) {
      headerEnd = FRAME_PREFIX_BYTES + frameHeaderLength(gathered);
    }
  }
  answer.unshift(gathered.subarray(headerEnd));
  return parseJson(gathered.toString('utf8', FRAME_PREFIX_BYTES, headerEnd));
}

/** All of a small answer; what is over `bytesMax` is an OsdUnreachable. */
export async function takeAll(answer: IncomingAnswer, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await answer.next();
    if (done === true) return Buffer.concat(chunks);
    bytes += value.length;
    if (bytes > bytesMax) {
      answer.release(Number.POSITIVE_INFINITY);
      throw new OsdUnreachable(`the answer is over ${bytesMax} bytes`, true);
    }
    chunks.push(value);
  }
}

/**
 * The bytes of a read. `return()` lets go of it, also before the first `next()`. `failureOf` makes the error for an answer
 * that ended early, from the code in its trailer (undefined: there is none).
 */
export class AnswerBody implements ReadBody {
  readonly #answer: IncomingAnswer;
  readonly #failureOf: (code: string | undefined) => Error;
  #remainingBytes: number;

  constructor(answer: IncomingAnswer, lengthBytes: number, failureOf: (code: string | undefined) => Error) {
    this.#answer = answer;
    this.#remainingBytes = lengthBytes;
    this.#failureOf = failureOf;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.#answer.release(this.#remainingBytes);
        return { done: true, value: undefined };
      },
    };
  }

  giveBack(piece: Buffer): void {
    this.#answer.giveBack(piece);
  }

  async #next(): Promise<IteratorResult<Buffer, undefined>> {
    const result = await this.#answer.next();
    if (result.done === true) {
      if (this.#remainingBytes > 0) throw this.#failureOf(this.#trailerCode());
      return result;
    }
    this.#remainingBytes -= result.value.length;
    if (this.#remainingBytes < 0) {
      this.#answer.release(Number.POSITIVE_INFINITY);
      throw this.#failureOf(undefined);
    }
    return result;
  }

  #trailerCode(): string | undefined {
    return this.#answer.trailers.get(TRAILER_ERROR);
  }
}
