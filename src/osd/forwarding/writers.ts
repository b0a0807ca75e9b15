/**
 * The writers that this OSD is: one for each generator that was given to it, each for the epoch at which the store is active.
 * Nothing of it is durable: a restarted OSD writes for nobody until a new activation says so (F29).
 */
import { decideAppointment } from '../../protocol/forwarding.js';
import type { FenceState } from '../../protocol/fence.js';
import { InvariantViolation } from '../../protocol/invariant.js';
import { type Epoch, EPOCH_NONE, type GeneratorId } from '../../protocol/tag.js';
import {
  type ForwardedBatch,
  type ForwardedBatchReply,
  type OsdConnection,
  OsdRefusal,
  OsdUnreachable,
  type TransactionBatch,
  type TransactionBatchReply,
  type WriterOrder,
  WRITERS_MAX,
} from '../../wire/osd-connection.js';
import type { OsdLogger } from '../osd-logger.js';
import type { OsdTrace } from '../osd-trace.js';
import { refusal } from '../refusal.js';
import { EpochWriter } from './epoch-writer.js';

export interface WritersOptions {
  readonly self: Pick<OsdConnection, 'transact'>;
  readonly setId: string;
  /** Of the store, now. */
  readonly fence: () => FenceState;
  readonly connect: (url: string) => OsdConnection;
  readonly logger: OsdLogger;
  /** Default: nobody follows anything. */
  readonly trace?: OsdTrace | null;
  /** Our bug, found under a write that nobody else waits for: stops the process. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

/** For metrics. */
export interface WritersReport {
  /** The highest epoch that this OSD writes in; 0: in none. */
  readonly epoch: number;
  readonly requestsRemembered: number;
  /** Since the OSD was started. */
  readonly writesForwarded: number;
}

export class Writers {
  readonly #options: WritersOptions;
  readonly #writers = new Map<GeneratorId, EpochWriter>();
  readonly #self: Pick<OsdConnection, 'transact'>;
  #writesForwarded = 0;
  #endedEpoch: Epoch = EPOCH_NONE;

  constructor(options: WritersOptions) {
    this.#options = options;
    this.#self = { transact: (batch) => this.#transactHere(batch) };
  }

  report(): WritersReport {
    const writers = [...this.#writers.values()];
    return {
      epoch: Math.max(0, ...writers.map(({ epoch }) => epoch)),
      requestsRemembered: writers.reduce((sum, { requestsRemembered }) => sum + requestsRemembered, 0),
      writesForwarded: this.#writesForwarded,
    };
  }

  /** Throws OsdRefusal. */
  appoint(order: WriterOrder): void {
    const { setId, fence, connect, logger, trace = null } = this.#options;
    if (order.setId !== setId) throw refusal('wrong-set', 'the order is for another mirror set');
    const current = this.#writers.get(order.generator);
    const context = { fence: fence(), current: current?.order ?? null, endedEpoch: this.#endedEpoch };
    const verdict = decideAppointment(context, order);
    if (verdict.kind === 'refuse') {
      throw refusal(verdict.code, `no writer of epoch ${order.epoch} by this order`);
    }
    const known = order.members.map(({ mirror }) => mirror);
    if (!order.inSync.every((mirror) => known.includes(mirror))) {
      throw refusal('bad-request', 'the order does not say where everyone in sync is found');
    }
    if (verdict.kind === 'follow') {
      current?.follow(order);
      return;
    }
    if (current === undefined && this.#writers.size >= WRITERS_MAX) {
      throw refusal('too-many-writers', `there are ${WRITERS_MAX} writers already`);
    }
    this.#end(order.generator, `a writer of epoch ${order.epoch} was appointed`);
    this.#writers.set(order.generator, new EpochWriter({ order, self: this.#self, connect, logger, trace }));
    const { epoch, generator, inSync } = order;
    logger.info({ epoch, generator, inSync }, 'this OSD issues the tags of an epoch');
  }

  /** Resolves when every write has its answers. Rejects with OsdRefusal, and has done nothing then. */
  async forward(batch: ForwardedBatch): Promise<ForwardedBatchReply> {
    const { setId, fence } = this.#options;
    const { epoch, generator } = batch;
    if (batch.setId !== setId) throw refusal('wrong-set', 'the writes are for another mirror set');
    const { fencedEpoch } = fence();
    if (epoch < fencedEpoch) throw refusal('stale-epoch', `the store is fenced at ${fencedEpoch}`);
    const writer = this.#writers.get(generator);
    if (writer?.epoch !== epoch) throw refusal('no-writer', `this OSD issues no tags in epoch ${epoch}`);
    writer.raiseRequestFloor(batch.requestFloor);
    this.#writesForwarded += batch.writes.length;
    return { writes: await Promise.all(batch.writes.map((item) => writer.write(item))) };
  }

  async dismiss(epoch: Epoch, generator: GeneratorId): Promise<void> {
    const writer = this.#writers.get(generator);
    if (writer?.epoch !== epoch) return;
    await writer.drain();
    if (this.#writers.get(generator) === writer) this.#end(generator, 'it was dismissed');
  }

  /** The fence of the store has moved: who wrote in another epoch than the one that is active now writes no more. */
  fenceMoved(): void {
    const { activeEpoch } = this.#options.fence();
    for (const [generator, { epoch }] of [...this.#writers]) {
      if (epoch !== activeEpoch) this.#end(generator, `epoch ${epoch} is over`);
    }
  }

  #end(generator: GeneratorId, reason: string): void {
    const writer = this.#writers.get(generator);
    this.#writers.delete(generator);
    if (writer !== undefined && writer.epoch > this.#endedEpoch) this.#endedEpoch = writer.epoch;
    writer?.end(reason).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'connections of a writer could not be closed');
    });
  }

  close(): void {
    for (const generator of [...this.#writers.keys()]) this.#end(generator, 'the OSD stops');
  }

  /** In this process too a transaction that failed in a way that nobody foresaw may have happened. */
  async #transactHere(batch: TransactionBatch): Promise<TransactionBatchReply> {
    try {
      return await this.#options.self.transact(batch);
    } catch (error) {
      if (error instanceof OsdRefusal) throw error;
      if (error instanceof InvariantViolation) this.#options.onInvariantViolation(error);
      throw new OsdUnreachable('the store failed under a write', true, { cause: error });
    }
  }
}
