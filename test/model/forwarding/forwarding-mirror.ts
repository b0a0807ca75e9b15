/** One simulated OSD that may be the writer: the protocol's rules over a disk that forgets nothing. */
import { type MirrorId, toMirrorId } from '../../../src/protocol/authority-state.js';
import {
  decideActivate,
  decideAdvance,
  decideFence,
  type FenceState,
  isReadableAt,
  reopenFence,
} from '../../../src/protocol/fence.js';
import { type AppointedWriter, decideAppointment, RequestLedger } from '../../../src/protocol/forwarding.js';
import { TagGenerator } from '../../../src/protocol/generator.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import type { MirrorReport } from '../../../src/protocol/recovery-plan.js';
import { type Epoch, EPOCH_NONE, type Tag } from '../../../src/protocol/tag.js';
import { toStoreId } from '../../../src/protocol/token.js';
import { decideOutcome, type MirrorVerdict } from '../../../src/protocol/write-outcome.js';
import {
  applyWrite,
  decideWrite,
  type ObjectState,
  type WriteTransaction,
} from '../../../src/protocol/write.js';
import type { Message, NumberedWrite } from './forwarding-messages.js';

/** Each is off in one test, to see what it is there for. */
export interface ForwardingRules {
  /** F24: the same request gets the same answer. */
  readonly remembersRequests: boolean;
  /** F12: nobody is told that a write is done before the mirrors that lack it are left out. */
  readonly excludesBeforeAnswer: boolean;
  /** F26: a read waits for a write whose tag it may show. */
  readonly readsWait: boolean;
  /** F29: a restarted OSD takes no order to write before a new activation. */
  readonly restartEndsWriter: boolean;
}

export interface StoredContent {
  readonly state: ObjectState;
  readonly content: readonly number[];
}

interface RunningWrite {
  readonly request: number;
  readonly tag: Tag;
  readonly answers: Map<MirrorId, MirrorVerdict | null>;
}

interface WriterRole {
  readonly order: AppointedWriter;
  readonly generator: TagGenerator;
  readonly ledger: RequestLedger<RunningWrite>;
  readonly running: Map<Tag, RunningWrite>;
}

export interface MirrorPorts {
  readonly send: (message: Message) => void;
  readonly onFinding: (finding: 'two-writers') => void;
}

const REMEMBERED_MAX = 100;

export class ForwardingMirror {
  readonly id: MirrorId;
  readonly storeId;
  readonly objects = new Map<ObjectId, StoredContent>();
  isUp = true;
  readonly #rules: ForwardingRules;
  readonly #ports: MirrorPorts;
  #run = 1;
  #fence: FenceState = reopenFence(EPOCH_NONE);
  #writer: WriterRole | null = null;
  #floor: Tag | null = null;
  readonly #writerOfEpoch = new Map<Epoch, MirrorId>();

  constructor(index: number, rules: ForwardingRules, ports: MirrorPorts) {
    this.id = toMirrorId(`osd-${index}`);
    this.storeId = toStoreId(String(index).repeat(32));
    this.#rules = rules;
    this.#ports = ports;
  }

  get incarnation(): string {
    return `${this.id}-run-${this.#run}`;
  }

  report(): MirrorReport {
    const { id: mirror, storeId, incarnation } = this;
    const blank = this.#fence.fencedEpoch <= 1 && this.objects.size === 0;
    return { mirror, storeId, incarnation, commitSequence: 1, selfDoubt: null, blank, witnesses: [] };
  }

  serves(epoch: Epoch): boolean {
    return this.isUp && isReadableAt(this.#fence, epoch);
  }

  crash(): void {
    this.isUp = false;
    this.#writer = null;
    this.#floor = null;
  }

  restart(): void {
    this.isUp = true;
    this.#run += 1;
    const { fencedEpoch } = this.#fence;
    this.#fence = this.#rules.restartEndsWriter
      ? reopenFence(fencedEpoch)
      : { fencedEpoch, activeEpoch: fencedEpoch };
  }

  // --- the fence; each says whether it was moved

  #move(verdict: ReturnType<typeof decideFence>): boolean {
    if (!this.isUp || verdict.kind === 'refuse') return false;
    this.#fence = verdict.state;
    if (this.#writer !== null && this.#writer.order.epoch !== this.#fence.activeEpoch) this.#writer = null;
    return true;
  }

  fenceAt(epoch: Epoch): boolean {
    return this.#move(decideFence(this.#fence, epoch));
  }

  activateAt(epoch: Epoch): boolean {
    return this.#move(decideActivate(this.#fence, epoch));
  }

  advance(from: Epoch, to: Epoch): boolean {
    return this.#move(decideAdvance(this.#fence, from, to));
  }

  /** A recovery makes this object what its source has. */
  repair(objectId: ObjectId, source: StoredContent | null): void {
    if (source === null) this.objects.delete(objectId);
    else this.objects.set(objectId, source);
  }

  appoint(order: AppointedWriter): boolean {
    const verdict = decideAppointment(
      { fence: this.#fence, current: this.#writer?.order ?? null, endedEpoch: EPOCH_NONE },
      order,
    );
    if (!this.isUp || verdict.kind === 'refuse') return false;
    if (verdict.kind === 'begin') {
      this.#writer = {
        ...{ order, generator: new TagGenerator(order.generator, order.epoch) },
        ...{ ledger: new RequestLedger(REMEMBERED_MAX), running: new Map() },
      };
    }
    return true;
  }

  handle(message: Exclude<Message, { kind: 'reply' }>): void {
    if (!this.isUp) return;
    switch (message.kind) {
      case 'order':
        this.appoint(message.order);
        return;
      case 'forward':
        this.#forward(message);
        return;
      case 'transact': {
        const { transaction, content, from, floor } = message;
        if (this.#floor === null || floor > this.#floor) this.#floor = floor;
        const answer = this.#write(transaction, content, from);
        this.#ports.send({ kind: 'answer', to: from, from: this.id, tag: transaction.tag, answer });
        return;
      }
      case 'answer':
        this.#record(message.tag, message.from, message.answer);
    }
  }

  #forward({ epoch, floor, write }: Extract<Message, { kind: 'forward' }>): void {
    const { request } = write;
    const refuse = (code: string): void => {
      this.#ports.send({ kind: 'reply', epoch, request, reply: { kind: 'refused', code } });
    };
    const writer = this.#writer;
    if (writer?.order.epoch !== epoch) {
      refuse('no-writer');
      return;
    }
    writer.ledger.raiseFloor(floor);
    const verdict = this.#rules.remembersRequests
      ? writer.ledger.look(request, write.ordinal)
      : ({ kind: 'begin' } as const);
    // What arrives late, below the floor, has nobody who waits for it.
    if (verdict.kind === 'refuse') return;
    if (verdict.kind === 'repeat') this.#reply(writer, verdict.answer);
    else this.#begin(writer, write);
  }

  #begin(writer: WriterRole, write: NumberedWrite): void {
    const { order, generator, ledger, running } = writer;
    const transaction = transactionOf(write, order.epoch, generator.issue());
    const { tag } = transaction;
    const answers = new Map<MirrorId, MirrorVerdict | null>(order.inSync.map((mirror) => [mirror, null]));
    const begun: RunningWrite = { request: write.request, tag, answers };
    if (this.#rules.remembersRequests) ledger.remember(write.request, write.ordinal, begun);
    running.set(tag, begun);
    for (const to of order.inSync) {
      if (to === this.id) continue;
      const { content } = write;
      this.#ports.send({
        kind: 'transact',
        to,
        from: this.id,
        transaction,
        content,
        floor: generator.floor(),
      });
    }
    this.#record(tag, this.id, this.#write(transaction, write.content, this.id));
  }

  #write(transaction: WriteTransaction, content: readonly number[], from: MirrorId): MirrorVerdict {
    const { objectId, epoch } = transaction;
    const object = this.objects.get(objectId)?.state ?? null;
    const { fencedEpoch, activeEpoch } = this.#fence;
    const context = { setId: 'set-0', fencedEpoch, activeEpoch, floor: this.#floor, row: null, object };
    const verdict = decideWrite(context, transaction);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const known = this.#writerOfEpoch.get(epoch) ?? from;
    this.#writerOfEpoch.set(epoch, known);
    if (known !== from) this.#ports.onFinding('two-writers');
    if (verdict.kind === 'apply') {
      this.objects.set(objectId, { state: applyWrite(object, transaction).object, content });
    }
    return { kind: 'committed' };
  }

  #record(tag: Tag, mirror: MirrorId, answer: MirrorVerdict): void {
    const write = this.#writer?.running.get(tag);
    if (this.#writer === null || write?.answers.get(mirror) !== null) return;
    write.answers.set(mirror, answer);
    this.#reply(this.#writer, write);
  }

  /** Waits for no answer any more. */
  giveUpOnPeers(): void {
    for (const { tag, answers } of this.#writer?.running.values() ?? []) {
      for (const [mirror, answer] of answers) {
        if (answer === null) this.#record(tag, mirror, { kind: 'unknown', reason: 'no answer' });
      }
    }
  }

  #reply({ order, generator }: WriterRole, { request, tag, answers }: RunningWrite): void {
    const { epoch, inSync } = order;
    const outcome = decideOutcome({ answers, inSync });
    if (outcome.kind === 'wait') return;
    if (outcome.kind === 'acknowledge' && generator.isInFlight(tag)) generator.settle(tag);
    const given = [...answers].flatMap(([mirror, answer]) =>
      answer === null ? [] : [[mirror, answer] as const],
    );
    this.#ports.send({ kind: 'reply', epoch, request, reply: { kind: 'written', tag, answers: given } });
  }
}

function transactionOf(write: NumberedWrite, epoch: Epoch, tag: Tag): WriteTransaction {
  const { objectId, kind, previousTag, content, ordinal } = write;
  const isExtend = kind === 'extend';
  return {
    ...{ setId: 'set-0', epoch, tag, objectId, kind, checksum: ordinal },
    previousTag: isExtend ? previousTag : null,
    offset: isExtend ? content.length - 1 : 0,
    length: isExtend ? 1 : content.length,
    mode: isExtend ? 'extend' : 'overwrite',
    attributes: '',
  };
}
