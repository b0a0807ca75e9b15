/** One participant of a reconciliation as its driver sees it: the driver's own store and a peer look alike. */
import type { MirrorId } from '../../protocol/authority-state.js';
import { FULL_COPY_DOUBT } from '../../protocol/recovery-plan.js';
import type { Epoch } from '../../protocol/tag.js';
import type { StoreId } from '../../protocol/token.js';
import type { OsdConnection } from '../../wire/osd-connection.js';
import { ReconcileFailure } from './reconcile-failure.js';

export interface ReconcilePeer {
  readonly mirror: MirrorId;
  readonly storeId: StoreId;
  /** The run of its process that was verified, and that all else is about. */
  readonly incarnation: string;
  /** True for a source of bytes. */
  readonly isTrusted: boolean;
  readonly needsFullCopy: boolean;
  readonly osd: OsdConnection;
}

/** What all steps of one reconciliation share. */
export interface ReconcileScope {
  readonly setId: string;
  readonly epoch: Epoch;
  /** All configured mirrors take part. */
  readonly isComplete: boolean;
  /** The stores of the mirrors that do not take part. */
  readonly absentStoreIds: readonly StoreId[];
  /** Clients write meanwhile. */
  readonly isOnline: boolean;
  /** Throws ReconcileFailure `cancelled` once the reconciliation has to stop. */
  readonly checkCancelled: () => void;
}

/** Checks that a participant is who the order says, and fenced where it says. */
export async function verifyPeer(
  scope: ReconcileScope,
  peer: Omit<ReconcilePeer, 'incarnation'>,
): Promise<ReconcilePeer> {
  const identity = await peer.osd.identity();
  const faults = [
    identity.setId === scope.setId ? null : 'it is of another mirror set',
    identity.storeId === peer.storeId ? null : `it is store ${identity.storeId}`,
    identity.fencedEpoch === scope.epoch ? null : `it is fenced at ${identity.fencedEpoch}`,
    !peer.needsFullCopy || identity.selfDoubt === FULL_COPY_DOUBT ? null : 'no full copy into it has begun',
    identity.activeEpoch === (scope.isOnline ? scope.epoch : 0)
      ? null
      : `it is active at ${identity.activeEpoch}`,
  ].filter((fault) => fault !== null);
  if (faults.length > 0) throw new ReconcileFailure('peer-mismatch', `${peer.mirror}: ${faults.join(', ')}`);
  return { ...peer, incarnation: identity.incarnation };
}
