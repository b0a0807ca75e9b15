/**
 * The tag generator inside this OSD, for one epoch: a forwarded write gets its tag here, and goes from here to every mirror,
 * this very OSD among them (protocol/forwarding.ts).
 *
 * What it guarantees:
 * - One request is carried out once, and has one answer for as long as it may be repeated (F24).
 * - It answers what each mirror in sync has answered. It never leaves one out: whoever forwards asks the authority (F12).
 * - It gives tokens back once everyone that rows are kept for has the write, and only then (F6, F11).
 * - When it ends, whatever has no answer gets one: unknown. Its tags are never issued again, another epoch begins (F13).
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import { RequestLedger, type RequestNumber } from '../../protocol/forwarding.js';
import { invariant } from '../../protocol/invariant.js';
import type { Epoch } from '../../protocol/tag.js';
import { decideOutcome } from '../../protocol/write-outcome.js';
import {
  type ForwardedContent,
  type ForwardedReply,
  type ForwardedWrite,
  FORWARDED_REQUESTS_MAX,
  type OsdConnection,
  type TransactionContent,
  type WriterOrder,
} from '../../wire/osd-connection.js';
import { forwardedChecksum } from '../../wire/transaction-checksum.js';
import { MirrorWriter, type SentWrite } from '../../writer/mirror-writer.js';
import type { WriteDraft } from '../../writer/write-draft.js';
import type { OsdLogger } from '../osd-logger.js';
import type { OsdTrace } from '../osd-trace.js';

export interface EpochWriterOptions {
  readonly order: WriterOrder;
  /** This OSD's own transactions. */
  readonly self: Pick<OsdConnection, 'transact'>;
  /** Connects to another mirror; closed at the end. */
  readonly connect: (url: string) => OsdConnection;
  readonly logger: OsdLogger;
  readonly trace: OsdTrace | null;
}

export class EpochWriter {
  readonly #options: EpochWriterOptions;
  readonly #writer: MirrorWriter;
  readonly #requests = new RequestLedger<Promise<ForwardedReply>>(FORWARDED_REQUESTS_MAX);
  readonly #unanswered = new Map<SentWrite, (reply: ForwardedReply) => void>();
  readonly #connections: OsdConnection[] = [];
  #order: WriterOrder;

  constructor(options: EpochWriterOptions) {
    const { order, logger } = options;
    this.#options = options;
    this.#order = order;
    const { setId, generator, epoch, inSync } = order;
    this.#writer = new MirrorWriter({
      ...{ setId, generator, logger },
      rowsKeptFor: () => this.#order.rowsKeptFor,
      onAnswer: (write) => {
        this.#review(write);
      },
    });
    this.#writer.begin(
      epoch,
      inSync.map((mirror) => ({ mirror, connection: this.#connectTo(mirror) })),
    );
    this.follow(order);
  }

  get order(): WriterOrder {
    return this.#order;
  }

  get epoch(): Epoch {
    return this.#order.epoch;
  }

  get requestsRemembered(): number {
    return this.#requests.rememberedCount;
  }

  #connectTo(mirror: MirrorId): Pick<OsdConnection, 'transact'> {
    const { self, connect } = this.#options;
    if (mirror === this.#order.self) return self;
    const member = this.#order.members.find((candidate) => candidate.mirror === mirror);
    invariant(member !== undefined, 'an order says where everyone in sync is found', { mirror });
    const connection = connect(member.url);
    this.#connections.push(connection);
    return connection;
  }

  /** Takes over what may change within an epoch: who is being rebuilt, who is given up, whom rows are kept for. */
  follow(order: WriterOrder): void {
    this.#order = order;
    this.#writer.giveUpOn(order.givenUp, 'the authority is about to leave it out');
    const { inSync, members } = order;
    const rebuilt = members.map(({ mirror }) => mirror).filter((mirror) => !inSync.includes(mirror));
    if (this.#writer.rebuilding.some((mirror) => !rebuilt.includes(mirror))) {
      this.#writer.endRebuilding('nobody copies to it any more');
    }
    for (const mirror of rebuilt) {
      if (this.#writer.rebuilding.includes(mirror)) continue;
      this.#writer.letIn({ mirror, connection: this.#connectTo(mirror) });
    }
  }

  /** No request below this one is made again. */
  raiseRequestFloor(floor: RequestNumber): void {
    this.#requests.raiseFloor(floor);
  }

  /** Carries a request out, unless that was done already: then its answer is the one that it had, or will have. */
  write(item: ForwardedWrite): Promise<ForwardedReply> {
    const { request, checksum, contentChecksum, content, traceparent, ...fields } = item;
    const { setId } = this.#order;
    if (forwardedChecksum(setId, { request, ...fields }, contentChecksum) !== checksum) {
      return Promise.resolve({ kind: 'refused', code: 'checksum-mismatch' });
    }
    const verdict = this.#requests.look(request, checksum);
    if (verdict.kind === 'repeat') return verdict.answer;
    if (verdict.kind === 'refuse') {
      if (verdict.code === 'request-conflict') {
        const { objectId } = item;
        this.#options.logger.error(
          { request, objectId },
          'F24: the same request came with different content',
        );
      }
      return Promise.resolve({ kind: 'refused', code: verdict.code });
    }
    const draft = { ...fields, contentChecksum, ...contentsOf(content) };
    const { trace } = this.#options;
    const work =
      trace === null || traceparent === undefined ? null : trace.begin('forwarded write', traceparent);
    const answer = new Promise<ForwardedReply>((resolve) => {
      const send = (): SentWrite => this.#writer.write(draft);
      this.#unanswered.set(work === null ? send() : work.runIn(send), (reply) => {
        work?.end(reply.kind === 'refused' ? reply.code : null);
        resolve(reply);
      });
    });
    this.#requests.remember(request, checksum, answer);
    return answer;
  }

  #review(write: SentWrite): void {
    const outcome = decideOutcome({ answers: write.answers, inSync: this.#order.inSync });
    if (outcome.kind === 'wait') return;
    this.#answer(write);
    // What is undecided here the authority decides, in another epoch: until then no floor passes its tag.
    if (write.isSettled) return;
    if (outcome.kind === 'acknowledge') write.settle({ kind: 'acknowledged' });
    if (outcome.kind === 'refuse') write.settle({ kind: 'refused', code: outcome.code });
  }

  #answer(write: SentWrite): void {
    const { tag } = write;
    invariant(tag !== null, 'a write has its tag where tags are issued');
    const resolve = this.#unanswered.get(write);
    this.#unanswered.delete(write);
    resolve?.({
      kind: 'written',
      tag,
      answers: write.answers.entries().flatMap(([mirror, answer]) => {
        if (answer === null) return [];
        return [{ mirror, answer: answer.kind === 'committed' ? { kind: answer.kind } : answer }];
      }),
    });
  }

  /** Sends all ready tokens, and waits until nothing is on its way. */
  async drain(): Promise<void> {
    await this.#writer.drain();
  }

  /** Issues no tag any more. Whatever has no answer gets one. */
  async end(reason: string): Promise<void> {
    this.#writer.end(reason);
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }
}

/** The content for each mirror, and why one has none. */
function contentsOf(content: ForwardedContent): Pick<WriteDraft, 'contentFor' | 'whyMissing'> {
  if (content.kind !== 'stages') return { contentFor: () => content };
  const { stages, missing } = content;
  return {
    contentFor: (mirror): TransactionContent | null => {
      const stage = stages.find((candidate) => candidate.mirror === mirror);
      return stage === undefined ? null : { kind: 'stage', stageId: stage.stageId };
    },
    whyMissing: (mirror) => missing.find((candidate) => candidate.mirror === mirror)?.code ?? null,
  };
}
