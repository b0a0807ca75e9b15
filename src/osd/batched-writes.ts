/** The writes of one request, as a batch for the store: each is a transaction of its own, and has a reply of its own. */
import type { Tag } from '../protocol/tag.js';
import type { WriteTransaction } from '../protocol/write.js';
import { type ObjectStore, StoreError, type WriteOutcome, type WriteRequest } from '../store/object-store.js';
import type { TransactionItem, TransactionReply } from '../wire/osd-connection.js';
import { transactionChecksum } from '../wire/transaction-checksum.js';
import type { OsdLogger } from './osd-logger.js';
import type { StageRegistry } from './stage-registry.js';

type Failure = 'checksum-mismatch' | 'overloaded' | 'no-space' | 'io-error';

export interface BatchedWritesOptions {
  readonly store: ObjectStore;
  readonly stages: StageRegistry;
  readonly logger: OsdLogger;
}

export class BatchedWrites {
  readonly #options: BatchedWritesOptions;

  constructor(options: BatchedWritesOptions) {
    this.#options = options;
  }

  /** One reply for each, in order. Rejects with our bugs only; every reply counts, and every stage is settled, also then. */
  async perform(items: readonly TransactionItem[], floor: Tag): Promise<readonly TransactionReply[]> {
    const requests: WriteRequest[] = [];
    for (const { transaction, content, contentChecksum } of items) {
      if (transactionChecksum(transaction, contentChecksum) !== transaction.checksum) continue;
      if (content.kind === 'stage') this.#options.stages.claim(content.stageId);
      requests.push({ transaction, content, contentChecksum, floor });
    }
    const outcomes = await this.#options.store.writeMany(requests);
    const replies = outcomes.map((outcome, index) => this.#replyOf(requests[index]?.transaction, outcome));
    for (let index = 0; index < requests.length; index += 1) {
      const content = requests[index]?.content;
      if (content?.kind === 'stage') await this.#settleStage(content.stageId, replies[index]);
    }
    for (const outcome of outcomes) if (isBug(outcome)) throw outcome.failure;
    return requests.length === items.length ? replies : withMismatches(items, requests, replies);
  }

  #replyOf(transaction: WriteTransaction | undefined, outcome: WriteOutcome): TransactionReply {
    if (outcome.kind === 'failed') return refused(this.#failureOf(outcome.failure));
    if (outcome.kind === 'refused' && outcome.code === 'tag-conflict') {
      const { tag, objectId } = transaction ?? {};
      this.#options.logger.error({ tag, objectId }, 'F24: the same tag came with different content');
    }
    return outcome;
  }

  #failureOf(failure: Error): Failure {
    if (failure instanceof StoreError && (failure.code === 'overloaded' || failure.code === 'no-space'))
      return failure.code;
    this.#options.logger.error({ err: failure }, 'the store failed under a write');
    return 'io-error';
  }

  async #settleStage(stageId: string, reply: TransactionReply | undefined): Promise<void> {
    const { stages } = this.#options;
    if (reply?.kind === 'committed' && reply.isDuplicate) await stages.discardQuietly(stageId);
    else if (reply?.kind !== 'refused' || reply.code !== 'unknown-stage')
      stages.settle(stageId, reply?.kind === 'committed');
  }
}

/** What did not go to the store came with a wrong checksum. */
function withMismatches(
  items: readonly TransactionItem[],
  requests: readonly WriteRequest[],
  replies: readonly TransactionReply[],
): readonly TransactionReply[] {
  const byTransaction = new Map(requests.map(({ transaction }, index) => [transaction, replies[index]]));
  return items.map(({ transaction }) => byTransaction.get(transaction) ?? refused('checksum-mismatch'));
}

function isBug(outcome: WriteOutcome): outcome is Extract<WriteOutcome, { kind: 'failed' }> {
  return outcome.kind === 'failed' && !(outcome.failure instanceof StoreError);
}

function refused(code: Failure): TransactionReply {
  return { kind: 'refused', code, lastTag: null };
}
