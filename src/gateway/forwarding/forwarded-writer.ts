/**
 * Writes through an OSD that holds the tag generator (protocol/forwarding.ts): one request for each write, whatever the number
 * of mirrors.
 *
 * What it knows of tags is what the writer has answered. What the mirrors answered it passes on as it is; when the writer does
 * not answer, every mirror is unknown, and a recovery decides.
 */
import type { AuthorityState, MirrorId } from '../../protocol/authority-state.js';
import { rowsKeptFor } from '../../protocol/forgone-rows.js';
import { tagBeforeEpoch } from '../../protocol/forwarding.js';
import { invariant } from '../../protocol/invariant.js';
import { type Epoch, type GeneratorId, isLater, makeTag, type Tag, tagCounter } from '../../protocol/tag.js';
import type {
  ForwardedContent,
  ForwardedWrite,
  OsdConnection,
  WriterOrder,
} from '../../wire/osd-connection.js';
import { forwardedChecksum } from '../../wire/transaction-checksum.js';
import { InFlightWrite } from '../../writer/in-flight-writes.js';
import type { WrittenMirror } from '../../writer/mirror-writer.js';
import type { WriteDraft } from '../../writer/write-draft.js';
import type { Logger } from '../logger.js';
import type { WritePath } from '../write-path.js';
import { ForwardLink, type ForwardOutcome } from './forward-link.js';

export interface ForwardedWriterOptions {
  readonly setId: string;
  readonly generator: GeneratorId;
  readonly connectionOf: (mirror: MirrorId) => OsdConnection;
  readonly logger: Logger;
  /** A write has its answers. Called once, never before `write` has returned. */
  readonly onAnswer: (write: InFlightWrite) => void;
}

/** One epoch of it. */
interface Appointment {
  readonly order: WriterOrder;
  readonly connection: OsdConnection;
  readonly link: ForwardLink;
  /** Settles when the writer knows of the order, or is lost. */
  readonly told: Promise<void>;
}

export class ForwardedWriter implements WritePath {
  readonly #options: ForwardedWriterOptions;
  #appointment: Appointment | null = null;
  /** The highest tag that the writer has told of. */
  #latestTag: Tag | null = null;

  constructor(options: ForwardedWriterOptions) {
    this.#options = options;
  }

  get epoch(): Epoch | null {
    return this.#appointment?.order.epoch ?? null;
  }

  /** Every tag below it was issued for a write that has its answers, or for one that is open and known by a lower one. */
  get floor(): Tag | null {
    const tag = this.#latestTag;
    const { epoch } = this;
    if (tag === null || epoch === null) return null;
    return makeTag({ epoch, counter: tagCounter(tag) + 1, generator: this.#options.generator });
  }

  get rebuilding(): readonly MirrorId[] {
    const order = this.#appointment?.order;
    if (order === undefined) return [];
    return order.members.map(({ mirror }) => mirror).filter((mirror) => !order.inSync.includes(mirror));
  }

  /** Appoints the writer that the state names. Rejects when it does not take the order. Precondition: nothing is in flight. */
  async begin(state: AuthorityState): Promise<void> {
    const { setId, generator, connectionOf } = this.#options;
    const { epoch, inSync, writer: self } = state;
    invariant(state.phase === 'active' && self !== undefined, 'I6: an active epoch names its writer', {
      epoch,
    });
    const members = inSync.map((mirror) => ({ mirror, url: connectionOf(mirror).url }));
    const scope = { setId, epoch, generator };
    const order = {
      ...scope,
      revision: 1,
      self,
      inSync,
      members,
      rowsKeptFor: rowsKeptFor(state),
      givenUp: [],
    };
    this.end('another epoch begins');
    const connection = connectionOf(self);
    await connection.appointWriter(order);
    this.#latestTag = tagBeforeEpoch(epoch, generator);
    this.#appointment = {
      order,
      connection,
      link: new ForwardLink(connection, scope),
      told: Promise.resolve(),
    };
  }

  write(draft: WriteDraft): InFlightWrite {
    const appointment = this.#appointment;
    invariant(appointment !== null, 'I6: writes are forwarded to the writer of an active epoch');
    const { objectId, kind } = draft;
    const { order, link } = appointment;
    const write = new InFlightWrite(
      { tag: null, issuedAfter: this.#latestTag, objectId, isRemoval: kind === 'remove' },
      order.inSync,
    );
    void link
      .submit((request) => this.#makeRequest(draft, request))
      .then((outcome) => {
        this.#take(write, outcome);
        this.#options.onAnswer(write);
      });
    return write;
  }

  #makeRequest(draft: WriteDraft, request: number): ForwardedWrite {
    const { objectId, kind, previousTag, offset, length, mode, attributes, contentChecksum } = draft;
    const fields = { request, objectId, kind, previousTag, offset, length, mode, attributes };
    const members = this.#appointment?.order.members ?? [];
    return {
      ...fields,
      content: contentOf(
        draft,
        members.map(({ mirror }) => mirror),
      ),
      contentChecksum,
      checksum: forwardedChecksum(this.#options.setId, fields, contentChecksum),
    };
  }

  #take(write: InFlightWrite, outcome: ForwardOutcome): void {
    if (outcome.kind === 'written' && isLater(outcome.tag, write.issuedAfter)) {
      write.learnTag(outcome.tag);
      if (isLater(outcome.tag, this.#latestTag)) this.#latestTag = outcome.tag;
      for (const [mirror, answer] of new Map(outcome.answers.map((said) => [said.mirror, said.answer]))) {
        write.record(mirror, answer);
      }
    }
    if (outcome.kind === 'lost' && !outcome.mayHaveBegun) write.hasNotBegun = true;
    const reason =
      outcome.kind === 'lost' ? `the writer is lost: ${outcome.reason}` : 'the writer did not say';
    for (const [mirror, answer] of write.answers.entries()) {
      if (answer === null) write.record(mirror, { kind: 'unknown', reason });
    }
  }

  giveUpOn(mirrors: readonly MirrorId[], reason: string): void {
    const appointment = this.#appointment;
    if (appointment === null || mirrors.length === 0) return;
    // The answers of the others are with the writer: without it nobody has any.
    if (mirrors.includes(appointment.order.self)) appointment.link.cut(reason);
    else void this.#tell({ givenUp: [...appointment.order.givenUp, ...mirrors] });
  }

  async letIn({ mirror, connection }: WrittenMirror): Promise<void> {
    const members = this.#appointment?.order.members ?? [];
    await this.#tell({ members: [...members, { mirror, url: connection.url }] });
  }

  endRebuilding(): void {
    const order = this.#appointment?.order;
    if (order === undefined || this.rebuilding.length === 0) return;
    void this.#tell({ members: order.members.filter(({ mirror }) => order.inSync.includes(mirror)) });
  }

  /** The authority's state has changed within the epoch. */
  follow(state: AuthorityState): void {
    const order = this.#appointment?.order;
    const kept = rowsKeptFor(state);
    if (order?.epoch === state.epoch && kept.join() !== order.rowsKeptFor.join()) {
      void this.#tell({ rowsKeptFor: kept });
    }
  }

  /** Tells the writer what has changed. One that does not hear it is lost. Never rejects. */
  async #tell(change: Partial<WriterOrder>): Promise<void> {
    const appointment = this.#appointment;
    if (appointment === null) return;
    const { connection, link } = appointment;
    const order = { ...appointment.order, ...change, revision: appointment.order.revision + 1 };
    const told = appointment.told.then(async () => {
      if (!this.#isCurrent(link)) return;
      try {
        await connection.appointWriter(order);
      } catch (error) {
        if (!this.#isCurrent(link)) return;
        this.#options.logger.warn({ writer: order.self, err: error }, 'the writer does not take an order');
        link.cut(error instanceof Error ? error.message : String(error));
      }
    });
    this.#appointment = { order, connection, link, told };
    await told;
  }

  /** False: another epoch has begun. */
  #isCurrent(link: ForwardLink): boolean {
    return this.#appointment?.link === link;
  }

  async drain(): Promise<void> {
    const appointment = this.#appointment;
    if (appointment === null) return;
    const { order, connection, told } = appointment;
    await told;
    try {
      await connection.dismissWriter(order.epoch, order.generator);
    } catch (error) {
      // The rows stay for the next reconciliation.
      this.#options.logger.warn({ writer: order.self, err: error }, 'the writer was not dismissed');
    }
  }

  end(reason: string): void {
    this.#appointment?.link.cut(reason);
    this.#appointment = null;
  }
}

/** The content as the writer is told of it: the same for every mirror, or where it is staged. */
function contentOf(draft: WriteDraft, mirrors: readonly MirrorId[]): ForwardedContent {
  const stages: { mirror: MirrorId; stageId: string }[] = [];
  const missing: { mirror: MirrorId; code: string }[] = [];
  for (const mirror of mirrors) {
    const content = draft.contentFor(mirror);
    if (content === null) missing.push({ mirror, code: draft.whyMissing?.(mirror) ?? 'content-not-there' });
    else if (content.kind === 'stage') stages.push({ mirror, stageId: content.stageId });
    else return content;
  }
  return { kind: 'stages', stages, missing };
}
