/**
 * The gate that every write passes: open while the mirror set is active. Closing it stops new tags from being issued;
 * those who wait are let in when it opens, or told that the set is unavailable when their time is up (I6).
 */
import { ObjectStorageError } from './object-storage.js';

/** Who may wait at a closed gate at once; more are turned away at once. */
const GATE_WAITERS_MAX = 4096;

interface Waiter {
  readonly admit: () => void;
  readonly turnAway: (reason: string) => void;
}

export class Gate {
  #isOpen = false;
  #isShut = false;
  #reason = 'the gateway is starting';
  readonly #waiters = new Set<Waiter>();

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Why it is closed, for people. */
  get reason(): string {
    return this.#reason;
  }

  open(): void {
    if (this.#isShut) return;
    this.#isOpen = true;
    for (const waiter of this.#waiters) waiter.admit();
    this.#waiters.clear();
  }

  close(reason: string): void {
    this.#isOpen = false;
    this.#reason = reason;
  }

  /** Closes it for good: whoever waits or comes later is turned away at once. */
  shut(reason: string): void {
    this.close(reason);
    this.#isShut = true;
    for (const waiter of this.#waiters) waiter.turnAway(reason);
    this.#waiters.clear();
  }

  /** Resolves when the gate is open. Rejects with `unavailable` after `waitMs`. */
  async pass(waitMs: number): Promise<void> {
    const deadlineMs = performance.now() + waitMs;
    // The gate may close again between the opening and the turn of whoever waited for it.
    while (!this.#isOpen) await this.#wait(deadlineMs - performance.now());
  }

  async #wait(remainingMs: number): Promise<void> {
    if (this.#isShut || remainingMs <= 0 || this.#waiters.size >= GATE_WAITERS_MAX)
      throw this.#unavailable(this.#reason);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(this.#unavailable(this.#reason));
      }, remainingMs);
      const waiter: Waiter = {
        admit: () => {
          clearTimeout(timer);
          resolve();
        },
        turnAway: (reason) => {
          clearTimeout(timer);
          reject(this.#unavailable(reason));
        },
      };
      this.#waiters.add(waiter);
    });
  }

  #unavailable(reason: string): ObjectStorageError {
    return new ObjectStorageError('unavailable', `the mirror set takes no requests now: ${reason}`);
  }
}
