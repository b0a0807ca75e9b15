/**
 * A set of object ids that forgets none and takes two bytes for each: what it has not seen it nearly always knows not to have
 * (a split block Bloom filter: https://parquet.apache.org/docs/file-format/bloomfilter/).
 *
 *   layer    blocks of 32 bytes; an id sets one bit in each of the eight words of one block
 *   layers   each twice as large as the one before; ids go to the last one, which is used beyond its measure once there is no room for another
 */
import type { ObjectId } from '../protocol/object-id.js';

const WORDS_PER_BLOCK = 8;
const BLOCK_BYTES = WORDS_PER_BLOCK * 4;
/** Less than one in a thousand that were never added is thought to be there. */
const IDS_PER_BLOCK = 16;
const FIRST_LAYER_BLOCKS = 4096;
/** Odd constants of the format: each picks another bit. */
const SALTS = Uint32Array.of(
  ...[0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31],
);

interface Layer {
  readonly words: Uint32Array;
  /** A power of two. */
  readonly blockCount: number;
  idCount: number;
}

export class IdFilter {
  readonly #bytesMax: number;
  readonly #layers: Layer[] = [makeLayer(FIRST_LAYER_BLOCKS)];

  /** `bytesMax`: of all layers together, but for the first. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(id: ObjectId): void {
    const hash = hashOf(id);
    if (this.#hasAll(hash)) return;
    const layer = this.#layerForNext();
    const block = blockOf(layer, hash);
    const bits = mix(hash);
    for (let word = 0; word < WORDS_PER_BLOCK; word += 1)
      layer.words[block + word] = (layer.words[block + word] ?? 0) | bitOf(bits, word);
    layer.idCount += 1;
  }

  /** False is certain. */
  mayHave(id: ObjectId): boolean {
    return this.#hasAll(hashOf(id));
  }

  #hasAll(hash: number): boolean {
    const bits = mix(hash);
    for (const layer of this.#layers) if (hasAll(layer, blockOf(layer, hash), bits)) return true;
    return false;
  }

  #layerForNext(): Layer {
    const last = this.#layers[this.#layers.length - 1] ?? makeLayer(FIRST_LAYER_BLOCKS);
    if (last.idCount < last.blockCount * IDS_PER_BLOCK) return last;
    const usedBytes = this.#layers.reduce((sum, { words }) => sum + words.byteLength, 0);
    if (usedBytes + 2 * last.words.byteLength > this.#bytesMax) return last;
    const next = makeLayer(2 * last.blockCount);
    this.#layers.push(next);
    return next;
  }
}

function makeLayer(blockCount: number): Layer {
  return { words: new Uint32Array((blockCount * BLOCK_BYTES) / 4), blockCount, idCount: 0 };
}

/** The first word of an id's block. */
function blockOf({ blockCount }: Layer, hash: number): number {
  return (hash & (blockCount - 1)) * WORDS_PER_BLOCK;
}

function bitOf(bits: number, word: number): number {
  return 1 << (Math.imul(bits, SALTS[word] ?? 0) >>> 27);
}

function hasAll({ words }: Layer, block: number, bits: number): boolean {
  for (let word = 0; word < WORDS_PER_BLOCK; word += 1)
    if (((words[block + word] ?? 0) & bitOf(bits, word)) === 0) return false;
  return true;
}

/** FNV-1a over the code units, with the last steps of MurmurHash3: ids that follow one another are far apart. */
function hashOf(id: ObjectId): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1)
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  return mix(hash);
}

function mix(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
