/**
 * The simulated writer: one process that issues tags, sends each write to every mirror in sync, and does what the
 * protocol makes of the answers.
 */
import type { AuthorityState, MirrorId } from '../../src/protocol/authority-state.js';
import { rowsKeptFor } from '../../src/protocol/forgone-rows.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { Epoch, Tag } from '../../src/protocol/tag.js';
import type { MirrorAnswer, WriteProgress } from '../../src/protocol/write-outcome.js';
import type { ObjectState, TagRow, WriteKind, WriteTransaction } from '../../src/protocol/write.js';
import type { StoreId, Witness } from '../../src/protocol/token.js';
import { admission, type AdmittedMirrors } from './admission.js';
import type { SimulatedAuthority } from './authority.js';
import type { CatchUpOrder } from './catch-up.js';
import type { History, IssuedWrite } from './history.js';
import type { ClearItem, MirrorResponse } from './messages.js';
import type { Network } from './network.js';
import type { Steps } from './recovery.js';
import type { Rules } from './rules.js';
import { checksumOf } from './simulated-disk.js';
import { SET_ID } from './simulated-mirror.js';
import type { TagGenerators } from './tag-generators.js';

export interface WriteIntent {
  readonly objectId: ObjectId;
  readonly kind: WriteKind;
  readonly offset?: number;
  readonly text?: string;
  /** The writer does not wait for the outcome of the object's earlier writes. Only a mistaken one does that. */
  readonly isPipelined?: boolean;
}

interface PendingWrite {
  readonly issued: IssuedWrite;
  readonly bytes: Uint8Array;
  /** The object as the writer knew it before. */
  readonly base: ObjectState | null;
  readonly answers: Map<MirrorId, MirrorAnswer | null>;
  /** Requests without an answer, by mirror: while there is one, the write may still land there. */
  readonly unanswered: Map<MirrorId, number>;
  attempts: number;
  isAcknowledged: boolean;
  isReady: boolean;
}

export interface GatewayPorts {
  readonly rules: Rules;
  readonly network: Network;
  readonly authority: SimulatedAuthority;
  readonly history: History;
  readonly log: (line: () => string) => void;
  readonly newStoreId: () => StoreId;
  /** Mirrors were let in as rebuilding: somebody may copy to them. */
  readonly onAdmitted: (catchUp: CatchUpOrder) => void;
  /** This writer can't go on: only a recovery helps. */
  readonly onDeposed: (gateway: SimulatedGateway) => void;
}

export interface MirrorsSeen {
  readonly tables: ReadonlyMap<MirrorId, readonly TagRow[]>;
  readonly identities: readonly (Witness & { readonly mirror: MirrorId; readonly activeEpoch: Epoch })[];
}

/** How often one write is sent to one mirror before its outcome there counts as unknown. */
const ATTEMPTS_MAX = 2;

export class SimulatedGateway {
  readonly name: string;
  readonly #ports: GatewayPorts;
  /** Those that a write must be on before its rows are cleared. */
  #keptFor: readonly MirrorId[];
  readonly #generators: TagGenerators;
  readonly #pending = new Map<Tag, PendingWrite>();
  readonly #known: Map<ObjectId, ObjectState | null>;
  /** Of each generator, by mirror. */
  readonly #ledger = new Map<string, ClearItem[]>();
  #inSync: readonly MirrorId[];
  /** What the authority said last **to this writer**: never its present epoch, which may be that of a recovery. */
  #grantedEpoch: Epoch;
  /** Who is being left out. */
  #leaving: readonly MirrorId[] = [];
  /** Who is to be let in as rebuilding; null: nobody asked for it. */
  #returning: readonly MirrorId[] | null = null;
  /** Who gets the writes of this epoch without being waited for. */
  #rebuilding: readonly MirrorId[] = [];
  /** What was put on record of forgone rows is on its way to the mirrors. */
  #isForgoing = false;
  #status: 'open' | 'draining' | 'advancing' | 'deposed' = 'open';

  constructor(
    name: string,
    start: {
      readonly state: AuthorityState;
      readonly generators: TagGenerators;
      readonly known: ReadonlyMap<ObjectId, ObjectState | null>;
    },
    ports: GatewayPorts,
  ) {
    this.name = name;
    this.#ports = ports;
    this.#keptFor = rowsKeptFor(start.state);
    this.#inSync = start.state.inSync;
    this.#grantedEpoch = start.state.epoch;
    this.#generators = start.generators;
    this.#known = new Map(start.known);
  }

  get epoch(): Epoch {
    return this.#generators.epoch;
  }

  get status(): string {
    return this.#status;
  }

  get isOpen(): boolean {
    return this.#status === 'open';
  }

  get rebuilding(): readonly MirrorId[] {
    return this.#rebuilding;
  }

  get inSync(): readonly MirrorId[] {
    return this.#inSync;
  }

  /** Writes whose outcome no client knows. */
  get undecidedCount(): number {
    return [...this.#pending.values()].filter((pending) => !pending.isAcknowledged).length;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  get readyCount(): number {
    return [...this.#ledger.values()].flat().length;
  }

  known(objectId: ObjectId): ObjectState | null {
    return this.#known.get(objectId) ?? null;
  }

  undecidedTags(objectId: ObjectId): Tag[] {
    return [...this.#pending.values()]
      .filter(({ issued, isAcknowledged }) => issued.transaction.objectId === objectId && !isAcknowledged)
      .map(({ issued }) => issued.transaction.tag);
  }

  /** Null: this write makes no sense now, and the client is told so. */
  submit(intent: WriteIntent): Tag | null {
    if (this.#status !== 'open') return null;
    const base = this.known(intent.objectId);
    const buildsOnState = intent.kind !== 'replace' && intent.kind !== 'remove';
    if (buildsOnState && base?.kind !== 'present') return null;
    const mustWait =
      buildsOnState && intent.isPipelined !== true && this.undecidedTags(intent.objectId).length > 0;
    if (mustWait) return null;
    const transaction = this.#transactionFor(intent, base);
    const bytes = new TextEncoder().encode(intent.text ?? '');
    const issued = this.#ports.history.issue(transaction, bytes);
    this.#ports.log(() => `${this.name} issues ${transaction.kind} ${transaction.tag} #${issued.ordinal}`);
    const pending: PendingWrite = {
      issued,
      bytes,
      base,
      answers: new Map([...this.#inSync, ...this.#rebuilding].map((mirror) => [mirror, null])),
      unanswered: new Map(),
      attempts: 1,
      isAcknowledged: false,
      isReady: false,
    };
    this.#pending.set(transaction.tag, pending);
    this.#known.set(intent.objectId, issued.state);
    for (const mirror of [...this.#inSync, ...this.#rebuilding]) this.#send(pending, mirror);
    return transaction.tag;
  }

  #transactionFor(intent: WriteIntent, base: ObjectState | null): WriteTransaction {
    const length = new TextEncoder().encode(intent.text ?? '').length;
    const sizeBytes = base?.kind === 'present' ? base.sizeBytes : 0;
    const hasContent = intent.kind === 'range-write' || intent.kind === 'extend';
    const offset = intent.kind === 'extend' ? sizeBytes : Math.min(intent.offset ?? 0, sizeBytes);
    const tag = this.#generators.issue(intent.objectId);
    return {
      setId: SET_ID,
      epoch: this.#generators.epoch,
      tag,
      objectId: intent.objectId,
      kind: intent.kind,
      previousTag: intent.kind === 'replace' || intent.kind === 'remove' ? null : (base?.lastTag ?? null),
      offset: hasContent ? offset : 0,
      length: hasContent || intent.kind === 'replace' ? length : 0,
      mode: hasContent && offset + length > sizeBytes ? 'extend' : 'overwrite',
      attributes: intent.kind === 'replace' || intent.kind === 'set-attributes' ? `made by ${tag}` : null,
      checksum: checksumOf(new TextEncoder().encode(`${intent.kind}${offset}${intent.text ?? ''}`)),
    };
  }

  #send(pending: PendingWrite, mirror: MirrorId): void {
    const index = this.#generators.indexOf(pending.issued.transaction.tag);
    const clears = this.#takeReady(index, mirror);
    pending.unanswered.set(mirror, (pending.unanswered.get(mirror) ?? 0) + 1);
    this.#ports.network.call(
      this.name,
      mirror,
      {
        kind: 'write',
        transaction: pending.issued.transaction,
        bytes: pending.bytes,
        floor: this.#generators.floor(index),
        clears,
      },
      (response) => this.#onAnswer(pending, mirror, response),
    );
  }

  #onAnswer(pending: PendingWrite, mirror: MirrorId, response: MirrorResponse | null): void {
    const before = pending.answers.get(mirror) ?? null;
    if (response === null) {
      if (this.#mayRepeat(pending, mirror)) {
        this.#repeat(pending, mirror);
        return;
      }
      if (before === null) pending.answers.set(mirror, { kind: 'unknown', reason: 'no answer' });
      // Nobody waits for a mirror that is being rebuilt, the floor neither: it may pass what is still on its way there.
      if (this.#rebuilding.includes(mirror)) pending.unanswered.set(mirror, 0);
      this.#decide(pending);
      return;
    }
    pending.unanswered.set(mirror, Math.max(0, (pending.unanswered.get(mirror) ?? 0) - 1));
    if (response.kind === 'committed') {
      pending.answers.set(mirror, { kind: 'committed', token: response.token, witness: response.witness });
    } else if (before === null && response.kind === 'refused') {
      // A refusal is certain only of a request that was never sent twice: an earlier copy may have landed. What a
      // failed disk has made of a write nobody knows.
      const isCertain = pending.attempts === 1 && response.code !== 'io-error';
      const { code } = response;
      pending.answers.set(mirror, isCertain ? { kind: 'refused', code } : { kind: 'unknown', reason: code });
    }
    this.#decide(pending);
  }

  #mayRepeat(pending: PendingWrite, mirror: MirrorId): boolean {
    const isWanted =
      this.#status !== 'deposed' && (this.#inSync.includes(mirror) || this.#rebuilding.includes(mirror));
    return isWanted && pending.answers.get(mirror) === null && pending.attempts < ATTEMPTS_MAX;
  }

  #repeat(pending: PendingWrite, mirror: MirrorId): void {
    pending.attempts += 1;
    this.#send(pending, mirror);
  }

  #progressOf(pending: PendingWrite): WriteProgress {
    return { answers: pending.answers, inSync: this.#inSync, configured: this.#keptFor };
  }

  #decide(pending: PendingWrite): void {
    const { tag } = pending.issued.transaction;
    if (!this.#pending.has(tag) || this.#status === 'deposed') return;
    const outcome = this.#ports.rules.decideOutcome(this.#progressOf(pending));
    switch (outcome.kind) {
      case 'wait':
        return;
      case 'acknowledge':
        this.#acknowledge(pending);
        this.#noteReady(pending);
        this.#settleIfDone(pending);
        break;
      case 'exclude':
        if (this.#status === 'open') this.#leaveOut(outcome.mirrors);
        break;
      case 'refuse':
        this.#ports.history.refuse(pending.issued);
        if (outcome.code === 'no-space') {
          this.#giveUp(pending);
          break;
        }
        this.depose();
        return;
      case 'unknown':
        this.#ports.log(() => `${this.name}: ${tag} ends as ${outcome.kind}`);
        this.depose();
        return;
    }
    this.#excludeIfAnswered();
  }

  /** Nobody has it, and the client was told so. */
  #giveUp(pending: PendingWrite): void {
    const { transaction, state } = pending.issued;
    this.#ports.log(() => `${this.name} refuses ${transaction.tag}`);
    if (this.#known.get(transaction.objectId) === state) this.#known.set(transaction.objectId, pending.base);
    this.#pending.delete(transaction.tag);
    this.#generators.settle(transaction.tag);
  }

  #acknowledge(pending: PendingWrite): void {
    if (pending.isAcknowledged) return;
    pending.isAcknowledged = true;
    this.#ports.log(() => `${this.name} acknowledges ${pending.issued.transaction.tag}`);
    this.#ports.history.settle(pending.issued);
  }

  #noteReady(pending: PendingWrite): void {
    if (pending.isReady) return;
    const ready = this.#ports.rules.readyTokens(this.#progressOf(pending));
    if (ready.length === 0) return;
    pending.isReady = true;
    const index = this.#generators.indexOf(pending.issued.transaction.tag);
    for (const { mirror, token, witnesses } of ready) this.#giveBack(index, mirror, [{ token, witnesses }]);
  }

  /** A tag is in flight while a request for it may still be on its way. */
  #settleIfDone(pending: PendingWrite): void {
    const isOpenSomewhere = [...pending.unanswered.values()].some((count) => count > 0);
    if (!pending.isAcknowledged || isOpenSomewhere) return;
    this.#pending.delete(pending.issued.transaction.tag);
    this.#generators.settle(pending.issued.transaction.tag);
  }

  #leaveOut(mirrors: readonly MirrorId[]): void {
    this.#status = 'draining';
    this.#leaving = mirrors;
  }

  /** Writes of the old epoch get all their answers first. */
  #excludeIfAnswered(): void {
    if (this.#status !== 'draining') return;
    const waits = [...this.#pending.values()].some(({ answers }) =>
      this.#inSync.some((mirror) => (answers.get(mirror) ?? null) === null),
    );
    if (waits) return;
    const from = this.#grantedEpoch;
    const begun = this.#ports.authority.beginExclusion(from);
    if (begun === null) {
      this.depose();
      return;
    }
    this.#status = 'advancing';
    this.#grantedEpoch = begun.epoch;
    this.#rebuilding = [];
    const returning = this.#returning;
    this.#returning = null;
    if (returning !== null && this.#leaving.length === 0) {
      this.#beginAdmission(returning, { from, to: begun.epoch });
      return;
    }
    const { advancesBeforeExclusion } = this.#ports.rules;
    if (!advancesBeforeExclusion) this.#ports.authority.exclude(begun.epoch, this.#leaving);
    const staying = this.#inSync.filter((mirror) => !this.#leaving.includes(mirror));
    this.#advance(staying, { from, to: begun.epoch }, () => {
      if (advancesBeforeExclusion) this.#exclude();
      else this.#goOn(this.#ports.authority.state);
    });
  }

  // --- mirrors that come back

  /** Asks for mirrors that are out to be let in as rebuilding, as soon as every write has its answers. */
  admit(mirrors: readonly MirrorId[]): void {
    if (this.#status !== 'open') return;
    this.#status = 'draining';
    this.#leaving = [];
    this.#returning = mirrors.filter((mirror) => !this.#inSync.includes(mirror));
    this.#excludeIfAnswered();
  }

  #beginAdmission(
    returning: readonly MirrorId[],
    epochs: { readonly from: Epoch; readonly to: Epoch },
  ): void {
    const steps = admission(this.#ports, { epoch: epochs.to, inSync: this.#inSync, returning });
    this.#advance(this.#inSync, epochs, () => {
      this.#step(steps, null);
    });
  }

  #step(steps: Steps<AdmittedMirrors | null>, response: MirrorResponse | null): void {
    if (this.#status === 'deposed') return;
    const next = steps.next(response);
    if (next.done !== true) {
      let isAnswered = false;
      this.#ports.network.call(this.name, next.value.mirror, next.value.request, (answer) => {
        if (!isAnswered) this.#step(steps, answer);
        isAnswered = true;
      });
      return;
    }
    if (next.value === null) {
      this.depose();
      return;
    }
    const { state, order } = next.value;
    this.#rebuilding = order.targets;
    this.#goOn(state);
    if (order.targets.length > 0) this.#ports.onAdmitted(order);
  }

  /** Whoever was restarted meanwhile refuses: then the old set stands, and a recovery decides whom to trust. */
  #advance(
    mirrors: readonly MirrorId[],
    epochs: { readonly from: Epoch; readonly to: Epoch },
    then: () => void,
  ): void {
    const waiting = new Set(mirrors);
    for (const mirror of mirrors) {
      this.#ports.network.call(this.name, mirror, { kind: 'advance', ...epochs }, (response) => {
        if (this.#status !== 'advancing' || this.#grantedEpoch !== epochs.to) return;
        if (response?.kind !== 'fence' || response.verdict.kind === 'refuse') {
          this.depose();
          return;
        }
        if (waiting.delete(mirror) && waiting.size === 0) then();
      });
    }
  }

  /** Every mirror in sync keeps it before anybody acts on it (F31); one that does not leaves it to a recovery. */
  #keepRecords(state: AuthorityState, then: () => void): void {
    if (!this.#ports.rules.keepsAuthorityRecords) {
      then();
      return;
    }
    const waiting = new Set(state.inSync);
    const request = { kind: 'keep-record', epoch: state.epoch, record: state } as const;
    for (const mirror of state.inSync) {
      this.#ports.network.call(this.name, mirror, request, (response) => {
        if (this.#status === 'deposed' || this.#grantedEpoch !== state.epoch) return;
        if (response?.kind !== 'done') this.depose();
        else if (waiting.delete(mirror) && waiting.size === 0) {
          this.#ports.authority.noteKept(state);
          then();
        }
      });
    }
  }

  #exclude(): void {
    const state = this.#ports.authority.exclude(this.#grantedEpoch, this.#leaving);
    if (state === null) this.depose();
    else
      this.#keepRecords(state, () => {
        this.#goOn(state);
      });
  }

  /** The set is smaller: that may decide some writes, and some want yet another exclusion. Then new ones are let in. */
  #goOn(state: AuthorityState): void {
    this.#ports.log(() => `${this.name} goes on at ${state.epoch} with ${state.inSync.join()}`);
    this.#inSync = state.inSync;
    this.#keptFor = rowsKeptFor(state);
    this.#status = 'open';
    for (const pending of this.#pending.values()) this.#decide(pending);
    if (!this.isOpen) return;
    for (const [tag] of this.#pending) this.#generators.settle(tag);
    this.#pending.clear();
    this.#generators.advance(this.#grantedEpoch);
  }

  depose(): void {
    if (this.#status === 'deposed') return;
    this.#status = 'deposed';
    this.#ports.log(() => `${this.name} stops: only a recovery helps`);
    this.#ports.onDeposed(this);
  }

  #giveBack(index: number, mirror: MirrorId, clears: readonly ClearItem[]): void {
    const place = `${index} ${mirror}`;
    this.#ledger.set(place, [...(this.#ledger.get(place) ?? []), ...clears]);
  }

  #takeReady(index: number, mirror: MirrorId): ClearItem[] {
    const place = `${index} ${mirror}`;
    const ready = this.#ledger.get(place) ?? [];
    this.#ledger.delete(place);
    return ready;
  }

  /** The tag tables are full, and somebody is away (F27). `look`: what the mirrors have, and where they stand. */
  forgoRows(look: () => MirrorsSeen): void {
    if (this.#status !== 'open' || this.#isForgoing) return;
    const { rules, authority } = this.#ports;
    if (!rules.recordsBeforeForgoing) {
      this.#dropForgone(look());
      return;
    }
    const state = authority.forgoRows(this.#grantedEpoch);
    if (state === null) {
      this.depose();
      return;
    }
    this.#isForgoing = true;
    // Before that a state that is rebuilt (F31) would want the rows of the writes that come now.
    this.#keepRecords(state, () => {
      this.#isForgoing = false;
      this.#keptFor = rowsKeptFor(state);
      // Somebody who is out may have been let in already: his rows stay.
      if (rules.areAllRowsForgone(state)) this.#dropForgone(look());
    });
  }

  #dropForgone({ tables, identities }: MirrorsSeen): void {
    if (this.#status !== 'open') return;
    const { rules, network } = this.#ports;
    const floors = this.#generators.floors();
    for (const mirror of this.#inSync) {
      const rows = (tables.get(mirror) ?? []).filter(({ tag }) => rules.isSettled(tag, floors));
      const others = identities.filter(
        (other) => other.mirror !== mirror && this.#inSync.includes(other.mirror),
      );
      if (!others.every(({ activeEpoch }) => rules.bearsWitness(activeEpoch, this.#grantedEpoch))) continue;
      const witnesses = others.map(({ storeId, commitSequence }) => ({ storeId, commitSequence }));
      const drop = { kind: 'drop-rows', epoch: this.#grantedEpoch, rows, witnesses } as const;
      network.call(this.name, mirror, drop, () => undefined);
    }
  }

  /** What the timer does: tokens that no write took along. Without any, the floor alone. */
  sendClears(): void {
    if (this.#status !== 'open' && this.#status !== 'draining') return;
    for (const mirror of [...this.#inSync, ...this.#rebuilding]) {
      for (const index of this.#generators.indexes) this.#sendClearsOf(index, mirror);
    }
  }

  #sendClearsOf(index: number, mirror: MirrorId): void {
    const clears = this.#takeReady(index, mirror);
    const batch = { epoch: this.#grantedEpoch, clears, floor: this.#generators.floor(index) };
    this.#ports.network.call(this.name, mirror, { kind: 'clear', batch }, (response) => {
      if (response === null && clears.length > 0) this.#giveBack(index, mirror, clears);
    });
  }
}
