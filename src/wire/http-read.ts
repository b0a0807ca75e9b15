/**
 * The answer of GET /v1/object as it streams in: a frame (see `frame.ts`) whose bytes are the object's.
 *
 *   u32 header length | { state, extent } | extent.length bytes
 *
 * A read that fails half-way ends short, with the error code in the trailer `tally-error`. Backpressure: at most
 * its share of READ_ROOM (and one chunk more) waits in this process.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { TRAILER_ERROR } from './contract.js';
import { FRAME_PREFIX_BYTES, frameHeaderLength, parseJson } from './frame.js';
import { dispatchOptions, type HttpRequest, RequestProgress } from './http-exchange.js';
import { MalformedMessage } from './malformed-message.js';
import { OsdUnreachable } from './osd-connection.js';
import type { RoomLimits, SharedRoom } from './shared-room.js';

/** What has come from one OSD, and waits for its readers. */
export const READ_ROOM: RoomLimits = { allBytesMax: 8 * 1024 * 1024, streamBytesMax: 1024 * 1024 };
/** What is left of a body that nobody wants: up to this it is read to its end, so that the connection can be used again. */
const READ_DISCARD_BYTES_MAX = 64 * 1024;

/** An answer whose head is here and whose body is on its way. */
class IncomingAnswer implements Dispatcher.DispatchHandler, AsyncIterator<Buffer, undefined> {
  status = 0;
  trailers: IncomingHttpHeaders = {};
  readonly #progress: RequestProgress;
  readonly #onHead: (failure: OsdUnreachable | null) => void;
  readonly #room: SharedRoom;
  #isInRoom = true;
  #controller: Dispatcher.DispatchController | null = null;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #isDiscarded = false;
  #failure: OsdUnreachable | null = null;
  #wake: (() => void) | null = null;

  constructor(request: HttpRequest, room: SharedRoom, onHead: (failure: OsdUnreachable | null) => void) {
    this.#room = room;
    room.enter();
    this.#onHead = onHead;
    this.#progress = new RequestProgress(request.answerWithinMs, (timeout) =>
      this.#endBeforeStart(this.#progress.unreachable(timeout)),
    );
  }

  #endBeforeStart(failure: OsdUnreachable): void {
    this.#leaveRoom();
    this.#onHead(failure);
  }

  #leaveRoom(): void {
    if (!this.#isInRoom) return;
    this.#isInRoom = false;
    this.#room.leave();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#progress.start(controller);
    this.#controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number): void {
    this.#progress.answerBegan();
    this.status = statusCode;
    this.#onHead(null);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isDiscarded) return;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > this.#room.bytesEach) {
      this.#isPaused = true;
      controller.pause();
    }
    this.#wakeReader();
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#progress.finish();
    this.#leaveRoom();
    this.trailers = trailers;
    this.#isEnded = true;
    this.#wakeReader();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#progress.finish();
    this.#leaveRoom();
    this.#failure = this.#progress.unreachable(error);
    this.#onHead(this.#failure);
    this.#wakeReader();
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.length;
        if (this.#isPaused && this.#queuedBytes <= this.#room.bytesEach / 2) {
          this.#isPaused = false;
          this.#controller?.resume();
        }
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
    this.#queuedBytes += rest.length;
  }

  /** Lets go of the rest, of which at most `restBytes` are still to come. */
  release(restBytes: number): void {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#wakeReader();
    if (this.#isEnded || this.#failure !== null) return;
    if (restBytes > READ_DISCARD_BYTES_MAX) this.#controller?.abort(new Error('the reader went away'));
    else if (this.#isPaused) this.#controller?.resume();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** Sends a request and resolves when the head of its answer is there. Rejects with OsdUnreachable. */
export function openAnswer(
  pool: Dispatcher,
  request: HttpRequest,
  room: SharedRoom,
): Promise<IncomingAnswer> {
  return new Promise((resolve, reject) => {
    const answer = new IncomingAnswer(request, room, (failure) => {
      if (failure === null) resolve(answer);
      else reject(failure);
    });
    pool.dispatch(dispatchOptions(request), answer);
  });
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
export class AnswerBody implements AsyncIterable<Buffer> {
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
    const code = this.#answer.trailers[TRAILER_ERROR];
    return typeof code === 'string' ? code : undefined;
  }
}
