/**
 * One writer of a mirror set: the writes that it has in flight, and when nobody may write or read through it.
 *
 * It decides about its own writes alone. Who is in sync, and which epoch it is, the mirror set tells it (mirror-set.ts), which
 * takes it through every change of epoch:
 *
 *   halt         no new write; every write in flight gets its answers, those that leave give theirs at once
 *   takeState    what the authority has on disk now
 *   beginEpoch   tags of the new epoch; writes that wait are looked at again
 *   open         requests are let in
 *
 * Guarantees, with the rule that each comes from:
 * - A write is acknowledged when every mirror in sync has it (I2). Before an answer is given without a mirror, the
 *   authority has the exclusion on disk (section 3.5, F12).
 * - The epoch changes only while no write waits for an answer of a mirror that stays, so a floor is never too high.
 * - Nothing is written between the fence and the activation (I6): the gate is shut.
 */
import type { AuthorityState, MirrorId } from '../protocol/authority-state.js';
import { rowsKeptFor } from '../protocol/forgone-rows.js';
import { invariant, unreachable } from '../protocol/invariant.js';
import type { Soon } from '../protocol/soon.js';
import type { Epoch, GeneratorId, Tag } from '../protocol/tag.js';
import { decideOutcome } from '../protocol/write-outcome.js';
import type { OsdConnection } from '../wire/osd-connection.js';
import type { DirectedWriter } from './directed-writer.js';
import { Gate } from './gate.js';
import { type Confirmation, ReadLease } from './read-lease.js';
import { ForwardedWriter } from './forwarding/forwarded-writer.js';
import { type InFlightWrite, InFlightWrites, type SettledWrite } from '../writer/in-flight-writes.js';
import type { Logger } from './logger.js';
import { MirrorWriter, type WrittenMirror } from '../writer/mirror-writer.js';
import type { WriteDraft } from '../writer/write-draft.js';
import type { WritePath } from './write-path.js';

/** Why a writer asks for a recovery; the recovery runner listens. */
export type RecoveryCause = 'undecided-write' | 'mirror-lost' | 'writer-lost';

export interface SetWriterOptions {
  readonly setId: string;
  readonly members: readonly WrittenMirror[];
  readonly generator: GeneratorId;
  readonly logger: Logger;
  /** How long a request waits for the set to become active before it is turned away. */
  readonly gateWaitMs: number;
  /** How long reads are answered after the mirrors in sync said that they may be (protocol/read-lease.ts). */
  readonly readLeaseMs: number;
}

export class SetWriter implements DirectedWriter {
  readonly setId: string;
  readonly members: readonly WrittenMirror[];
  /** What every write passes. */
  readonly gate = new Gate();
  readonly inFlight = new InFlightWrites();
  /** What every read passes: open with the other one, and in a recovery that has one source only. */
  readonly #readGate = new Gate();
  readonly #readLease: ReadLease;
  readonly #options: SetWriterOptions;
  readonly #direct: MirrorWriter;
  readonly #forwarded: ForwardedWriter;
  /** Of the epoch that is written in, or was written in last. */
  #path: WritePath;
  /** Who serves reads while the read gate is open. */
  #readable: readonly MirrorId[] = [];
  #state: AuthorityState;
  #rowsKeptFor: readonly MirrorId[];
  #isStopping = false;
  /** Called when only a recovery can go on. Set once, before the first write. */
  onRecoveryNeeded: (cause: RecoveryCause, reason: string) => void = () => undefined;
  /** Called when a write can be acknowledged only without these. Set once, before the first write. */
  onExclusionNeeded: (mirrors: readonly MirrorId[], reason: string) => void = () => undefined;

  constructor(options: SetWriterOptions, state: AuthorityState) {
    this.#options = options;
    this.#state = state;
    this.#rowsKeptFor = rowsKeptFor(state);
    this.setId = options.setId;
    this.members = options.members;
    this.#readLease = new ReadLease(options.readLeaseMs);
    this.#readLease.follow(state);
    const { setId, generator, logger } = options;
    const onAnswer = (write: InFlightWrite): void => {
      this.#review(write);
    };
    this.#direct = new MirrorWriter({
      ...{ setId, generator, logger, onAnswer },
      rowsKeptFor: () => this.#rowsKeptFor,
    });
    this.#forwarded = new ForwardedWriter({
      ...{ setId, generator, logger, onAnswer },
      connectionOf: (mirror) => this.connectionOf(mirror),
    });
    this.#path = this.#direct;
  }

  get generator(): GeneratorId {
    return this.#options.generator;
  }

  get state(): AuthorityState {
    return this.#state;
  }

  get epoch(): Epoch {
    return this.#state.epoch;
  }

  /** The mirrors that have every acknowledged write, as the authority has it on disk. */
  get inSync(): readonly MirrorId[] {
    return this.#state.inSync;
  }

  get inFlightCount(): number {
    return this.inFlight.count;
  }

  /** Every write of this writer below it has an outcome, and no request of it is on its way. Null while nobody may write. */
  async floorNow(): Promise<Tag | null> {
    return this.gate.isOpen ? this.decidedFloor : null;
  }

  /** Every write of this writer below it has an outcome. Null: nothing is known of its writes. */
  get decidedFloor(): Tag | null {
    const { floor } = this.#path;
    // A write of an earlier epoch may wait for yet another exclusion.
    const lowest = this.inFlight.lowestOpen();
    return floor !== null && lowest !== null && lowest < floor ? lowest : floor;
  }

  /** The mirrors that take the writes of this epoch without being in sync. */
  get rebuilding(): readonly MirrorId[] {
    return this.#path.rebuilding;
  }

  /** True between the begin of an epoch and the end of it. */
  get isActive(): boolean {
    return this.#path.epoch !== null;
  }

  /** The mirrors that may serve a read now. */
  get readable(): readonly MirrorId[] {
    return this.#readable;
  }

  connectionOf(mirror: MirrorId): OsdConnection {
    const member = this.members.find((candidate) => candidate.mirror === mirror);
    invariant(member !== undefined, 'a mirror in use is configured', { mirror });
    return member.connection;
  }

  /** Waits until writes are let in. Rejects with `unavailable`. */
  async pass(): Promise<void> {
    if (!this.gate.isOpen) await this.gate.pass(this.#options.gateWaitMs);
  }

  #letsReadsIn(): boolean {
    return this.#readGate.isOpen && this.#readLease.isValid;
  }

  /** Waits until reads are let in. Rejects with `unavailable`. */
  passToRead(): Soon<void> {
    return this.#letsReadsIn() ? undefined : this.#waitToRead();
  }

  async #waitToRead(): Promise<void> {
    const deadlineMs = performance.now() + this.#options.gateWaitMs;
    while (!this.#letsReadsIn()) {
      await this.#readGate.pass(deadlineMs - performance.now());
      if (!this.#readLease.isValid) await this.#readLease.pass(deadlineMs - performance.now());
    }
  }

  /**
   * Sends one write to every mirror in sync and resolves with its outcome. The gate must be open at the call: nothing is awaited
   * before the tag is issued, or the write is on its way to the OSD that issues it.
   */
  write(draft: WriteDraft): Promise<SettledWrite> {
    invariant(this.gate.isOpen, 'I6: a write passes an open gate');
    const write = this.#path.write(draft);
    this.inFlight.add(write);
    return write.outcome.then((outcome) => {
      this.inFlight.finish(write, outcome);
      const { tag, issuedAfter, hasNotBegun } = write;
      return { outcome, tag, issuedAfter, hasNotBegun };
    });
  }

  /** Looks at a write again after an answer, or after the in-sync set changed. */
  #review(write: InFlightWrite): void {
    if (write.isSettled) return;
    const outcome = decideOutcome({ answers: write.answers, inSync: this.inSync });
    switch (outcome.kind) {
      case 'wait':
        return;
      case 'acknowledge':
        write.settle({ kind: 'acknowledged' });
        return;
      case 'refuse':
        write.settle({ kind: 'refused', code: outcome.code });
        return;
      case 'unknown': {
        const reason = describeFailures(write, this.inSync);
        write.settle({ kind: 'undecided' });
        this.close(reason);
        this.onRecoveryNeeded('undecided-write', reason);
        return;
      }
      case 'exclude':
        this.onExclusionNeeded(outcome.mirrors, describeFailures(write, outcome.mirrors));
        return;
      default:
        unreachable(outcome);
    }
  }

  /** Lets no request in until the gates are opened again. */
  close(reason: string): void {
    this.gate.close(reason);
    this.#readGate.close(reason);
    this.#readable = [];
  }

  /** Lets requests in. `decidesAll`: a recovery is over, so every write of an earlier epoch is on all mirrors in sync or on none. */
  async open(decidesAll: boolean): Promise<void> {
    if (decidesAll) this.inFlight.decideAll();
    this.#readable = this.inSync;
    if (this.#isStopping) return;
    this.gate.open();
    this.#readGate.open();
  }

  /** Lets reads in at the only source of a recovery: its state is what the others will be made equal to. */
  openReads(source: MirrorId): void {
    this.#readable = [source];
    if (!this.#isStopping) this.#readGate.open();
  }

  /** A mirror in sync has said that the epoch goes on: reads are let in for another while. */
  confirm(confirmation: Confirmation): void {
    this.#readLease.confirm(confirmation);
  }

  /** Lets no request in any more, for good. */
  shut(reason: string): void {
    this.#isStopping = true;
    this.gate.shut(reason);
    this.#readGate.shut(reason);
    this.#readLease.shut(reason);
  }

  /**
   * Stops new writes, gives up on the mirrors that leave, and waits until every write in flight has all its answers. What is
   * rebuilt is rebuilt in one epoch, so that ends too.
   */
  async halt(reason: string, leaving: readonly MirrorId[]): Promise<void> {
    this.close(reason);
    this.#path.giveUpOn(leaving, reason);
    this.#path.endRebuilding(reason);
    await this.inFlight.allAnswered();
  }

  /** What the authority has on disk. */
  async takeState(state: AuthorityState): Promise<void> {
    this.#state = state;
    this.#rowsKeptFor = rowsKeptFor(state);
    this.#readLease.follow(state);
    this.#forwarded.follow(state);
  }

  /**
   * Tags of the epoch that begins. Writes that wait may be decided now. Rejects when the OSD that is to issue the tags does not
   * take the order. Precondition: halted.
   */
  async beginEpoch(): Promise<void> {
    await this.#begin();
    this.review();
  }

  async #begin(): Promise<void> {
    const reason = `epoch ${this.epoch} begins`;
    if (this.#state.writer === undefined) {
      this.#forwarded.end(reason);
      this.#path = this.#direct;
      this.#direct.begin(
        this.epoch,
        this.inSync.map((mirror) => ({ mirror, connection: this.connectionOf(mirror) })),
      );
    } else {
      this.#direct.end(reason);
      this.#path = this.#forwarded;
      await this.#forwarded.begin(this.#state);
    }
  }

  /** Ends the epoch for good: what has no outcome yet the recovery decides. Precondition: halted. */
  async endEpoch(reason: string): Promise<void> {
    for (const write of this.inFlight.all()) if (!write.isSettled) write.settle({ kind: 'undecided' });
    this.#path.end(reason);
  }

  /** Looks at every write in flight again. */
  review(): void {
    for (const write of this.inFlight.all()) this.#review(write);
  }

  /** From now on this mirror gets the writes of this epoch, if it lasts, without being waited for. */
  async addRebuilding(mirror: MirrorId, epoch: Epoch): Promise<void> {
    if (this.#path.epoch === epoch) await this.#path.letIn({ mirror, connection: this.connectionOf(mirror) });
  }

  /** Mirrors that are being rebuilt get no writes any more, until they are let in again. */
  endRebuilding(reason: string): void {
    this.#path.endRebuilding(reason);
  }

  /** Sends the ready tokens that are left, and waits until nothing is on its way. Precondition: halted. */
  async drain(): Promise<void> {
    await this.#path.drain();
  }
}

const FAILURE_WORDS: Readonly<Record<string, string>> = {
  'osd-unreachable': 'does not answer',
  'no-space': 'has no space left',
  'not-active': 'was restarted',
  'content-not-there': 'missed an upload that began without it',
  'too-far-behind': 'is too far behind',
  'self-doubt': 'says of itself that it is incomplete',
};

/** For operators: what is wrong with each of these mirrors. */
function describeFailures(write: InFlightWrite, mirrors: readonly MirrorId[]): string {
  const parts = mirrors.map((mirror) => {
    const answer = write.answers.get(mirror) ?? null;
    if (answer === null || answer.kind === 'unknown') return `${mirror} broke off in the middle of a write`;
    if (answer.kind === 'committed') return `${mirror} has the write`;
    return `${mirror} ${FAILURE_WORDS[answer.code] ?? `refused a write (${answer.code})`}`;
  });
  return parts.join(', ');
}
