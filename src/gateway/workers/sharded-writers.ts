/**
 * The writers of a mirror set when there are several: each has a shard of the objects, and one may be in this process.
 *
 * Objects of several writers are held in the order of their writers, and with each of them in one order, by everybody: nobody waits
 * in a circle.
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { writerOf } from '../../protocol/shard.js';
import type { Epoch, Tag } from '../../protocol/tag.js';
import type { WriteDraft } from '../../writer/write-draft.js';
import type { KeyLocks } from '../key-locks.js';
import { ObjectStorageError } from '../object-storage.js';
import type { FarWriter, HeldWrite, Hold, ObjectWriters } from '../object-writers.js';
import type { SetWriter } from '../set-writer.js';
import { toDraftMessage } from './draft-message.js';
import { type Peer, PeerGone } from './peer.js';
import type { HeldWriteReply } from './writer-service.js';

/** Who the writers are, and where. */
export interface WriterDirectory {
  readonly count: number;
  /** The one in this process; null: none of them is. */
  readonly own: number | null;
  /** Throws ObjectStorageError `unavailable` when it is not there now. */
  peer(index: number): Peer;
}

interface FarHold {
  readonly peer: Peer;
  readonly id: number;
}

/** What became of a call whose answer was lost. */
function unknownOutcome(error: unknown): unknown {
  if (!(error instanceof PeerGone)) return error;
  return new ObjectStorageError('outcome-unknown', 'the writer of the object ended in the middle of it', {
    cause: error,
  });
}

export class ShardedWriters implements ObjectWriters {
  readonly #directory: WriterDirectory;
  readonly #set: SetWriter;
  readonly #locks: KeyLocks;
  readonly #mirrors: readonly MirrorId[];

  /** `locks`: of the objects of the writer in this process. */
  constructor(directory: WriterDirectory, set: SetWriter, locks: KeyLocks) {
    this.#directory = directory;
    this.#set = set;
    this.#locks = locks;
    this.#mirrors = set.members.map(({ mirror }) => mirror);
  }

  far(id: ObjectId): FarWriter | null {
    const index = writerOf(id, this.#directory.count);
    if (index === this.#directory.own) return null;
    return { commit: (draft) => this.#commit(index, draft) };
  }

  async #commit(index: number, draft: WriteDraft): Promise<Tag> {
    // While this gate is shut nobody knows whether the other writer is there.
    await this.#set.pass();
    const peer = this.#directory.peer(index);
    try {
      return await peer.call<Tag>('commit', toDraftMessage(draft, this.#mirrors));
    } catch (error) {
      throw unknownOutcome(error);
    }
  }

  async hold<Result>(ids: readonly ObjectId[], work: (hold: Hold) => Promise<Result>): Promise<Result> {
    const [first] = ids;
    const byWriter = new Map<number, ObjectId[]>();
    for (const id of ids) {
      const index = writerOf(id, this.#directory.count);
      const others = byWriter.get(index);
      if (others === undefined) byWriter.set(index, [id]);
      else others.push(id);
    }
    const groups = [...byWriter].sort(([left], [right]) => left - right);
    const far = new Map<number, FarHold>();
    const hold = this.#makeHold(first === undefined ? null : writerOf(first, this.#directory.count), far);
    const holdFrom = (step: number): Promise<Result> => {
      const group = groups[step];
      if (group === undefined) return work(hold);
      const [index, held] = group;
      if (index === this.#directory.own) return this.#locks.runAll(held, () => holdFrom(step + 1));
      return this.#holdFar(index, held, far, () => holdFrom(step + 1));
    };
    return holdFrom(0);
  }

  async #holdFar<Result>(
    index: number,
    ids: readonly ObjectId[],
    far: Map<number, FarHold>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    await this.#set.pass();
    const peer = this.#directory.peer(index);
    const id = await peer.call<number>('hold', { ids }).catch((error: unknown) => {
      if (!(error instanceof PeerGone)) throw error;
      throw new ObjectStorageError('unavailable', 'the writer of the object has ended', { cause: error });
    });
    far.set(index, { peer, id });
    try {
      return await work();
    } finally {
      peer.note('let-go', id);
    }
  }

  #makeHold(index: number | null, far: ReadonlyMap<number, FarHold>): Hold {
    return {
      get isLost() {
        for (const { peer } of far.values()) if (peer.isGone) return true;
        return false;
      },
      write: (draft, epoch) => {
        const held = index === null ? undefined : far.get(index);
        if (held === undefined) return { kind: 'written', settled: this.#set.write(draft) };
        return this.#writeFar(held, draft, epoch);
      },
    };
  }

  async #writeFar({ peer, id }: FarHold, draft: WriteDraft, epoch: Epoch): Promise<HeldWrite> {
    const message = toDraftMessage(draft, this.#mirrors);
    let reply: HeldWriteReply;
    try {
      reply = await peer.call<HeldWriteReply>('write', { hold: id, epoch, message });
    } catch (error) {
      throw unknownOutcome(error);
    }
    return reply.kind === 'written' ? { ...reply, settled: Promise.resolve(reply.settled) } : reply;
  }
}
