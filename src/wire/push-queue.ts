/**
 * Pushes on their way to one OSD. While few are under way each goes out at once; those that come meanwhile travel together in the next
 * request (POST /v1/push-batches), and share a commit there. Each is judged by itself: what one comes to is nothing to the others.
 *
 * An OSD of version 1 of the contract knows no batches: it gets one push in each request.
 */
import { OSD_ERROR_STATUS, type OsdErrorCode } from './error-codes.js';
import { OsdRefusal, type RemotePush, type RemotePushReply } from './osd-connection.js';
import {
  BATCH_PUSH_BYTES_MAX,
  BATCH_PUSH_ROWS_MAX,
  BATCH_PUSHES_MAX,
  type BatchedPushReply,
} from './push-frame.js';

/** Requests under way at once; what comes meanwhile is batched. While the OSD commits one it reads the next. */
const REQUESTS_IN_FLIGHT_MAX = 2;
/** The same to an OSD that knows no batches. */
const LONE_REQUESTS_IN_FLIGHT_MAX = 16;

interface Waiting {
  readonly push: RemotePush;
  readonly resolve: (reply: RemotePushReply) => void;
  readonly reject: (error: Error) => void;
}

export interface PushWays {
  /** As of now: an OSD may be another release when it is back. */
  readonly knowsBatches: () => boolean;
  readonly alone: (push: RemotePush) => Promise<RemotePushReply>;
  /** Resolves with one reply for each push. */
  readonly together: (pushes: readonly RemotePush[]) => Promise<readonly BatchedPushReply[]>;
}

export class PushQueue {
  readonly #ways: PushWays;
  #waiting: Waiting[] = [];
  #requestsInFlight = 0;
  #isPumpScheduled = false;

  constructor(ways: PushWays) {
    this.#ways = ways;
  }

  run(push: RemotePush): Promise<RemotePushReply> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ push, resolve, reject });
      this.#schedulePump();
    });
  }

  get #hasRoom(): boolean {
    const max = this.#ways.knowsBatches() ? REQUESTS_IN_FLIGHT_MAX : LONE_REQUESTS_IN_FLIGHT_MAX;
    return this.#requestsInFlight < max;
  }

  /** Those who come in the same turn of the event loop go together, too. */
  #schedulePump(): void {
    if (this.#isPumpScheduled || !this.#hasRoom) return;
    this.#isPumpScheduled = true;
    setImmediate(() => {
      this.#isPumpScheduled = false;
      while (this.#waiting.length > 0 && this.#hasRoom) {
        this.#requestsInFlight += 1;
        void this.#serve(this.#takeBatch());
      }
    });
  }

  /** As many as fit, one at least. */
  #takeBatch(): readonly Waiting[] {
    const countMax = this.#ways.knowsBatches() ? BATCH_PUSHES_MAX : 1;
    let count = 0;
    let rowCount = 0;
    let bytes = 0;
    for (const { push } of this.#waiting) {
      rowCount += push.rows.length;
      bytes += push.bytes.kind === 'bytes' ? push.bytes.bytes.length : 0;
      const fits = rowCount <= BATCH_PUSH_ROWS_MAX && bytes <= BATCH_PUSH_BYTES_MAX;
      if (count === countMax || (count > 0 && !fits)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Never rejects. */
  async #serve(batch: readonly Waiting[]): Promise<void> {
    const [first, second] = batch;
    if (first === undefined) return;
    if (second === undefined) await this.#ways.alone(first.push).then(first.resolve, first.reject);
    else await this.#serveTogether(batch);
    this.#requestsInFlight -= 1;
    if (this.#waiting.length > 0) this.#schedulePump();
  }

  async #serveTogether(batch: readonly Waiting[]): Promise<void> {
    try {
      const replies = await this.#ways.together(batch.map(({ push }) => push));
      replies.forEach((reply, index) => {
        if (reply.kind === 'failed') batch[index]?.reject(failureOf(reply));
        else batch[index]?.resolve(reply);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

function failureOf({ code, message }: Extract<BatchedPushReply, { kind: 'failed' }>): OsdRefusal {
  const isKnown = (text: string): text is OsdErrorCode => Object.hasOwn(OSD_ERROR_STATUS, text);
  return new OsdRefusal(code, isKnown(code) ? OSD_ERROR_STATUS[code] : 500, message);
}
