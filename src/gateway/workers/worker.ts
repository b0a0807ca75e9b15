/**
 * What a worker of a gateway has of a mirror set: the writer of its shard, and the storage that its S3 endpoint uses, which writes through it and
 * through the writers of the others.
 */
import type { AuthorityState } from '../../protocol/authority-state.js';
import { invariant } from '../../protocol/invariant.js';
import type { GeneratorId } from '../../protocol/tag.js';
import { KeyLocks } from '../key-locks.js';
import { MirroredObjectStorage } from '../mirrored-object-storage.js';
import { type ObjectStorage, ObjectStorageError } from '../object-storage.js';
import { SetWriter, type SetWriterOptions } from '../set-writer.js';
import type { Peer } from './peer.js';
import { obeyDirections, tellInFlight } from './remote-writer.js';
import { ShardedOpenWrites } from './sharded-open-writes.js';
import { ShardedWriters, type WriterDirectory } from './sharded-writers.js';
import { serveWriter } from './writer-service.js';

export interface WorkerPlace {
  readonly index: number;
  /** Of all workers, by index. */
  readonly generators: readonly GeneratorId[];
}

export class GatewayWorker implements WriterDirectory {
  readonly own: number;
  readonly count: number;
  readonly writer: SetWriter;
  readonly storage: ObjectStorage;
  readonly #locks = new KeyLocks();
  readonly #storage: MirroredObjectStorage;
  readonly #authority: Peer;
  readonly #peers = new Map<number, Peer>();

  /** `authority`: the process that holds it. */
  constructor(
    { index, generators }: WorkerPlace,
    options: Omit<SetWriterOptions, 'generator'>,
    authority: Peer,
    state: AuthorityState,
  ) {
    const generator = generators[index];
    invariant(generator !== undefined, 'a worker has a generator', { index });
    this.own = index;
    this.count = generators.length;
    this.#authority = authority;
    this.writer = new SetWriter({ ...options, generator }, state);
    this.#storage = new MirroredObjectStorage(this.writer, {
      writers: new ShardedWriters(this, this.writer, this.#locks),
      openWrites: new ShardedOpenWrites(this, this.writer, generators),
      logger: options.logger,
    });
    this.storage = this.#storage;
    obeyDirections(authority, this.writer);
    this.#serve(authority);
  }

  peer(index: number): Peer {
    const peer = this.#peers.get(index);
    if (peer === undefined) throw new ObjectStorageError('unavailable', `worker ${index} is not there`);
    return peer;
  }

  /** Another worker is there. When it ends nobody is let in before the recovery that follows. */
  connect(index: number, peer: Peer): void {
    this.#peers.set(index, peer);
    this.#serve(peer);
    peer.onGone(() => {
      if (this.#peers.get(index) !== peer) return;
      this.#peers.delete(index);
      const reason = `worker ${index} of the gateway has ended`;
      this.writer.close(reason);
      this.#authority.note('recovery-needed', { cause: 'writer-lost', reason });
    });
  }

  /** What the process that holds the authority shows of this one. */
  tellFigures(): void {
    tellInFlight(this.#authority, this.writer);
  }

  #serve(peer: Peer): void {
    serveWriter(peer, { set: this.writer, locks: this.#locks, storage: this.#storage });
  }
}
