/**
 * One mirror set as the process runs it that holds its authority: who is in sync, and every change of that.
 *
 * Its writers, one in this process and perhaps others elsewhere, send the writes (set-writer.ts). Guarantees:
 * - A change of epoch is a change for all writers: the next step is taken when every one of them has taken this one, so
 *   no write of an epoch that is over is answered, and none is answered without a mirror before the authority has it on
 *   disk that this mirror is left out (I2, F12).
 * - Transitions (exclusion, recovery) run one at a time.
 */
import { randomUUID } from 'node:crypto';
import {
  admitMirrors,
  type AuthorityState,
  beginRecovery,
  excludeMirrors,
  type MirrorId,
  nameWriter,
  newAuthorityState,
  recordCleanStop,
  stampState,
} from '../protocol/authority-state.js';
import { type CopyNeed, fullCopyReason, type MirrorReport } from '../protocol/recovery-plan.js';
import type { WritesMode } from '../protocol/forwarding.js';
import { invariant } from '../protocol/invariant.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import { leaseToWaitOutMs, unfencedMirrors } from '../protocol/read-lease.js';
import type { OsdConnection, OsdIdentity } from '../wire/osd-connection.js';
import { assertNotSuperseded, type AuthorityStorage, encodeAuthorityState } from './authority-storage.js';
import type { DirectedWriter } from './directed-writer.js';
import { recordFullCopyBegin, recordFullCopyEnd, recordFullCopyNeed } from './full-copies.js';
import type { Gate } from './gate.js';
import { toReport } from './mirror-report.js';
import { monotonicMs } from './monotonic-clock.js';
import type { WrittenMirror } from '../writer/mirror-writer.js';
import { type RecoveryCause, SetWriter, type SetWriterOptions } from './set-writer.js';

export interface MirrorSetOptions extends SetWriterOptions {
  readonly writes: WritesMode;
  readonly authority: AuthorityStorage;
  /** The writers beside the one in this process; none: it is the only one. */
  readonly otherWriters?: () => readonly DirectedWriter[];
}

/** How long the gate may stay closed for a mirror that wants to be let in. */
const ADMISSION_ANSWER_MS = 1000;

export interface Admission {
  readonly epoch: Epoch;
  /** By rows: they take writes now without being in sync. In full: they take none before the copy is through. */
  readonly need: CopyNeed['kind'];
  /** Who is copied to now. */
  readonly reports: readonly MirrorReport[];
}

/** Mirrors that are back, and how they are let in. */
export interface Entrance {
  readonly mirrors: readonly MirrorId[];
  readonly need: CopyNeed['kind'];
  /** A full copy of them that was broken off begins anew. */
  readonly isAnew: boolean;
  /** The highest epoch that one of them was fenced at. */
  readonly fencedEpoch: Epoch;
}

export class MirrorSet {
  readonly setId: string;
  readonly members: readonly WrittenMirror[];
  /** The writer in this process. */
  readonly writer: SetWriter;
  readonly #options: MirrorSetOptions;
  /** Names this run of the authority. */
  readonly #run = randomUUID();
  #state: AuthorityState;
  #rebuilding: readonly MirrorId[] = [];
  /** Full copies that began in the epoch in which they were let in, and nothing was copied before that. */
  #begunCopies: { readonly epoch: Epoch; readonly mirrors: readonly MirrorId[] } | null = null;
  /** Whom the last activation named. */
  #lastWriter: MirrorId | null = null;
  /** When this run of the authority first knew that a mirror was fenced by it; on the monotonic clock. */
  readonly #fencedMs = new Map<MirrorId, number>();
  #transitions: Promise<unknown> = Promise.resolve();
  #transitionsQueued = 0;
  /** Whose OSD issued the tags when the last recovery became necessary: the next one is another, if there is another. */
  #lostWriter: MirrorId | null = null;
  /** Set until the recovery that was asked for is over: nobody else opens the gates meanwhile. */
  #isRecoveryNeeded = false;
  /** Called when only a recovery can go on. Set once, before the first write. */
  onRecoveryNeeded: (cause: RecoveryCause, reason: string) => void = () => undefined;
  /** Called after mirrors were left out. */
  onExcluded: (mirrors: readonly MirrorId[], reasons: readonly string[]) => void = () => undefined;

  private constructor(options: MirrorSetOptions, state: AuthorityState) {
    this.#options = options;
    this.#state = state;
    this.setId = options.setId;
    this.members = options.members;
    this.writer = new SetWriter(options, state);
    this.writer.onRecoveryNeeded = (cause, reason) => {
      this.requireRecovery(cause, reason);
    };
    this.writer.onExclusionNeeded = (mirrors, reason) => {
      void this.exclude(mirrors, reason);
    };
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

  /** The mirrors that are copied to in this epoch, without being in sync. */
  get rebuilding(): readonly MirrorId[] {
    return this.#rebuilding;
  }

  /** The mirrors of which a full copy has begun, from nothing, in the epoch that is active now. */
  get copiedFromBeginning(): readonly MirrorId[] {
    return this.#begunCopies?.epoch === this.epoch ? this.#begunCopies.mirrors : [];
  }

  /** What every write of this process passes. */
  get gate(): Gate {
    return this.writer.gate;
  }

  /** Writes without an outcome. */
  get inFlightCount(): number {
    return this.#everyone.reduce((sum, { inFlightCount }) => sum + inFlightCount, 0);
  }

  /** True when nobody may write before a recovery. */
  get needsRecovery(): boolean {
    return this.#isRecoveryNeeded || !this.writer.isActive;
  }

  get isInTransition(): boolean {
    return this.#transitionsQueued > 0;
  }

  get #everyone(): readonly DirectedWriter[] {
    return [this.writer, ...(this.#options.otherWriters?.() ?? [])];
  }

  connectionOf(mirror: MirrorId): OsdConnection {
    return this.writer.connectionOf(mirror);
  }

  /** For each writer the tag below which all its writes are settled. Null: nobody may write now. */
  async floors(): Promise<readonly Tag[] | null> {
    const floors = await Promise.all(this.#everyone.map((writer) => writer.floorNow()));
    const known = floors.filter((floor) => floor !== null);
    return known.length === floors.length ? known : null;
  }

  /** A mirror was asked at `atMs` (on the monotonic clock), and then said that it is active at the present epoch. */
  confirm(mirror: MirrorId, atMs: number): void {
    for (const writer of this.#everyone) writer.confirm({ epoch: this.epoch, mirror, atMs });
  }

  /** A mirror was fenced by this run of the authority. */
  noteFenced(mirror: MirrorId): void {
    if (!this.#fencedMs.has(mirror)) this.#fencedMs.set(mirror, monotonicMs());
  }

  /** How long nothing may be activated yet, since a gateway that went before may still answer reads (F14). */
  get leaseToWaitOutMs(): number {
    const { readLeaseMs: leaseMs } = this.#options;
    return leaseToWaitOutMs(this.#state, this.#fencedMs, { nowMs: monotonicMs(), leaseMs });
  }

  /** The mirrors from which it may read. */
  get unfenced(): readonly MirrorId[] {
    return unfencedMirrors(this.#state, this.#fencedMs);
  }

  /** Lets reads in at the only source of a recovery: its state is what the others will be made equal to. */
  openReads(source: MirrorId): void {
    for (const writer of this.#everyone) writer.openReads(source);
  }

  /** Nobody gets in until a recovery is over. */
  requireRecovery(cause: RecoveryCause, reason: string): void {
    this.#isRecoveryNeeded = true;
    this.#lostWriter = this.#state.writer ?? this.#lostWriter;
    for (const writer of this.#everyone) writer.close(reason);
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

  /** An activation with the writer that it names, where writes are forwarded: the one that was, unless it was lost. */
  withWriter(active: AuthorityState): AuthorityState {
    if (this.#options.writes !== 'forwarded') return active;
    const { inSync } = active;
    const others = inSync.filter((mirror) => mirror !== this.#lostWriter);
    const [next = inSync[0]] = others;
    const writer = others.find((mirror) => mirror === this.#lastWriter) ?? next;
    invariant(writer !== undefined, 'I3: the in-sync set is never empty');
    this.#lastWriter = writer;
    return nameWriter(active, writer);
  }

  /**
   * Puts a new state of the authority on disk; then, when it lets anybody write, every mirror in sync keeps a copy of it (F31); then
   * every writer acts by it.
   */
  async saveState(wanted: AuthorityState): Promise<void> {
    const state = stampState(wanted, this.#state, this.#run);
    await this.#options.authority.save(state, this.#state);
    this.#state = state;
    if (state.phase === 'active') await this.keepRecord(state.inSync);
    await this.#all((writer) => writer.takeState(state));
  }

  /** Puts a copy of the authority's state on these mirrors, from which it is rebuilt when it is lost (F31). */
  async keepRecord(mirrors: readonly MirrorId[]): Promise<void> {
    const { epoch } = this.#state;
    const record = encodeAuthorityState(this.#state);
    await Promise.all(mirrors.map((mirror) => this.connectionOf(mirror).keepAuthorityRecord(epoch, record)));
  }

  /** Rejects with AuthoritySuperseded when the state on the authority's disk is another one's. */
  async assertNotSuperseded(): Promise<void> {
    assertNotSuperseded(this.#state, await this.#options.authority.load());
  }

  async #all(step: (writer: DirectedWriter) => Promise<void>): Promise<void> {
    await Promise.all(this.#everyone.map(step));
  }

  /**
   * Leaves mirrors out of the in-sync set, for good until a recovery takes them back. Mirrors that are out already are
   * passed over; when nobody would remain a recovery is asked for instead.
   */
  async exclude(mirrors: readonly MirrorId[], reason: string): Promise<void> {
    try {
      await this.runTransition(() => this.#exclude(mirrors, reason));
    } catch (error) {
      this.requireRecovery('mirror-lost', error instanceof Error ? error.message : String(error));
    }
  }

  async #exclude(mirrors: readonly MirrorId[], reason: string): Promise<void> {
    const leaving = mirrors.filter((mirror) => this.inSync.includes(mirror));
    if (!this.writer.isActive || this.#state.phase !== 'active' || leaving.length === 0) {
      for (const writer of this.#everyone) writer.review();
      return;
    }
    if (leaving.length === this.inSync.length) throw new Error(`no mirror in sync is left: ${reason}`);
    await this.#halt(`${leaving.join(', ')} is being left out`, leaving);
    const from = this.epoch;
    await this.saveState(beginRecovery(this.#state));
    const staying = this.inSync.filter((mirror) => !leaving.includes(mirror));
    // Whoever was restarted meanwhile refuses: then the old set stands, and a recovery decides whom to trust (F18).
    await Promise.all(staying.map((mirror) => this.#advance(mirror, from)));
    await this.saveState(this.withWriter(excludeMirrors(this.#state, leaving)));
    this.#options.logger.warn(
      { mirrors: leaving, epoch: this.epoch, reason },
      'mirrors left out of the in-sync set',
    );
    this.onExcluded(leaving, [reason]);
    await this.#goOn();
  }

  async #advance(mirror: MirrorId, from: Epoch): Promise<OsdIdentity> {
    const atMs = monotonicMs();
    const identity = await this.connectionOf(mirror).advance(from, this.epoch);
    this.confirm(mirror, atMs);
    return identity;
  }

  /** Every write in flight gets its answers; what is rebuilt is rebuilt in one epoch, and in the next it is let in again. */
  async #halt(reason: string, leaving: readonly MirrorId[]): Promise<void> {
    this.#rebuilding = [];
    await this.#all((writer) => writer.halt(reason, leaving));
  }

  /** In the epoch that is active now, unless somebody found out meanwhile that only a recovery helps. */
  async #goOn(decidesAll = false): Promise<void> {
    await this.#all((writer) => writer.beginEpoch());
    if (!this.#isRecoveryNeeded) await this.#all((writer) => writer.open(decidesAll));
  }

  /** Nobody copies to them any more: they get no writes either, until they are let in again. */
  endRebuilding(reason: string): void {
    this.#rebuilding = [];
    for (const writer of this.#everyone) writer.endRebuilding(reason);
  }

  /**
   * Lets mirrors that are out in as rebuilding, in an epoch of its own (DESIGN.md section 5). Writes wait for a moment: until those in
   * flight are answered, and the mirrors in sync have moved to the new epoch. A mirror that does not answer in time, or that
   * turns out to need something else, stays out. Null: there is no active epoch.
   */
  async admit(entrance: Entrance): Promise<Admission | null> {
    try {
      return await this.runTransition(() => this.#admit(entrance));
    } catch (error) {
      this.requireRecovery('mirror-lost', error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  async #admit(entrance: Entrance): Promise<Admission | null> {
    const { mirrors, need, fencedEpoch } = entrance;
    if (this.needsRecovery || this.#state.phase !== 'active') return null;
    const returning = mirrors.filter((mirror) => !this.inSync.includes(mirror));
    await this.#halt(`${returning.join(', ')} comes back`, []);
    const from = this.epoch;
    await this.saveState(beginRecovery(this.#state, fencedEpoch));
    const [trusted, fenced] = await Promise.all([
      Promise.all(this.inSync.map(async (mirror) => toReport(mirror, await this.#advance(mirror, from)))),
      Promise.all(returning.map((mirror) => this.#fenceInTime(mirror))),
    ]);
    const returned = fenced.filter((report) => report !== null);
    const reports = await this.#prepare(returned, trusted, entrance);
    const admitted = admitMirrors(
      this.#state,
      reports.map(({ mirror }) => mirror),
    );
    await this.saveState(this.withWriter(admitted));
    const { epoch } = this;
    await this.#goOn();
    const letIn = await Promise.all(reports.map((report) => this.#letIn(report, epoch, need)));
    return { epoch, need, reports: letIn.filter((report) => report !== null) };
  }

  /** Those of whom it is true that they need this, ready to be copied to. */
  async #prepare(
    returned: readonly MirrorReport[],
    trusted: readonly MirrorReport[],
    { need, isAnew }: Entrance,
  ): Promise<MirrorReport[]> {
    const prepared: MirrorReport[] = [];
    const begun: MirrorId[] = [];
    for (const report of returned) {
      const reports = [...trusted, report];
      const reason = fullCopyReason(this.#state, report, reports);
      if (reason === null) {
        if (need === 'rows') prepared.push(report);
      } else if (need === 'rows') await recordFullCopyNeed(this, report.mirror, reason);
      else {
        const copy = await recordFullCopyBegin(this, { report, reason, reports, isAnew });
        if (copy !== report) begun.push(report.mirror);
        if (copy === report || (await this.#beginInTime(copy))) prepared.push(copy);
      }
    }
    this.#begunCopies = { epoch: this.epoch, mirrors: begun };
    return prepared;
  }

  async #fenceInTime(mirror: MirrorId): Promise<MirrorReport | null> {
    const connection = this.connectionOf(mirror);
    const fencing = connection
      .identity()
      .then(({ incarnation }) => connection.fence(this.epoch, incarnation))
      .then((identity) => toReport(mirror, identity));
    return this.#inTime(mirror, fencing);
  }

  async #beginInTime({ mirror, storeId }: MirrorReport): Promise<boolean> {
    const beginning = this.connectionOf(mirror).beginFullCopy(this.epoch, storeId);
    return (
      (await this.#inTime(
        mirror,
        beginning.then(() => true),
      )) === true
    );
  }

  /** Null: the mirror did not do it, or not in time. */
  async #inTime<Result>(mirror: MirrorId, work: Promise<Result>): Promise<Result | null> {
    let timer: NodeJS.Timeout | undefined;
    const isOver = new Promise<null>((resolve) => {
      timer = setTimeout(() => {
        resolve(null);
      }, ADMISSION_ANSWER_MS);
    });
    const done = work.catch((error: unknown) => {
      this.#options.logger.warn({ mirror, err: error }, 'a mirror that is back could not be let in');
      return null;
    });
    const result = await Promise.race([done, isOver]);
    clearTimeout(timer);
    return result;
  }

  async #letIn(report: MirrorReport, epoch: Epoch, need: CopyNeed['kind']): Promise<MirrorReport | null> {
    const { mirror } = report;
    try {
      await this.connectionOf(mirror).rebuild(epoch);
    } catch (error) {
      this.#options.logger.warn({ mirror, err: error }, 'a mirror that is back takes no writes');
      return null;
    }
    if (this.epoch !== epoch || this.needsRecovery) return null;
    this.#rebuilding = [...this.#rebuilding, mirror];
    if (need === 'rows') await this.#all((writer) => writer.addRebuilding(mirror, epoch));
    return report;
  }

  /**
   * Mirrors that were let in to be copied to in full are copied: what was written since their rows say. False: one is not what
   * it was then, or the epoch is over.
   */
  async endFullCopies({ epoch, reports }: Admission): Promise<boolean> {
    return this.runTransition(async () => {
      for (const report of reports) if (!(await recordFullCopyEnd(this, epoch, report))) return false;
      return true;
    });
  }

  /** Stops new writes and waits until those in flight have all their answers and an outcome. */
  async quiesce(reason: string): Promise<void> {
    await this.#halt(reason, []);
    await this.#all((writer) => writer.endEpoch(reason));
  }

  /** Lets requests in on an active state. Precondition: every mirror in sync was activated at its epoch. */
  async open(): Promise<void> {
    invariant(this.#state.phase === 'active', 'the gate opens on an active state', {
      phase: this.#state.phase,
    });
    this.#isRecoveryNeeded = false;
    try {
      await this.#goOn(true);
    } catch (error) {
      this.requireRecovery('mirror-lost', error instanceof Error ? error.message : String(error));
    }
  }

  /** Lets no request in any more, for good. */
  shut(reason: string): void {
    for (const writer of this.#everyone) writer.shut(reason);
  }

  /** Stops for good: no request gets in, ready tokens are sent, and the authority learns where the mirrors stood. */
  async stop(): Promise<void> {
    const reason = 'the gateway is stopping';
    this.shut(reason);
    await this.runTransition(async () => {
      await this.#halt(reason, []);
      if (!this.writer.isActive || this.#state.phase !== 'active') return;
      await this.#all((writer) => writer.drain());
      await this.#recordCleanStop();
      await this.#all((writer) => writer.endEpoch(reason));
    });
  }

  async #recordCleanStop(): Promise<void> {
    if (this.inFlightCount > 0 || this.#isRecoveryNeeded) return;
    try {
      const stopped = await Promise.all(
        this.inSync.map(async (mirror) => ({ mirror, ...(await this.connectionOf(mirror).identity()) })),
      );
      const state = recordCleanStop(this.#state, stopped);
      if (state !== null) await this.saveState(state);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the clean stop could not be put on record');
    }
  }
}
