/**
 * The bytes of one request, as they come from the socket.
 *
 * Guarantees: the consumer sees every piece in order and one at a time; while it is busy the socket is not read
 * (backpressure); a client that goes away is a rejection, never a short body; so is one that stops sending.
 * `Expect: 100-continue` is answered when somebody begins to read, so a request that is refused by its headers never
 * sends its body.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { invariant } from '../protocol/invariant.js';
import { ClientGoneError, S3Error } from './errors.js';
import { BODY_PROGRESS_BYTES_MIN, type S3Limits } from './limits.js';

/** Takes a piece. A promise means: hold the next one until it resolves. */
type PieceConsumer = (piece: Buffer) => Promise<void> | undefined;

export class RequestBody {
  /** From Content-Length; null when the length is not known beforehand (chunked transfer coding). */
  readonly lengthBytes: number | null;
  readonly isChunked: boolean;
  readonly hasContentLength: boolean;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: S3Limits;
  #waitsForContinue: boolean;
  #isEnded: boolean;
  #receivedBytes = 0;

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    limits: S3Limits,
    waitsForContinue: boolean,
  ) {
    const contentLength = message.headers['content-length'];
    this.#message = message;
    this.#response = response;
    this.#limits = limits;
    this.#waitsForContinue = waitsForContinue;
    this.isChunked = message.headers['transfer-encoding'] !== undefined;
    this.hasContentLength = contentLength !== undefined;
    this.lengthBytes = this.isChunked ? null : Number(contentLength ?? 0);
    this.#isEnded = this.lengthBytes === 0;
  }

  get isEmpty(): boolean {
    return this.lengthBytes === 0;
  }

  /** What was taken from the connection so far, not counting what was dropped. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** True when nothing of this request is left on the connection. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** True when the client still waits for our 100 and so has sent nothing. */
  get waitsForContinue(): boolean {
    return this.#waitsForContinue;
  }

  /**
   * Hands the whole body to `consume`. Rejects with what `consume` threw, with ClientGoneError, or with S3Error
   * RequestTimeout (S3Limits.bodyIdleTimeoutMs). After a rejection the rest is unread; see `drain`.
   */
  async read(consume: PieceConsumer): Promise<void> {
    if (this.#isEnded) return;
    if (this.#waitsForContinue) {
      this.#waitsForContinue = false;
      this.#response.writeContinue();
    }
    // What is to take the body may not be ready before `read` has returned, nor is a body that came with its headers here before then.
    await Promise.resolve();
    const message = this.#message;
    if (message.destroyed && !message.readableEnded) throw new ClientGoneError();
    // Of a small body that came together with its headers all is here, although node has not yet been told of its end.
    const isHere = message.readableFlowing === null && message.readableLength === this.lengthBytes;
    const busy = isHere ? this.#takeWhole(consume) : this.#takePieces(consume);
    if (busy !== undefined) await busy;
  }

  /** Needs no stream, nobody to watch the client, and no limit on progress (bench/README.md). */
  #takeWhole(consume: PieceConsumer): Promise<void> | undefined {
    const whole: unknown = this.#message.read();
    invariant(
      Buffer.isBuffer(whole) && whole.length === this.lengthBytes,
      'what is at hand can be read at once',
    );
    this.#isEnded = true;
    this.#receivedBytes = whole.length;
    // Takes note of the end, which follows.
    this.#message.resume();
    return consume(whole);
  }

  #takePieces(consume: PieceConsumer): Promise<void> {
    const message = this.#message;
    return new Promise((resolve, reject) => {
      let progressBytes = 0;
      let isPaused = false;
      let hasEnded = false;
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        message.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
        finish();
      };
      const fail = (error: unknown): void => {
        message.pause();
        settle(() => {
          reject(error instanceof Error ? error : new Error(String(error)));
        });
      };
      const goOn = (): void => {
        isPaused = false;
        if (hasEnded) settle(resolve);
        else message.resume();
      };
      const onData = (piece: Buffer): void => {
        progressBytes += piece.length;
        this.#receivedBytes += piece.length;
        if (progressBytes >= BODY_PROGRESS_BYTES_MIN) {
          progressBytes = 0;
          timer.refresh();
        }
        try {
          const busy = consume(piece);
          if (busy === undefined) return;
          isPaused = true;
          message.pause();
          busy.then(goOn, fail);
        } catch (error) {
          fail(error);
        }
      };
      // Node tells of the end once it has handed out the last piece, paused or not.
      const onEnd = (): void => {
        this.#isEnded = true;
        hasEnded = true;
        if (!isPaused) settle(resolve);
      };
      const onGone = (): void => {
        if (!hasEnded) fail(new ClientGoneError());
      };
      const timer = setTimeout(() => {
        if (isPaused) timer.refresh();
        else fail(new S3Error('RequestTimeout'));
      }, this.#limits.bodyIdleTimeoutMs);
      message.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
    });
  }

  /** Reads and drops a bounded rest, so that the client gets to see the answer. True when the request is used up. */
  async drain(): Promise<boolean> {
    if (this.#isEnded) return true;
    const message = this.#message;
    if (message.destroyed) return false;
    return new Promise((resolve) => {
      let drainedBytes = 0;
      const settle = (isDrained: boolean): void => {
        clearTimeout(timer);
        message.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
        this.#isEnded = isDrained;
        resolve(isDrained);
      };
      const onData = (piece: Buffer): void => {
        drainedBytes += piece.length;
        if (drainedBytes > this.#limits.drainBytesMax) settle(false);
      };
      const onEnd = (): void => {
        settle(true);
      };
      const onGone = (): void => {
        settle(false);
      };
      const timer = setTimeout(onGone, this.#limits.drainTimeMs);
      message.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
      message.resume();
    });
  }
}

/** The whole body in memory. Throws S3Error EntityTooLarge past `bytesMax`. */
export async function readAll(body: RequestBody, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  await body.read((piece) => {
    sizeBytes += piece.length;
    if (sizeBytes > bytesMax)
      throw new S3Error('EntityTooLarge', { details: { MaxSizeAllowed: String(bytesMax) } });
    pieces.push(piece);
    return undefined;
  });
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}
