/**
 * What a writer does for the other processes of its gateway: it keeps objects for them, writes for them, and says what became of its writes.
 *
 * Guarantees:
 * - What a process holds is let go of when it says so, or has ended; not before every write that it asked for under that hold has its outcome.
 * - A write under a hold is made in the epoch in which its process looked at the object, or not at all.
 */
import type { ObjectId } from '../../protocol/object-id.js';
import type { Epoch, Tag } from '../../protocol/tag.js';
import type { SettledWrite } from '../../writer/in-flight-writes.js';
import type { KeyLocks } from '../key-locks.js';
import type { MirroredObjectStorage } from '../mirrored-object-storage.js';
import type { ListRequest } from '../object-storage.js';
import { isListed } from '../open-writes.js';
import type { SetWriter } from '../set-writer.js';
import { type DraftMessage, fromDraftMessage } from './draft-message.js';
import type { Peer } from './peer.js';

export interface HoldBody {
  readonly ids: readonly ObjectId[];
}

export interface HeldWriteBody {
  readonly hold: number;
  readonly epoch: Epoch;
  readonly message: DraftMessage;
}

export type HeldWriteReply =
  | { readonly kind: 'stale' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'written'; readonly settled: SettledWrite };

export interface DecidedBody {
  /** What an answer shows: objects, and the tags of their last writes. */
  readonly shown: readonly { readonly id: ObjectId; readonly tag: Tag }[];
  /** Removals that it hides: of this object, or of what this listing would show. */
  readonly removal: ObjectId | null;
  readonly listing: ListRequest | null;
}

export interface DecidedReply {
  /** True when all of them have happened. */
  readonly areAcknowledged: boolean;
  /** Every write of this writer below it has its outcome. */
  readonly floor: Tag | null;
}

interface Held {
  readonly letGo: () => void;
  /** Writes under it. */
  readonly writing: Set<Promise<unknown>>;
}

export interface WriterServiceParts {
  readonly set: SetWriter;
  readonly locks: KeyLocks;
  readonly storage: Pick<MirroredObjectStorage, 'commit'>;
}

/** Serves one peer, for as long as it is there. */
export function serveWriter(peer: Peer, { set, locks, storage }: WriterServiceParts): void {
  const holds = new Map<number, Held>();
  let holdCount = 0;

  const end = async (id: number): Promise<void> => {
    const held = holds.get(id);
    holds.delete(id);
    if (held === undefined) return;
    await Promise.all(held.writing);
    held.letGo();
  };

  peer.serve<HoldBody>('hold', ({ ids }) => {
    holdCount += 1;
    const id = holdCount;
    return new Promise<number>((granted) => {
      void locks.runAll(ids, async () => {
        if (peer.isGone) return;
        await new Promise<void>((letGo) => {
          holds.set(id, { letGo, writing: new Set() });
          granted(id);
        });
      });
    });
  });
  peer.serve<number>('let-go', (id) => end(id));
  peer.onGone(() => {
    for (const id of [...holds.keys()]) void end(id);
  });

  const writeHeld = async (body: HeldWriteBody): Promise<HeldWriteReply> => {
    return { kind: 'written', settled: await set.write(fromDraftMessage(body.message)) };
  };
  peer.serve<HeldWriteBody>('write', async (body): Promise<HeldWriteReply> => {
    // What its process saw may be newer than what this one has heard of.
    await set.pass();
    const held = holds.get(body.hold);
    if (held === undefined) return { kind: 'lost' };
    if (set.epoch !== body.epoch || !set.gate.isOpen) return { kind: 'stale' };
    const writing = writeHeld(body);
    held.writing.add(writing);
    try {
      return await writing;
    } finally {
      held.writing.delete(writing);
    }
  });
  peer.serve<DraftMessage>('commit', (message) => storage.commit(fromDraftMessage(message)));

  peer.serve<DecidedBody>('decided', async ({ shown, removal, listing }): Promise<DecidedReply> => {
    const { inFlight } = set;
    const open = shown
      .map(({ id, tag }) => inFlight.openWrite(id, tag))
      .filter((write) => write !== undefined);
    const isHidden = (id: ObjectId): boolean => id === removal || (listing !== null && isListed(listing, id));
    const hidden = removal === null && listing === null ? [] : inFlight.openRemovals(isHidden);
    const outcomes = await Promise.all([...open, ...hidden].map(({ outcome }) => outcome));
    const areAcknowledged = outcomes.every(({ kind }) => kind === 'acknowledged');
    return { areAcknowledged, floor: set.decidedFloor };
  });
}
