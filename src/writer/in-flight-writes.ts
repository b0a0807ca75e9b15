/**
 * The writes that have begun and whose outcome is not decided yet, each with the answers it has. One that only a recovery can
 * decide stays among them until that recovery is over, so that no read shows it before (F26).
 *
 * A write has its tag from the beginning where the tag generator is. One that was forwarded learns it with its answers; until
 * then it is known by its object, to which nobody else writes meanwhile.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { mayBeShown, type TagKnowledge } from '../protocol/forwarding.js';
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import { PassingMap } from '../protocol/passing-map.js';
import { isLater, type Tag } from '../protocol/tag.js';
import type { MirrorVerdict } from '../protocol/write-outcome.js';
import { MirrorAnswers } from './mirror-answers.js';

/**
 * - `acknowledged`: on every mirror in sync.
 * - `refused`: on no mirror.
 * - `undecided`: the next recovery decides.
 */
export type SettledOutcome =
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'undecided' };

/** A write that has its outcome. */
export interface SettledWrite extends TagKnowledge {
  readonly outcome: SettledOutcome;
  /** It was to be forwarded, and certainly never reached the OSD that issues the tags. */
  readonly hasNotBegun: boolean;
}

const NOBODY: readonly (() => void)[] = [];

export interface BegunWrite extends TagKnowledge {
  readonly objectId: ObjectId;
  readonly isRemoval: boolean;
}

export class InFlightWrite<Answer extends MirrorVerdict = MirrorVerdict> {
  readonly objectId: ObjectId;
  readonly isRemoval: boolean;
  readonly issuedAfter: Tag | null;
  readonly answers: MirrorAnswers<Answer>;
  /** Resolves once, when the outcome is decided. */
  readonly outcome: Promise<SettledOutcome>;
  /** It was to be forwarded, and certainly never reached the OSD that issues the tags. */
  hasNotBegun = false;
  #tag: Tag | null;
  #unanswered: number;
  #isSettled = false;
  #onOver: (() => void) | null = null;
  readonly #resolveOutcome: (outcome: SettledOutcome) => void;
  /** Those who wait for every mirror to have answered. */
  #answerWaiters: readonly (() => void)[] = NOBODY;

  constructor(write: BegunWrite, mirrors: readonly MirrorId[]) {
    let resolveOutcome!: (outcome: SettledOutcome) => void;
    this.#tag = write.tag;
    this.issuedAfter = write.issuedAfter;
    this.objectId = write.objectId;
    this.isRemoval = write.isRemoval;
    this.answers = new MirrorAnswers(mirrors);
    this.#unanswered = mirrors.length;
    this.outcome = new Promise((resolve) => {
      resolveOutcome = resolve;
    });
    this.#resolveOutcome = resolveOutcome;
  }

  /** Null: it was forwarded, and the writer has not answered. */
  get tag(): Tag | null {
    return this.#tag;
  }

  get isForwarded(): boolean {
    return this.issuedAfter !== null;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  get isAnswered(): boolean {
    return this.#unanswered === 0;
  }

  /** The writer has said which tag it gave to a write that was forwarded. */
  learnTag(tag: Tag): void {
    invariant(this.#tag === null, 'a forwarded write learns its tag once', { tag });
    invariant(isLater(tag, this.issuedAfter), 'F13: a tag is issued after it was asked for', { tag });
    this.#tag = tag;
  }

  record(mirror: MirrorId, answer: Answer): void {
    const before = this.answers.get(mirror);
    // Of mirrors that are being rebuilt whoever forwards learns with the answer that it was sent there.
    const isNew = before === undefined && this.isForwarded;
    invariant(before === null || isNew, 'a mirror answers a write once', { mirror, tag: this.#tag });
    this.answers.set(mirror, answer);
    if (isNew) return;
    this.#unanswered -= 1;
    if (this.#unanswered > 0) return;
    this.#reviewOver();
    for (const wake of this.#answerWaiters) wake();
    this.#answerWaiters = NOBODY;
  }

  /** Resolves when every mirror that the write was sent to has answered. */
  async allAnswered(): Promise<void> {
    if (this.isAnswered) return;
    await new Promise<void>((resolve) => {
      this.#answerWaiters = [...this.#answerWaiters, resolve];
    });
  }

  settle(outcome: SettledOutcome): void {
    invariant(!this.#isSettled, 'the outcome of a write is decided once', { tag: this.#tag });
    this.#isSettled = true;
    this.#resolveOutcome(outcome);
    this.#reviewOver();
  }

  /** Calls back once, as soon as the write has its outcome and every mirror that it was sent to has answered. Set once. */
  whenOver(callback: () => void): void {
    this.#onOver = callback;
    this.#reviewOver();
  }

  #reviewOver(): void {
    if (this.#onOver === null || !this.#isSettled || !this.isAnswered) return;
    this.#onOver();
    this.#onOver = null;
  }
}

/** Writes by what an answer may show of them. */
class OpenWrites {
  readonly #byTag = new PassingMap<Tag, InFlightWrite>();
  /** Those that were forwarded. */
  readonly #byObject = new PassingMap<ObjectId, InFlightWrite>();

  get size(): number {
    return this.#byTag.size + this.#byObject.size;
  }

  add(write: InFlightWrite): void {
    const { tag, objectId, isForwarded } = write;
    if (tag !== null && !isForwarded) {
      this.#byTag.set(tag, write);
      return;
    }
    invariant(!this.#byObject.has(objectId), 'F4: an object has one write in flight', { objectId });
    this.#byObject.set(objectId, write);
  }

  delete(write: InFlightWrite): void {
    if (write.isForwarded) this.#byObject.delete(write.objectId);
    else if (write.tag !== null) this.#byTag.delete(write.tag);
  }

  clear(): void {
    this.#byTag.clear();
    this.#byObject.clear();
  }

  shownBy(id: ObjectId, tag: Tag): InFlightWrite | undefined {
    const forwarded = this.#byObject.get(id);
    return forwarded !== undefined && mayBeShown(forwarded, tag) ? forwarded : this.#byTag.get(tag);
  }

  /** A tag that is no higher than any of theirs; null: there are none. */
  lowest(): Tag | null {
    // Tags rise, so the first is the lowest.
    let lowest = this.#byTag.firstKey() ?? null;
    for (const { tag, issuedAfter } of this.#byObject.values()) {
      const known = tag ?? issuedAfter;
      if (known !== null && (lowest === null || known < lowest)) lowest = known;
    }
    return lowest;
  }

  *[Symbol.iterator](): Iterator<InFlightWrite> {
    yield* this.#byTag.values();
    yield* this.#byObject.values();
  }
}

export class InFlightWrites {
  readonly #writes = new OpenWrites();
  readonly #undecided = new OpenWrites();

  /** Writes that wait for answers or for an exclusion. */
  get count(): number {
    return this.#writes.size;
  }

  add(write: InFlightWrite): void {
    this.#writes.add(write);
  }

  /** Takes out a write that has its outcome. */
  finish(write: InFlightWrite, outcome: SettledOutcome): void {
    this.#writes.delete(write);
    if (outcome.kind === 'undecided') this.#undecided.add(write);
  }

  /** A recovery is over: what was undecided is on all mirrors in sync now, or on none. */
  decideAll(): void {
    this.#undecided.clear();
  }

  all(): InFlightWrite[] {
    return [...this.#writes];
  }

  /** The write that an answer with this tag of this object may show, if its outcome is still open. */
  openWrite(id: ObjectId, tag: Tag): InFlightWrite | undefined {
    return this.#writes.shownBy(id, tag) ?? this.#undecided.shownBy(id, tag);
  }

  /** A tag that is no higher than any whose outcome is still open; null: every outcome is decided. */
  lowestOpen(): Tag | null {
    const [first, second] = [this.#writes.lowest(), this.#undecided.lowest()];
    return first === null || (second !== null && second < first) ? second : first;
  }

  /** Removals whose outcome is still open, of objects for which `concerns` holds. */
  openRemovals(concerns: (id: ObjectId) => boolean): InFlightWrite[] {
    const found: InFlightWrite[] = [];
    for (const writes of [this.#writes, this.#undecided]) {
      for (const write of writes) if (write.isRemoval && concerns(write.objectId)) found.push(write);
    }
    return found;
  }

  /** Resolves when every write has all its answers. New ones must be held off meanwhile. */
  async allAnswered(): Promise<void> {
    await Promise.all(this.all().map((write) => write.allAnswered()));
  }
}
