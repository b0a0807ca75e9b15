/**
 * Refuses writes while the disk still has a reserve, because LevelDB must never run out of space in the middle of a
 * batch, and because what was removed gives room back only once what lives beside it was copied (reclamation.ts). Asks
 * the file system at most once in CHECK_INTERVAL_MS and never makes a write wait for the answer.
 *
 *   free bytes    0 ....... LevelDB's half ....... LevelDB's reserve ....... and a segment's copy ....... and some more .......
 *   writes                              refused                             |  taken while they fit
 *   copies            none  |  of one segment at a time, as far as they fit
 *   the store                        short: gives back what it can                                    |  at ease
 *
 * Once something was refused the disk counts as full until that, and a bit more, would fit: a mirror that is taken back with
 * a few bytes to spare would be left out again at once.
 */
import type { FilePort } from './file-port.js';
import type { StoreLimits } from './limits.js';

const CHECK_INTERVAL_MS = 500;
/** This share of the reserve must be free beyond it before the disk is no longer short of space. */
const EASE_SHARE = 1 / 8;
/** ... and so many times what was refused. */
const WANTED_FACTOR = 1.25;
/** Copies leave this share of LevelDB's reserve: removals that were let in meanwhile took from it. */
const LEVEL_SHARE = 1 / 2;

export class FreeSpace {
  readonly #files: FilePort;
  readonly #folder: string;
  readonly #reserveBytes: number;
  readonly #levelBytes: number;
  readonly #clock: () => number;
  #freeBytes = Number.MAX_SAFE_INTEGER;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #check: Promise<void> | null = null;
  /** Free bytes that are needed before the disk has room again; null: it is not full. */
  #neededBytes: number | null = null;
  /** Called when the disk was found to be short of space. */
  onShort: () => void = () => undefined;

  constructor(files: FilePort, folder: string, limits: StoreLimits, clock: () => number) {
    this.#files = files;
    this.#folder = folder;
    this.#reserveBytes = limits.freeReserveBytes + limits.segmentBytesMax;
    this.#levelBytes = limits.freeReserveBytes * LEVEL_SHARE;
    this.#clock = clock;
  }

  /** True when `wantedBytes` more can be taken without touching the reserve, as far as was known at the last check. */
  hasRoomFor(wantedBytes: number): boolean {
    this.#refreshIfOld();
    const hasRoom = this.#freeBytes - wantedBytes >= this.#reserveBytes;
    if (hasRoom) this.#neededBytes = null;
    else this.#need(wantedBytes);
    return hasRoom;
  }

  #need(wantedBytes: number): void {
    const neededBytes = Math.max(this.#easeBytes, this.#reserveBytes + wantedBytes * WANTED_FACTOR);
    this.#neededBytes = Math.max(this.#neededBytes ?? 0, neededBytes);
    this.onShort();
  }

  get #easeBytes(): number {
    return this.#reserveBytes * (1 + EASE_SHARE);
  }

  /** Why there is no room, or null when there is, as far as was known at the last check. */
  get shortage(): string | null {
    this.#refreshIfOld();
    if (this.#freeBytes < this.#reserveBytes) this.#need(0);
    if (this.#neededBytes === null) return null;
    if (this.#freeBytes >= this.#neededBytes) {
      this.#neededBytes = null;
      return null;
    }
    return `${this.#freeBytes} bytes are free, ${Math.ceil(this.#neededBytes)} are needed`;
  }

  /** True when the store should give back what it can, as far as was known at the last check. */
  get isShort(): boolean {
    return this.#freeBytes < Math.max(this.#easeBytes, this.#neededBytes ?? 0);
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** What may be copied just now to make room, as far as was known at the last check. */
  get copyBytesMax(): number {
    return this.#freeBytes - this.#levelBytes;
  }

  #refreshIfOld(): void {
    // A clock that jumps back must not stop the checks.
    if (Math.abs(this.#clock() - this.#checkedMs) >= CHECK_INTERVAL_MS) void this.refresh();
  }

  refresh(): Promise<void> {
    this.#check ??= this.#ask();
    return this.#check;
  }

  async #ask(): Promise<void> {
    this.#checkedMs = this.#clock();
    try {
      this.#freeBytes = await this.#files.freeBytes(this.#folder);
    } catch {
      // The question failed, not the disk: what was known stays.
    }
    this.#check = null;
    if (this.isShort) this.onShort();
  }

  /** Waits for a question that is under way. */
  async settle(): Promise<void> {
    await this.#check;
  }
}
