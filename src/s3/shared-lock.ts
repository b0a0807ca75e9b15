/** A fair lock per name: many may share it, one may have it alone. Names that nobody holds take no memory. */
import { PassingMap } from '../protocol/passing-map.js';
import { endingWith } from '../protocol/soon.js';

export interface NamedLocks {
  /** Runs `task` beside other shared ones. */
  shared<Result>(name: string, task: () => Promise<Result>): Promise<Result>;
  /** Runs `task` when nobody else holds the name. */
  exclusive<Result>(name: string, task: () => Promise<Result>): Promise<Result>;
  /** True while somebody in this process holds the name, shared or alone. */
  isHeld(name: string): boolean;
  /** Called when somebody in another process has a name alone: what is remembered of it here may not be true any more. Set once. */
  onTakenElsewhere(listener: (name: string) => void): void;
}

/** What of the S3 endpoint is under locks. When several processes serve one endpoint they are locks between all of them. */
export interface S3Locks {
  /** Names of buckets. Shared by every request, taken alone now and then. */
  readonly buckets: NamedLocks;
  /** Ids of uploads. The same. */
  readonly uploads: NamedLocks;
  /** Keys whose versions change. Never shared. */
  readonly versions: NamedLocks;
  /** Names and ids of renames. Never shared. */
  readonly renames: NamedLocks;
}

/** Of the only process that serves the endpoint. */
export function makeOwnLocks(): S3Locks {
  return {
    buckets: new SharedLocks(),
    uploads: new SharedLocks(),
    versions: new SharedLocks(),
    renames: new SharedLocks(),
  };
}

interface Waiter {
  readonly isExclusive: boolean;
  readonly start: () => void;
}

interface NamedLock {
  shared: number;
  isExclusive: boolean;
  readonly waiters: Waiter[];
}

export class SharedLocks implements NamedLocks {
  readonly #locks = new PassingMap<string, NamedLock>();

  shared<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    return this.#run(name, false, task);
  }

  exclusive<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    return this.#run(name, true, task);
  }

  isHeld(name: string): boolean {
    const lock = this.#locks.get(name);
    return lock !== undefined && (lock.isExclusive || lock.shared > 0);
  }

  /** Nobody does. */
  onTakenElsewhere(): void {
    return;
  }

  #run<Result>(name: string, isExclusive: boolean, task: () => Promise<Result>): Promise<Result> {
    const lock = this.#locks.get(name) ?? this.#makeLock(name);
    const letGo = (): void => {
      if (isExclusive) lock.isExclusive = false;
      else lock.shared -= 1;
      this.#startWaiters(name, lock);
    };
    const isFree = lock.waiters.length === 0 && !lock.isExclusive && (!isExclusive || lock.shared === 0);
    if (isFree) {
      hold(lock, isExclusive);
      return endingWith(task, letGo);
    }
    return new Promise<void>((resolve) => lock.waiters.push({ isExclusive, start: resolve })).then(() =>
      endingWith(task, letGo),
    );
  }

  #makeLock(name: string): NamedLock {
    const lock: NamedLock = { shared: 0, isExclusive: false, waiters: [] };
    this.#locks.set(name, lock);
    return lock;
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
