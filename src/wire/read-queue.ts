/**
 * Reads on their way to one OSD. While few are under way each goes out by itself and at once; those that come meanwhile travel
 * together in the next request (POST /v1/reads), which costs both sides little more than one read alone (measured at 64
 * in flight: bench/README.md). A read whose bytes are too many for company is done by itself after all.
 */
import type { ObjectId } from '../protocol/object-id.js';
import type { Epoch } from '../protocol/tag.js';
import { BATCH_READS_MAX, type BatchedRange, type BatchedReply, type ReadBatch } from './reads-frame.js';

/** Requests under way at once; what comes meanwhile is batched. */
const REQUESTS_IN_FLIGHT_MAX = 2;

export interface ReadWish<Value> {
  readonly epoch: Epoch;
  readonly id: ObjectId;
  readonly range: BatchedRange;
  readonly traceparent: string | undefined;
  /** What its reply means to the one who asked; throws what the read is to reject with. */
  readonly understand: (reply: Exclude<BatchedReply, { kind: 'alone' }>) => Value;
  /** Does this read by itself. */
  readonly alone: () => Promise<Value>;
}

interface Waiting {
  readonly wish: Pick<ReadWish<unknown>, 'epoch' | 'id' | 'range' | 'traceparent'>;
  /** Never throws, nor rejects. */
  readonly take: (reply: BatchedReply) => void;
  readonly goAlone: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

export class ReadQueue {
  readonly #send: (batch: ReadBatch) => Promise<readonly BatchedReply[]>;
  #waiting: Waiting[] = [];
  #requestsInFlight = 0;
  #isPumpScheduled = false;

  /** `send` resolves with one reply for each read. */
  constructor(send: (batch: ReadBatch) => Promise<readonly BatchedReply[]>) {
    this.#send = send;
  }

  run<Value>(wish: ReadWish<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      const goAlone = (): Promise<void> => wish.alone().then(resolve, reject);
      const take = (reply: BatchedReply): void => {
        if (reply.kind === 'alone') {
          void goAlone();
          return;
        }
        try {
          resolve(wish.understand(reply));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.#waiting.push({ wish, take, goAlone, reject });
      this.#schedulePump();
    });
  }

  /** Those who ask in the same turn of the event loop go together, too. */
  #schedulePump(): void {
    if (this.#isPumpScheduled || this.#requestsInFlight >= REQUESTS_IN_FLIGHT_MAX) return;
    this.#isPumpScheduled = true;
    setImmediate(() => {
      this.#isPumpScheduled = false;
      while (this.#waiting.length > 0 && this.#requestsInFlight < REQUESTS_IN_FLIGHT_MAX) {
        this.#requestsInFlight += 1;
        void this.#serve(this.#takeBatch());
      }
    });
  }

  /** As many as fit, of one epoch. */
  #takeBatch(): readonly Waiting[] {
    const epoch = this.#waiting[0]?.wish.epoch;
    let count = 0;
    while (
      count < Math.min(this.#waiting.length, BATCH_READS_MAX) &&
      this.#waiting[count]?.wish.epoch === epoch
    )
      count += 1;
    return this.#waiting.splice(0, count);
  }

  /** Never rejects. */
  async #serve(batch: readonly Waiting[]): Promise<void> {
    const [first, second] = batch;
    if (first === undefined) return;
    if (second === undefined) await first.goAlone();
    else await this.#serveTogether(first.wish.epoch, batch);
    this.#requestsInFlight -= 1;
    if (this.#waiting.length > 0) this.#schedulePump();
  }

  async #serveTogether(epoch: Epoch, batch: readonly Waiting[]): Promise<void> {
    try {
      const replies = await this.#send({ epoch, reads: batch.map(({ wish }) => wish) });
      replies.forEach((reply, index) => batch[index]?.take(reply));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
