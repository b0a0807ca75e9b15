/**
 * The bytes of one request as they come from the socket, in order and one piece at a time; while the consumer is busy the socket is
 * not read. After a failure the connection stays, and the rest of the body is unread.
 */
import type { IncomingMessage } from 'node:http';
import { refusal } from './refusal.js';

/** Takes a piece. A promise means: hold the next one until it resolves. */
type PieceConsumer = (piece: Buffer) => Promise<void> | undefined;

/** Resolves when the last piece of the body is taken. Rejects with what `consume` threw, and with OsdRefusal when the client goes away. */
export function eachPiece(message: IncomingMessage, consume: PieceConsumer): Promise<void> {
  if (message.readableEnded) return Promise.resolve();
  if (message.destroyed) return Promise.reject(clientGone());
  return new Promise((resolve, reject) => {
    let isBusy = false;
    let hasEnded = false;
    const settle = (finish: () => void): void => {
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
      isBusy = false;
      if (hasEnded) settle(resolve);
      else message.resume();
    };
    const onData = (piece: Buffer): void => {
      try {
        const busy = consume(piece);
        if (busy === undefined) return;
        isBusy = true;
        message.pause();
        busy.then(goOn, fail);
      } catch (error) {
        fail(error);
      }
    };
    // Node tells of the end once it has handed out the last piece, paused or not.
    const onEnd = (): void => {
      hasEnded = true;
      if (!isBusy) settle(resolve);
    };
    const onGone = (cause?: unknown): void => {
      if (!hasEnded) fail(clientGone(cause));
    };
    message.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  });
}

function clientGone(cause?: unknown): Error {
  return refusal('bad-request', 'the client went away', { cause });
}
