/**
 * The way of writes without tags to the OSD that issues them, in one epoch.
 *
 * Writes that wait while others are on their way travel together in the next request. Each has a number, and every request
 * says below which none is made again, so that the writer may forget what it answered (F24).
 *
 * Retries: a request that got no answer is repeated once, at once, unless it timed out. Its writes have the same numbers, so the
 * writer answers what it answered before. After that the writer is lost: nothing more is sent, and whatever has no answer
 * is lost too, which means that nobody knows.
 */
import { type RequestNumber, RequestNumbers } from '../../protocol/forwarding.js';
import { PassingMap } from '../../protocol/passing-map.js';
import type { Epoch, GeneratorId } from '../../protocol/tag.js';
import {
  BATCH_CONTENT_BYTES_MAX,
  BATCH_WRITES_MAX,
  type ForwardedBatch,
  type ForwardedBatchReply,
  FORWARDED_REQUESTS_MAX,
  type ForwardedReply,
  type ForwardedWrite,
  type OsdConnection,
  OsdRefusal,
  OsdUnreachable,
} from '../../wire/osd-connection.js';

/** Requests that may be on their way at once; what comes meanwhile is batched. Each lasts until the slowest mirror has answered. */
const BATCHES_IN_FLIGHT_MAX = 4;
const FAST_FAILURE_MS = 500;

export interface ForwardLinkContext {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly generator: GeneratorId;
}

export type ForwardOutcome =
  | Extract<ForwardedReply, { readonly kind: 'written' }>
  /** `mayHaveBegun`: whether it was carried out, nobody knows. Otherwise it certainly was not. */
  | { readonly kind: 'lost'; readonly reason: string; readonly mayHaveBegun: boolean };

interface Pending {
  readonly item: ForwardedWrite;
  /** It may have left this process. */
  wasSent: boolean;
  readonly answer: (outcome: ForwardOutcome) => void;
}

export class ForwardLink {
  readonly #connection: Pick<OsdConnection, 'forward' | 'trace'>;
  readonly #context: ForwardLinkContext;
  readonly #numbers = new RequestNumbers();
  #queue: Pending[] = [];
  readonly #onWire = new PassingMap<RequestNumber, Pending>();
  #requestsInFlight = 0;
  #isPumpScheduled = false;
  /** Why nothing more is sent; null: it is. */
  #lostReason: string | null = null;

  constructor(connection: Pick<OsdConnection, 'forward' | 'trace'>, context: ForwardLinkContext) {
    this.#connection = connection;
    this.#context = context;
  }

  /** Sends one write. `make` is told its number. Always resolves, and just once. */
  submit(make: (request: RequestNumber) => ForwardedWrite): Promise<ForwardOutcome> {
    return new Promise((resolve) => {
      if (this.#lostReason !== null) {
        resolve({ kind: 'lost', reason: this.#lostReason, mayHaveBegun: false });
        return;
      }
      this.#queue.push(this.#followed(make(this.#numbers.issue()), resolve));
      this.#schedulePump();
    });
  }

  #followed(item: ForwardedWrite, answer: Pending['answer']): Pending {
    const follower = this.#connection.trace?.followRequest('forwarded write') ?? null;
    if (follower === null) return { item, wasSent: false, answer };
    return {
      item: { ...item, traceparent: follower.traceparent },
      wasSent: false,
      answer: (outcome) => {
        follower.ended(outcome.kind === 'lost' ? outcome.reason : null);
        answer(outcome);
      },
    };
  }

  /** Gives up on the writer: whatever has no answer yet is lost. */
  cut(reason: string): void {
    if (this.#lostReason !== null) return;
    this.#lostReason = reason;
    const unanswered = [...this.#onWire.values(), ...this.#queue];
    this.#onWire.clear();
    this.#queue = [];
    for (const { wasSent, answer } of unanswered) answer({ kind: 'lost', reason, mayHaveBegun: wasSent });
  }

  #schedulePump(): void {
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    setImmediate(() => {
      this.#isPumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#requestsInFlight < BATCHES_IN_FLIGHT_MAX) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      this.#sendBatch(batch);
    }
  }

  /** As many as fit into one request, and as the writer remembers. */
  #takeBatch(): Pending[] {
    const numbersEnd = this.#numbers.floor() + FORWARDED_REQUESTS_MAX;
    let contentBytes = 0;
    let count = 0;
    for (const { item } of this.#queue) {
      contentBytes += item.content.kind === 'bytes' ? item.content.bytes.length : 0;
      if (count === BATCH_WRITES_MAX || (count > 0 && contentBytes > BATCH_CONTENT_BYTES_MAX)) break;
      if (item.request >= numbersEnd) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #sendBatch(batch: readonly Pending[]): void {
    for (const pending of batch) {
      pending.wasSent = true;
      this.#onWire.set(pending.item.request, pending);
    }
    this.#requestsInFlight += 1;
    void this.#exchange(batch).finally(() => {
      this.#requestsInFlight -= 1;
      this.#pump();
    });
  }

  /** Never rejects. */
  async #exchange(batch: readonly Pending[]): Promise<void> {
    const request: ForwardedBatch = {
      ...this.#context,
      requestFloor: this.#numbers.floor(),
      writes: batch.map(({ item }) => item),
    };
    const reply = await this.#ask(batch, request);
    // Cut meanwhile: all of them have been told that they are lost.
    if (reply === null || this.#lostReason !== null) return;
    batch.forEach((pending, index) => {
      this.#onWire.delete(pending.item.request);
      this.#numbers.settle(pending.item.request);
      pending.answer(toOutcome(reply.writes[index]));
    });
  }

  /** Null: the writer is lost. */
  async #ask(batch: readonly Pending[], request: ForwardedBatch): Promise<ForwardedBatchReply | null> {
    const startMs = performance.now();
    let wasSent = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#connection.forward(request);
      } catch (error) {
        // A refusal of this attempt says nothing of an earlier one that may have arrived.
        wasSent ||=
          error instanceof OsdRefusal
            ? error.status >= 500
            : !(error instanceof OsdUnreachable && !error.sent);
        const mayRetry =
          attempt === 1 && error instanceof OsdUnreachable && performance.now() - startMs < FAST_FAILURE_MS;
        if (mayRetry && this.#lostReason === null) continue;
        for (const pending of batch) pending.wasSent = wasSent;
        this.cut(error instanceof Error ? error.message : String(error));
        return null;
      }
    }
  }
}

/** A refusal says of this time that nothing was done, and nothing of the time before. */
function toOutcome(reply: ForwardedReply | undefined): ForwardOutcome {
  if (reply?.kind === 'written') return reply;
  const reason = reply === undefined ? 'the reply has no answer for it' : reply.code;
  return { kind: 'lost', reason, mayHaveBegun: true };
}
