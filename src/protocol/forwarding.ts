/**
 * Writes that are forwarded (DESIGN.md section 7): the gateway sends one untagged write to an OSD, which makes the tag,
 * applies the write and sends the second transaction.
 *
 * What lives where:
 * - In that OSD, the *writer*: the tag generator and its floor, the links to the other mirrors, the ledger of tokens, and
 *   for each request of this epoch that may be repeated the answer that it got (F24).
 * - At the gateway: the authority. The writer reports what each mirror answered; what the answers amount to, and whether a
 *   mirror is left out before the client hears of it, is decided where the authority is (F12). So are the reads (F26).
 *
 * A writer is appointed for one epoch, by an order that names everyone in sync, at a store that is active at that very
 * epoch. Whatever moves the fence ends it, and a restarted OSD is active at none (F29). A request names its epoch too, so
 * one that arrives late finds no writer (F14).
 */
import type { MirrorId } from './authority-state.js';
import { type FenceState, isReadableAt } from './fence.js';
import { invariant } from './invariant.js';
import { type Epoch, type GeneratorId, isLater, makeTag, type Tag } from './tag.js';

/**
 * Who issues the tags: `direct`, the gateway, which sends each write to every mirror; `forwarded`, the OSD of one mirror in sync,
 * which the gateway sends each write to.
 */
export const WRITES_MODES = ['direct', 'forwarded'] as const;
export type WritesMode = (typeof WRITES_MODES)[number];

/** What a writer may be told of in one epoch: only this much of it changes (`decideAppointment`). */
export interface AppointedWriter {
  readonly epoch: Epoch;
  readonly generator: GeneratorId;
  /** Rises with every order of the epoch, so that one that arrives late changes nothing. */
  readonly revision: number;
  /** The writer's own role. */
  readonly self: MirrorId;
  /** The same in every order of an epoch (I3). */
  readonly inSync: readonly MirrorId[];
}

export type AppointmentVerdict =
  | { readonly kind: 'begin' }
  /** The writer of this epoch goes on, and follows the order from now on. */
  | { readonly kind: 'follow' }
  | { readonly kind: 'refuse'; readonly code: 'stale-epoch' | 'not-active' | 'stale-order' | 'bad-request' };

export interface AppointmentContext {
  /** Of the store, now. */
  readonly fence: FenceState;
  /** The writer that this generator has in the OSD; null: none. */
  readonly current: AppointedWriter | null;
  /** The highest epoch of which a writer has ended in this run of the OSD. */
  readonly endedEpoch: Epoch;
}

/** Decides on an order to write. */
export function decideAppointment(
  { fence, current, endedEpoch }: AppointmentContext,
  order: AppointedWriter,
): AppointmentVerdict {
  if (order.epoch < fence.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  // F29: the store may be blank or rolled back since; and a mirror that is being rebuilt lacks history to build on.
  if (!isReadableAt(fence, order.epoch)) return { kind: 'refuse', code: 'not-active' };
  if (!order.inSync.includes(order.self)) return { kind: 'refuse', code: 'bad-request' };
  if (current?.epoch !== order.epoch) {
    // F13: the writer that comes after the end of another one would begin with the same tags.
    return order.epoch > endedEpoch ? { kind: 'begin' } : { kind: 'refuse', code: 'stale-order' };
  }
  if (order.revision < current.revision) return { kind: 'refuse', code: 'stale-order' };
  const isSameSet = order.self === current.self && order.inSync.join() === current.inSync.join();
  return isSameSet ? { kind: 'follow' } : { kind: 'refuse', code: 'bad-request' };
}

/** What a request is called by whoever makes it: numbers that count up from 1 within one epoch of one generator. */
export type RequestNumber = number;

/** The numbers of requests, and which of them may still be repeated. */
export class RequestNumbers {
  #last: RequestNumber = 0;
  readonly #open = new Set<RequestNumber>();

  /** The next number, open from now until `settle`. */
  issue(): RequestNumber {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  /** The request has its answer, and is not made again. */
  settle(request: RequestNumber): void {
    invariant(this.#open.delete(request), 'a request is answered once', { request });
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** No request below it is made again. */
  floor(): RequestNumber {
    for (const lowest of this.#open) return lowest;
    return this.#last + 1;
  }
}

export type RequestRefusalCode = 'settled' | 'request-conflict' | 'too-many-requests';

export type RequestVerdict<Answer> =
  | { readonly kind: 'begin' }
  /** It was made before: this is what it got, or will get. */
  | { readonly kind: 'repeat'; readonly answer: Answer }
  | { readonly kind: 'refuse'; readonly code: RequestRefusalCode };

/**
 * The answers of a writer to requests that may be repeated: the same number gets the same answer, the same number with
 * other content none (F24). What is below the requester's floor is forgotten, and refused should it arrive late.
 */
export class RequestLedger<Answer> {
  readonly #rememberedMax: number;
  readonly #remembered = new Map<RequestNumber, { readonly checksum: number; readonly answer: Answer }>();
  #floor: RequestNumber = 1;

  constructor(rememberedMax: number) {
    this.#rememberedMax = rememberedMax;
  }

  get rememberedCount(): number {
    return this.#remembered.size;
  }

  look(request: RequestNumber, checksum: number): RequestVerdict<Answer> {
    if (request < this.#floor) return { kind: 'refuse', code: 'settled' };
    const known = this.#remembered.get(request);
    if (known !== undefined) {
      return known.checksum === checksum
        ? { kind: 'repeat', answer: known.answer }
        : { kind: 'refuse', code: 'request-conflict' };
    }
    return this.#remembered.size < this.#rememberedMax
      ? { kind: 'begin' }
      : { kind: 'refuse', code: 'too-many-requests' };
  }

  /** Precondition: `look` said begin. */
  remember(request: RequestNumber, checksum: number, answer: Answer): void {
    invariant(!this.#remembered.has(request), 'a request is carried out once', { request });
    this.#remembered.set(request, { checksum, answer });
  }

  /** The requester's floor; one that is lower than it was says nothing, its request was long on its way. */
  raiseFloor(floor: RequestNumber): void {
    if (floor <= this.#floor) return;
    if (floor - this.#floor > this.#remembered.size) {
      for (const request of this.#remembered.keys()) if (request < floor) this.#remembered.delete(request);
    } else for (let request = this.#floor; request < floor; request += 1) this.#remembered.delete(request);
    this.#floor = floor;
  }
}

/** A tag that is lower than any that this generator issues in this epoch. */
export function tagBeforeEpoch(epoch: Epoch, generator: GeneratorId): Tag {
  return makeTag({ epoch, counter: 0, generator });
}

/** What is known at the gateway of the tag of a write in flight. */
export interface TagKnowledge {
  /** Null: it was forwarded, and the writer has not said yet. */
  readonly tag: Tag | null;
  /** For one that was forwarded: a tag that the writer had issued before it was asked. Null otherwise. */
  readonly issuedAfter: Tag | null;
}

/**
 * True when a mirror's answer that carries the tag `shown` may show this write (F26). Of a write whose tag is not known, this
 * is true of every later tag, since nobody else writes to its object meanwhile.
 */
export function mayBeShown({ tag, issuedAfter }: TagKnowledge, shown: Tag): boolean {
  return tag === null ? isLater(shown, issuedAfter) : tag === shown;
}
