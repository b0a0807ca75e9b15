/**
 * Refuses writes while the disk still has a reserve, because LevelDB must never run out of space in the middle of a
 * batch. Asks the file system at most once in CHECK_INTERVAL_MS and never makes a write wait for the answer.
 */
import type { FilePort } from './file-port.js';

const CHECK_INTERVAL_MS = 500;

export class FreeSpace {
  readonly #files: FilePort;
  readonly #folder: string;
  readonly #reserveBytes: number;
  readonly #clock: () => number;
  #freeBytes = Number.MAX_SAFE_INTEGER;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #check: Promise<void> | null = null;

  constructor(files: FilePort, folder: string, reserveBytes: number, clock: () => number) {
    this.#files = files;
    this.#folder = folder;
    this.#reserveBytes = reserveBytes;
    this.#clock = clock;
  }

  /** True when `wantedBytes` more can be taken without touching the reserve, as far as was known at the last check. */
  hasRoomFor(wantedBytes: number): boolean {
    const nowMs = this.#clock();
    // A clock that jumps back must not stop the checks.
    if (Math.abs(nowMs - this.#checkedMs) >= CHECK_INTERVAL_MS) void this.refresh();
    return this.#freeBytes - wantedBytes >= this.#reserveBytes;
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
