/**
 * A whole mirror set in one process: mirrors, authority, writers, recoveries and the network between them. Nothing moves
 * by itself; each method is one step, and after each step every checker runs.
 */
import { type AuthorityState, type MirrorId, toMirrorId } from '../../src/protocol/authority-state.js';
import { InvariantViolation } from '../../src/protocol/invariant.js';
import { highestFence } from '../../src/protocol/lost-authority.js';
import { makeObjectId, type ObjectId } from '../../src/protocol/object-id.js';
import type { ObjectEvidence, ObjectRepair } from '../../src/protocol/reconcile-plan.js';
import { type Epoch, EPOCH_NONE, type Tag, toGeneratorId } from '../../src/protocol/tag.js';
import { type StoreId, toStoreId } from '../../src/protocol/token.js';
import type { ObjectState } from '../../src/protocol/write.js';
import { SimulatedAuthority, type Transition } from './authority.js';
import { catchUp, type CatchUpOrder, type CatchUpOutcome } from './catch-up.js';
import { checkEveryStep } from './checkers/every-step.js';
import { History } from './history.js';
import type { MirrorResponse } from './messages.js';
import { Network } from './network.js';
import { type AttemptOutcome, attemptRecovery, type Steps } from './recovery.js';
import { isWaitJustified } from './soundness.js';
import { beginRead, readAtOnce, readInRecovery } from './client-read.js';
import { CopiedBytes } from './copied-bytes.js';
import type { Rules } from './rules.js';
import { blankImage, DiskFailed, type StoredObject } from './simulated-disk.js';
import { type MirrorsSeen, SimulatedGateway, type WriteIntent } from './simulated-gateway.js';
import {
  type AppliedWrite,
  type LandedPush,
  PowerFailure,
  SET_ID,
  SimulatedMirror,
} from './simulated-mirror.js';
import { TagGenerators } from './tag-generators.js';
import type { Violation, ViolationCode } from './violation.js';

export interface PlannedObject {
  readonly evidence: ObjectEvidence;
  readonly repair: ObjectRepair | null;
}

/** What happened since the checkers ran last. */
export interface StepEvents {
  readonly applied: AppliedWrite[];
  readonly landed: LandedPush[];
  readonly transitions: Transition[];
  readonly planned: PlannedObject[];
}

/** A recovery, or a catch-up that runs beside the writer. */
type RunningProcess = { readonly name: string } & (
  | { readonly kind: 'recovery'; readonly steps: Steps<AttemptOutcome> }
  | { readonly kind: 'catch-up'; readonly steps: Steps<CatchUpOutcome>; readonly order: CatchUpOrder }
);

export function mirrorName(index: number): MirrorId {
  return toMirrorId(`M${index}`);
}

/** The object of a test that is called by this name. */
export function objectNamed(name: string): ObjectId {
  return makeObjectId('bucket', name);
}

export interface WorldOptions {
  readonly rules: Rules;
  readonly mirrors: number;
  /** Tag generators, each with its shard of the objects. Default: one. */
  readonly writers?: number;
  /** Goes on judging when every mirror in sync has lost state: then nobody may pick one of them (F33). */
  readonly judgesHopeless?: boolean;
  /** False: nothing is written down of what happens; that takes a third of the time. */
  readonly isTraced?: boolean;
}

export class World {
  readonly rules: Rules;
  readonly mirrors = new Map<MirrorId, SimulatedMirror>();
  readonly authority: SimulatedAuthority;
  readonly history = new History();
  readonly network: Network;
  readonly violations: Violation[] = [];
  readonly trace: string[] = [];
  /** Mirrors that lost state that they had promised to keep, until a recovery made them whole. */
  readonly damaged = new Set<MirrorId>();
  /**
   * Mirrors that were rolled back and made whole by rows, because nobody who was there had a witness. One who was not
   * there takes them for rolled back still: a full copy without need, or a wait that only an operator ends.
   */
  readonly rolledBack = new Set<MirrorId>();
  readonly cutOff = new Set<MirrorId>();
  /** Epoch, then which run of each mirror may take writes in it. */
  readonly grants = new Map<Epoch, Readonly<Record<MirrorId, string>>>();
  /** Who was in sync when the last thing was put on record in each epoch. */
  readonly inSyncOfEpoch = new Map<Epoch, readonly MirrorId[]>();
  readonly copied = new CopiedBytes();
  /** What came about, and how often: a campaign in which nothing does shows nothing. */
  readonly milestones = new Map<string, number>();
  events: StepEvents = { applied: [], landed: [], transitions: [], planned: [] };
  writer: SimulatedGateway | null = null;
  lastOutcome: AttemptOutcome | null = null;
  /** Catch-ups that came to their end. */
  caughtUpCount = 0;
  #running: RunningProcess[] = [];
  #storeCount = 0;
  #processCount = 0;
  #isBeyondGuarantee = false;
  #hasBegunAnew = false;
  #seen: readonly unknown[] = [];
  readonly #judgesHopeless: boolean;
  readonly #writers: number;

  readonly #log: (line: () => string) => void;

  constructor(options: WorldOptions) {
    this.#log = options.isTraced === false ? () => undefined : (line) => void this.trace.push(line());
    this.rules = options.rules;
    this.#judgesHopeless = options.judgesHopeless === true;
    this.#writers = options.writers ?? 1;
    const ids = Array.from({ length: options.mirrors }, (_, index) => mirrorName(index));
    const observer = {
      onApplied: (applied: AppliedWrite) => void this.events.applied.push(applied),
      onLanded: (landed: LandedPush) => {
        this.#count(`pushes: ${landed.push.cause}`);
        if (landed.push.isLossy === true) this.#count('pushes with lost bytes');
        this.events.landed.push(landed);
      },
    };
    for (const id of ids) {
      this.mirrors.set(
        id,
        new SimulatedMirror(id, blankImage(this.newStoreId()), { rules: this.rules, observer }),
      );
    }
    this.authority = new SimulatedAuthority(SET_ID, ids, {
      rules: this.rules,
      onPersist: (transition) => {
        this.#onPersist(transition);
      },
      onKept: () => {
        this.history.confirmActivation();
      },
    });
    this.network = new Network({
      log: this.#log,
      isReachable: (mirror) => !this.cutOff.has(mirror),
      onDuplicate: (request) => {
        if (request.kind === 'write') this.history.noteDuplicate(request.transaction.tag);
      },
      deliver: (mirror, request) => this.#handle(mirror, request),
    });
  }

  mirror(id: MirrorId): SimulatedMirror {
    const mirror = this.mirrors.get(id);
    if (mirror === undefined) throw new RangeError(`no mirror ${id}`);
    return mirror;
  }

  get mirrorIds(): MirrorId[] {
    return [...this.mirrors.keys()];
  }

  newStoreId(): StoreId {
    this.#storeCount += 1;
    return toStoreId(this.#storeCount.toString(16).padStart(32, '0'));
  }

  violate(code: ViolationCode, detail: string): void {
    if (this.isBeyondGuarantee && !this.#judgesHopeless) return;
    if (this.violations.some((known) => known.code === code && known.detail === detail)) return;
    this.trace.push(`VIOLATION ${code}: ${detail}`);
    this.violations.push({ code, detail });
  }

  /** Runs one step (null: one that leaves its own trace), then every checker. A broken assertion of the protocol itself is an answer too: it stops the process. */
  step(what: string | null, action: () => void): void {
    if (what !== null) this.#log(() => what);
    try {
      action();
    } catch (error) {
      if (!(error instanceof InvariantViolation)) throw error;
      this.violate('stuck', error.message);
    }
    this.#noteHopeless();
    if (!this.isBeyondGuarantee || this.#judgesHopeless) checkEveryStep(this);
    this.events = { applied: [], landed: [], transitions: [], planned: [] };
  }

  /** True when something is other than it was when this was asked last: what is on a disk, on record, or known of the history. */
  hasChanged(): boolean {
    const now: unknown[] = [this.authority.durableState, this.history.revision, this.damaged.size];
    for (const { disk } of this.mirrors.values()) now.push(disk.image, disk.durableImage);
    const isSame = now.length === this.#seen.length && now.every((part, index) => part === this.#seen[index]);
    this.#seen = now;
    return !isSame;
  }

  // --- processes

  get hasRecovery(): boolean {
    return this.#running.some(({ kind }) => kind === 'recovery');
  }

  get hasCatchUp(): boolean {
    return this.#running.some(({ kind }) => kind === 'catch-up');
  }

  /** A recovery starts. `leaveWriter`: the writer is not told, and goes on as a zombie. */
  startRecovery(options: { readonly leaveWriter?: boolean; readonly defersStale?: boolean } = {}): void {
    this.step('a recovery starts', () => {
      if (options.leaveWriter !== true) this.writer?.depose();
      this.writer = null;
      this.#processCount += 1;
      const steps = attemptRecovery({
        rules: this.rules,
        authority: this.authority,
        newStoreId: () => this.newStoreId(),
        log: this.#log,
        defersStale: options.defersStale === true,
        onPlanned: (evidence, repair) => void this.events.planned.push({ evidence, repair }),
        look: () => this.#answering.map((mirror) => mirror.witness()),
        onRebuilt: (state) => {
          this.#judgeRebuilt(state);
        },
        onTrusted: (answered) => {
          this.#judgeTrust(answered);
        },
      });
      this.#run({ name: `recovery-${this.#processCount}`, kind: 'recovery', steps });
    });
  }

  /** What the authority's state is rebuilt to comes after everything that anybody may have acted on. */
  #judgeRebuilt({ epoch, revision = 0, forced = [] }: AuthorityState): void {
    const { kept } = this.authority;
    // An activation that nobody has acted on yet may count others as in sync; but of those who keep what was acted on, none is whole.
    if (kept.inSync.every((mirror) => this.damaged.has(mirror))) return;
    // Revisions are counted in one history: an operator's decision may begin another one.
    const decision = kept.forced?.at(-1);
    const isUndone = decision !== undefined && !forced.includes(decision);
    if (isUndone || epoch <= kept.epoch || revision < (kept.revision ?? 0))
      this.violate(
        'misled',
        `rebuilt at epoch ${epoch} from an older state than the one of epoch ${kept.epoch}`,
      );
  }

  get #answering(): SimulatedMirror[] {
    return [...this.mirrors]
      .filter(([id, { isUp }]) => isUp && !this.cutOff.has(id))
      .map(([, mirror]) => mirror);
  }

  /**
   * An attempt goes on by the authority's state. Where that is an old one (F31), none of those who answered may have known better; where none did, nobody
   * could have known, and nothing is promised any more.
   */
  #judgeTrust(answered: readonly MirrorId[]): void {
    const { isOld, durableState } = this.authority;
    if (!isOld) return;
    const knew = answered.filter((mirror) =>
      this.authority.isKnownBetterBy(mirror, this.mirror(mirror).disk.image.authorityRecord),
    );
    for (const mirror of knew)
      this.violate('misled', `${mirror} took part, and knew of ${durableState.epoch}`);
    this.#count('old states that nobody knew better than');
    this.#isBeyondGuarantee = true;
  }

  /** The authority's state is lost, or an old one is put back, while nobody uses it. */
  putBack(state: AuthorityState): void {
    this.step(`the authority is put back to epoch ${state.epoch}`, () => {
      this.#count(state.epoch === EPOCH_NONE ? 'authority states lost' : 'authority states put back');
      // A restart of people's making: nothing of before is on its way any more.
      this.network.messages.length = 0;
      this.authority.putBack(state);
    });
  }

  /** Mirrors that are out are let in as rebuilding; the catch-up starts when they are. */
  admit(mirrors: readonly MirrorId[]): void {
    this.step(`${mirrors.join()} may come back`, () => this.writer?.admit(mirrors));
  }

  #startCatchUp(order: CatchUpOrder): void {
    this.#processCount += 1;
    const steps = catchUp({
      rules: this.rules,
      authority: this.authority,
      order,
      mayRecord: () => this.writer?.epoch === order.epoch && this.authority.state.epoch === order.epoch,
      onPlanned: (evidence, repair) => void this.events.planned.push({ evidence, repair }),
    });
    this.#run({ name: `catch-up-${this.#processCount}`, kind: 'catch-up', steps, order });
  }

  #run(running: RunningProcess): void {
    this.#running.push(running);
    this.#advance(running, null);
  }

  #advance(running: RunningProcess, response: MirrorResponse | null): void {
    const next = running.steps.next(response);
    if (next.done === true) {
      this.#running = this.#running.filter((other) => other !== running);
      this.#end(running, next.value);
      return;
    }
    let isAnswered = false;
    this.network.call(running.name, next.value.mirror, next.value.request, (answer) => {
      if (isAnswered || !this.#running.includes(running)) return;
      isAnswered = true;
      this.#advance(running, answer);
    });
  }

  #end(running: RunningProcess, outcome: AttemptOutcome | CatchUpOutcome): void {
    if (outcome.kind === 'caught-up' || running.kind === 'catch-up') {
      this.#log(() => `${running.name} ends: ${JSON.stringify(outcome)}`);
      if (outcome.kind === 'caught-up') this.caughtUpCount += 1;
      this.#count(outcome.kind === 'caught-up' ? 'catch-ups' : 'catch-ups that failed');
    } else this.#conclude(outcome);
  }

  #forget(processes: readonly RunningProcess[]): void {
    for (const { name } of processes) this.network.forget(name);
    this.#running = this.#running.filter((running) => !processes.includes(running));
  }

  #count(what: string, amount = 1): void {
    this.milestones.set(what, (this.milestones.get(what) ?? 0) + amount);
  }

  #conclude(outcome: AttemptOutcome): void {
    this.#count(`recoveries: ${outcome.kind}`);
    this.lastOutcome = outcome;
    this.#log(() => `the recovery ends: ${JSON.stringify(outcome)}`);
    if (outcome.kind === 'wait' && !isWaitJustified(this, outcome))
      this.violate('unjustified-wait', outcome.reason);
    if (outcome.kind !== 'activated' || this.authority.state.epoch !== outcome.state.epoch) return;
    this.#startWriter(outcome.state);
  }

  #startWriter(state: AuthorityState): void {
    const [first] = state.inSync;
    const known = new Map<ObjectId, ObjectState | null>();
    if (first !== undefined) {
      for (const [objectId, stored] of this.mirror(first).disk.image.objects)
        known.set(objectId, stored.state);
    }
    this.#processCount += 1;
    const generators = new TagGenerators(
      Array.from({ length: this.#writers }, (_, index) =>
        this.rules.createGenerator(toGeneratorId(index + 1), state.epoch),
      ),
      this.rules,
    );
    this.writer = new SimulatedGateway(
      `writer-${this.#processCount}`,
      { state, generators, known },
      {
        rules: this.rules,
        network: this.network,
        authority: this.authority,
        history: this.history,
        newStoreId: () => this.newStoreId(),
        onAdmitted: (order) => {
          this.#startCatchUp(order);
        },
        log: this.#log,
        onDeposed: (gateway) => {
          if (this.writer === gateway) this.writer = null;
        },
      },
    );
  }

  /** The host of the authority, the recoveries and the writer loses power, and starts again. */
  crashHost(options: { readonly leaveWriter?: boolean } = {}): void {
    this.step('the gateway crashes', () => {
      // A catch-up is driven by a mirror: it goes on, and nobody looks.
      this.#forget(this.#running.filter(({ kind }) => kind === 'recovery'));
      if (this.writer !== null && options.leaveWriter !== true) this.network.forget(this.writer.name);
      this.writer = null;
      this.authority.crash();
    });
  }

  stopCleanly(): void {
    this.step('the writer stops', () => {
      const { writer } = this;
      if (writer === null || writer.pendingCount > 0 || !writer.isOpen) return;
      const answering = writer.inSync.filter((id) => this.mirror(id).isUp && !this.cutOff.has(id));
      const stopped = answering.map((id) => {
        const mirror = this.mirror(id);
        return { ...mirror.report(), activeEpoch: mirror.fence.activeEpoch };
      });
      const state = this.authority.stopCleanly(stopped);
      for (const mirror of state?.inSync ?? [])
        if (state !== null) this.#handle(mirror, { kind: 'keep-record', epoch: state.epoch, record: state });
      this.network.forget(writer.name);
      this.writer = null;
    });
  }

  #onPersist(transition: Transition): void {
    if (transition.cause === 'rebuilt') this.history.forgetActivation();
    if (transition.cause !== 'recovery') this.#count(`${transition.cause}s`);
    const { after, admitted } = transition;
    this.inSyncOfEpoch.set(after.epoch, after.inSync);
    if (after.phase === 'active') {
      const granted = this.grants.get(after.epoch) ?? {};
      this.grants.set(after.epoch, { ...granted, ...after.incarnations, ...admitted });
    }
    for (const { mirror, fullCopyReason } of after.members)
      if (fullCopyReason !== null) this.rolledBack.delete(mirror);
    this.events.transitions.push(transition);
  }

  /** Precondition: it answers. */
  force(trusted: MirrorId): void {
    this.step(`an operator trusts ${trusted}`, () => {
      this.#count('decisions of an operator');
      const there = this.#answering;
      const fencedEpoch = highestFence(there.map((mirror) => mirror.witness()));
      this.authority.forceTrust(
        trusted,
        there.map((mirror) => mirror.report()),
        fencedEpoch,
      );
      const { state } = this.authority;
      // Nor does it speak for another state of the authority any more (F31).
      this.#handle(trusted, { kind: 'fence', epoch: state.epoch, run: this.mirror(trusted).incarnation });
      const kept = this.#handle(trusted, { kind: 'keep-record', epoch: state.epoch, record: state });
      if (kept?.kind === 'done') this.authority.noteDecisionKept(state);
    });
  }

  /** An operator formats every store anew, and removes the authority's state: this set has come to its end. */
  beginAnew(): void {
    this.step('an operator formats every store anew', () => {
      this.#count('sets begun anew');
      this.#hasBegunAnew = true;
      for (const objectId of this.history.objectIds)
        if (!this.history.settled(objectId).isAbsent)
          this.violate('lost', `${objectId} was acknowledged, and every store that is whole is empty`);
    });
  }

  get hasBegunAnew(): boolean {
    return this.#hasBegunAnew;
  }

  // --- clients

  submit(intent: WriteIntent): Tag | null {
    let tag: Tag | null = null;
    this.step(`a client asks for ${intent.kind}`, () => {
      tag = this.writer?.submit(intent) ?? null;
    });
    return tag;
  }

  /** A client reads, and is answered at once or not at all: false. `from`: one mirror in sync, or the one that a recovery trusts. */
  read(objectId: ObjectId, from: MirrorId): boolean {
    let isAnswered = false;
    this.step(`a client reads from ${from}`, () => {
      isAnswered = readAtOnce(this, objectId, from);
    });
    return isAnswered;
  }

  readInRecovery(objectId: ObjectId, from: MirrorId): boolean {
    let isAnswered = false;
    this.step(`a client reads from ${from} in a recovery`, () => {
      isAnswered = readInRecovery(this, objectId, from);
    });
    return isAnswered;
  }

  /** A client's read that goes by messages: much may happen before it is answered. */
  beginRead(objectId: ObjectId, from: MirrorId): boolean {
    let hasBegun = false;
    this.step(`a client asks for a read from ${from}`, () => {
      hasBegun = beginRead(this, objectId, from);
    });
    return hasBegun;
  }

  /** An operator gives up an object that is intact nowhere, or has what is kept of it written again. */
  settleLost(objectId: ObjectId, kept: StoredObject | null): void {
    this.#count(kept === null ? 'lost objects given up' : 'lost objects put back');
    const kind = kept === null ? 'remove' : 'replace';
    const text = kept === null ? '' : new TextDecoder().decode(kept.bytes);
    this.submit({ objectId, kind, offset: 0, text });
  }

  sendClears(): void {
    this.step('the timer sends tokens back', () => this.writer?.sendClears());
  }

  /** The writer finds that the tag tables are full. */
  forgoRows(): void {
    this.step('rows are forgone', () => this.writer?.forgoRows(() => this.#lookAtTables()));
  }

  #lookAtTables(): MirrorsSeen {
    const tables = [...this.mirrors].map(([id, { disk }]) => [id, [...disk.image.rows.values()]] as const);
    const identities = [...this.mirrors].map(([mirror, { disk, fence, isUp }]) => {
      const { storeId, commitSequence } = disk.durableImage;
      return { mirror, storeId, commitSequence, activeEpoch: isUp ? fence.activeEpoch : EPOCH_NONE };
    });
    return { tables: new Map(tables), identities };
  }

  /** Somebody is away, and the writer may say that no rows are kept for him. */
  get mayForgoRows(): boolean {
    const { inSync, rebuilding = [] } = this.authority.durableState;
    return this.writer?.isOpen === true && inSync.length + rebuilding.length < this.mirrors.size;
  }

  // --- network

  deliver(index: number, options: { readonly keep?: boolean } = {}): void {
    this.step(null, () => {
      this.network.deliver(index, options);
    });
  }

  timeOut(callId: number): void {
    this.step('a call times out', () => {
      this.network.timeOut(callId);
    });
  }

  #handle(id: MirrorId, request: Parameters<SimulatedMirror['handle']>[0]): MirrorResponse | null {
    const mirror = this.mirror(id);
    if (!mirror.isUp) return null;
    try {
      return mirror.handle(request);
    } catch (error) {
      if (error instanceof PowerFailure) return null;
      if (error instanceof DiskFailed) return { kind: 'refused', code: 'io-error' };
      throw error;
    }
  }

  // --- faults

  crash(id: MirrorId, survivors = 0, isTorn = false): void {
    this.step(`${id} crashes`, () => {
      if (this.mirror(id).crash(survivors, isTorn)) this.#loseState(id);
      this.#forget(
        this.#running.filter((running) => running.kind === 'catch-up' && running.order.inSync[0] === id),
      );
    });
  }

  restart(id: MirrorId): void {
    this.step(`${id} restarts`, () => {
      this.mirror(id).restart();
    });
  }

  /** The disk of a mirror that is down is replaced by a blank one. */
  blank(id: MirrorId): void {
    this.step(`${id} gets a blank disk`, () => {
      this.damaged.add(id);
      this.mirror(id).disk.restore(blankImage(this.newStoreId()));
    });
  }

  /** The disk of a mirror that is down is restored from an old snapshot. */
  rollBack(id: MirrorId, snapshotIndex: number): void {
    this.step(`${id} is rolled back`, () => {
      this.#loseState(id);
      this.mirror(id).disk.rollBack(snapshotIndex);
    });
  }

  #loseState(id: MirrorId): void {
    this.damaged.add(id);
    this.rolledBack.add(id);
  }

  /** True once nothing is left that the protocol could save the set with: every mirror in sync has lost state. */
  get isBeyondGuarantee(): boolean {
    return this.#isBeyondGuarantee;
  }

  /** Faults and exclusions can bring this about. An activation of damaged mirrors is the protocol's own mistake. */
  #noteHopeless(): void {
    const { inSync } = this.authority.durableState;
    if (this.events.transitions.some(({ after, cause }) => cause === 'recovery' && after.phase === 'active'))
      return;
    this.#isBeyondGuarantee ||= inSync.length > 0 && inSync.every((mirror) => this.damaged.has(mirror));
  }
}
