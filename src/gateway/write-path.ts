/**
 * How the writes of an epoch get their tags and reach the mirrors: from this process (`MirrorWriter`), or through an OSD that
 * holds the tag generator (`ForwardedWriter`). Which one it is, the authority's state says.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { InFlightWrite } from '../writer/in-flight-writes.js';
import type { WrittenMirror } from '../writer/mirror-writer.js';
import type { WriteDraft } from '../writer/write-draft.js';

export interface WritePath {
  /** The epoch that is written in; null: none. */
  readonly epoch: Epoch | null;
  /** Every lower tag of this generator belongs to a write that has its answers, or is open. Null while it does not write. */
  readonly floor: Tag | null;
  /** The mirrors that take the writes of this epoch without being in sync. */
  readonly rebuilding: readonly MirrorId[];
  /** Begins a write: nothing is awaited before it is on its way. */
  write(draft: WriteDraft): InFlightWrite;
  /** Waits for these mirrors no more: what they have not answered is answered soon. */
  giveUpOn(mirrors: readonly MirrorId[], reason: string): void;
  /** Sends the writes of this epoch to one more mirror, which nobody waits for. */
  letIn(mirror: WrittenMirror): void | Promise<void>;
  endRebuilding(reason: string): void;
  /** Sends all ready tokens. Precondition: every write has its answers. */
  drain(): Promise<void>;
  /** Writes no more. Whatever has no answer yet gets one now. */
  end(reason: string): void;
}
