/**
 * One activation of the mirror set as the writer uses it: the epoch's tag generator, and a link to each mirror in sync.
 * Never reused: an exclusion or a recovery makes a new one.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { TagGenerator } from '../protocol/generator.js';
import type { MirrorLink } from '../writer/mirror-link.js';

export interface Activation {
  readonly generator: TagGenerator;
  readonly links: ReadonlyMap<MirrorId, MirrorLink>;
  /** To mirrors that are being rebuilt: they get every write that they can keep up with, and nobody waits for them. */
  readonly rebuilding: Map<MirrorId, MirrorLink>;
}
