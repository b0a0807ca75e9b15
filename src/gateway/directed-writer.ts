/**
 * A writer as its mirror set directs it, be it in another process. What each step means stands at `SetWriter`.
 *
 * A writer that is gone has taken every step: what it had in flight is unknown, and the recovery that its end asks for decides it.
 */
import type { AuthorityState, MirrorId } from '../protocol/authority-state.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { Confirmation } from './read-lease.js';

export interface DirectedWriter {
  /** Writes without an outcome, as far as it is known here. */
  readonly inFlightCount: number;
  /** Every write of its generator below this is settled; null: nobody may write. */
  floorNow(): Promise<Tag | null>;
  halt(reason: string, leaving: readonly MirrorId[]): Promise<void>;
  takeState(state: AuthorityState): Promise<void>;
  beginEpoch(): Promise<void>;
  open(decidesAll: boolean): Promise<void>;
  endEpoch(reason: string): Promise<void>;
  addRebuilding(mirror: MirrorId, epoch: Epoch): Promise<void>;
  drain(): Promise<void>;
  // What nobody waits for; it comes before the steps that follow.
  close(reason: string): void;
  openReads(source: MirrorId): void;
  confirm(confirmation: Confirmation): void;
  review(): void;
  endRebuilding(reason: string): void;
  shut(reason: string): void;
}
