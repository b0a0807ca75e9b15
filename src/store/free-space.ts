/**
 * Refuses writes while the disk still has a reserve, because LevelDB must never run out of space in the middle of a
 * batch. Asks the file system at most once in CHECK_INTERVAL_MS and never makes a write wait for the answer.
 *
 * Once something was refused the disk counts as full until that, and a bit more, would fit: a mirror that is taken back with
 * a few bytes to spare would be left out again at once.
 */
import type { FilePort } from './file-port.js';

const CHECK_INTERVAL_MS = 500;
/** Of what is wanted, how much must be free before a full disk counts as having room again. */
const ROOM_AGAIN_FACTOR = 1.25;

export class FreeSpace {
  readonly #files: FilePort;
  readonly #folder: string;
  readonly #reserveBytes: number;
  readonly #clock: () => number;
  #freeBytes = Number.MAX_SAFE_INTEGER;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #check: Promise<void> | null = null;
  /** Free bytes that are needed before the disk has room again; null: it is not full. */
  #neededBytes: number | null = null;

  constructor(files: FilePort, folder: string, reserveBytes: number, clock: () => number) {
    this.#files = files;
    this.#folder = folder;
    this.#reserveBytes = reserveBytes;
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
    const neededBytes = (this.#reserveBytes + wantedBytes) * ROOM_AGAIN_FACTOR;
    this.#neededBytes = Math.max(this.#neededBytes ?? 0, neededBytes);
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
  }

  /** Waits for a question that is under way. */
  async settle(): Promise<void> {
    await this.#check;
  }
}
