/**
 * The holder of a tag generator, and its way to the mirrors (DESIGN.md sections 3.1 to 3.6): each write gets the next tag
 * and goes to every mirror in sync, and to those that are being rebuilt, at once.
 *
 * Who may write, and in which epoch, is not decided here: the authority's activation is taken over by `begin`. Nor is what
 * the answers amount to. It writes in one epoch at a time; the links of mirrors that stay in sync outlive it, so that
 * their ready tokens are not lost.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { TagGenerator } from '../protocol/generator.js';
import { invariant } from '../protocol/invariant.js';
import type { Epoch, GeneratorId, Tag } from '../protocol/tag.js';
import type { WriteTransaction } from '../protocol/write.js';
import { type MirrorAnswer, readyTokens } from '../protocol/write-outcome.js';
import type { OsdConnection, TransactionItem } from '../wire/osd-connection.js';
import { transactionChecksum } from '../wire/transaction-checksum.js';
import { InFlightWrite } from './in-flight-writes.js';
import { MirrorLink } from './mirror-link.js';
import type { WriteDraft } from './write-draft.js';
import type { WriterLogger } from './writer-logger.js';

/** Writes that wait for a mirror that is being rebuilt; what is beyond it is not sent there, and copied later. */
const REBUILDING_QUEUE_MAX = 512;

/** Someone to write to. */
interface Target {
  readonly mirror: MirrorId;
  readonly connection: Pick<OsdConnection, 'transact'>;
}

export interface WrittenMirror {
  readonly mirror: MirrorId;
  readonly connection: OsdConnection;
}

/** A write whose tag was issued here. */
export type SentWrite = InFlightWrite<MirrorAnswer>;

export interface MirrorWriterOptions {
  readonly setId: string;
  readonly generator: GeneratorId;
  readonly logger: WriterLogger;
  /** A write's tokens are ready once all of these have it. */
  readonly rowsKeptFor: () => readonly MirrorId[];
  /** A mirror has answered. Called once for each that the write was sent to, never before `write` has returned. */
  readonly onAnswer: (write: SentWrite) => void;
}

/** What goes to the mirrors for one write: the same item to all that are given the same content, so that it is encoded once. */
class ItemsOfWrite {
  readonly #draft: WriteDraft;
  readonly #transaction: WriteTransaction;
  #latest: TransactionItem | null = null;

  constructor(draft: WriteDraft, transaction: WriteTransaction) {
    this.#draft = draft;
    this.#transaction = transaction;
  }

  /** Null: that mirror was never given the content. */
  itemFor(mirror: MirrorId): TransactionItem | null {
    const content = this.#draft.contentFor(mirror);
    if (content === null) return null;
    if (this.#latest?.content !== content) {
      const { contentChecksum } = this.#draft;
      this.#latest = { transaction: this.#transaction, content, contentChecksum, encoded: null };
    }
    return this.#latest;
  }

  whyMissing(mirror: MirrorId): string {
    return this.#draft.whyMissing?.(mirror) ?? 'content-not-there';
  }
}

export class MirrorWriter {
  readonly #options: MirrorWriterOptions;
  /** Of the epoch that it writes in, or wrote in last. */
  #generator: TagGenerator | null = null;
  #isWriting = false;
  #links: ReadonlyMap<MirrorId, MirrorLink> = new Map();
  readonly #rebuilding = new Map<MirrorId, MirrorLink>();
  /** Whom a write goes to now: the mirrors of both. */
  #mirrors: readonly MirrorId[] = [];

  constructor(options: MirrorWriterOptions) {
    this.#options = options;
  }

  /** The epoch that it writes in; null: nobody let it. */
  get epoch(): Epoch | null {
    return this.#isWriting ? (this.#generator?.epoch ?? null) : null;
  }

  /** The lowest tag in flight; null while it does not write. */
  get floor(): Tag | null {
    return this.#isWriting ? (this.#generator?.floor() ?? null) : null;
  }

  /** The mirrors that take the writes of this epoch without being in sync. */
  get rebuilding(): readonly MirrorId[] {
    return [...this.#rebuilding.keys()];
  }

  /** Writes in this epoch from now on, to these mirrors in sync. Precondition: no write waits for an answer of one that stays. */
  begin(epoch: Epoch, inSync: readonly Target[]): void {
    invariant(this.#rebuilding.size === 0, 'nobody is rebuilt when an epoch begins', { epoch });
    const before = this.#links;
    this.#generator = new TagGenerator(this.#options.generator, epoch);
    this.#links = new Map(
      inSync.map(({ mirror, connection }) => [
        mirror,
        before.get(mirror) ?? this.#makeLink(mirror, connection),
      ]),
    );
    this.#noteMirrors();
    this.#isWriting = true;
  }

  #noteMirrors(): void {
    this.#mirrors = [...this.#links.keys(), ...this.#rebuilding.keys()];
  }

  #makeLink(mirror: MirrorId, connection: Target['connection']): MirrorLink {
    const generator = (): TagGenerator => {
      invariant(this.#generator !== null, 'a link is made in an epoch', { mirror });
      return this.#generator;
    };
    const { setId, logger } = this.#options;
    return new MirrorLink(mirror, connection, {
      ...{ setId, logger },
      epoch: () => generator().epoch,
      floor: () => generator().floor(),
    });
  }

  /** Issues the tag and sends the write to everyone. Precondition: it writes. */
  write(draft: WriteDraft): SentWrite {
    const generator = this.#generator;
    invariant(this.#isWriting && generator !== null, 'I6: only the writer of an active epoch issues tags');
    const tag = generator.issue();
    const { objectId, kind } = draft;
    const isRemoval = kind === 'remove';
    const begun = { tag, issuedAfter: null, objectId, isRemoval };
    const write: SentWrite = new InFlightWrite(begun, this.#mirrors);
    const transaction = this.#makeTransaction(draft, tag, generator.epoch);
    const items = new ItemsOfWrite(draft, transaction);
    for (const link of this.#links.values()) this.#send(write, link, items);
    for (const link of this.#rebuilding.values()) this.#sendAlong(write, link, items);
    // A tag is in flight until no request of it is on its way, to a mirror that nobody waits for either.
    write.whenOver(() => generator.settle(tag));
    return write;
  }

  #makeTransaction(draft: WriteDraft, tag: Tag, epoch: Epoch): WriteTransaction {
    const { setId } = this.#options;
    const { objectId, kind, previousTag, offset, length, mode, attributes, contentChecksum } = draft;
    // One object, since every write has it until it is answered: the checksum is over all the others.
    const transaction = {
      setId,
      epoch,
      tag,
      objectId,
      kind,
      previousTag,
      offset,
      length,
      mode,
      attributes,
      checksum: 0,
    };
    transaction.checksum = transactionChecksum(transaction, contentChecksum);
    return transaction;
  }

  /** To a mirror that is being rebuilt: never more than it takes. */
  #sendAlong(write: SentWrite, link: MirrorLink, items: ItemsOfWrite): void {
    if (link.queuedCount < REBUILDING_QUEUE_MAX) this.#send(write, link, items);
    else write.record(link.mirror, { kind: 'refused', code: 'too-far-behind' });
  }

  #send(write: SentWrite, link: MirrorLink, items: ItemsOfWrite): void {
    const { mirror } = link;
    const take = (answer: MirrorAnswer): void => {
      write.record(mirror, answer);
      this.#giveTokensBack(write);
      this.#options.onAnswer(write);
    };
    const item = items.itemFor(mirror);
    if (item !== null) {
      link.send(item, take);
      return;
    }
    const code = items.whyMissing(mirror);
    // Like any other answer, not before `write` has returned.
    queueMicrotask(() => {
      take({ kind: 'refused', code });
    });
  }

  /**
   * Gives its tokens back to those that issued them, once every mirror that rows are kept for has it. Those of a mirror that
   * is written to no more are forgotten.
   */
  #giveTokensBack(write: SentWrite): void {
    // Before everyone has answered there are none, and afterwards they are given back once.
    if (!write.isAnswered) return;
    const { answers } = write;
    for (const token of readyTokens({ answers, inSync: [], configured: this.#options.rowsKeptFor() })) {
      (this.#links.get(token.mirror) ?? this.#rebuilding.get(token.mirror))?.offerToken(token);
    }
  }

  /** Waits for these mirrors no more: what they have not answered has its answer now, and is unknown when it was sent. */
  giveUpOn(mirrors: readonly MirrorId[], reason: string): void {
    for (const mirror of mirrors) this.#links.get(mirror)?.cut(reason);
  }

  /** Sends the writes of this epoch to one more mirror, which nobody waits for. */
  letIn({ mirror, connection }: Target): void {
    invariant(!this.#links.has(mirror), 'a mirror in sync is not rebuilt', { mirror });
    this.#rebuilding.set(mirror, this.#makeLink(mirror, connection));
    this.#noteMirrors();
  }

  /** What is rebuilt is rebuilt in one epoch; in the next it is let in again. */
  endRebuilding(reason: string): void {
    for (const link of this.#rebuilding.values()) link.cut(reason);
    this.#rebuilding.clear();
    this.#noteMirrors();
  }

  /** Sends all ready tokens, and waits until nothing is on its way. */
  async drain(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.drain()));
  }

  /** Writes no more. Whatever has no answer yet gets one now. */
  end(reason: string): void {
    this.#isWriting = false;
    this.endRebuilding(reason);
    this.giveUpOn([...this.#links.keys()], reason);
    this.#links = new Map();
    this.#noteMirrors();
  }
}
