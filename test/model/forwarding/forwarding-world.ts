/**
 * Forwarded writes, simulated: a gateway with its authority, and mirrors of which one issues the tags. The rules are the
 * protocol's own (forwarding.ts, write.ts, fence.ts, write-outcome.ts, recovery-plan.ts); what is simulated is the network
 * between them, and who crashes when. A recovery is one step here: what happens within one is the matter of the world beside.
 *
 * Every object is a list of the writes that it was made of, so each mistake shows: a write that was acknowledged and is not
 * there, and a read that a later one contradicts.
 */
import {
  activate,
  type AuthorityState,
  beginRecovery,
  excludeMirrors,
  type MirrorId,
  nameWriter,
  newAuthorityState,
} from '../../../src/protocol/authority-state.js';
import {
  type AppointedWriter,
  mayBeShown,
  RequestNumbers,
  tagBeforeEpoch,
} from '../../../src/protocol/forwarding.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { planRecovery } from '../../../src/protocol/recovery-plan.js';
import { isLater, type Tag, toGeneratorId } from '../../../src/protocol/tag.js';
import { decideOutcome } from '../../../src/protocol/write-outcome.js';
import { objectNamed } from '../world.js';
import { ForwardingMirror, type ForwardingRules } from './forwarding-mirror.js';
import type { ForwardedReply, Message, NumberedWrite } from './forwarding-messages.js';

const GENERATOR = toGeneratorId(1);
export const OBJECTS: readonly ObjectId[] = [objectNamed('a'), objectNamed('b')];

export type Finding = 'lost' | 'contradicted' | 'two-writers' | 'unequal';

/** A client's write, from the moment at which its tag is asked for. */
interface ClientWrite {
  readonly ordinal: number;
  readonly objectId: ObjectId;
  readonly kind: 'replace' | 'extend';
  epoch: number;
  request: number;
  issuedAfter: Tag;
  tag: Tag | null;
  reply: ForwardedReply | null;
  attempts: number;
  state: 'forwarded' | 'undecided' | 'acknowledged' | 'refused';
}

export class ForwardingWorld {
  readonly mirrors: readonly ForwardingMirror[];
  readonly messages: Message[] = [];
  readonly findings = new Set<Finding>();
  readonly trace: string[] = [];
  readonly #rules: ForwardingRules;
  #state: AuthorityState;
  #numbers = new RequestNumbers();
  #latestTag: Tag;
  #isOpen = false;
  #order: AppointedWriter | null = null;
  #lostWriter: MirrorId | null = null;
  readonly #writes: ClientWrite[] = [];
  readonly #shown = new Map<ObjectId, readonly number[]>();

  constructor(rules: ForwardingRules, mirrorCount: number) {
    this.#rules = rules;
    const send = (message: Message): void => void this.messages.push(message);
    this.mirrors = Array.from(
      { length: mirrorCount },
      (_, index) => new ForwardingMirror(index, rules, { send, onFinding: (finding) => this.#find(finding) }),
    );
    const ids = this.mirrors.map(({ id }) => id);
    this.#state = newAuthorityState('set-0', ids);
    this.#latestTag = tagBeforeEpoch(this.#state.epoch, GENERATOR);
    this.recover();
  }

  get state(): AuthorityState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  mirror(id: MirrorId): ForwardingMirror {
    const mirror = this.mirrors.find((candidate) => candidate.id === id);
    if (mirror === undefined) throw new RangeError(`no mirror ${id}`);
    return mirror;
  }

  /** The one that issues the tags. */
  get writer(): ForwardingMirror {
    const { writer } = this.#state;
    if (writer === undefined) throw new Error('nobody issues tags');
    return this.mirror(writer);
  }

  get peer(): ForwardingMirror {
    const peer = this.mirrors.find((mirror) => mirror !== this.writer);
    if (peer === undefined) throw new Error('there is no other mirror');
    return peer;
  }

  stateOf(ordinal: number): ClientWrite['state'] | undefined {
    return this.#writes.find((write) => write.ordinal === ordinal)?.state;
  }

  #find(finding: Finding): void {
    this.trace.push(`FOUND ${finding}`);
    this.findings.add(finding);
  }

  #openWriteOf(objectId: ObjectId): ClientWrite | undefined {
    return this.#writes.find(
      (write) => write.objectId === objectId && (write.state === 'forwarded' || write.state === 'undecided'),
    );
  }

  // --- clients

  /** A client appends to an object. Null: it has to wait. */
  submit(objectId: ObjectId, kind: 'replace' | 'extend'): number | null {
    if (!this.#isOpen || this.#openWriteOf(objectId) !== undefined) return null;
    const ordinal = this.#writes.length + 1;
    const write: ClientWrite = {
      ...{ ordinal, objectId, kind, epoch: 0, request: 0, issuedAfter: this.#latestTag },
      ...{ tag: null, reply: null, attempts: 0, state: 'forwarded' },
    };
    this.#writes.push(write);
    this.trace.push(`write ${ordinal} (${kind}) of ${objectId}`);
    this.#begin(write);
    return ordinal;
  }

  #begin(write: ClientWrite): void {
    Object.assign(write, {
      ...{ epoch: this.#state.epoch, request: this.#numbers.issue(), issuedAfter: this.#latestTag },
      ...{ tag: null, reply: null, attempts: 0, state: 'forwarded' },
    });
    this.#forward(write);
  }

  #forward(write: ClientWrite): void {
    const { writer } = this.#state;
    if (writer === undefined) return;
    write.attempts += 1;
    const { ordinal, objectId, request } = write;
    const known = this.mirror(writer).objects.get(objectId);
    const lastTag = known?.state.lastTag ?? null;
    // Nobody else writes to it: what was last acknowledged is what the gateway knows of it.
    const base = write.attempts === 1 ? { previousTag: lastTag, content: known?.content ?? [] } : null;
    const kind = lastTag === null ? 'replace' : write.kind;
    const numbered: NumberedWrite = this.#sent.get(write) ?? {
      ...{ request, ordinal, objectId, kind, previousTag: base?.previousTag ?? null },
      content: [...(base?.content ?? []), ordinal],
    };
    this.#sent.set(write, numbered);
    const { epoch } = this.#state;
    this.messages.push({ kind: 'forward', to: writer, epoch, floor: this.#numbers.floor(), write: numbered });
  }

  readonly #sent = new Map<ClientWrite, NumberedWrite>();

  /** A client reads from one mirror in sync. Null: it has to wait (F26). */
  read(objectId: ObjectId, from: MirrorId): readonly number[] | null {
    const mirror = this.mirror(from);
    if (!this.#isOpen || !this.#state.inSync.includes(from) || !mirror.serves(this.#state.epoch)) return null;
    const stored = mirror.objects.get(objectId);
    const open = this.#openWriteOf(objectId);
    const mustWait = stored !== undefined && open !== undefined && mayBeShown(open, stored.state.lastTag);
    if (mustWait && this.#rules.readsWait) return null;
    const content = stored?.content ?? [];
    this.trace.push(`read of ${objectId} from ${from}: ${content.join()}`);
    const before = this.#shown.get(objectId) ?? [];
    if (before.some((ordinal, index) => content[index] !== ordinal)) this.#find('contradicted');
    this.#shown.set(objectId, content);
    return content;
  }

  // --- messages

  deliver(index: number, keeps = false): void {
    const message = this.messages[index];
    if (message === undefined) return;
    if (!keeps) this.messages.splice(index, 1);
    this.trace.push(`arrives: ${JSON.stringify(message)}`);
    if (message.kind === 'reply') this.#takeReply(message);
    else this.mirror(message.to).handle(message);
    this.check();
  }

  lose(index: number): void {
    this.trace.push('a message is lost');
    this.messages.splice(index, 1);
  }

  #takeReply({ epoch, request, reply }: Extract<Message, { kind: 'reply' }>): void {
    const write = this.#writes.find(
      (candidate) =>
        candidate.epoch === epoch && candidate.request === request && candidate.state === 'forwarded',
    );
    // The gateway has gone on without it, or has had it before.
    if (write?.reply !== null || epoch !== this.#state.epoch) return;
    if (reply.kind === 'refused') {
      this.giveUpOnWriter();
      return;
    }
    write.reply = reply;
    write.tag = reply.tag;
    if (isLater(reply.tag, this.#latestTag)) this.#latestTag = reply.tag;
    this.#numbers.settle(request);
    this.#decide(write);
    this.#excludeIfAnswered();
  }

  #decide(write: ClientWrite): void {
    if (write.reply?.kind !== 'written' || write.state !== 'forwarded') return;
    const outcome = decideOutcome({ answers: new Map(write.reply.answers), inSync: this.#state.inSync });
    if (outcome.kind === 'acknowledge') this.#acknowledge(write);
    if (outcome.kind === 'exclude' && !this.#rules.excludesBeforeAnswer) this.#acknowledge(write);
    if (outcome.kind === 'refuse') write.state = 'refused';
    if (outcome.kind === 'unknown') this.giveUpOnWriter();
  }

  #acknowledge(write: ClientWrite): void {
    this.trace.push(`write ${write.ordinal} is acknowledged`);
    write.state = 'acknowledged';
  }

  /** Mirrors are left out once every write has its answers, and before anybody is told that one is done without them. */
  #excludeIfAnswered(): void {
    const open = this.#writes.filter(({ state }) => state === 'forwarded');
    if (open.length === 0 || open.some(({ reply }) => reply === null)) return;
    const lacking = new Set(
      open.flatMap(({ reply }) => {
        const outcome =
          reply?.kind === 'written'
            ? decideOutcome({ answers: new Map(reply.answers), inSync: this.#state.inSync })
            : { kind: 'wait' as const };
        return outcome.kind === 'exclude' ? outcome.mirrors : [];
      }),
    );
    const staying = this.#state.inSync.filter((mirror) => !lacking.has(mirror));
    if (lacking.size === 0) return;
    const from = this.#state.epoch;
    this.#isOpen = false;
    this.#state = beginRecovery(this.#state);
    const isAdvanced = staying.map((mirror) => this.mirror(mirror).advance(from, this.#state.epoch));
    if (staying.length === 0 || isAdvanced.includes(false)) {
      this.giveUpOnWriter();
      return;
    }
    this.#state = this.#named(excludeMirrors(this.#state, [...lacking]));
    this.trace.push(`left out: ${[...lacking].join()}`);
    this.#appoint();
    for (const write of open) this.#decide(write);
  }

  /** The gateway waits for an answer no more: it asks once again, and then nobody knows. */
  timeOut(): void {
    const waiting = this.#writes.find(({ state, reply }) => state === 'forwarded' && reply === null);
    if (waiting === undefined) return;
    this.trace.push(`the gateway waits no more for write ${waiting.ordinal}`);
    if (waiting.attempts === 1) this.#forward(waiting);
    else this.giveUpOnWriter();
  }

  /** Only a recovery goes on: whatever has no outcome is undecided. */
  giveUpOnWriter(): void {
    this.#isOpen = false;
    this.#lostWriter = this.#state.writer ?? this.#lostWriter;
    for (const write of this.#writes) if (write.state === 'forwarded') write.state = 'undecided';
  }

  // --- the authority

  #named(active: AuthorityState): AuthorityState {
    const [first] = active.inSync;
    const other = active.inSync.find((mirror) => mirror !== this.#lostWriter) ?? first;
    if (other === undefined) throw new Error('I3');
    return nameWriter(active, other);
  }

  #appoint(): void {
    const { epoch, inSync, writer } = this.#state;
    if (writer === undefined) return;
    this.#numbers = new RequestNumbers();
    this.#latestTag = tagBeforeEpoch(epoch, GENERATOR);
    const order = { epoch, generator: GENERATOR, revision: 1, self: writer, inSync };
    this.trace.push(`${writer} issues the tags of epoch ${epoch}`);
    this.#isOpen = this.mirror(writer).appoint(order);
    this.#order = order;
    this.repeatOrder();
  }

  /** The order of this epoch is on its way once more, and may arrive much later. */
  repeatOrder(): void {
    const order = this.#order;
    if (order !== null) this.messages.push({ kind: 'order', to: order.self, order });
  }

  /** One recovery, from the fence to the activation. Nothing happens when nobody may be trusted. */
  recover(): void {
    this.giveUpOnWriter();
    this.#state = beginRecovery(this.#state);
    const { epoch } = this.#state;
    const present = this.mirrors.filter((mirror) => mirror.isUp && mirror.fenceAt(epoch));
    const plan = planRecovery(
      this.#state,
      present.map((mirror) => mirror.report()),
    );
    this.trace.push(`recovery at epoch ${epoch}: ${JSON.stringify(plan)}`);
    if (plan.kind === 'wait') return;
    const trusted = plan.trusted.map((mirror) => this.mirror(mirror));
    for (const objectId of OBJECTS) {
      const copies = trusted.map((mirror) => mirror.objects.get(objectId) ?? null);
      const source = copies.reduce((best, copy) =>
        isLater(copy?.state.lastTag ?? null, best?.state.lastTag ?? null) ? copy : best,
      );
      for (const mirror of present) mirror.repair(objectId, source);
    }
    const equal = present.map(({ id, storeId, incarnation }) => ({ mirror: id, storeId, incarnation }));
    this.#state = this.#named(activate(this.#state, epoch, equal));
    for (const mirror of present) mirror.activateAt(epoch);
    const undecided = this.#writes.filter(({ state }) => state === 'undecided');
    this.#appoint();
    for (const write of undecided) this.#conclude(write);
    this.check();
  }

  /** The recovery has decided a write: it is there, or it is made anew. */
  #conclude(write: ClientWrite): void {
    const stored = this.writer.objects.get(write.objectId);
    if (stored !== undefined && mayBeShown(write, stored.state.lastTag)) this.#acknowledge(write);
    else {
      this.#sent.delete(write);
      this.#begin(write);
    }
  }

  // --- what must hold after every step

  check(): void {
    for (const objectId of OBJECTS) {
      for (const mirror of this.#state.inSync) {
        const content = this.mirror(mirror).objects.get(objectId)?.content ?? [];
        const acknowledged = this.#writes.filter(
          (write) => write.objectId === objectId && write.state === 'acknowledged',
        );
        if (acknowledged.some(({ ordinal }) => !content.includes(ordinal))) this.#find('lost');
      }
    }
  }

  /** Everybody is up, everything arrives: then the mirrors are equal, and every write has its outcome. */
  rest(): void {
    for (const mirror of this.mirrors) if (!mirror.isUp) mirror.restart();
    this.recover();
    for (let round = 0; round < 1000 && this.messages.length > 0; round += 1) this.deliver(0);
    const [first, ...others] = this.mirrors.map(({ objects }) =>
      JSON.stringify(OBJECTS.map((objectId) => objects.get(objectId)?.content ?? [])),
    );
    if (others.some((content) => content !== first)) this.#find('unequal');
    if (this.#writes.some(({ state }) => state === 'forwarded' || state === 'undecided')) this.#find('lost');
    for (const objectId of OBJECTS) for (const { id } of this.mirrors) this.read(objectId, id);
  }
}
