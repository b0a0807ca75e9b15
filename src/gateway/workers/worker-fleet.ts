/**
 * The workers of a gateway as the process sees them that holds the authority: who is there, and what follows when one is not.
 *
 * Nobody writes while one is missing. A worker that has ended leaves writes behind of which nobody knows whether they
 * happened: a recovery in a new epoch decides them, as after the end of a gateway, and it waits for the one that takes the worker's place.
 */
import type { AuthorityState } from '../../protocol/authority-state.js';
import { invariant } from '../../protocol/invariant.js';
import type { GeneratorId } from '../../protocol/tag.js';
import type { DirectedWriter } from '../directed-writer.js';
import type { MirrorSet } from '../mirror-set.js';
import { ObjectStorageError } from '../object-storage.js';
import type { Peer } from './peer.js';
import { RemoteWriter } from './remote-writer.js';
import type { WriterDirectory } from './sharded-writers.js';

export interface WorkerFleetOptions {
  /** Of the workers, by index; each issues its own tags. */
  readonly generators: readonly GeneratorId[];
  /** A worker that takes longer for a step of a change of epoch is ended. */
  readonly stepWithinMs: number;
  readonly onStuck: (index: number) => void;
}

interface Joined {
  readonly peer: Peer;
  readonly writer: RemoteWriter;
}

export class WorkerFleet implements WriterDirectory {
  readonly generators: readonly GeneratorId[];
  /** No worker is in this process. */
  readonly own = null;
  readonly #options: WorkerFleetOptions;
  readonly #joined = new Map<number, Joined>();
  #set: MirrorSet | null = null;
  #isEnding = false;
  /** Called when a worker has joined. */
  onJoined: () => void = () => undefined;

  constructor(options: WorkerFleetOptions) {
    this.#options = options;
    this.generators = options.generators;
  }

  get count(): number {
    return this.generators.length;
  }

  /** Once, before the first worker joins. */
  serve(set: MirrorSet): void {
    this.#set = set;
  }

  /** What a worker is told of when it starts; it hears of everything that comes after it has joined. */
  get state(): AuthorityState {
    return this.#servedSet.state;
  }

  get #servedSet(): MirrorSet {
    invariant(this.#set !== null, 'workers serve a mirror set');
    return this.#set;
  }

  get writers(): readonly DirectedWriter[] {
    return [...this.#joined.values()].map(({ writer }) => writer);
  }

  peer(index: number): Peer {
    const joined = this.#joined.get(index);
    if (joined === undefined) throw new ObjectStorageError('unavailable', `worker ${index} is not there`);
    return joined.peer;
  }

  /** Who is missing, for people; null: nobody. */
  get missing(): string | null {
    const missing = this.generators.map((_, index) => index).filter((index) => !this.#joined.has(index));
    return missing.length === 0 ? null : `worker ${missing.join(', ')} of the gateway is starting`;
  }

  /** A worker is ready: all others know it, and it knows them. */
  join(index: number, peer: Peer): void {
    const set = this.#servedSet;
    const writer = new RemoteWriter(peer, {
      onExclusionNeeded: (mirrors, reason) => {
        void set.exclude(mirrors, reason);
      },
      onRecoveryNeeded: (cause, reason) => {
        set.requireRecovery(cause, reason);
      },
      stepWithinMs: this.#options.stepWithinMs,
      onStuck: () => {
        this.#options.onStuck(index);
      },
    });
    this.#joined.set(index, { peer, writer });
    peer.onGone(() => {
      if (this.#joined.get(index)?.peer !== peer) return;
      this.#joined.delete(index);
      if (!this.#isEnding) set.requireRecovery('writer-lost', `worker ${index} of the gateway has ended`);
    });
    // Before any step of a change that is under way.
    void writer.takeState(set.state);
    this.onJoined();
  }

  /** From now on workers end because they are told to. */
  end(): void {
    this.#isEnding = true;
  }
}
