/**
 * Tags: the names of logical writes (DESIGN.md section 3.1).
 *
 * A tag is (epoch, counter, generator). It is kept as fixed-width lower-case hex text, so that comparing two tags as
 * strings orders them by epoch, then counter, then generator, in memory, in LevelDB and on the wire alike:
 *
 *   eeeeeeeeeeee cccccccccccc gggg        12 + 12 + 4 = 28 characters, no separators
 *
 * There is no clock in a tag (F25), and the epoch comes from the synchronization authority, so that a restarted
 * generator never repeats one (F13).
 */
import { invariant } from './invariant.js';

declare const tagBrand: unique symbol;
/** The fixed-width text of a tag. Compare with `<` and `===`. */
export type Tag = string & { readonly [tagBrand]: 'Tag' };

declare const epochBrand: unique symbol;
/** One activation of a mirror set; higher fences lower. An integer from 0 to 2^48 - 1; 0 means "never active". */
export type Epoch = number & { readonly [epochBrand]: 'Epoch' };

declare const generatorBrand: unique symbol;
/** The party that issues tags. An integer from 0 to 65535. */
export type GeneratorId = number & { readonly [generatorBrand]: 'GeneratorId' };

export const EPOCH_MAX = 2 ** 48 - 1;
export const COUNTER_MAX = 2 ** 48 - 1;
export const GENERATOR_MAX = 0xffff;
export const TAG_LENGTH = 28;

const TAG_PATTERN = /^[0-9a-f]{28}$/;

export interface TagParts {
  readonly epoch: Epoch;
  readonly counter: number;
  readonly generator: GeneratorId;
}

function isIntegerUpTo(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

/** Types a number as an epoch. Throws RangeError for anything but an integer from 0 to EPOCH_MAX. */
export function toEpoch(value: number): Epoch {
  if (!isIntegerUpTo(value, EPOCH_MAX)) throw new RangeError(`not an epoch: ${value}`);
  return value as Epoch;
}

/** Types a number as a generator id. Throws RangeError for anything but an integer from 0 to GENERATOR_MAX. */
export function toGeneratorId(value: number): GeneratorId {
  if (!isIntegerUpTo(value, GENERATOR_MAX)) throw new RangeError(`not a generator id: ${value}`);
  return value as GeneratorId;
}

export const EPOCH_NONE: Epoch = toEpoch(0);

/** Makes the texts of one generator's tags of one epoch from their counters. */
export function tagMaker(epoch: Epoch, generator: GeneratorId): (counter: number) => Tag {
  const start = epoch.toString(16).padStart(12, '0');
  const end = generator.toString(16).padStart(4, '0');
  return (counter) => {
    invariant(isIntegerUpTo(counter, COUNTER_MAX), 'the counter of a tag fits in 48 bits', { counter });
    return (start + counter.toString(16).padStart(12, '0') + end) as Tag;
  };
}

/** Makes the text of a tag from its parts. */
export function makeTag({ epoch, counter, generator }: TagParts): Tag {
  return tagMaker(epoch, generator)(counter);
}

export function isTag(text: unknown): text is Tag {
  return typeof text === 'string' && TAG_PATTERN.test(text);
}

/** Types text from outside as a tag. Throws RangeError when it is none. */
export function toTag(text: string): Tag {
  if (!isTag(text)) throw new RangeError(`not a tag: ${JSON.stringify(text.slice(0, 64))}`);
  return text;
}

export function tagEpoch(tag: Tag): Epoch {
  return Number.parseInt(tag.slice(0, 12), 16) as Epoch;
}

export function tagCounter(tag: Tag): number {
  return Number.parseInt(tag.slice(12, 24), 16);
}

export function tagGenerator(tag: Tag): GeneratorId {
  return Number.parseInt(tag.slice(24), 16) as GeneratorId;
}

/** The later of two tags; null stands for "no write at all" and is earlier than any tag. */
export function laterTag(left: Tag | null, right: Tag | null): Tag | null {
  if (left === null) return right;
  if (right === null) return left;
  return left < right ? right : left;
}

/** True when `left` is strictly later than `right`; null is earlier than any tag. */
export function isLater(left: Tag | null, right: Tag | null): boolean {
  return left !== null && (right === null || left > right);
}
