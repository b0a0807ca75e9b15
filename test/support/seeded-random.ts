/** Randomness that a printed seed brings back (STYLE.md 24). Not for secrets. */

const UINT32 = 2 ** 32;

/** The mulberry32 generator: one 32-bit state, good enough to choose operations and moments. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 (included) to 1 (not included). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  }

  /** An integer from `first` to `last`, both included. */
  integer(first: number, last: number): number {
    return first + Math.floor(this.fraction() * (last - first + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.integer(0, values.length - 1)];
    if (value === undefined) throw new RangeError('nothing to pick from');
    return value;
  }

  /** Picks by weight: a value of weight 2 comes twice as often as one of weight 1. */
  pickWeighted<Value>(choices: readonly (readonly [weight: number, value: Value])[]): Value {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0);
    let remaining = this.fraction() * total;
    for (const [weight, value] of choices) {
      remaining -= weight;
      if (remaining < 0) return value;
    }
    throw new RangeError('nothing to pick from');
  }

  /** Bytes that no compression and no coincidence makes equal to others. */
  bytes(lengthBytes: number): Buffer {
    const bytes = Buffer.allocUnsafe(lengthBytes);
    let offset = 0;
    for (; offset + 4 <= lengthBytes; offset += 4) bytes.writeUInt32LE(this.integer(0, UINT32 - 1), offset);
    for (; offset < lengthBytes; offset += 1) bytes[offset] = this.integer(0, 255);
    return bytes;
  }

  /** A generator of its own, so that concurrent users don't disturb each other's sequence. */
  fork(): SeededRandom {
    return new SeededRandom(this.integer(0, UINT32 - 1));
  }
}
