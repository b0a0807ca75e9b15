/**
 * Locks by name between the workers of a gateway, for those who share an endpoint.
 *
 * - `spread`: sharing a name asks nobody; whoever wants it alone takes it at every worker, in their order, so that two who want
 *   it wait for each other and not in a circle.
 * - `homed`: for names that are never shared. Each has one worker that keeps it.
 *
 * What a worker holds at another one ends with it. What others hold at a worker that ends they still hold: the one that
 * takes its place is told before it keeps anything for anybody (`reclaim`), since what they do under the lock goes on.
 */
import { hashOfName } from '../../protocol/shard.js';
import { ObjectStorageError } from '../object-storage.js';
import { type Peer, PeerGone } from './peer.js';
import type { WriterDirectory } from './sharded-writers.js';

/** Locks of this process alone. */
export interface LocalLocks {
  shared<Result>(name: string, task: () => Promise<Result>): Promise<Result>;
  exclusive<Result>(name: string, task: () => Promise<Result>): Promise<Result>;
  isHeld(name: string): boolean;
}

type Listener = (name: string) => void;

export interface LockBody {
  readonly id: number;
  readonly domain: string;
  readonly name: string;
}

interface Domain {
  readonly locks: LocalLocks;
  readonly onTaken: Listener[];
}

/** What this worker holds at another one. */
interface HeldAt extends LockBody {
  readonly index: number;
}

export class WorkerLocks {
  readonly #directory: WriterDirectory & { readonly own: number };
  readonly #domains = new Map<string, Domain>();
  readonly #held = new Map<number, HeldAt>();
  #lockCount = 0;
  #open!: () => void;
  /** Resolves when this worker keeps names for others: every one of them has said what it holds here. */
  readonly #isOpen = new Promise<void>((resolve) => (this.#open = resolve));

  constructor(directory: WriterDirectory & { readonly own: number }) {
    this.#directory = directory;
  }

  spread(domain: string, locks: LocalLocks): WorkerNamedLocks {
    return this.#make(domain, locks, () => this.#everyone);
  }

  homed(domain: string, locks: LocalLocks): WorkerNamedLocks {
    return this.#make(domain, locks, (name) => [hashOfName(name) % this.#directory.count]);
  }

  #make(domain: string, locks: LocalLocks, placesOf: (name: string) => readonly number[]): WorkerNamedLocks {
    const onTaken: Listener[] = [];
    this.#domains.set(domain, { locks, onTaken });
    return {
      shared: (name, task) => locks.shared(name, task),
      exclusive: (name, task) => this.#holdFrom({ domain, name }, placesOf(name), 0, task),
      isHeld: (name) => locks.isHeld(name),
      onTakenElsewhere: (listener) => onTaken.push(listener),
    };
  }

  get #everyone(): readonly number[] {
    return Array.from({ length: this.#directory.count }, (_, index) => index);
  }

  #domainOf(name: string): Domain {
    const domain = this.#domains.get(name);
    if (domain === undefined) throw new RangeError(`no locks called ${name}`);
    return domain;
  }

  async #holdFrom<Result>(
    wanted: Omit<LockBody, 'id'>,
    places: readonly number[],
    step: number,
    task: () => Promise<Result>,
  ): Promise<Result> {
    const index = places[step];
    if (index === undefined) return task();
    const next = (): Promise<Result> => this.#holdFrom(wanted, places, step + 1, task);
    if (index === this.#directory.own)
      return this.#domainOf(wanted.domain).locks.exclusive(wanted.name, next);
    this.#lockCount += 1;
    const lock: HeldAt = { ...wanted, id: this.#lockCount, index };
    await this.#take(lock);
    this.#held.set(lock.id, lock);
    try {
      return await next();
    } finally {
      this.#held.delete(lock.id);
      this.#letGo(lock);
    }
  }

  async #take({ index, id, domain, name }: HeldAt): Promise<void> {
    try {
      await this.#directory.peer(index).call('lock', { id, domain, name } satisfies LockBody);
    } catch (error) {
      if (!(error instanceof PeerGone)) throw error;
      throw new ObjectStorageError('unavailable', 'a worker of the gateway has ended', { cause: error });
    }
  }

  #letGo({ index, id }: HeldAt): void {
    try {
      this.#directory.peer(index).note('unlock', id);
    } catch (error) {
      // It has ended, and the one that takes its place is not there yet: it will not be told of this lock.
      if (!(error instanceof ObjectStorageError)) throw error;
    }
  }

  /** What this worker holds at another one, which is new. */
  heldAt(index: number): readonly LockBody[] {
    return [...this.#held.values()].filter((held) => held.index === index);
  }

  /** Keeps names for this peer, once `open` was called. Before that it is to be said what it holds here already, by what this returns. */
  serve(peer: Peer): (reclaimed: readonly LockBody[]) => void {
    const releases = new Map<number, () => void>();
    const release = (id: number): void => {
      releases.get(id)?.();
      releases.delete(id);
    };
    const keep = ({ id, domain, name }: LockBody): Promise<void> => {
      const { locks, onTaken } = this.#domainOf(domain);
      return new Promise((granted) => {
        void locks.exclusive(name, async () => {
          if (peer.isGone) return;
          for (const listener of onTaken) listener(name);
          await new Promise<void>((letGo) => {
            releases.set(id, letGo);
            granted();
          });
        });
      });
    };
    peer.serve<LockBody>('lock', async (lock) => {
      await this.#isOpen;
      await keep(lock);
    });
    peer.serve<number>('unlock', release);
    peer.onGone(() => {
      for (const id of [...releases.keys()]) release(id);
    });
    return (reclaimed) => {
      for (const lock of reclaimed) void keep(lock);
    };
  }

  open(): void {
    this.#open();
  }
}

export interface WorkerNamedLocks extends LocalLocks {
  onTakenElsewhere(listener: Listener): void;
}
