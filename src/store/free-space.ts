/**
 * Refuses writes while the disk still has a reserve, because LevelDB must never run out of space in the middle of a
 * batch, and because what was removed gives room back only once what lives beside it was copied (reclamation.ts). Asks
 * the file system at most once in CHECK_INTERVAL_MS and never makes a write wait for the answer; what was admitted since
 * it was asked counts as taken, so that a fast disk is not filled between two questions. Left out: what waits in a queue
 * while the question is asked (limits.ts bounds that), and what LevelDB itself writes.
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
  /** Bytes of content that were admitted since the file system was asked for what is in `#freeBytes`. */
  #admittedBytes = 0;
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

  /** What was free at the last check, less what was admitted since. */
  get #leftBytes(): number {
    return this.#freeBytes - this.#admittedBytes;
  }

  /** Call it for bytes that are going to be written. */
  admit(bytes: number): void {
    this.#admittedBytes += bytes;
  }

  /** True when `wantedBytes` more can be taken without touching the reserve, as far as is known. */
  hasRoomFor(wantedBytes: number): boolean {
    this.#refreshIfOld();
    const hasRoom = this.#leftBytes - wantedBytes >= this.#reserveBytes;
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

  /** Why there is no room, or null when there is, as far as is known. */
  get shortage(): string | null {
    this.#refreshIfOld();
    if (this.#leftBytes < this.#reserveBytes) this.#need(0);
    if (this.#neededBytes === null) return null;
    if (this.#leftBytes >= this.#neededBytes) {
      this.#neededBytes = null;
      return null;
    }
    return `${this.#leftBytes} bytes are free, ${Math.ceil(this.#neededBytes)} are needed`;
  }

  /** True when the store should give back what it can, as far as is known. */
  get isShort(): boolean {
    return this.#leftBytes < Math.max(this.#easeBytes, this.#neededBytes ?? 0);
  }

  get freeBytes(): number {
    return this.#leftBytes;
  }

  /** What may be copied just now to make room, as far as is known. */
  get copyBytesMax(): number {
    return this.#leftBytes - this.#levelBytes;
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
    const admittedBefore = this.#admittedBytes;
    try {
      this.#freeBytes = await this.#files.freeBytes(this.#folder);
      this.#admittedBytes -= admittedBefore;
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
