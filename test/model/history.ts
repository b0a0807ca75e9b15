/**
 * What really happened, as nobody in the system knows it: every write that was issued with the content it makes, what
 * clients were told and shown, and what each activation made final.
 */
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { Tag } from '../../src/protocol/tag.js';
import { applyWrite, type ObjectState, type WriteTransaction } from '../../src/protocol/write.js';
import { spliceBytes } from './content.js';

export interface IssuedWrite {
  /** Counts the writes of a run; says which of two writes was issued later, tags aside. */
  readonly ordinal: number;
  readonly transaction: WriteTransaction;
  readonly state: ObjectState;
  readonly bytes: Uint8Array;
}

/** What clients may rely on for one object: no state that is older than this may ever be shown. */
export interface Settled {
  readonly ordinal: number;
  readonly isAbsent: boolean;
}

const NOTHING_SETTLED: Settled = { ordinal: 0, isAbsent: true };

export class History {
  readonly #byTag = new Map<Tag, IssuedWrite[]>();
  readonly #settled = new Map<ObjectId, Settled>();
  /** What the last activation made final, by object: the ordinal that was visible then (0: nothing). */
  readonly finalAtActivation = new Map<ObjectId, number>();
  #count = 0;

  get objectIds(): ObjectId[] {
    return [...new Set([...this.#byTag.values()].flat().map(({ transaction }) => transaction.objectId))];
  }

  /** Records a write, and works out the content that it makes on top of the one it names as its previous. */
  issue(transaction: WriteTransaction, bytes: Uint8Array): IssuedWrite {
    this.#count += 1;
    const base =
      transaction.previousTag === null ? null : (this.#byTag.get(transaction.previousTag)?.at(-1) ?? null);
    const effect = applyWrite(base?.state ?? null, transaction);
    const write: IssuedWrite = {
      ordinal: this.#count,
      transaction,
      state: effect.object,
      bytes: spliceBytes(base?.bytes ?? new Uint8Array(), bytes, effect),
    };
    this.#byTag.set(transaction.tag, [...(this.#byTag.get(transaction.tag) ?? []), write]);
    return write;
  }

  writesOf(tag: Tag): readonly IssuedWrite[] {
    return this.#byTag.get(tag) ?? [];
  }

  settled(objectId: ObjectId): Settled {
    return this.#settled.get(objectId) ?? NOTHING_SETTLED;
  }

  /** A client was told that this write is done, or was shown it: nothing older may be shown from now on. */
  settle(write: IssuedWrite): void {
    const { objectId } = write.transaction;
    if (write.ordinal <= this.settled(objectId).ordinal) return;
    this.#settled.set(objectId, { ordinal: write.ordinal, isAbsent: write.state.kind === 'tombstone' });
  }

  /** The write that an object's state on some mirror stands for; null when no write ever made that content. */
  find(state: ObjectState, bytes: Uint8Array): IssuedWrite | null {
    return this.writesOf(state.lastTag).findLast((write) => isContentOf(write, state, bytes)) ?? null;
  }
}

function isContentOf(write: IssuedWrite, state: ObjectState, bytes: Uint8Array): boolean {
  if (write.state.kind !== state.kind) return false;
  if (write.state.kind === 'tombstone' || state.kind === 'tombstone') return true;
  return (
    write.state.attributes === state.attributes &&
    write.state.sizeBytes === state.sizeBytes &&
    Buffer.compare(write.bytes, bytes) === 0
  );
}
