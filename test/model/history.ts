/**
 * What really happened, as nobody in the system knows it: every write that was issued with the content it makes, what
 * clients were told and shown, and what each activation made final.
 */
import type { ObjectId } from '../../src/protocol/object-id.js';
import { type Epoch, EPOCH_NONE, type Tag, tagEpoch } from '../../src/protocol/tag.js';
import { applyWrite, type ObjectState, type WriteTransaction } from '../../src/protocol/write.js';
import { spliceBytes } from './content.js';
import { isRotten, type StoredObject } from './simulated-disk.js';

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
  readonly epoch: Epoch;
  readonly isAbsent: boolean;
}

interface Final {
  /** 0: nothing. */
  readonly ordinal: number;
  readonly isAbsent: boolean;
}

const NOTHING_SETTLED: Settled = { ordinal: 0, epoch: EPOCH_NONE, isAbsent: true };

function settledBy({ ordinal, transaction, state }: IssuedWrite): Settled {
  return { ordinal, epoch: tagEpoch(transaction.tag), isAbsent: state.kind === 'tombstone' };
}

export class History {
  readonly #byTag = new Map<Tag, IssuedWrite[]>();
  readonly #found = new WeakMap<StoredObject, IssuedWrite>();
  readonly #objectIds = new Set<ObjectId>();
  readonly #refused = new Set<IssuedWrite>();
  readonly #duplicated = new Set<Tag>();
  #revision = 0;
  readonly #settled = new Map<ObjectId, Settled>();
  /** What the last activation made final, by object: what was visible then. */
  readonly #final = new Map<ObjectId, Final>();
  /** What the latest activation made of both, as long as the mirrors do not keep it: nobody acts on it before, so it may be forgotten (F31). */
  readonly #unkept = new Map<ObjectId, { readonly settled: Settled | null; readonly final: Final }>();
  #activationEpoch: Epoch = EPOCH_NONE;
  #unkeptActivationEpoch: Epoch | null = null;
  #count = 0;

  /** The latest activation that ended a recovery; exclusions do not count. */
  get activationEpoch(): Epoch {
    return this.#unkeptActivationEpoch ?? this.#activationEpoch;
  }

  get objectIds(): ReadonlySet<ObjectId> {
    return this.#objectIds;
  }

  /** Rises with everything that is learnt. */
  get revision(): number {
    return this.#revision;
  }

  /** Records a write, and works out the content that it makes on top of the one it names as its previous. */
  issue(transaction: WriteTransaction, bytes: Uint8Array): IssuedWrite {
    this.#count += 1;
    this.#revision += 1;
    this.#objectIds.add(transaction.objectId);
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
    const sure = this.#settled.get(objectId) ?? NOTHING_SETTLED;
    const unkept = this.#unkept.get(objectId)?.settled ?? NOTHING_SETTLED;
    return unkept.ordinal > sure.ordinal ? unkept : sure;
  }

  /** A client was told that this write is done, or was shown it: nothing older may be shown from now on. */
  settle(write: IssuedWrite): void {
    const { objectId } = write.transaction;
    if (write.ordinal <= (this.#settled.get(objectId) ?? NOTHING_SETTLED).ordinal) return;
    this.#revision += 1;
    this.#settled.set(objectId, settledBy(write));
  }

  final(objectId: ObjectId): Final {
    return this.#unkept.get(objectId)?.final ?? this.#final.get(objectId) ?? NOTHING_SETTLED;
  }

  /** An activation is on record that shows this of the object. */
  makeFinal(objectId: ObjectId, write: IssuedWrite | null): void {
    this.#revision += 1;
    const isAbsent = write === null || write.state.kind === 'tombstone';
    const final = { ordinal: write?.ordinal ?? this.settled(objectId).ordinal, isAbsent };
    this.#unkept.set(objectId, { settled: write === null ? null : settledBy(write), final });
  }

  /** An activation is on record, and what it shows has been made final. */
  noteActivation(epoch: Epoch): void {
    this.#unkeptActivationEpoch = epoch;
  }

  /** The mirrors keep what the latest activation put on record, or another one follows: it stands. */
  confirmActivation(): void {
    for (const [objectId, { settled, final }] of this.#unkept) {
      const before = this.#settled.get(objectId) ?? NOTHING_SETTLED;
      if (settled !== null && settled.ordinal > before.ordinal) this.#settled.set(objectId, settled);
      this.#final.set(objectId, final);
    }
    this.#unkept.clear();
    this.#activationEpoch = this.activationEpoch;
    this.#unkeptActivationEpoch = null;
  }

  /** The latest activation is forgotten, unless it was kept. */
  forgetActivation(): void {
    this.#unkept.clear();
    this.#unkeptActivationEpoch = null;
    this.#revision += 1;
  }

  /** True when an activation made something older final; one removal shows nobody more than another. */
  isGone(write: IssuedWrite): boolean {
    const final = this.final(write.transaction.objectId);
    return write.ordinal > final.ordinal && !(final.isAbsent && write.state.kind === 'tombstone');
  }

  /** A client was told that nothing was changed. */
  refuse(write: IssuedWrite): void {
    this.#refused.add(write);
  }

  /** The network brings a request twice behind the writer's back: one copy may be refused, and the other one land. */
  noteDuplicate(tag: Tag): void {
    this.#duplicated.add(tag);
  }

  /** True for a write that was refused, and came about all the same by a copy that the network made: no connection does that, and nobody is to count on it. */
  isStray(write: IssuedWrite): boolean {
    return this.#refused.has(write) && this.#duplicated.has(write.transaction.tag);
  }

  /** True for a write that must never be seen. */
  wasRefused(write: IssuedWrite): boolean {
    return this.#refused.has(write) && !this.#duplicated.has(write.transaction.tag);
  }

  /** The write that an object's state on some mirror stands for; null when no write ever made that content. */
  find(stored: StoredObject): IssuedWrite | null {
    const known = this.#found.get(stored);
    if (known !== undefined) return known;
    const candidates = this.writesOf(stored.state.lastTag);
    const found = candidates.findLast((write) => isContentOf(write, stored)) ?? null;
    // A tag that is given twice (only where a rule is off) may come to mean another write.
    if (found !== null && candidates.length === 1) this.#found.set(stored, found);
    return found;
  }
}

/** Rotten bytes are known for what they are; what they were meant to be, the record says. */
function isContentOf(write: IssuedWrite, stored: StoredObject): boolean {
  const { state, bytes } = stored;
  if (write.state.kind !== state.kind) return false;
  if (write.state.kind === 'tombstone' || state.kind === 'tombstone') return true;
  return (
    write.state.attributes === state.attributes &&
    write.state.sizeBytes === state.sizeBytes &&
    (isRotten(stored) || Buffer.compare(write.bytes, bytes) === 0)
  );
}
