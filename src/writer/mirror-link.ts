/**
 * The way of write transactions and ready tokens to one mirror (DESIGN.md sections 3.2, 3.6).
 *
 * Transactions that wait while others are on their way travel together in the next request. Ready tokens ride on every
 * request; when there is none, a timer sends them in a batch of their own, with the floor that lets tombstones go.
 *
 * Retries: a request that got no answer is repeated once, at once, unless it timed out. It carries the same tags, so
 * the OSD answers what it answered before (F24). After that the answer is `unknown`, or `refused` when no attempt can have arrived.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { MirrorAnswer, ReadyToken } from '../protocol/write-outcome.js';
import {
  BATCH_CLEARS_MAX,
  BATCH_CONTENT_BYTES_MAX,
  BATCH_WRITES_MAX,
  type Clear,
  type OsdConnection,
  OsdRefusal,
  OsdUnreachable,
  type TransactionBatch,
  type TransactionBatchReply,
  type TransactionItem,
  type TransactionReply,
} from '../wire/osd-connection.js';
import type { ClearRefusalCode, StoreId } from '../protocol/token.js';
import type { WriterLogger } from './writer-logger.js';

/**
 * Requests to one mirror that may be on their way at once; what comes meanwhile is batched. While the OSD commits one batch it
 * reads the next. More of them are smaller ones, and cost more (bench/README.md).
 */
const BATCHES_IN_FLIGHT_MAX = 2;
/** How long ready tokens wait for a write to ride on. */
const TOKEN_FLUSH_DELAY_MS = 100;
/** Ready tokens kept; beyond it the oldest are forgotten, and their rows stay for the next reconciliation. */
const READY_TOKENS_MAX = 100_000;
const FAST_FAILURE_MS = 500;
const DRAIN_ROUNDS_MAX = 200;

export interface MirrorLinkContext {
  readonly setId: string;
  /** The epoch and floor of the moment, asked for with every request. */
  readonly epoch: () => Epoch;
  readonly floor: () => Tag;
  readonly logger: WriterLogger;
}

/** As much of an OSD as writes need. */
export type WriteTarget = Pick<OsdConnection, 'trace' | 'transact'>;

type TakeAnswer = (answer: MirrorAnswer) => void;

/** A transaction that has no answer yet. */
class Pending {
  readonly item: TransactionItem;
  readonly #take: TakeAnswer;
  #isAnswered = false;

  constructor(item: TransactionItem, take: TakeAnswer) {
    this.item = item;
    this.#take = take;
  }

  /** Of a mirror that was given up, the answer may come when its transactions were told one already. */
  answer(answer: MirrorAnswer): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#take(answer);
  }
}

/** What became of a request, retries included. */
type Transacted =
  | { readonly kind: 'replied'; readonly reply: TransactionBatchReply }
  | { readonly kind: 'failed'; readonly answer: MirrorAnswer };

const UNSENT: MirrorAnswer = { kind: 'refused', code: 'osd-unreachable' };
const UNMENTIONED: MirrorAnswer = { kind: 'unknown', reason: 'the reply has no answer for it' };

/** In a turn of its own, like the answers that come over the wire: whoever sends or gives up is not in the middle of something. */
function answerSoon(batch: readonly Pending[], answer: MirrorAnswer): void {
  queueMicrotask(() => {
    for (const pending of batch) pending.answer(answer);
  });
}

function toAnswer(reply: TransactionReply, storeId: StoreId): MirrorAnswer {
  if (reply.kind === 'committed') {
    const { token, commitSequence } = reply;
    return { kind: 'committed', token, witness: { storeId, commitSequence } };
  }
  // A store that failed while committing does not know itself how far it came.
  if (reply.code === 'io-error') return { kind: 'unknown', reason: 'io-error' };
  return { kind: 'refused', code: reply.code };
}

function toFailure(error: unknown, wasSent: boolean): MirrorAnswer {
  if (error instanceof OsdRefusal) {
    // A refusal of this attempt says nothing of an earlier one that may have arrived.
    return wasSent || error.status >= 500
      ? { kind: 'unknown', reason: error.code }
      : { kind: 'refused', code: error.code };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return wasSent ? { kind: 'unknown', reason } : { kind: 'refused', code: 'osd-unreachable' };
}

export class MirrorLink {
  readonly mirror: MirrorId;
  readonly #connection: WriteTarget;
  readonly #context: MirrorLinkContext;
  #queue: Pending[] = [];
  #ready: Clear[] = [];
  #requestsInFlight = 0;
  #isPumpScheduled = false;
  #flushTimer: NodeJS.Timeout | null = null;
  #isCut = false;
  /** As many as BATCHES_IN_FLIGHT_MAX. */
  #onWire: readonly (readonly Pending[])[] = [];
  #idleWaiters: (() => void)[] = [];

  constructor(mirror: MirrorId, connection: WriteTarget, context: MirrorLinkContext) {
    this.mirror = mirror;
    this.#connection = connection;
    this.#context = context;
  }

  /** Sends one transaction. `take` is always called, just once, and not before this has returned. */
  send(item: TransactionItem, take: TakeAnswer): void {
    if (this.#isCut) {
      answerSoon([new Pending(item, take)], UNSENT);
      return;
    }
    this.#queue.push(this.#followed(item, take));
    this.#schedulePump();
  }

  #followed(item: TransactionItem, take: TakeAnswer): Pending {
    const follower = this.#connection.trace?.followWrite(item.transaction) ?? null;
    if (follower === null) return new Pending(item, take);
    return new Pending({ ...item, traceparent: follower.traceparent, encoded: null }, (answer) => {
      follower.ended(answer);
      take(answer);
    });
  }

  /** Writes that wait to be sent. */
  get queuedCount(): number {
    return this.#queue.length;
  }

  /** Takes a token that all configured mirrors have made ready. */
  offerToken(ready: ReadyToken): void {
    if (this.#isCut) return;
    if (this.#ready.length >= READY_TOKENS_MAX) this.#ready.shift();
    this.#ready.push({ token: ready.token, witnesses: ready.witnesses });
    this.#armFlush();
  }

  /** Sends the ready tokens that are left now, and waits until nothing is on its way. Gives up after DRAIN_ROUNDS_MAX. */
  async drain(): Promise<void> {
    for (let round = 1; round <= DRAIN_ROUNDS_MAX && !this.#isCut; round += 1) {
      if (this.#ready.length > 0) this.#sendBatch([]);
      if (this.#requestsInFlight === 0 && this.#queue.length === 0) return;
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
  }

  /** Gives up on the mirror: whatever has no answer yet gets one now, tokens are forgotten (their rows stay). */
  cut(reason: string): void {
    this.#isCut = true;
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#flushTimer = null;
    this.#ready = [];
    const unsent = this.#queue;
    this.#queue = [];
    answerSoon(unsent, UNSENT);
    for (const batch of this.#onWire) answerSoon(batch, { kind: 'unknown', reason });
    this.#onWire = [];
    this.#wakeIdleWaiters();
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
    while (this.#queue.length > 0 && this.#requestsInFlight < BATCHES_IN_FLIGHT_MAX)
      this.#sendBatch(this.#takeBatch());
  }

  #takeBatch(): Pending[] {
    let contentBytes = 0;
    let count = 0;
    for (const { item } of this.#queue) {
      contentBytes += item.content.kind === 'bytes' ? item.content.bytes.length : 0;
      if (count === BATCH_WRITES_MAX || (count > 0 && contentBytes > BATCH_CONTENT_BYTES_MAX)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #sendBatch(batch: Pending[]): void {
    const clears = this.#ready.splice(0, BATCH_CLEARS_MAX);
    this.#onWire = [...this.#onWire, batch];
    this.#requestsInFlight += 1;
    // Nothing but a broken invariant of those who take the answers rejects: that ends the process.
    void this.#exchange(batch, clears).finally(() => {
      this.#onWire = this.#onWire.filter((other) => other !== batch);
      this.#requestsInFlight -= 1;
      if (this.#isCut) return;
      this.#pump();
      if (this.#ready.length > 0) this.#armFlush();
      if (this.#requestsInFlight === 0) this.#wakeIdleWaiters();
    });
  }

  async #exchange(batch: readonly Pending[], clears: readonly Clear[]): Promise<void> {
    const request: TransactionBatch = {
      setId: this.#context.setId,
      epoch: this.#context.epoch(),
      floor: this.#context.floor(),
      writes: batch.map(({ item }) => item),
      clears,
    };
    const result = await this.#transact(request);
    if (result.kind === 'failed') {
      this.#returnTokens(clears);
      for (const pending of batch) pending.answer(result.answer);
      return;
    }
    const { writes, storeId, clears: cleared } = result.reply;
    if (cleared?.kind === 'refused') this.#takeRefusedClears(clears, cleared.code);
    batch.forEach((pending, index) => {
      const reply = writes[index];
      pending.answer(reply === undefined ? UNMENTIONED : toAnswer(reply, storeId));
    });
  }

  /** Never rejects. What came of it is told outside: whoever throws when told must not pass for a request that failed. */
  async #transact(request: TransactionBatch): Promise<Transacted> {
    const startMs = performance.now();
    let wasSent = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { kind: 'replied', reply: await this.#connection.transact(request) };
      } catch (error) {
        if (error instanceof OsdUnreachable) wasSent ||= error.sent;
        const mayRetry =
          attempt === 1 && error instanceof OsdUnreachable && performance.now() - startMs < FAST_FAILURE_MS;
        if (!mayRetry || this.#isCut) return { kind: 'failed', answer: toFailure(error, wasSent) };
      }
    }
  }

  #returnTokens(clears: readonly Clear[]): void {
    if (!this.#isCut && this.#ready.length + clears.length <= READY_TOKENS_MAX) this.#ready.push(...clears);
  }

  #takeRefusedClears(clears: readonly Clear[], code: ClearRefusalCode): void {
    // The epoch changed while they were on their way: the tokens are still good.
    if (code === 'stale-epoch' || code === 'not-active') this.#returnTokens(clears);
    else this.#context.logger.warn({ mirror: this.mirror, code }, 'the OSD refused to clear rows; they stay');
  }

  #armFlush(): void {
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = null;
      if (this.#ready.length > 0) this.#sendBatch([]);
    }, TOKEN_FLUSH_DELAY_MS);
  }

  #wakeIdleWaiters(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }
}
