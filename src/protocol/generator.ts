/**
 * The tag generator and the writes it has in flight (DESIGN.md section 3.1 and 3.6).
 *
 * Tags rise, so the first member of the in-flight set is its lowest: that, or the next tag to come when nothing is in
 * flight, is the floor.
 */
import { invariant } from './invariant.js';
import { PassingMap } from './passing-map.js';
import { type Epoch, type GeneratorId, type Tag, tagMaker } from './tag.js';

export class TagGenerator {
  readonly generator: GeneratorId;
  #epoch: Epoch;
  #makeTag: (counter: number) => Tag;
  #counter = 0;
  readonly #inFlight = new PassingMap<Tag, true>();

  constructor(generator: GeneratorId, epoch: Epoch) {
    this.generator = generator;
    this.#epoch = epoch;
    this.#makeTag = tagMaker(epoch, generator);
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** Starts over under a higher epoch. Precondition: nothing is in flight. */
  advance(epoch: Epoch): void {
    invariant(epoch > this.#epoch, 'the epoch of a generator only rises', { from: this.#epoch, to: epoch });
    invariant(this.#inFlight.size === 0, 'no write is in flight when the epoch changes', {
      count: this.#inFlight.size,
    });
    this.#epoch = epoch;
    this.#makeTag = tagMaker(epoch, this.generator);
    this.#counter = 0;
  }

  /** The next tag, in flight from now until `settle`. */
  issue(): Tag {
    this.#counter += 1;
    const tag = this.#makeTag(this.#counter);
    this.#inFlight.set(tag, true);
    return tag;
  }

  /** No request for this tag is on its way any more, nor will be. */
  settle(tag: Tag): void {
    invariant(this.#inFlight.delete(tag), 'a tag settles once', { tag });
  }

  get inFlightCount(): number {
    return this.#inFlight.size;
  }

  isInFlight(tag: Tag): boolean {
    return this.#inFlight.has(tag);
  }

  /** Every tag below this one is settled. */
  floor(): Tag {
    return this.#inFlight.firstKey() ?? this.#makeTag(this.#counter + 1);
  }
}
