/**
 * One mirror set as its only writer runs it: who is in sync, which writes are in flight, when nobody may write.
 *
 * Guarantees, with the rule that each comes from:
 * - A write is acknowledged when every mirror in sync has it (I2). Before an answer is given without a mirror, the
 *   authority has the exclusion on disk (section 3.5, F12).
 * - The epoch changes only while no write waits for an answer of a mirror that stays, so a floor is never too high.
 * - Nothing is written between the fence and the activation (I6): the gate is shut.
 * - Transitions (exclusion, recovery) run one at a time.
 */
import {
  admitMirrors,
  type AuthorityState,
  beginRecovery,
  excludeMirrors,
  type MirrorId,
  newAuthorityState,
  recordCleanStop,
} from '../protocol/authority-state.js';
import { fullCopyReason, type MirrorReport } from '../protocol/recovery-plan.js';
import { rowsKeptFor } from '../protocol/forgone-rows.js';
import { invariant, unreachable } from '../protocol/invariant.js';
import type { Epoch, GeneratorId, Tag } from '../protocol/tag.js';
import { decideOutcome, readyTokens } from '../protocol/write-outcome.js';
import type { OsdConnection } from '../wire/osd-connection.js';
import type { AuthorityStorage } from './authority-storage.js';
import { Gate } from './gate.js';
import { type InFlightWrite, InFlightWrites, type SettledOutcome } from '../writer/in-flight-writes.js';
import type { Logger } from './logger.js';
import { MirrorWriter } from '../writer/mirror-writer.js';
import { toReport } from './mirror-report.js';
import { ObjectStorageError } from './object-storage.js';
import type { WriteDraft } from '../writer/write-draft.js';

export interface MirrorSetMember {
  readonly mirror: MirrorId;
  readonly connection: OsdConnection;
}

export interface MirrorSetOptions {
  readonly setId: string;
  readonly members: readonly MirrorSetMember[];
  readonly generator: GeneratorId;
  readonly authority: AuthorityStorage;
  readonly logger: Logger;
  /** How long a request waits for the set to become active before it is turned away. */
  readonly gateWaitMs: number;
}

/** Why the set asks for a recovery; the recovery runner listens. */
export type RecoveryCause = 'undecided-write' | 'mirror-lost';

/** How long the gate may stay closed for a mirror that wants to be let in. */
const ADMISSION_ANSWER_MS = 1000;

export interface Admission {
  readonly epoch: Epoch;
  /** Who takes writes now without being in sync. */
  readonly reports: readonly MirrorReport[];
}

export class MirrorSet {
  readonly setId: string;
  readonly members: readonly MirrorSetMember[];
  /** What every write passes. */
  readonly gate = new Gate();
  /** What every read passes: open with the other one, and in a recovery that has one source only. */
  readonly #readGate = new Gate();
  /** Who serves reads while the read gate is open. */
  #readable: readonly MirrorId[] = [];
  readonly inFlight = new InFlightWrites();
  readonly #options: MirrorSetOptions;
  #state: AuthorityState;
  readonly #writer: MirrorWriter;
  #transitions: Promise<unknown> = Promise.resolve();
  #transitionsQueued = 0;
  /** Set until the recovery that was asked for is over: nobody else opens the gate meanwhile. */
  #isRecoveryNeeded = false;
  #isStopping = false;
  /** Called when only a recovery can go on. Set once, before the first write. */
  onRecoveryNeeded: (cause: RecoveryCause, reason: string) => void = () => undefined;
  /** Called after mirrors were left out. */
  onExcluded: (mirrors: readonly MirrorId[], reasons: readonly string[]) => void = () => undefined;

  private constructor(options: MirrorSetOptions, state: AuthorityState) {
    this.#options = options;
    this.#state = state;
    this.setId = options.setId;
    this.members = options.members;
    const { setId, generator, logger } = options;
    this.#writer = new MirrorWriter({
      ...{ setId, generator, logger },
      onAnswer: (write) => {
        this.#review(write);
      },
    });
  }

  /** Loads the authority's state, or makes the first one. Throws when it belongs to another set or other mirrors. */
  static async load(options: MirrorSetOptions): Promise<MirrorSet> {
    const mirrors = options.members.map((member) => member.mirror);
    const state = (await options.authority.load()) ?? newAuthorityState(options.setId, mirrors);
    const known = state.members.map((member) => member.mirror);
    if (state.setId !== options.setId || known.join() !== mirrors.join()) {
      throw new Error(
        `the authority's state is of set ${state.setId} with mirrors ${known.join(', ')}, not of set ${options.setId} with ${mirrors.join(', ')}`,
      );
    }
    return new MirrorSet(options, state);
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

  /** The lowest tag in flight; null while nobody may write. Every write below it is settled. */
  get floor(): Tag | null {
    return this.gate.isOpen ? this.#writer.floor : null;
  }

  /** The mirrors that take the writes of this epoch without being in sync. */
  get rebuilding(): readonly MirrorId[] {
    return this.#writer.rebuilding;
  }

  /** True when nobody may write before a recovery. */
  get needsRecovery(): boolean {
    return this.#isRecoveryNeeded || this.#writer.epoch === null;
  }

  get isInTransition(): boolean {
    return this.#transitionsQueued > 0;
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

  /** Waits until reads are let in. Rejects with `unavailable`. */
  async passToRead(): Promise<void> {
    if (!this.#readGate.isOpen) await this.#readGate.pass(this.#options.gateWaitMs);
  }

  /** Lets reads in at the only source of a recovery: its state is what the others will be made equal to. */
  openReads(source: MirrorId): void {
    this.#readable = [source];
    if (!this.#isStopping) this.#readGate.open();
  }

  #closeGates(reason: string): void {
    this.gate.close(reason);
    this.#readGate.close(reason);
    this.#readable = [];
  }

  #openGates(): void {
    this.#readable = this.inSync;
    if (this.#isRecoveryNeeded || this.#isStopping) return;
    this.gate.open();
    this.#readGate.open();
  }

  /**
   * Sends one write to every mirror in sync and resolves with its outcome. The gate must be open at the call: nothing is awaited
   * before the tag is issued.
   */
  write(draft: WriteDraft): { readonly tag: Tag; readonly outcome: Promise<SettledOutcome> } {
    invariant(this.gate.isOpen, 'I6: a write passes an open gate');
    const write = this.#writer.write(draft);
    this.inFlight.add(write);
    const outcome = write.outcome.then((settled) => {
      this.inFlight.finish(write, settled);
      return settled;
    });
    return { tag: write.tag, outcome };
  }

  /** Looks at a write again after an answer, or after the in-sync set changed. */
  #review(write: InFlightWrite): void {
    if (write.isSettled) {
      this.#offerTokens(write);
      return;
    }
    const configured = rowsKeptFor(this.#state);
    const progress = { answers: write.answers, inSync: this.inSync, configured };
    const outcome = decideOutcome(progress);
    switch (outcome.kind) {
      case 'wait':
        return;
      case 'acknowledge':
        write.settle({ kind: 'acknowledged' });
        this.#offerTokens(write);
        return;
      case 'refuse':
        write.settle({ kind: 'refused', code: outcome.code });
        return;
      case 'unknown':
        write.settle({ kind: 'undecided' });
        this.#needRecovery('undecided-write', describeFailures(write, this.inSync));
        return;
      case 'exclude':
        void this.exclude(outcome.mirrors, describeFailures(write, outcome.mirrors));
        return;
      default:
        unreachable(outcome);
    }
  }

  /** Gives its tokens back once every mirror that rows are kept for has it. */
  #offerTokens(write: InFlightWrite): void {
    if (write.areTokensOffered) return;
    const progress = { answers: write.answers, inSync: this.inSync, configured: rowsKeptFor(this.#state) };
    const ready = readyTokens(progress);
    if (ready.length === 0) return;
    write.areTokensOffered = true;
    this.#writer.offerTokens(ready);
  }

  #needRecovery(cause: RecoveryCause, reason: string): void {
    this.#isRecoveryNeeded = true;
    this.#closeGates(reason);
    this.onRecoveryNeeded(cause, reason);
  }

  /** Runs one transition after the ones before it. */
  async runTransition<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#transitionsQueued += 1;
    const turn = this.#transitions.then(work);
    this.#transitions = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#transitionsQueued -= 1;
    }
  }

  /** Puts a new state of the authority on disk, then acts by it. */
  async saveState(state: AuthorityState): Promise<void> {
    await this.#options.authority.save(state, this.#state.epoch);
    this.#state = state;
  }

  /**
   * Leaves mirrors out of the in-sync set, for good until a recovery takes them back. Mirrors that are out already are
   * passed over; when nobody would remain a recovery is asked for instead.
   */
  async exclude(mirrors: readonly MirrorId[], reason: string): Promise<void> {
    try {
      await this.runTransition(() => this.#exclude(mirrors, reason));
    } catch (error) {
      this.#needRecovery('mirror-lost', error instanceof Error ? error.message : String(error));
    }
  }

  async #exclude(mirrors: readonly MirrorId[], reason: string): Promise<void> {
    const leaving = mirrors.filter((mirror) => this.inSync.includes(mirror));
    if (this.#writer.epoch === null || this.#state.phase !== 'active' || leaving.length === 0) {
      this.#reviewAll();
      return;
    }
    if (leaving.length === this.inSync.length) throw new Error(`no mirror in sync is left: ${reason}`);
    this.#closeGates(`${leaving.join(', ')} is being left out`);
    this.#writer.giveUpOn(leaving, reason);
    this.#writer.endRebuilding(reason);
    await this.inFlight.allAnswered();
    const from = this.epoch;
    await this.saveState(beginRecovery(this.#state));
    const staying = this.inSync.filter((mirror) => !leaving.includes(mirror));
    // Whoever was restarted meanwhile refuses: then the old set stands, and a recovery decides whom to trust (F18).
    await Promise.all(staying.map((mirror) => this.connectionOf(mirror).advance(from, this.epoch)));
    await this.saveState(excludeMirrors(this.#state, leaving));
    this.#options.logger.warn(
      { mirrors: leaving, epoch: this.epoch, reason },
      'mirrors left out of the in-sync set',
    );
    this.#beginWriting();
    this.onExcluded(leaving, [reason]);
    this.#reviewAll();
    this.#openGates();
  }

  /** Nobody copies to them any more: they get no writes either, until they are let in again. */
  endRebuilding(reason: string): void {
    this.#writer.endRebuilding(reason);
  }

  /**
   * Lets mirrors that are out in as rebuilding, in an epoch of its own (DESIGN.md section 5). Writes wait for a moment: until those in
   * flight are answered, and the mirrors in sync have moved to the new epoch. A mirror that does not answer in time, or whose
   * rows are not enough, stays out. Null: there is no active epoch.
   */
  async admit(mirrors: readonly MirrorId[]): Promise<Admission | null> {
    try {
      return await this.runTransition(() => this.#admit(mirrors));
    } catch (error) {
      this.#needRecovery('mirror-lost', error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  async #admit(mirrors: readonly MirrorId[]): Promise<Admission | null> {
    if (this.#writer.epoch === null || this.#state.phase !== 'active' || this.#isRecoveryNeeded) return null;
    const returning = mirrors.filter((mirror) => !this.inSync.includes(mirror));
    this.#closeGates(`${returning.join(', ')} comes back`);
    this.#writer.endRebuilding('another epoch begins');
    await this.inFlight.allAnswered();
    const from = this.epoch;
    await this.saveState(beginRecovery(this.#state));
    const [trusted, fenced] = await Promise.all([
      Promise.all(
        this.inSync.map(async (mirror) =>
          toReport(mirror, await this.connectionOf(mirror).advance(from, this.epoch)),
        ),
      ),
      Promise.all(returning.map((mirror) => this.#fenceInTime(mirror))),
    ]);
    const reports = fenced
      .filter((report) => report !== null)
      .filter((report) => fullCopyReason(this.#state, report, [...trusted, report]) === null);
    await this.saveState(
      admitMirrors(
        this.#state,
        reports.map(({ mirror }) => mirror),
      ),
    );
    const { epoch } = this;
    this.#beginWriting();
    this.#reviewAll();
    this.#openGates();
    const admitted = await Promise.all(reports.map((report) => this.#letWritesIn(report, epoch)));
    return { epoch, reports: admitted.filter((report) => report !== null) };
  }

  async #fenceInTime(mirror: MirrorId): Promise<MirrorReport | null> {
    let timer: NodeJS.Timeout | undefined;
    const isOver = new Promise<null>((resolve) => {
      timer = setTimeout(() => {
        resolve(null);
      }, ADMISSION_ANSWER_MS);
    });
    const fencing = this.connectionOf(mirror)
      .fence(this.epoch)
      .then((identity) => toReport(mirror, identity))
      .catch((error: unknown) => {
        this.#options.logger.warn({ mirror, err: error }, 'a mirror that is back could not be fenced');
        return null;
      });
    const report = await Promise.race([fencing, isOver]);
    clearTimeout(timer);
    return report;
  }

  async #letWritesIn(report: MirrorReport, epoch: Epoch): Promise<MirrorReport | null> {
    const { mirror } = report;
    try {
      await this.connectionOf(mirror).rebuild(epoch);
    } catch (error) {
      this.#options.logger.warn({ mirror, err: error }, 'a mirror that is back takes no writes');
      return null;
    }
    if (this.#writer.epoch !== epoch) return null;
    this.#writer.letIn({ mirror, connection: this.connectionOf(mirror) });
    return report;
  }

  #reviewAll(): void {
    for (const write of this.inFlight.all()) this.#review(write);
  }

  /** Stops new writes and waits until those in flight have all their answers and an outcome. */
  async quiesce(reason: string): Promise<void> {
    this.#closeGates(reason);
    this.#writer.endRebuilding(reason);
    await this.inFlight.allAnswered();
    // What is left hangs on an exclusion that waits for its turn behind us; the recovery decides it instead.
    for (const write of this.inFlight.all()) if (!write.isSettled) write.settle({ kind: 'undecided' });
    this.#writer.end(reason);
  }

  /** Opens the gate on an active state. Precondition: every mirror in sync was activated at its epoch. */
  open(): void {
    invariant(this.#state.phase === 'active', 'the gate opens on an active state', {
      phase: this.#state.phase,
    });
    this.#isRecoveryNeeded = false;
    this.inFlight.decideAll();
    this.#beginWriting();
    this.#openGates();
  }

  #beginWriting(): void {
    const inSync = this.inSync.map((mirror) => ({ mirror, connection: this.connectionOf(mirror) }));
    this.#writer.begin(this.epoch, inSync);
  }

  /** Lets no request in any more, for good. */
  shut(reason: string): void {
    this.#isStopping = true;
    this.gate.shut(reason);
    this.#readGate.shut(reason);
  }

  /** Stops for good: no request gets in, ready tokens are sent, and the authority learns where the mirrors stood. */
  async stop(): Promise<void> {
    this.shut('the gateway is stopping');
    await this.runTransition(async () => {
      this.#writer.endRebuilding('the gateway is stopping');
      await this.inFlight.allAnswered();
      if (this.#writer.epoch === null || this.#state.phase !== 'active') return;
      await this.#writer.drain();
      await this.#recordCleanStop();
      this.#writer.end('the gateway is stopping');
    });
  }

  async #recordCleanStop(): Promise<void> {
    if (this.inFlight.count > 0) return;
    const sequences: Record<MirrorId, number> = {};
    try {
      for (const mirror of this.inSync) {
        const identity = await this.connectionOf(mirror).identity();
        if (identity.activeEpoch !== this.epoch) return;
        sequences[mirror] = identity.commitSequence;
      }
      await this.saveState(recordCleanStop(this.#state, sequences));
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the clean stop could not be put on record');
    }
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

/** The error for a write that no mirror took. */
export function refusalError(code: string): ObjectStorageError {
  if (code === 'source-changed')
    return new ObjectStorageError('changed', 'what was to be copied has changed');
  if (code === 'no-space') return new ObjectStorageError('no-space', 'no mirror has room for it');
  return new ObjectStorageError('unavailable', `no mirror took the write: ${code}`);
}
