/**
 * Which small fragments were written or read a moment ago. The operating system has these in memory, by all likelihood, and a read then
 * takes microseconds: less than handing it to another thread and being woken when it is done (bench/README.md). So it is done at once.
 *
 * It is a guess. When one was wrong, and everyone had to wait for the disk, all that was known is forgotten.
 */
import type { SegmentId } from './keys.js';
import type { Fragment } from './segment-format.js';

/** Fragments up to this size; for more the bytes decide, not the way there. */
const PLACE_BYTES_MAX = 16 * 1024;
/** Known at the most, in two generations. */
const PLACES_MAX = 32_768;
/** A read that took so long came from the disk. */
const DISK_READ_MS = 5;

type Places = Map<SegmentId, Set<number>>;

export class RecentPlaces {
  /** By segment where fragments begin. Once the younger generation has half of what is allowed, it takes the place of the older one. */
  #young: Places = new Map();
  #old: Places = new Map();
  #youngCount = 0;

  note({ segmentId, offset, length }: Fragment): void {
    if (length > PLACE_BYTES_MAX) return;
    let offsets = this.#young.get(segmentId);
    if (offsets === undefined) this.#young.set(segmentId, (offsets = new Set()));
    if (offsets.has(offset)) return;
    offsets.add(offset);
    this.#youngCount += 1;
    if (2 * this.#youngCount <= PLACES_MAX) return;
    this.#old = this.#young;
    this.#forgetYoung();
  }

  has({ segmentId, offset }: Fragment): boolean {
    return this.#young.get(segmentId)?.has(offset) === true || this.#old.get(segmentId)?.has(offset) === true;
  }

  /** Takes note of what a read took that everyone waited for. */
  judge(tookMs: number): void {
    if (tookMs < DISK_READ_MS) return;
    this.#old = new Map();
    this.#forgetYoung();
  }

  #forgetYoung(): void {
    this.#young = new Map();
    this.#youngCount = 0;
  }
}
