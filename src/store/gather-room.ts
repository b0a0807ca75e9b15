/**
 * Memory for what streams gather before they write it: slabs that are used again and again.
 *
 * All streams share it, so what a process holds does not follow their number: the more there are, the less each gathers. Pieces that come
 * from a socket are copied and let go of at once: those that wait for a disk outlive the collector's young generation, and a
 * process that streams then holds some 60 MiB of them, and spends half of its time on collecting them (bench/README.md).
 */
import { CHUNK_BYTES } from './chunk-checksums.js';
import type { StoreLimits } from './limits.js';

type GatherLimits = Pick<StoreLimits, 'allGatherBytes' | 'writeGatherBytesMin' | 'writeGatherBytes'>;

const SLAB_BYTES = CHUNK_BYTES;
/** A stream gathers while it writes. */
const GATHERINGS = 2;

export class GatherRoom {
  readonly #limits: GatherLimits;
  readonly #freeSlabs: Buffer[] = [];
  #streamCount = 0;

  constructor(limits: GatherLimits) {
    this.#limits = limits;
  }

  get streamCount(): number {
    return this.#streamCount;
  }

  /** A stream that has more than this writes it. */
  get bytesEach(): number {
    const { allGatherBytes, writeGatherBytesMin, writeGatherBytes } = this.#limits;
    const share = Math.floor(allGatherBytes / Math.max(1, this.#streamCount));
    return Math.min(writeGatherBytes, Math.max(writeGatherBytesMin, share));
  }

  /** Whether a stream may gather while it writes. */
  get allowsTwo(): boolean {
    return this.#streamCount * this.#limits.writeGatherBytesMin * GATHERINGS <= this.#limits.allGatherBytes;
  }

  enter(): void {
    this.#streamCount += 1;
  }

  leave(): void {
    this.#streamCount -= 1;
  }

  takeSlab(): Buffer {
    return this.#freeSlabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  /** Precondition: nobody reads or writes them any more. */
  giveBack(slabs: readonly Buffer[]): void {
    const keptMax = (GATHERINGS * this.#limits.allGatherBytes) / SLAB_BYTES;
    for (const slab of slabs) if (this.#freeSlabs.length < keptMax) this.#freeSlabs.push(slab);
  }
}

/** Bytes in slabs, in order. */
export class Gathering {
  readonly #room: GatherRoom;
  readonly #slabs: Buffer[] = [];
  #lengthBytes = 0;

  constructor(room: GatherRoom) {
    this.#room = room;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Copies the piece. */
  add(piece: Buffer): void {
    for (let at = 0; at < piece.length;) {
      const filledBytes = this.#lengthBytes % SLAB_BYTES;
      if (filledBytes === 0) this.#slabs.push(this.#room.takeSlab());
      const copiedBytes = piece.copy(this.#slabs[this.#slabs.length - 1] ?? piece, filledBytes, at);
      this.#lengthBytes += copiedBytes;
      at += copiedBytes;
    }
  }

  /** All of it, as views of its slabs. */
  get pieces(): readonly Buffer[] {
    const filledBytes = this.#lengthBytes % SLAB_BYTES;
    if (filledBytes === 0) return this.#slabs;
    const last = this.#slabs.length - 1;
    return this.#slabs.map((slab, index) => (index === last ? slab.subarray(0, filledBytes) : slab));
  }

  /** Empties it. Precondition: nobody uses its pieces any more. */
  release(): void {
    this.#room.giveBack(this.#slabs.splice(0));
    this.#lengthBytes = 0;
  }
}
