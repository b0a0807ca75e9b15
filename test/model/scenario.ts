/** Words to write a trace with. Every method is a step of the world; messages stay in the network until a step moves them. */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { Tag } from '../../src/protocol/tag.js';
import type { WriteKind } from '../../src/protocol/write.js';
import type { Message } from './network.js';
import { drain, quiesce } from './quiesce.js';
import type { AttemptOutcome } from './recovery.js';
import type { DiskImage } from './simulated-disk.js';
import type { ViolationCode } from './violation.js';
import { mirrorName, objectNamed, World, type WorldOptions } from './world.js';

export const M0 = mirrorName(0);
export const M1 = mirrorName(1);
export const M2 = mirrorName(2);

export interface WriteOptions {
  readonly offset?: number;
  readonly isPipelined?: boolean;
}

export class Scenario {
  readonly world: World;

  /** An active set with nothing in it. */
  constructor(options: WorldOptions) {
    this.world = new World(options);
    this.recover();
  }

  get codes(): ViolationCode[] {
    return [...new Set(this.world.violations.map(({ code }) => code))];
  }

  // --- clients

  /** Issues a write; its requests wait in the network. Null: there is no writer that takes it. */
  issue(kind: WriteKind, name: string, text = '', options: WriteOptions = {}): Tag | null {
    return this.world.submit({ objectId: objectNamed(name), kind, text, ...options });
  }

  /** A write with everything that follows from it, acknowledgement included. */
  write(kind: WriteKind, name: string, text = '', options: WriteOptions = {}): Tag | null {
    const tag = this.issue(kind, name, text, options);
    this.settle();
    return tag;
  }

  /** False: the client has to wait. */
  read(name: string, from: MirrorId): boolean {
    return this.world.read(objectNamed(name), from);
  }

  sendClears(): void {
    this.world.sendClears();
  }

  clearAll(): void {
    this.sendClears();
    this.settle();
  }

  /** The tag tables are full. */
  forgoRows(): void {
    this.world.forgoRows();
  }

  // --- messages

  #indexes(matches: (message: Message) => boolean): number[] {
    return this.world.network.messages.flatMap((message, index) => (matches(message) ? [index] : []));
  }

  #deliverWhere(matches: (message: Message) => boolean): void {
    for (let [index] = this.#indexes(matches); index !== undefined; [index] = this.#indexes(matches)) {
      this.world.deliver(index);
    }
  }

  /** The requests on their way to a mirror arrive there (of one write, when it is named); answers stay on their way. */
  arrive(mirror: MirrorId, tag?: Tag | null): void {
    this.#deliverWhere((message) => isRequestTo(message, mirror, tag));
  }

  /** Answers on their way arrive. */
  answer(mirror?: MirrorId): void {
    this.#deliverWhere(
      ({ kind, call }) => kind === 'response' && (mirror === undefined || call.mirror === mirror),
    );
  }

  /** Requests to a mirror, and its answers, are lost. */
  lose(mirror: MirrorId): void {
    this.#loseWhere(({ call }) => call.mirror === mirror);
  }

  loseAll(): void {
    this.#loseWhere(() => true);
  }

  #loseWhere(matches: (message: Message) => boolean): void {
    for (const index of this.#indexes(matches).reverse()) this.world.network.lose(index);
  }

  /** Takes a copy of the requests on their way to a mirror, to arrive (again) later. */
  copyRequests(mirror: MirrorId, kind?: string): Message[] {
    return this.world.network.messages.filter(
      (message) => isRequestTo(message, mirror) && (kind === undefined || message.call.request.kind === kind),
    );
  }

  arriveLate(messages: readonly Message[]): void {
    for (const message of messages) {
      this.world.network.messages.push(message);
      this.world.deliver(this.world.network.messages.length - 1);
    }
  }

  /** Steps the oldest message, if there is one. */
  stepNetwork(): void {
    if (this.world.network.messages.length > 0) this.world.deliver(0);
  }

  /** The writer stops waiting for a mirror, repetitions included. */
  giveUpOn(mirror: MirrorId): void {
    for (let round = 0; round < 10; round += 1) {
      for (const { id, mirror: to } of this.world.network.openCalls) {
        if (to === mirror && !this.world.network.isOnItsWay(id)) this.world.timeOut(id);
      }
      this.lose(mirror);
    }
  }

  /** Delivers everything, times out what nobody answers. */
  settle(): void {
    drain(this.world);
  }

  /** The same; when nothing is on its way, the oldest call that waits is given up. */
  stepOrTimeOut(): void {
    const [call] = this.world.network.openCalls;
    if (this.world.network.messages.length > 0) this.world.deliver(0);
    else if (call === undefined) throw new Error('nothing will ever happen again');
    else this.world.timeOut(call.id);
  }

  // --- online catch-up

  /** A mirror that is out is let in as rebuilding; the catch-up's own messages stay on their way. */
  letIn(mirror: MirrorId): void {
    this.world.admit([mirror]);
    while (this.world.writer?.rebuilding.includes(mirror) !== true) this.#deliverOne(isOfWriter);
  }

  /** Moves the catch-up on by one message. */
  stepCatchUp(): void {
    this.#deliverOne(isOfCatchUp);
  }

  /** Moves the catch-up on until a request of this kind is on its way, and takes it out of the network. */
  holdCatchUpAt(kind: string): Message[] {
    const isWanted = (message: Message): boolean =>
      isOfCatchUp(message) && message.kind === 'request' && message.call.request.kind === kind;
    while (!this.world.network.messages.some(isWanted)) this.stepCatchUp();
    const held = this.world.network.messages.filter(isWanted);
    this.#loseWhere(isWanted);
    return held;
  }

  #deliverOne(matches: (message: Message) => boolean): void {
    const [index] = this.#indexes(matches);
    if (index === undefined) throw new Error('nothing is on its way');
    this.world.deliver(index);
  }

  // --- recovery

  startRecovery(): void {
    this.world.startRecovery();
  }

  recover(): AttemptOutcome | null {
    this.world.startRecovery();
    this.settle();
    return this.world.lastOutcome;
  }

  crashHost(options: { readonly leaveWriter?: boolean } = {}): void {
    this.world.crashHost(options);
  }

  // --- faults

  crash(mirror: MirrorId): void {
    this.world.crash(mirror);
  }

  restart(mirror: MirrorId): void {
    this.world.restart(mirror);
  }

  cutOff(mirror: MirrorId): void {
    this.world.cutOff.add(mirror);
  }

  reconnect(mirror: MirrorId): void {
    this.world.cutOff.delete(mirror);
  }

  /** A mirror crashes, and comes back with the disk that it had before it took that write. */
  rollBackBefore(mirror: MirrorId, tag: Tag | null): void {
    const { disk } = this.world.mirror(mirror);
    let index = disk.snapshotCount - 1;
    const hasIt = ({ objects }: DiskImage): boolean =>
      tag !== null && [...objects.values()].some(({ state }) => state.lastTag >= tag);
    while (index > 0 && hasIt(disk.snapshot(index))) index -= 1;
    this.rollBackTo(mirror, index);
  }

  rollBackTo(mirror: MirrorId, snapshotIndex: number): void {
    this.crash(mirror);
    this.world.rollBack(mirror, snapshotIndex);
    this.restart(mirror);
  }

  /** Names the disk as it is now, to be restored later. */
  snapshot(mirror: MirrorId): number {
    return this.world.mirror(mirror).disk.snapshotCount - 1;
  }

  replaceDisk(mirror: MirrorId): void {
    this.crash(mirror);
    this.world.blank(mirror);
    this.restart(mirror);
  }

  /** Everything is healed and comes to rest; then mirrors must be equal, tables empty, and nothing acknowledged lost. */
  rest(): void {
    quiesce(this.world);
  }
}

function isOfCatchUp({ call }: Message): boolean {
  return call.caller.startsWith('catch-up');
}

function isOfWriter({ call }: Message): boolean {
  return call.caller.startsWith('writer');
}

function isRequestTo(message: Message, mirror: MirrorId, tag?: Tag | null): boolean {
  if (message.kind !== 'request' || message.call.mirror !== mirror) return false;
  if (tag === undefined) return true;
  return message.call.request.kind === 'write' && message.call.request.transaction.tag === tag;
}
