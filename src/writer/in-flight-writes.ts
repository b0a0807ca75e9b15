/**
 * The writes whose tags are issued and whose outcome is not decided yet, each with the answers it has. One that only a
 * recovery can decide stays among them until that recovery is over, so that no read shows it before (F26).
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { invariant } from '../protocol/invariant.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import type { MirrorAnswer } from '../protocol/write-outcome.js';

/**
 * - `acknowledged`: on every mirror in sync.
 * - `refused`: on no mirror.
 * - `undecided`: the next recovery decides.
 */
export type SettledOutcome =
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'undecided' };

export class InFlightWrite {
  readonly tag: Tag;
  readonly objectId: ObjectId;
  readonly isRemoval: boolean;
  readonly answers: Map<MirrorId, MirrorAnswer | null>;
  /** Resolves once, when the outcome is decided. */
  readonly outcome: Promise<SettledOutcome>;
  /** Resolves when every mirror that the write was sent to has answered. */
  readonly answered: Promise<void>;
  /** So that its tokens are given back once. */
  areTokensGivenBack = false;
  #unanswered: number;
  #isSettled = false;
  readonly #resolveOutcome: (outcome: SettledOutcome) => void;
  readonly #resolveAnswered: () => void;

  constructor(
    write: { readonly tag: Tag; readonly objectId: ObjectId; readonly isRemoval: boolean },
    mirrors: readonly MirrorId[],
  ) {
    let resolveOutcome!: (outcome: SettledOutcome) => void;
    let resolveAnswered!: () => void;
    this.tag = write.tag;
    this.objectId = write.objectId;
    this.isRemoval = write.isRemoval;
    this.answers = new Map(mirrors.map((mirror) => [mirror, null]));
    this.#unanswered = mirrors.length;
    this.outcome = new Promise((resolve) => {
      resolveOutcome = resolve;
    });
    this.answered = new Promise((resolve) => {
      resolveAnswered = resolve;
    });
    this.#resolveOutcome = resolveOutcome;
    this.#resolveAnswered = resolveAnswered;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  get isAnswered(): boolean {
    return this.#unanswered === 0;
  }

  record(mirror: MirrorId, answer: MirrorAnswer): void {
    invariant(this.answers.get(mirror) === null, 'a mirror answers a write once', { mirror, tag: this.tag });
    this.answers.set(mirror, answer);
    this.#unanswered -= 1;
    if (this.#unanswered === 0) this.#resolveAnswered();
  }

  settle(outcome: SettledOutcome): void {
    invariant(!this.#isSettled, 'the outcome of a write is decided once', { tag: this.tag });
    this.#isSettled = true;
    this.#resolveOutcome(outcome);
  }
}

export class InFlightWrites {
  readonly #writes = new Map<Tag, InFlightWrite>();
  readonly #undecided = new Map<Tag, InFlightWrite>();

  /** Writes that wait for answers or for an exclusion. */
  get count(): number {
    return this.#writes.size;
  }

  add(write: InFlightWrite): void {
    this.#writes.set(write.tag, write);
  }

  /** Takes out a write that has its outcome. */
  finish(write: InFlightWrite, outcome: SettledOutcome): void {
    this.#writes.delete(write.tag);
    if (outcome.kind === 'undecided') this.#undecided.set(write.tag, write);
  }

  /** A recovery is over: what was undecided is on all mirrors in sync now, or on none. */
  decideAll(): void {
    this.#undecided.clear();
  }

  all(): InFlightWrite[] {
    return [...this.#writes.values()];
  }

  /** The write with this tag, if its outcome is still open. */
  openWrite(tag: Tag): InFlightWrite | undefined {
    return this.#writes.get(tag) ?? this.#undecided.get(tag);
  }

  /** The lowest tag whose outcome is still open; null: every outcome is decided. */
  lowestOpen(): Tag | null {
    let lowest: Tag | null = null;
    for (const writes of [this.#writes, this.#undecided]) {
      // Tags rise, so the first is the lowest.
      const [first] = writes.keys();
      if (first !== undefined && (lowest === null || first < lowest)) lowest = first;
    }
    return lowest;
  }

  /** Removals whose outcome is still open, of objects for which `concerns` holds. */
  openRemovals(concerns: (id: ObjectId) => boolean): InFlightWrite[] {
    const found: InFlightWrite[] = [];
    for (const writes of [this.#writes, this.#undecided]) {
      for (const write of writes.values()) if (write.isRemoval && concerns(write.objectId)) found.push(write);
    }
    return found;
  }

  /** Resolves when every write has all its answers. New ones must be held off meanwhile. */
  async allAnswered(): Promise<void> {
    await Promise.all(this.all().map((write) => write.answered));
  }
}
