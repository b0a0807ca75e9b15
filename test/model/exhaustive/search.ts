/**
 * Breadth-first search: every state within a number of states, each once, the shortest trace to whatever is wrong.
 *
 *   states     encoded one behind the other, in the order in which they were found; a chunk goes once it is expanded
 *   visited    open addressing, 64 bits of hash each; two states with the same hash count as one
 *   parents    by state: where it was found from, and by which step
 */
import type { Model } from './model.js';
import { copyOfState, Decoder, encode, type Shape, sizeOf, type State } from './state.js';

export interface SearchResult {
  /** Different states found, and how many of them had all their steps taken. */
  readonly states: number;
  readonly expanded: number;
  /** Steps from the first state to the last that was found. */
  readonly depth: number;
  readonly isExhausted: boolean;
  readonly violation: { readonly text: string; readonly trace: readonly string[] } | null;
}

const STATES_PER_CHUNK = 4096;

class Visited {
  readonly #mask: number;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;

  constructor(statesMax: number) {
    const slots = 2 ** Math.ceil(Math.log2(statesMax * 2 + 1));
    this.#mask = slots - 1;
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
  }

  /** True when these bytes are new. */
  add(bytes: Uint8Array): boolean {
    let low = 0x811c9dc5;
    let high = 0x9747b28c;
    for (const byte of bytes) {
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul((high << 5) | (high >>> 27), 0x85ebca6b) ^ Math.imul(byte + 1, 0x9e3779b1);
    }
    low = mix(low);
    high = mix(high) | 1;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (this.#high[slot] === 0) {
        this.#low[slot] = low;
        this.#high[slot] = high;
        return true;
      }
      if (this.#low[slot] === low >>> 0 && this.#high[slot] === high >>> 0) return false;
    }
  }
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

class Queue {
  readonly #size: number;
  readonly #chunks: (Uint8Array | undefined)[] = [];
  count = 0;

  constructor(size: number) {
    this.#size = size;
  }

  push(bytes: Uint8Array): void {
    const within = this.count % STATES_PER_CHUNK;
    if (within === 0) this.#chunks.push(new Uint8Array(this.#size * STATES_PER_CHUNK));
    this.#chunks.at(-1)?.set(bytes, within * this.#size);
    this.count += 1;
  }

  read(decoder: Decoder, index: number): State {
    const chunk = this.#chunks[Math.floor(index / STATES_PER_CHUNK)];
    if (chunk === undefined) throw new RangeError(`state ${index} is gone`);
    return decoder.decode(chunk, (index % STATES_PER_CHUNK) * this.#size);
  }

  release(index: number): void {
    if (index % STATES_PER_CHUNK === 0 && index > 0) this.#chunks[index / STATES_PER_CHUNK - 1] = undefined;
  }
}

export function search(model: Model, statesMax: number, onProgress?: (states: number) => void): SearchResult {
  const first = model.first();
  const decoder = new Decoder(first);
  const bytes = new Uint8Array(sizeOf(first as unknown as Shape));
  const visited = new Visited(statesMax);
  const queue = new Queue(bytes.length);
  const parents = new Uint32Array(statesMax);
  const steps = new Uint8Array(statesMax);
  const traceTo = (index: number): string[] => {
    const names: string[] = [];
    for (let at = index; at > 0; at = parents[at] ?? 0)
      names.unshift(model.steps[steps[at] ?? 0]?.name ?? '');
    return names;
  };
  encode(first as unknown as Shape, bytes, 0);
  visited.add(bytes);
  queue.push(bytes);
  let expanded = 0;
  for (; expanded < queue.count && queue.count < statesMax; expanded += 1) {
    queue.release(expanded);
    // A step that can't be taken leaves the state as it was.
    const parent = queue.read(decoder, expanded);
    let state = copyOfState(parent);
    for (const [number, step] of model.steps.entries()) {
      const { isTaken, violation } = model.take(step, state);
      if (violation !== null) {
        const trace = [...traceTo(expanded), step.name];
        const found = { states: queue.count, expanded, depth: trace.length, isExhausted: false };
        return { ...found, violation: { text: violation, trace } };
      }
      if (!isTaken) continue;
      encode(state as unknown as Shape, bytes, 0);
      state = copyOfState(parent);
      if (!visited.add(bytes) || queue.count >= statesMax) continue;
      parents[queue.count] = expanded;
      steps[queue.count] = number;
      queue.push(bytes);
      if (queue.count % 500_000 === 0) onProgress?.(queue.count);
    }
  }
  const depth = traceTo(queue.count - 1).length;
  return { states: queue.count, expanded, depth, isExhausted: expanded === queue.count, violation: null };
}
