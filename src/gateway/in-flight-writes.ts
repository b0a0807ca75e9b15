/**
 * The writes whose tags are issued and whose outcome is not decided yet, each with the answers it has.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { invariant } from '../protocol/invariant.js';
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
  readonly answers: Map<MirrorId, MirrorAnswer | null>;
  /** Resolves once, when the outcome is decided. */
  readonly outcome: Promise<SettledOutcome>;
  /** Resolves when every mirror that the write was sent to has answered. */
  readonly answered: Promise<void>;
  #unanswered: number;
  #isSettled = false;
  readonly #resolveOutcome: (outcome: SettledOutcome) => void;
  readonly #resolveAnswered: () => void;

  constructor(tag: Tag, mirrors: readonly MirrorId[]) {
    let resolveOutcome!: (outcome: SettledOutcome) => void;
    let resolveAnswered!: () => void;
    this.tag = tag;
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

  get count(): number {
    return this.#writes.size;
  }

  add(write: InFlightWrite): void {
    this.#writes.set(write.tag, write);
  }

  get(tag: Tag): InFlightWrite | undefined {
    return this.#writes.get(tag);
  }

  delete(tag: Tag): void {
    this.#writes.delete(tag);
  }

  all(): InFlightWrite[] {
    return [...this.#writes.values()];
  }

  /** Resolves when every write has all its answers. New ones must be held off meanwhile. */
  async allAnswered(): Promise<void> {
    await Promise.all(this.all().map((write) => write.answered));
  }
}
