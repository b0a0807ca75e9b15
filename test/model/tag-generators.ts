/** The tag generators of a simulated gateway: one, or one for each of its workers, each with a shard of the objects. */
import type { TagGenerator } from '../../src/protocol/generator.js';
import { invariant } from '../../src/protocol/invariant.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import { type Epoch, type Tag, tagGenerator } from '../../src/protocol/tag.js';
import type { Rules } from './rules.js';

export class TagGenerators {
  readonly #all: readonly TagGenerator[];
  readonly #writerOf: Rules['writerOf'];

  /** One at least, each another generator. */
  constructor(all: readonly TagGenerator[], rules: Rules) {
    this.#all = all;
    this.#writerOf = rules.writerOf;
  }

  get indexes(): readonly number[] {
    return [...this.#all.keys()];
  }

  get epoch(): Epoch {
    return this.#at(0).epoch;
  }

  indexOf(tag: Tag): number {
    return this.#all.findIndex(({ generator }) => generator === tagGenerator(tag));
  }

  issue(objectId: ObjectId): Tag {
    return this.#at(this.#writerOf(objectId, this.#all.length)).issue();
  }

  settle(tag: Tag): void {
    this.#at(this.indexOf(tag)).settle(tag);
  }

  floor(index: number): Tag {
    return this.#at(index).floor();
  }

  floors(): Tag[] {
    return this.#all.map((generator) => generator.floor());
  }

  advance(epoch: Epoch): void {
    for (const generator of this.#all) generator.advance(epoch);
  }

  #at(index: number): TagGenerator {
    const generator = this.#all[index];
    invariant(generator !== undefined, 'an object has a generator', { index });
    return generator;
  }
}
