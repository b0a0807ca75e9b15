/** A fair lock per name: many may share it, one may have it alone. Names that nobody holds take no memory. */

interface Waiter {
  readonly isExclusive: boolean;
  readonly start: () => void;
}

interface NamedLock {
  shared: number;
  isExclusive: boolean;
  readonly waiters: Waiter[];
}

export class SharedLocks {
  readonly #locks = new Map<string, NamedLock>();

  /** Runs `task` beside other shared ones. */
  shared<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    return this.#run(name, false, task);
  }

  /** Runs `task` when nobody else holds the name. */
  exclusive<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    return this.#run(name, true, task);
  }

  /** True while somebody holds the name, shared or alone. */
  isHeld(name: string): boolean {
    const lock = this.#locks.get(name);
    return lock !== undefined && (lock.isExclusive || lock.shared > 0);
  }

  async #run<Result>(name: string, isExclusive: boolean, task: () => Promise<Result>): Promise<Result> {
    const lock = this.#locks.get(name) ?? { shared: 0, isExclusive: false, waiters: [] };
    this.#locks.set(name, lock);
    const isFree = lock.waiters.length === 0 && !lock.isExclusive && (!isExclusive || lock.shared === 0);
    if (isFree) hold(lock, isExclusive);
    else await new Promise<void>((resolve) => lock.waiters.push({ isExclusive, start: resolve }));
    try {
      return await task();
    } finally {
      if (isExclusive) lock.isExclusive = false;
      else lock.shared -= 1;
      this.#startWaiters(name, lock);
    }
  }

  #startWaiters(name: string, lock: NamedLock): void {
    for (let next = lock.waiters[0]; next !== undefined; next = lock.waiters[0]) {
      if (lock.isExclusive || (next.isExclusive && lock.shared > 0)) return;
      lock.waiters.shift();
      hold(lock, next.isExclusive);
      next.start();
    }
    if (lock.shared === 0 && !lock.isExclusive) this.#locks.delete(name);
  }
}

function hold(lock: NamedLock, isExclusive: boolean): void {
  if (isExclusive) lock.isExclusive = true;
  else lock.shared += 1;
}
