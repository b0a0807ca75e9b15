import type { MirrorId } from '../protocol/authority-state.js';

/**
 * The mirrors that one write was sent to, each with its answer; null: none yet. They are two or three, for which lists take a fifth of
 * a map's memory, and every write has them until it is over.
 */
export class MirrorAnswers<Answer> {
  #mirrors: readonly MirrorId[];
  readonly #answers: (Answer | null)[];

  constructor(mirrors: readonly MirrorId[]) {
    this.#mirrors = mirrors;
    this.#answers = mirrors.map(() => null);
  }

  /** Undefined: the write was not sent there, as far as is known. */
  get(mirror: MirrorId): Answer | null | undefined {
    const index = this.#mirrors.indexOf(mirror);
    return index === -1 ? undefined : this.#answers[index];
  }

  set(mirror: MirrorId, answer: Answer): void {
    const index = this.#mirrors.indexOf(mirror);
    if (index === -1) {
      // The list is that of every write of its time.
      this.#mirrors = [...this.#mirrors, mirror];
      this.#answers.push(answer);
    } else {
      this.#answers[index] = answer;
    }
  }

  values(): readonly (Answer | null)[] {
    return this.#answers;
  }

  /** As they are now. */
  entries(): (readonly [mirror: MirrorId, answer: Answer | null])[] {
    return this.#mirrors.map((mirror, index) => [mirror, this.#answers[index] ?? null] as const);
  }
}
