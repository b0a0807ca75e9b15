/**
 * Memory for what comes from an OSD: slabs that a socket is read into, and that are used again once everyone is through with their pieces.
 *
 * A buffer of its own for each read makes V8 collect after every few of them, which took more time than all else of a large GET
 * (bench/README.md). A slab counts who has it: whoever reads into it, and each piece of it that was handed out. Who never gives a
 * piece back leaves its slab to the collector.
 */
import { invariant } from '../protocol/invariant.js';
import type { SharedRoom } from './shared-room.js';

const SMALL_SLAB_BYTES = 64 * 1024;
const SLAB_BYTES = 256 * 1024;
/** So many of a stream's slabs fit into its share of the room. */
const SLABS_EACH = 4;

export class ReadSlabs {
  readonly #room: SharedRoom;
  readonly #users = new WeakMap<ArrayBufferLike, number>();
  readonly #free = new Map<number, Buffer[]>([
    [SMALL_SLAB_BYTES, []],
    [SLAB_BYTES, []],
  ]);

  constructor(room: SharedRoom) {
    this.#room = room;
  }

  /** One that nobody else has. */
  take(): Buffer {
    const slabBytes = SLABS_EACH * SLAB_BYTES <= this.#room.bytesEach ? SLAB_BYTES : SMALL_SLAB_BYTES;
    const slab = this.#free.get(slabBytes)?.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
    this.#users.set(slab.buffer, 1);
    return slab;
  }

  /** The piece is handed out: its slab stays until it comes back. Precondition: somebody has the slab, or it is none of these. */
  keep({ buffer }: Buffer): void {
    const count = this.#users.get(buffer);
    if (count !== undefined) this.#users.set(buffer, count + 1);
  }

  /** Of a slab that was taken, or a piece that was kept. Bytes of any other memory are left alone. */
  giveBack({ buffer }: Buffer): void {
    const count = this.#users.get(buffer);
    if (count === undefined) return;
    invariant(count > 0, 'a piece comes back once');
    this.#users.set(buffer, count - 1);
    if (count > 1) return;
    const free = this.#free.get(buffer.byteLength);
    const keptMax = this.#room.allBytesMax / 2 / buffer.byteLength;
    if (free !== undefined && free.length < keptMax) free.push(Buffer.from(buffer));
    else this.#users.delete(buffer);
  }
}
